import type { OpOf } from '../../graph/ops.ts'
import { EdgewrightError } from '../../error.ts'
import type { GraphBuilder } from '../builder.ts'
import type { Backward, GradientFamily } from '../gradient.ts'
import { interpolation, padSources } from './sources.ts'

type Kind =
  | 'Concat'
  | 'Split'
  | 'Slice'
  | 'Gather'
  | 'Reshape'
  | 'Transpose'
  | 'Expand'
  | 'Tile'
  | 'Pad'
  | 'Resize'
  | 'DepthToSpace'
  | 'SpaceToDepth'

export const movementGradients: GradientFamily<Kind> = {
  Concat: (op, { b, inputs, gradients, wants }) => {
    let from = 0
    return inputs.map((name, index) => {
      const start = from
      from += b.shape(name!)[op.axis]!
      return wants(index) ? b.slice(gradients[0]!, op.axis, start, from) : null
    })
  },
  Split: (op, { b, outputs, gradients }) => [
    b.op(
      { kind: 'Concat', axis: op.axis },
      gradients.map((gradient, index) => gradient ?? b.zerosLike(outputs[index]!)),
    ),
  ],
  Slice: (op, backward) => [sliceGradient(op, backward)],
  Gather: (op, backward) => [gatherGradient(op, backward), null],
  Reshape: (_, { b, inputs, gradients }) => [b.reshape(gradients[0]!, b.shape(inputs[0]!))],
  Transpose: (op, { b, gradients }) => [
    b.transpose(
      gradients[0]!,
      op.perm.map((_, axis) => op.perm.indexOf(axis)),
    ),
  ],
  Expand: (_, { b, inputs, gradients }) => [b.unbroadcast(gradients[0]!, b.shape(inputs[0]!))],
  Tile: (op, { b, inputs, gradients }) => {
    const shape = b.shape(inputs[0]!)
    const apart = b.reshape(
      gradients[0]!,
      shape.flatMap((size, axis) => [op.repeats[axis]!, size]),
    )
    const copies = shape.map((_, axis) => 2 * axis)
    return [b.reduce('Sum', apart, copies)]
  },
  Pad: (op, backward) => [padGradient(op, backward)],
  Resize: (op, backward) => [resizeGradient(op, backward), ...backward.inputs.slice(1).map(() => null)],
  DepthToSpace: (op, { b, inputs, gradients }) => {
    const [batch, channels, height, width] = b.shape(inputs[0]!) as [number, number, number, number]
    const n = op.blockSize
    const depth = channels / (n * n)
    const apart = b.reshape(gradients[0]!, [batch, depth, height, n, width, n])
    const back = op.mode === 'DCR' ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4]
    return [b.reshape(b.transpose(apart, back), [batch, channels, height, width])]
  },
  SpaceToDepth: (op, { b, inputs, gradients }) => {
    const [batch, channels, height, width] = b.shape(inputs[0]!) as [number, number, number, number]
    const n = op.blockSize
    const apart = b.reshape(gradients[0]!, [batch, n, n, channels, height / n, width / n])
    return [b.reshape(b.transpose(apart, [0, 3, 4, 1, 5, 2]), [batch, channels, height, width])]
  },
}

/** Zeros where nothing was taken from. */
function sliceGradient(op: OpOf<'Slice'>, { b, inputs, outputs, gradients }: Backward): string {
  const [shape, made] = [b.shape(inputs[0]!), b.shape(outputs[0]!)]
  const padsBegin = shape.map(() => 0)
  const padsEnd = shape.map(() => 0)
  let gradient = gradients[0]!
  op.axes.forEach((axis, index) => {
    const [size, step] = [shape[axis]!, op.steps[index]!]
    const stated = op.starts[index]!
    const lowest = step < 0 ? -1 : 0
    const start = Math.min(Math.max(stated < 0 ? stated + size : stated, lowest), step < 0 ? size - 1 : size)
    const count = made[axis]!
    if (step === 1) {
      padsBegin[axis] = start
      padsEnd[axis] = size - start - count
      return
    }
    const position = new Map(
      Array.from({ length: count }, (_, taken) => [start + taken * step, taken] as const),
    )
    gradient = gathered(
      b,
      withZero(b, gradient, axis),
      axis,
      Array.from({ length: size }, (_, at) => position.get(at) ?? count),
    )
  })
  return padsBegin.concat(padsEnd).every((pad) => pad === 0)
    ? gradient
    : b.op({ kind: 'Pad', mode: 'constant', padsBegin, padsEnd, value: 0 }, [gradient])
}

