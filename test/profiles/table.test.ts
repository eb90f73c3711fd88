import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { listOverlays, listProfiles } from '../../src/profiles/load.ts'
import { profilesMarkdown } from '../../src/profiles/table.ts'
import { repositoryRoot } from '../fixtures.ts'

test('docs/profiles.md is what the profiles say today', () => {
  const page = readFileSync(join(repositoryRoot, 'docs', 'profiles.md'), 'utf8')
  assert.equal(page, profilesMarkdown(listProfiles(), listOverlays()), 'run npm run docs:profiles')
})

test('the page does not depend on the machine that writes it', () => {
  assert.doesNotMatch(profilesMarkdown(listProfiles(), listOverlays()), /^\| `this-computer`/m)
})
