import type { Board } from '../../../src/compile/board.ts'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import type { Improvement, ImprovementContext } from '../../../src/compile/improvements/improvement.ts'
import { infer } from '../../../src/compile/quality.ts'
import { parseRecipe } from '../../../src/compile/recipe.ts'
import { runnableOf } from '../../../src/compile/runnable.ts'
import { type Made, makeTrial, type Trial } from '../../../src/compile/trial.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { silentProgress } from '../../../src/progress.ts'
import { calibrate, type CalibrateOptions } from '../../../src/quantize/calibrate.ts'
import { SqnrMeter } from '../../../src/quantize/fidelity.ts'
import type { Tensor } from '../../../src/tensor.ts'
import type { Target } from '../../../targets/target.ts'
import { options } from '../../targets/litert/run.ts'

/** A float network with calibration samples, on a target, without a search around. */
export class Bench {
  readonly #improvement: Improvement
  readonly #graph: Graph
  readonly #feeds: readonly ReadonlyMap<string, Tensor>[]
  readonly #board: Board

  constructor(
    improvement: Improvement,
    graph: Graph,
    feeds: readonly ReadonlyMap<string, Tensor>[],
    target: Target,
    perChannel: boolean,
  ) {
    this.#improvement = improvement
    this.#board = { target, options: { ...options, perChannel, scheme: 'full-int8' } } as Board
    this.#graph = target.tailor!(graph, this.#board.options)
    this.#feeds = feeds
  }

  calibrate(graph: Graph, extra: Pick<CalibrateOptions, 'channelStatistics'> = {}) {
    const wanted = this.#board.target.wantedTensors(graph, this.#board.options)
    return calibrate(graph, executeGraph, this.#feeds, wanted, extra)
  }

  make(trial: Trial): Made {
    return makeTrial(trial, this.#board)
  }

  async plain(): Promise<Made> {
    return this.make({
      graph: this.#graph,
      ranges: await this.calibrate(this.#graph),
      activation: { kind: 'mse' },
      weight: 'mse',
      correctBias: true,
      headroom: true,
      rowScales: false,
      keepFloat: [],
      layers: new Map(),
      valueRanges: new Map(),
    })
  }

  propose(made: Made) {
    return this.#improvement.propose(made, {
      board: this.#board,
      recipe: parseRecipe({}, 'test'),
      progress: silentProgress(),
      calibrate: (graph: Graph, extra: Pick<CalibrateOptions, 'channelStatistics'>) =>
        this.calibrate(graph, extra),
      make: (trial: Trial) => this.make(trial),
    } as unknown as ImprovementContext)
  }

  async sqnrDb(
    { emitted }: Made,
    feeds: readonly ReadonlyMap<string, Tensor>[],
    expected: readonly Tensor[],
  ) {
    const runnable = await runnableOf(emitted, this.#board)
    const meter = new SqnrMeter()
    for (const [index, inputs] of feeds.entries()) {
      const [output] = await infer(runnable, { inputs, id: `${index}`, label: null })
      meter.add(expected[index]!.data as Float32Array, output!.data as Float32Array)
    }
    await runnable.evaluator.close()
    return meter.db
  }
}

/** What the float network makes of feeds: its first output. */
export async function floatResults(
  graph: Graph,
  feeds: readonly ReadonlyMap<string, Tensor>[],
): Promise<Tensor[]> {
  const float = await executeGraph(graph)
  const results: Tensor[] = []
  for (const feed of feeds) results.push([...(await float.run(feed)).values()][0]!)
  await float.close()
  return results
}

/** Of the outputs over all feeds, over the largest output. */
export async function largestDifference(
  a: Graph,
  b: Graph,
  feeds: readonly ReadonlyMap<string, Tensor>[],
): Promise<number> {
  const [before, after] = [await executeGraph(a), await executeGraph(b)]
  let largest = 0
  let difference = 0
  for (const feed of feeds) {
    const [expected, found] = [await before.run(feed), await after.run(feed)]
    for (const [name, { data }] of expected)
      data.forEach((x, i) => {
        largest = Math.max(largest, Math.abs(Number(x)))
        difference = Math.max(difference, Math.abs(Number(x) - Number(found.get(name)!.data[i])))
      })
  }
  await before.close()
  await after.close()
  return difference / largest
}
