import { litertBuild } from '../../src/runtimes/litert.ts'
import type { LiteRtRequest } from '../../src/runtimes/litert.ts'

/** This computer, as `uname -m` says it. */
export const here = process.arch === 'arm64' ? 'aarch64' : 'x86_64'

/** False where LiteRT for this computer and for arm64 boards has been fetched, else how to. */
export function litertMissing(): string | false {
  try {
    for (const request of [
      { architecture: here },
      { architecture: 'aarch64' },
      { architecture: 'aarch64', tfliteApi: true },
    ])
      litertBuild(request)
    return false
  } catch (error) {
    return `LiteRT is not in the cache: edgewright runtimes add litert; edgewright runtimes add tflite (${(error as Error).message})`
  }
}

export function litertLibrary(architecture: string, rest: Partial<LiteRtRequest> = {}): string {
  return litertBuild({ architecture, ...rest }).path
}