/** One more index along an axis, at which everything is zero. */
function withZero(b: GraphBuilder, x: string, axis: number): string {
  const none = b.shape(x).map(() => 0)
  const padsEnd = none.map((_, at) => (at === axis ? 1 : 0))
  return b.op({ kind: 'Pad', mode: 'constant', padsBegin: none, padsEnd, value: 0 }, [x])
}

function gathered(b: GraphBuilder, x: string, axis: number, indices: readonly number[]): string {
  return b.op({ kind: 'Gather', axis }, [x, b.integers(indices)])
}

/** Rows that were taken several times add up. */
function gatherGradient(op: OpOf<'Gather'>, { b, inputs, gradients, wants }: Backward): string | null {
  if (!wants(0)) return null
  const [x, indices] = inputs as [string, string]
  const shape = b.shape(x)
  const size = shape[op.axis]!
  const outer = shape.slice(0, op.axis).reduce((product, extent) => product * extent, 1)
  const inner = shape.slice(op.axis + 1).reduce((product, extent) => product * extent, 1)
  const count = b.shape(indices).reduce((product, extent) => product * extent, 1)
  const rows = b.reshape(b.transpose(b.reshape(gradients[0]!, [outer, count, inner]), [1, 0, 2]), [
    count,
    outer * inner,
  ])
  const flat = b.reshape(b.cast(indices, 'int64'), [count, 1])
  // from the end where they are negative
  const counted = b.where(b.compare('Less', flat, b.integers([0])), b.add(flat, b.integers([size])), flat)
  const [sums] = b.stock(
    'ScatterND',
    [b.expand(b.scalar(0), [size, outer * inner]), counted, rows],
    [{ shape: [size, outer * inner] }],
    { reduction: { text: 'add' } },
    16,
  )
  return b.reshape(b.transpose(b.reshape(sums!, [size, outer, inner]), [1, 0, 2]), shape)
}

function padGradient(op: OpOf<'Pad'>, { b, inputs, gradients }: Backward): string {
  const opposite = (pads: readonly number[]) => pads.map((pad) => (pad === 0 ? 0 : -pad))
  if (op.mode === 'constant')
    return b.op(
      {
        kind: 'Pad',
        mode: 'constant',
        padsBegin: opposite(op.padsBegin),
        padsEnd: opposite(op.padsEnd),
        value: 0,
      },
      [gradients[0]!],
    )
  return b.shape(inputs[0]!).reduce((gradient, size, axis) => {
    const [begin, end] = [op.padsBegin[axis]!, op.padsEnd[axis]!]
    if (begin === 0 && end === 0) return gradient
    const sources = padSources(op.mode as Exclude<typeof op.mode, 'constant'>, size, begin, end)
    return mappedBack(
      b,
      gradient,
      axis,
      size,
      sources.map((source) => [[source, 1]]),
    )
  }, gradients[0]!)
}

function resizeGradient(op: OpOf<'Resize'>, { b, inputs, gradients }: Backward): string {
  const shape = b.shape(inputs[0]!)
  return shape.reduce((gradient, size, axis) => {
    const made = op.sizes[axis]!
    if (made === size && (op.scales?.[axis] ?? 1) === 1) return gradient
    const taps = interpolation(op, axis, size, made)
    if (!taps)
      throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'Training cannot go back through an operator.', {
        where: 'Resize',
        saw: `mode ${op.mode}, coordinates ${op.coordinateTransformation}${op.antialias ? ', antialias' : ''}`,
        hint: 'Nearest and linear resizing without antialias can be trained through.',
      })
    return mappedBack(b, gradient, axis, size, taps)
  }, gradients[0]!)
}

/** The transpose of a linear map along one axis. @param taps of each output: source index and weight */
function mappedBack(
  b: GraphBuilder,
  gradient: string,
  axis: number,
  size: number,
  taps: readonly (readonly (readonly [number, number])[])[],
): string {
  const matrix = new Float32Array(taps.length * size)
  taps.forEach((sources, made) => {
    for (const [source, weight] of sources) matrix[made * size + source]! += weight
  })
  const rank = b.shape(gradient).length
  const last = Array.from({ length: rank }, (_, at) => at).filter((at) => at !== axis)
  const perm = [...last, axis]
  const product = b.matMul(b.transpose(gradient, perm), b.floats(matrix, [taps.length, size]))
  return b.transpose(
    product,
    perm.map((_, at) => perm.indexOf(at)),
  )
}
