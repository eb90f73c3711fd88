import { elementCount } from '../tensor.ts'
import type { Graph, Node } from './types.ts'

/** Multiplications with an addition that an operator asks for: of convolutions and matrix products; 0 for all others. */
export function macsOf({ op, inputs, outputs }: Node, graph: Graph): number {
  const shapeOf = (name: string | null | undefined) => graph.values.get(name ?? '')?.type.shape ?? []
  const [x, weights] = [shapeOf(inputs[0]), shapeOf(inputs[1])]
  const made = elementCount(shapeOf(outputs[0]))
  switch (op.kind) {
    case 'Conv':
      // [out, in/group, ...kernel]: each output element takes all but the first
      return made * elementCount(weights.slice(1))
    case 'ConvTranspose':
      // [in, out/group, ...kernel]: each input element goes to all but the first
      return elementCount(x) * elementCount(weights.slice(1))
    case 'Gemm':
      return made * x[op.transA ? 0 : 1]!
    case 'MatMul':
      return made * x.at(-1)!
    default:
      return 0
  }
}
