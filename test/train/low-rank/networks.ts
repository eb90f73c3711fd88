import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { seededGenerator } from '../../../src/data/generator.ts'
import { constantOf } from '../../../src/graph/constant.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { elementCount, type Tensor } from '../../../src/tensor.ts'
import { GraphBuilder } from '../../../src/train/builder.ts'

/** Adds a constant of normal numbers. */
export type Floats = (...shape: number[]) => string

export function networkOf(
  shape: readonly number[],
  make: (b: GraphBuilder, x: string, floats: Floats) => string,
  weight: (index: number, random: number) => number = (_, random) => random,
): Graph {
  const random = seededGenerator(4)
  const b = GraphBuilder.empty('network')
  const floats = (...sizes: number[]) =>
    b.constant(
      constantOf(
        'float32',
        sizes,
        Float32Array.from({ length: elementCount(sizes) }, (_, index) => weight(index, random.normal())),
      ),
      b.editor.freshName('w'),
    )
  return b.finish([make(b, b.input('x', shape), floats)])
}

export interface Window {
  readonly strides?: readonly number[]
  readonly dilations?: readonly number[]
  readonly padsBegin?: readonly number[]
  readonly padsEnd?: readonly number[]
  readonly group?: number
}

/** One convolution of an input of 9 × 8. */
export function convolution(
  weights: readonly [outputs: number, inputs: number, ...kernel: number[]],
  bias: boolean,
  { strides = [1, 1], dilations = [1, 1], padsBegin = [0, 0], padsEnd = [0, 0], group = 1 }: Window = {},
  weight?: (index: number, random: number) => number,
): Graph {
  return networkOf(
    [1, weights[1] * group, 9, 8],
    (b, x, floats) =>
      b.op({ kind: 'Conv', group, strides, dilations, padsBegin, padsEnd, layout: 'channels-first' }, [
        x,
        floats(...weights),
        ...(bias ? [floats(weights[0])] : []),
      ]),
    weight,
  )
}

/** What a network with one input x and one output makes of x, by default of seeded normal numbers. */
export async function outputOf(graph: Graph, data?: Float32Array): Promise<Float32Array> {
  const random = seededGenerator(8)
  const { shape } = graph.values.get('x')!.type
  const values = data ?? Float32Array.from({ length: elementCount(shape) }, () => random.normal())
  return (await outputsOf(graph, [values]))[0]!
}

/** The same for several. */
export async function outputsOf(graph: Graph, inputs: readonly Float32Array[]): Promise<Float32Array[]> {
  const { shape } = graph.values.get('x')!.type
  const evaluator = await executeGraph(graph)
  try {
    const outputs: Float32Array[] = []
    for (const data of inputs) {
      const feeds = new Map<string, Tensor>([['x', { dtype: 'float32', shape, data }]])
      outputs.push((await evaluator.run(feeds)).get(graph.outputs[0]!)!.data as Float32Array)
    }
    return outputs
  } finally {
    await evaluator.close()
  }
}
