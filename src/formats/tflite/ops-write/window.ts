import type { OpKind, Window } from '../../../graph/ops.ts'
import { samePadding } from '../window.ts'
import type { Options } from '../write-graph.ts'
import type { NodeInWriting } from './context.ts'

/** The operand of a spatial operator as [batch, height, width, channels]. */
export interface Image {
  readonly x: number
  readonly shape: readonly number[]
  readonly outputShape: readonly number[]
  /** One entry for height and one for width, of a list with one for each spatial axis. */
  lift(list: readonly number[], fill?: number): number[]
  /** Adds the operator that makes the node's result, back in the node's own rank. */
  finish(opType: string, inputs: readonly number[], options?: Options): void
}

/** Sequences of three dimensions are images of height 1. */
export function asImage<K extends OpKind>(node: NodeInWriting<K>): Image {
  const { shape } = node.type(0)
  if (shape.length !== 3 && shape.length !== 4)
    throw node.unsupported(`${node.op.kind} in ${shape.length - 2} dimensions`)
  const lift4 = (of: readonly number[]) => (shape.length === 4 ? of : [of[0]!, 1, of[1]!, of[2]!])
  const outputShape = lift4(node.outputType.shape)
  return {
    x: shape.length === 4 ? node.input(0) : node.reshaped(node.input(0), lift4(shape), 'image'),
    shape: lift4(shape),
    outputShape,
    lift: (list, fill = 1) => (list.length === 2 ? [...list] : [fill, list[0]!]),
    finish(opType, inputs, options) {
      if (shape.length === 4) {
        node.write(opType, inputs, options)
        return
      }
      const image = node.step(opType, inputs, 'row', { ...node.outputType, shape: outputShape }, options)
      const target = node.integers(node.outputType.shape, 'sequence_shape')
      node.write('RESHAPE', [image, target], {
        name: 'ReshapeOptions',
        values: { newShape: node.outputType.shape },
      })
    },
  }
}

const same = 0
const valid = 1

export interface Padded {
  readonly x: number
  /** The file's number for SAME or VALID. */
  readonly padding: number
}

/**
 * The padding that the file's SAME or VALID gives, else a PAD before and VALID. A pool that rounds its size up has more
 * padding at the end than it says.
 */
export function paddedInput(
  node: NodeInWriting,
  image: Image,
  kernel: readonly number[],
  value: number,
): Padded {
  const window = node.op as unknown as Window
  const strides = image.lift(window.strides)
  const dilations = image.lift(window.dilations)
  const begins = image.lift(window.padsBegin, 0)
  const stated = image.lift(window.padsEnd, 0)
  const sizes = [image.shape[1]!, image.shape[2]!]
  const results = [image.outputShape[1]!, image.outputShape[2]!]
  const ends = sizes.map((size, i) => {
    const reach = (kernel[i]! - 1) * dilations[i]! + 1
    return Math.max(stated[i]!, (results[i]! - 1) * strides[i]! + reach - size - begins[i]!)
  })
  // rows at the end that no window reaches may be there or not
  const useful = sizes.map((size, i) => {
    const reach = (kernel[i]! - 1) * dilations[i]! + 1
    return (results[i]! - 1) * strides[i]! + reach - size - begins[i]!
  })
  const needed = ends.map((end, i) => Math.min(end, Math.max(useful[i]!, 0)))
  if (begins.every((begin) => begin === 0) && needed.every((end) => end === 0) && fits(valid))
    return { x: image.x, padding: valid }
  const isSame = sizes.every((size, i) => {
    const pads = samePadding(size, kernel[i]!, strides[i]!, dilations[i]!)
    return pads.begin === begins[i] && pads.end === needed[i]
  })
  if (isSame && fits(same)) return { x: image.x, padding: same }
  if (begins.some((begin) => begin < 0) || ends.some((end) => end < 0))
    throw node.unsupported(`${node.op.kind} that crops its input`)
  return { x: pad(node, image, begins, needed, value), padding: valid }

  /** Whether the file's own rule gives the same number of results. */
  function fits(padding: number): boolean {
    return sizes.every((size, i) => {
      const reach = (kernel[i]! - 1) * dilations[i]! + 1
      const count =
        padding === same ? Math.ceil(size / strides[i]!) : Math.ceil((size - reach + 1) / strides[i]!)
      return count === results[i]
    })
  }
}

function pad(
  node: NodeInWriting,
  image: Image,
  begins: readonly number[],
  ends: readonly number[],
  value: number,
): number {
  const { network } = node
  const shape = image.shape.map((size, axis) =>
    axis === 1 || axis === 2 ? size + begins[axis - 1]! + ends[axis - 1]! : size,
  )
  const paddings = [0, 0, begins[0]!, ends[0]!, begins[1]!, ends[1]!, 0, 0]
  const list = node.integers(paddings, 'paddings', [4, 2])
  if (value === 0) return node.moved('PAD', image.x, [list], 'padded', shape)
  const fill = node.scalar(value, 'padding', network.type(image.x))
  return node.moved('PADV2', image.x, [list, fill], 'padded', shape)
}
