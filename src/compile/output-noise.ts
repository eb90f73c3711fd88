import type { Metric } from '../data/metric.ts'
import type { Sample } from '../data/types.ts'
import type { Graph } from '../graph/types.ts'
import { throwIfAborted } from '../progress.ts'
import type { Board } from './board.ts'
import { executeGraph } from './execute-graph.ts'
import type { ImprovementContext } from './improvements/improvement.ts'
import { compareQuality, type Runnable } from './quality.ts'
import { runnableOf } from './runnable.ts'
import type { Made } from './trial.ts'

/**
 * How far compiled forms of one float graph are from it at its outputs, over a few calibration samples. Many forms are
 * measured on the same samples: the float results are computed once.
 */
export class OutputNoise {
  /** Forms measured so far. */
  runs = 0
  readonly #float: Runnable
  readonly #board: Board
  readonly #samples: AsyncIterable<Sample>
  readonly #signal: AbortSignal

  private constructor(float: Runnable, board: Board, samples: AsyncIterable<Sample>, signal: AbortSignal) {
    this.#float = float
    this.#board = board
    this.#samples = samples
    this.#signal = signal
  }

  /**
   * @param most samples looked at, at most
   * @param from the first of them
   */
  static async open(
    graph: Graph,
    { board, calibration, progress }: Pick<ImprovementContext, 'board' | 'calibration' | 'progress'>,
    most: number,
    from = 0,
  ): Promise<OutputNoise> {
    const real = (names: readonly string[]) => names.map((name) => ({ name, stored: null }))
    const float: Runnable = {
      evaluator: await executeGraph(graph),
      inputs: real(graph.inputs),
      outputs: real(graph.outputs),
      remembered: new WeakMap(),
    }
    const samples = { [Symbol.asyncIterator]: () => partOf(calibration, from, most) }
    return new OutputNoise(float, board, samples, progress.signal)
  }

  /** Noise power over signal power, 10^(−SQNR/10); 0 where all is exact. */
  async of({ emitted }: Made): Promise<number> {
    throwIfAborted(this.#signal)
    const compiled = await runnableOf(emitted, this.#board)
    const quiet = { signal: this.#signal, stage() {}, tick() {}, warn() {} }
    try {
      const quality = await compareQuality(
        this.#float,
        compiled,
        this.#samples,
        0,
        async () => noMetric,
        quiet,
      )
      this.runs++
      return 10 ** (-quality.sqnrDb / 10)
    } finally {
      await compiled.evaluator.close()
    }
  }

  close(): Promise<void> {
    return this.#float.evaluator.close()
  }
}

const noMetric: Metric = {
  name: 'none',
  higherIsBetter: true,
  needsLabels: true,
  start() {},
  add() {},
  finish: () => Number.NaN,
}

async function* partOf(
  samples: AsyncIterable<Sample>,
  from: number,
  most: number,
): AsyncGenerator<Sample, void, undefined> {
  let at = 0
  if (most < 1) return
  for await (const sample of samples) {
    if (at++ < from) continue
    yield sample
    if (at === from + most) return
  }
}
