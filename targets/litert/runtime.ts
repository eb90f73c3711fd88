import { EdgewrightError } from '../../src/error.ts'
import type { RuntimeBuild } from '../target.ts'

/** LiteRT as `edgewright runtimes add litert` has put it into the cache. */
export async function runtimes(architecture: string): Promise<RuntimeBuild[]> {
  throw new EdgewrightError(
    'RUNTIME_MISSING',
    `There is no LiteRT library for ${architecture} on this computer.`,
    {
      hint: `Run \`edgewright runtimes add litert\`.`,
    },
  )
}
