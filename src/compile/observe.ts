import type { Sample } from '../data/types.ts'
import { dequantizeTensor } from '../data/quantize-tensor.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Graph } from '../graph/types.ts'
import type { Tensor } from '../tensor.ts'
import type { Emitted } from '../../targets/target.ts'
import type { Board } from './board.ts'
import { executeGraph } from './execute-graph.ts'
import { feedsOf } from './quality.ts'
import { runnableOf } from './runnable.ts'
import { type Made, trialOptions } from './trial.ts'

/** A network whose inner values can be looked at. */
export interface Observed {
  /** Those of the wanted values that it computes, by their names in the float graph. */
  readonly names: readonly string[]
  /** As reals, in the layout of the float graph of the trial. */
  run(sample: Pick<Sample, 'inputs'>): Promise<ReadonlyMap<string, Float32Array>>
  close(): Promise<void>
}

/** The float graph with the wanted values as its outputs. */
export async function observeFloat(graph: Graph, wanted: readonly string[]): Promise<Observed> {
  const names = wanted.filter((name) => graph.values.get(name)?.constant === null)
  const inner = names.filter((name) => !graph.inputs.includes(name))
  const editor = new GraphEditor(graph)
  editor.outputs = [...inner]
  const evaluator = inner.length > 0 ? await executeGraph(editor.finish()) : null
  return {
    names,
    async run({ inputs }) {
      const results = evaluator ? await evaluator.run(inputs, inner) : new Map<string, Tensor>()
      return new Map(names.map((name) => [name, reals((results.get(name) ?? inputs.get(name))!)]))
    },
    close: async () => evaluator?.close(),
  }
}

/**
 * The quantized network with the wanted values as further outputs, as this computer computes what the board does.
 * A value that the target does not compute apart (a convolution before its fused clip) is not among `names`.
 */
export async function observeQuantized(
  { trial, typed }: Made,
  board: Board,
  wanted: readonly string[],
): Promise<Observed> {
  const held = (name: string) => typed.stored?.get(name) ?? name
  const names = wanted.filter((name) => {
    const value = typed.graph.values.get(held(name))
    return value !== undefined && value.constant === null
  })
  const runnable = await runnableOf(emitExposed({ trial, typed }, board, names.map(held)), board)
  const types = new Map([...runnable.inputs, ...runnable.outputs].map((one) => [one.name, one.stored]))
  return {
    names,
    async run(sample) {
      const feeds = feedsOf(runnable, sample)
      const results = await runnable.evaluator.run(feeds)
      const real = (name: string) => {
        const tensor = (results.get(name) ?? feeds.get(name))!
        const type = types.get(name)
        return reals(type ? dequantizeTensor(tensor, type) : tensor)
      }
      return new Map(names.map((name) => [name, real(held(name))]))
    },
    close: () => runnable.evaluator.close(),
  }
}

/** The compiled network with further values of its typed graph as outputs, behind its own. */
export function emitExposed(
  { trial, typed }: Pick<Made, 'trial' | 'typed'>,
  board: Board,
  values: readonly string[],
): Emitted {
  const { outputs, inputs } = typed.graph
  const further = [...new Set(values)].filter((name) => !outputs.includes(name) && !inputs.includes(name))
  const editor = new GraphEditor(typed.graph)
  editor.outputs = [...outputs, ...further]
  return board.target.emit(editor.finish(), trialOptions(trial, board))
}

function reals({ data }: Tensor): Float32Array {
  return data instanceof Float32Array ? data : Float32Array.from(data as Iterable<number | bigint>, Number)
}
