import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { join } from 'node:path'
import { repositoryRoot } from '../fixtures.ts'

/** Everything the lab builds and writes; git-ignored. */
export const labFolder = join(repositoryRoot, '.lab')

/**
 * Runs `scripts/SCRIPT ...args DEST` unless its result is there already, and returns DEST. DEST is named by a digest
 * of the script and of the files that go into it (`sources`), so that a changed recipe builds anew. One process builds,
 * others wait for it.
 */
export async function buildOnce(
  name: string,
  script: string,
  args: readonly string[],
  deadlineMs: number,
  sources: readonly string[] = [],
): Promise<string> {
  const path = join(repositoryRoot, 'scripts', script)
  const hash = createHash('sha256').update(readFileSync(path)).update(JSON.stringify(args))
  for (const source of sources) hash.update(readFileSync(source))
  const digest = hash.digest('hex')
  const destination = join(labFolder, `${name}-${digest.slice(0, 16)}`)
  if (existsSync(destination)) return destination
  mkdirSync(labFolder, { recursive: true })
  try {
    await promisify(execFile)('flock', [join(labFolder, `${name}.lock`), 'sh', path, ...args, destination], {
      timeout: deadlineMs,
      maxBuffer: 16 << 20,
    })
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    throw new Error(`${script} failed: ${stderr.slice(-2000)}`, { cause: error })
  }
  return destination
}

/** Folder with an arm64 Debian userland; built in about 20 s the first time. */
export function userland(suite: 'bookworm' | 'bullseye'): Promise<string> {
  return buildOnce(`rootfs-${suite}`, 'lab-rootfs.sh', [suite], 300_000)
}
