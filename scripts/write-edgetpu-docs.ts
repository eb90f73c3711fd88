import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { supportTable } from '../targets/edgetpu/support-table.ts'

writeFileSync(fileURLToPath(new URL('../docs/edgetpu.md', import.meta.url)), supportTable())
