import { constantOfBytes } from './constant.ts'
import { sourceIndices, strides } from './fold-index.ts'
import type { Constant } from './types.ts'
import { dtypeBits } from '../tensor.ts'

/** A constant with its axes in another order; of any element type but string. */
export function permuteConstant(constant: Constant, perm: readonly number[]): Constant {
  const steps = strides(constant.shape)
  const offsets = perm.map((axis) => positions(constant.shape[axis]!, (i) => i * steps[axis]!))
  return gather(
    constant,
    perm.map((axis) => constant.shape[axis]!),
    sourceIndices(offsets),
  )
}

/** A constant whose element i along `axis` is the former element `order[i]`. */
export function reorderConstant(constant: Constant, axis: number, order: Uint32Array): Constant {
  const offsets = strides(constant.shape).map((step, at) =>
    positions(constant.shape[at]!, (i) => (at === axis ? order[i]! : i) * step),
  )
  return gather(constant, constant.shape, sourceIndices(offsets))
}

export function reshapeConstant(constant: Constant, shape: readonly number[]): Constant {
  return constantOfBytes(constant.dtype, shape, constant.bytes())
}

function gather(constant: Constant, shape: readonly number[], indices: Uint32Array): Constant {
  if (constant.dtype === 'string') throw new TypeError('a string constant has no fixed width')
  const bits = dtypeBits[constant.dtype]
  const from = constant.bytes()
  const to = new Uint8Array(from.byteLength)
  if (bits === 4) {
    for (let i = 0; i < indices.length; i++) {
      const nibble = (from[indices[i]! >> 1]! >> ((indices[i]! & 1) * 4)) & 15
      to[i >> 1]! |= nibble << ((i & 1) * 4)
    }
    return constantOfBytes(constant.dtype, shape, to)
  }
  const width = bits / 8
  for (let i = 0; i < indices.length; i++) {
    const at = indices[i]! * width
    for (let byte = 0; byte < width; byte++) to[i * width + byte] = from[at + byte]!
  }
  return constantOfBytes(constant.dtype, shape, to)
}

function positions(count: number, at: (i: number) => number): number[] {
  return Array.from({ length: count }, (_, i) => at(i))
}
