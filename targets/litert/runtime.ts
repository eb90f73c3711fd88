import { EdgewrightError } from '../../src/error.ts'
import { litertBuild, litertNeed } from '../../src/runtimes/litert.ts'
import type { RuntimeBuild } from '../target.ts'

/**
 * LiteRT as a manifest names it, with its library where `edgewright runtimes add litert` has put one into the cache:
 * compiling needs none.
 */
export async function runtimes(architecture: string): Promise<RuntimeBuild[]> {
  const need = litertNeed()
  const builds = need.builds.filter((build) => build.architecture === architecture)
  if (builds.length === 0)
    throw new EdgewrightError('TARGET_CANNOT_RUN', `There is no build of LiteRT for ${architecture}.`, {
      saw: architecture,
      hint: `Builds exist for ${need.builds.map((build) => build.architecture).join(' and ')}; a 32-bit system needs a 64-bit image.`,
    })
  const path = cachedPath(architecture)
  return [{ need: { ...need, builds }, paths: new Map(path === null ? [] : [[architecture, path]]) }]
}

function cachedPath(architecture: string): string | null {
  try {
    return litertBuild({ architecture }).path
  } catch (error) {
    if (error instanceof EdgewrightError && error.code === 'RUNTIME_MISSING') return null
    throw error
  }
}
