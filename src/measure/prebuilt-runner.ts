import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'

export interface PrebuiltRunner {
  readonly path: string
  readonly sha256: string
  readonly bytes: number
}

const folders: Readonly<Record<string, string>> = { aarch64: 'linux-arm64', x86_64: 'linux-x64' }

/**
 * The runner's binary for a board, `architecture` as `uname -m` says it. It needs Linux with glibc 2.17 or newer.
 *
 * @throws EdgewrightError DEVICE_UNSUPPORTED where there is none for it
 */
export function prebuiltRunner(architecture: string): PrebuiltRunner {
  const folder = folders[architecture]
  if (folder === undefined)
    throw new EdgewrightError('DEVICE_UNSUPPORTED', 'There is no runner for this kind of processor.', {
      saw: architecture,
      hint: 'Boards need a 64-bit Linux: aarch64 or x86_64.',
    })
  // the module stands in src/measure, or in dist/src/measure once built
  for (const up of ['../..', '../../..']) {
    const path = fileURLToPath(new URL(`${up}/runner/prebuilt/${folder}/edgewright-runner`, import.meta.url))
    if (!existsSync(path)) continue
    const content = readFileSync(path)
    return { path, sha256: sha256(content), bytes: content.byteLength }
  }
  throw new EdgewrightError('INTERNAL', 'The runner is missing from this installation.', {
    saw: `runner/prebuilt/${folder}`,
    hint: 'Install Edgewright again.',
  })
}
