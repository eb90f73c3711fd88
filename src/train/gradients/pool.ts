import type { OpOf } from '../../graph/ops.ts'
import type { Backward, GradientFamily } from '../gradient.ts'

type Kind = 'MaxPool' | 'AveragePool' | 'GlobalAveragePool' | 'GlobalMaxPool'

export const poolGradients: GradientFamily<Kind> = {
  MaxPool: (op, backward) => [maxGradient(op, backward)],
  AveragePool: (op, backward) => [averageGradient(op, backward)],
  GlobalAveragePool: (_, { b, inputs, gradients }) => {
    const shape = b.shape(inputs[0]!)
    const area = shape.slice(2).reduce((product, size) => product * size, 1)
    return [b.expand(b.mul(gradients[0]!, b.scalar(1 / area)), shape)]
  },
  /** Equal largest elements share it. */
  GlobalMaxPool: (_, { b, inputs, outputs, gradients }) => {
    const hit = b.mask('Equal', inputs[0]!, outputs[0]!)
    const axes = b.shape(inputs[0]!).flatMap((_, axis) => (axis >= 2 ? [axis] : []))
    return [b.mul(b.div(gradients[0]!, b.reduce('Sum', hit, axes, true)), hit)]
  },
}

/** The gradient goes to the element that ONNX Runtime took: the first of equal ones. */
function maxGradient(op: OpOf<'MaxPool'>, { b, inputs, outputs, gradients }: Backward): string {
  const [x, dy] = [inputs[0]!, gradients[0]!]
  const { kernel, strides, dilations, padsBegin, padsEnd, ceilMode } = op
  const made = b.shape(outputs[0]!)
  const [, indices] = b.stock('MaxPool', [x], [{ shape: made }, { shape: made, dtype: 'int64' }], {
    kernel_shape: { ints: kernel },
    strides: { ints: strides },
    dilations: { ints: dilations },
    pads: { ints: [...padsBegin, ...padsEnd] },
    ceil_mode: { int: ceilMode ? 1 : 0 },
  })
  const size = b.shape(x)
  const plain = [...padsBegin, ...padsEnd].every((pad) => pad === 0) && dilations.every((by) => by === 1)
  // rounded up, the last window reaches over the end, which MaxUnpool refuses
  const inside = made.slice(2).every((count, i) => (count - 1) * strides[i]! + kernel[i]! <= size[i + 2]!)
  if (plain && inside && kernel.every((extent, i) => extent <= strides[i]!))
    return b.stock('MaxUnpool', [dy, indices!, b.integers(size)], [{ shape: size }], {
      kernel_shape: { ints: kernel },
      strides: { ints: strides },
    })[0]!
  // windows may overlap: an element may be the largest of several
  const total = size.reduce((product, extent) => product * extent, 1)
  const count = made.reduce((product, extent) => product * extent, 1)
  const [sums] = b.stock(
    'ScatterElements',
    [b.expand(b.scalar(0), [total]), b.reshape(indices!, [count]), b.reshape(dy, [count])],
    [{ shape: [total] }],
    { axis: { int: 0 }, reduction: { text: 'add' } },
    16,
  )
  return b.reshape(sums!, size)
}

/** Each window gives all of its elements the same: a transposed convolution by ones. */
function averageGradient(op: OpOf<'AveragePool'>, { b, inputs, gradients }: Backward): string {
  const size = b.shape(inputs[0]!)
  const made = b.shape(gradients[0]!)
  const spatial = size.slice(2)
  const counts = spatial.map((extent, i) => windowCounts(op, i, extent, made[i + 2]!))
  const uniform = counts.every((along) => along.every((count) => count === along[0]))
  const each = uniform
    ? b.mul(gradients[0]!, b.scalar(1 / counts.reduce((product, along) => product * along[0]!, 1)))
    : b.div(gradients[0]!, countMap(counts, b))
  const whole = spatial.every((extent, i) => made[i + 2] === 1 && op.kernel[i] === extent)
  if (whole && [...op.padsBegin, ...op.padsEnd].every((pad) => pad === 0)) return b.expand(each, size)
  const { strides, dilations, padsBegin, layout } = op
  const channels = size[1]!
  const rest = spatial.map((extent, i) => {
    const reach = (made[i + 2]! - 1) * strides[i]! + (op.kernel[i]! - 1) * dilations[i]! + 1
    return extent - (reach - padsBegin[i]!)
  })
  const weights = b.expand(b.scalar(1), [channels, 1, ...op.kernel])
  return b.op(
    {
      kind: 'ConvTranspose',
      strides,
      dilations,
      padsBegin,
      padsEnd: rest.map((left) => Math.max(0, -left)),
      outputPadding: rest.map((left) => Math.max(0, left)),
      group: channels,
      layout,
    },
    [each, weights],
  )
}

/** Elements that each window along an axis divides by. */
function windowCounts(op: OpOf<'AveragePool'>, axis: number, size: number, made: number): number[] {
  const [kernel, stride] = [op.kernel[axis]!, op.strides[axis]!]
  const [begin, end, dilation] = [op.padsBegin[axis]!, op.padsEnd[axis]!, op.dilations[axis]!]
  return Array.from({ length: made }, (_, position) => {
    let count = 0
    for (let tap = 0; tap < kernel; tap++) {
      const at = position * stride - begin + tap * dilation
      // where the size was rounded up, what stands beyond the padding never counts
      const [first, last] = op.countIncludePad ? [-begin, size + end] : [0, size]
      if (at >= first && at < last) count++
    }
    return count
  })
}

function countMap(counts: readonly (readonly number[])[], b: Backward['b']): string {
  const shape = counts.map((along) => along.length)
  const products = counts.reduce<number[]>(
    (all, along) => all.flatMap((outer) => along.map((count) => outer * count)),
    [1],
  )
  return b.floats(products, [1, 1, ...shape])
}
