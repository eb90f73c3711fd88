import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { listOverlays, listProfiles } from '../src/profiles/load.ts'
import { profilesMarkdown } from '../src/profiles/table.ts'

writeFileSync(
  fileURLToPath(new URL('../docs/profiles.md', import.meta.url)),
  profilesMarkdown(listProfiles(), listOverlays()),
)
