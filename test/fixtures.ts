import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root folder. */
export const repositoryRoot = fileURLToPath(new URL('..', import.meta.url))

const root = join(repositoryRoot, '..', 'shared', 'fixtures')

/** False where the shared fixtures are at hand, else the reason a test is skipped for. */
export const fixturesMissing: string | false = existsSync(root)
  ? false
  : `needs the shared fixtures at ${root}, which are not part of the repository`

/** Absolute path of a shared fixture, read in place. */
export function fixture(path: string): string {
  return join(root, path)
}
