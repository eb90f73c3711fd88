import { parseRecipe } from '../../src/compile/recipe.ts'
import { compareLatency, type LatencyComparison } from '../../src/measure/compare/verdict.ts'
import { silentProgress } from '../../src/progress.ts'
import { measurePass, placeSide } from '../../src/run/compare/pass.ts'
import type { CompareRequest } from '../../src/run/compare/request.ts'
import { openSide } from '../../src/run/compare/side.ts'
import { type ConnectionOptions, noQuestions, openBoard } from '../../src/run/open-device.ts'
import type { Board } from './board.ts'

export function connectionTo(lab: Board): ConnectionOptions {
  return {
    ...noQuestions,
    identity: lab.identityFile,
    hostKey: lab.hostKeyFingerprint,
    knownHosts: lab.knownHostsFile,
  }
}

/** A short comparison: what a test or a study asks for in place of the command line. */
export function shortComparison(lab: Board, changes: Partial<CompareRequest>): CompareRequest {
  return {
    contest: { kind: 'pair', a: '', b: '' },
    shapes: {},
    device: lab.spec,
    threads: 1,
    affinity: [],
    preset: 'quick',
    blocks: 8,
    blockSeconds: 0.005,
    band: 0.01,
    seed: 1,
    data: undefined,
    metric: undefined,
    limit: undefined,
    recipe: parseRecipe({}, 'comparison'),
    energy: { wanted: 'off', rail: undefined, sampleHz: 20 },
    limits: [],
    writeBaseline: undefined,
    connection: connectionTo(lab),
    ...changes,
  }
}

/** Comparisons of two files on one connection, a process on the board each; what was put there once stays. */
export async function* trialsOn(
  lab: Board,
  files: { readonly a: string; readonly b: string },
  seeds: readonly number[],
): AsyncGenerator<LatencyComparison> {
  const progress = silentProgress()
  const request = shortComparison(lab, {})
  const board = await openBoard(lab.spec, undefined, request.connection, progress)
  try {
    const arms = {
      a: await placeSide(await openSide(files.a, {}, progress), board, progress),
      b: await placeSide(await openSide(files.b, {}, progress), board, progress),
    }
    for (const seed of seeds) {
      const { figures } = await measurePass(
        board,
        arms,
        request,
        // turns of five
        { seed, inferenceNs: 4e6, outputs: null, survey: { sensors: [], pins: [] }, label: `trial ${seed}` },
        progress,
      )
      yield compareLatency({ a: figures.a!, b: figures.b, control: figures.control }, request.band)
    }
  } finally {
    await board.close()
  }
}
