import { litertNeed } from '../../src/runtimes/litert.ts'
import type { RuntimeBuild } from '../target.ts'

/** LiteRT by name, version and digest; the library itself is found when a board is provisioned. */
export async function runtimes(_architecture: string): Promise<RuntimeBuild[]> {
  return [{ need: litertNeed(), paths: new Map() }]
}
