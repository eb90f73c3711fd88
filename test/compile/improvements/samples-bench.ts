import type { Board } from '../../../src/compile/board.ts'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import type { Improvement, ImprovementContext } from '../../../src/compile/improvements/improvement.ts'
import { observeFloat, observeQuantized } from '../../../src/compile/observe.ts'
import { parseRecipe } from '../../../src/compile/recipe.ts'
import type { Preset } from '../../../src/compile/recipe.ts'
import { type Made, makeTrial, type Trial } from '../../../src/compile/trial.ts'
import type { Sample } from '../../../src/data/types.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { silentProgress } from '../../../src/progress.ts'
import { calibrate } from '../../../src/quantize/calibrate.ts'
import type { Target } from '../../../targets/target.ts'
import { options } from '../../targets/litert/run.ts'

/** A float network with one input on a target, with calibration samples that improvements look at. */
export class SamplesBench {
  readonly #graph: Graph
  readonly #samples: readonly Sample[]
  readonly #board: Board

  constructor(graph: Graph, target: Target, samples: readonly Float32Array[]) {
    this.#board = { target, options: { ...options, scheme: 'full-int8' } } as Board
    this.#graph = target.tailor?.(graph, this.#board.options) ?? graph
    this.#samples = samples.map((data) => this.#sampleOf(data))
  }

  async plain(change: Partial<Trial> = {}): Promise<Made> {
    const { target, options: given } = this.#board
    const feeds = this.#samples.map(({ inputs }) => inputs)
    const ranges = await calibrate(this.#graph, executeGraph, feeds, target.wantedTensors(this.#graph, given))
    return this.#make({
      graph: this.#graph,
      ranges,
      activation: { kind: 'min-max' },
      weight: 'mse',
      correctBias: true,
      headroom: false,
      rowScales: false,
      keepFloat: [],
      layers: new Map(),
      valueRanges: new Map(),
      ...change,
    })
  }

  /** The trial that it proposes, made; or why it declines. */
  async propose({ propose }: Improvement, made: Made, preset: Preset = 'balanced'): Promise<Made | string> {
    const samples = this.#samples
    const proposal = await propose(made, {
      board: this.#board,
      recipe: parseRecipe({ preset }, 'test'),
      progress: silentProgress(),
      calibration: {
        length: samples.length,
        [Symbol.asyncIterator]: async function* () {
          yield* samples
        },
      },
      make: (trial: Trial) => this.#make(trial),
    } as unknown as ImprovementContext)
    return 'declined' in proposal ? proposal.declined : this.#make(proposal.trials[0]!.trial)
  }

  /** Of the first output, quantized less float, on samples that need not be those of the calibration. */
  async errors(made: Made, samples: readonly Float32Array[]): Promise<Float64Array[]> {
    const outputs = [this.#graph.outputs[0]!]
    const float = await observeFloat(this.#graph, outputs)
    const quantized = await observeQuantized(made, this.#board, outputs)
    const errors: Float64Array[] = []
    for (const data of samples) {
      const [expected] = (await float.run(this.#sampleOf(data))).values()
      const [got] = (await quantized.run(this.#sampleOf(data))).values()
      errors.push(Float64Array.from(got!, (y, i) => y - expected![i]!))
    }
    await float.close()
    await quantized.close()
    return errors
  }

  #make(trial: Trial): Made {
    return makeTrial(trial, this.#board)
  }

  #sampleOf(data: Float32Array): Sample {
    const [input] = this.#graph.inputs
    const { shape } = this.#graph.values.get(input!)!.type
    return { id: 'sample', inputs: new Map([[input!, { dtype: 'float32', shape, data }]]), label: null }
  }
}

export function meanOf(errors: readonly Float64Array[]): number[] {
  return Array.from(errors[0]!, (_, i) => errors.reduce((sum, error) => sum + error[i]!, 0) / errors.length)
}

export function meanSquareOf(errors: readonly Float64Array[]): number {
  const all = errors.flatMap((error) => [...error])
  return all.reduce((sum, error) => sum + error * error, 0) / all.length
}
