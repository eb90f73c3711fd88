import type { Node } from '../../src/graph/types.ts'
import { sameShape } from '../../src/graph/infer.ts'
import type { GraphIndex } from './graph-index.ts'

/** An addition that the convolution before it takes in. */
export interface ResidualAdd {
  /** Position of the operand that the convolution makes: no Q/DQ there. */
  readonly fused: 0 | 1
  /** Position of the operand that is quantized. */
  readonly residual: 0 | 1
}

/**
 * Whether a convolution before an addition can take it in, as TensorRT does where the other operand is in int8: it
 * makes one operand for the addition alone. Where both branches end in one, the longer is the main branch.
 *
 * @param isInteger whether an operator has its operands in int8
 */
export function residualAdd(
  { op, inputs }: Node,
  index: GraphIndex,
  isInteger: (node: Node) => boolean,
): ResidualAdd | null {
  if (op.kind !== 'Binary' || op.fn !== 'Add') return null
  const [a, b] = inputs as [string, string]
  const { values } = index.graph
  if (a === b || index.isConstant(a) || index.isConstant(b)) return null
  if (
    values.get(a)!.type.dtype !== 'float32' ||
    !sameShape(values.get(a)!.type.shape, values.get(b)!.type.shape)
  )
    return null
  const ends = [a, b].map((name) => {
    const maker = index.maker(name)
    const isConv = maker?.op.kind === 'Conv' || maker?.op.kind === 'ConvTranspose'
    return isConv && isInteger(maker) && index.readers(name).length === 1 && !index.isOutput(name)
  })
  if (!ends[0] && !ends[1]) return null
  const fused = ends[0] && ends[1] ? (isLonger(a, b, index) ? 0 : 1) : ends[0] ? 0 : 1
  return { fused, residual: fused === 0 ? 1 : 0 }
}

/** By the operators that one branch has and the other has not. */
function isLonger(a: string, b: string, index: GraphIndex): boolean {
  const [ofA, ofB] = [ancestors(a, index), ancestors(b, index)]
  const alone = (one: ReadonlySet<Node>, other: ReadonlySet<Node>) =>
    [...one].filter((node) => !other.has(node)).length
  return alone(ofA, ofB) >= alone(ofB, ofA)
}

function ancestors(name: string, index: GraphIndex): Set<Node> {
  const found = new Set<Node>()
  const pending = [name]
  while (pending.length > 0) {
    const maker = index.maker(pending.pop()!)
    if (!maker || found.has(maker)) continue
    found.add(maker)
    pending.push(...index.activations(maker))
  }
  return found
}
