import { numbersOf } from '../../graph/constant.ts'
import { constantOfBytes } from '../../graph/constant.ts'
import { constantOfNumbers } from '../../graph/encode.ts'
import type { Constant, Quantization } from '../../graph/types.ts'
import { dtypeBits, elementCount } from '../../tensor.ts'

/** A constant with its axes in another order: axis i of the result is axis `perm[i]`. */
export function transposeConstant(constant: Constant, perm: readonly number[]): Constant {
  if (perm.every((axis, i) => axis === i)) return constant
  const shape = perm.map((axis) => constant.shape[axis]!)
  const order = transposedOrder(constant.shape, perm)
  if (constant.dtype === 'int4' || constant.dtype === 'uint4') {
    const numbers = numbersOf(constant)
    return constantOfNumbers(
      constant.dtype,
      shape,
      Array.from(order, (from) => numbers[from]!),
    )
  }
  if (constant.dtype === 'string') throw new TypeError('a constant of text has no axes to move')
  const width = dtypeBits[constant.dtype] / 8
  const from = constant.bytes()
  const to = new Uint8Array(from.byteLength)
  for (let i = 0; i < order.length; i++) {
    const start = order[i]! * width
    for (let b = 0; b < width; b++) to[i * width + b] = from[start + b]!
  }
  return constantOfBytes(constant.dtype, shape, to)
}

/** The same constant under another shape of as many elements. */
export function reshapeConstant(constant: Constant, shape: readonly number[]): Constant {
  return constantOfBytes(constant.dtype, shape, constant.bytes())
}

export function transposeQuantization(
  quantization: Quantization | null,
  perm: readonly number[],
): Quantization | null {
  if (!quantization || quantization.axis === null) return quantization
  return { ...quantization, axis: perm.indexOf(quantization.axis) }
}

/** For each element of the result, where it comes from. */
function transposedOrder(shape: readonly number[], perm: readonly number[]): Uint32Array {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)))
  const order = new Uint32Array(elementCount(shape))
  const sizes = perm.map((axis) => shape[axis]!)
  const steps = perm.map((axis) => strides[axis]!)
  const index = new Array<number>(perm.length).fill(0)
  let from = 0
  for (let i = 0; i < order.length; i++) {
    order[i] = from
    for (let axis = perm.length - 1; axis >= 0; axis--) {
      from += steps[axis]!
      if (++index[axis]! < sizes[axis]!) break
      from -= steps[axis]! * sizes[axis]!
      index[axis] = 0
    }
  }
  return order
}
