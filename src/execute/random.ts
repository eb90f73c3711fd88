import { elementCount, type Tensor, viewAs, byteLength } from '../tensor.ts'
import type { TensorInfo } from './evaluator.ts'

/** A small fast generator (mulberry32): numbers in [0, 1), the same for the same seed everywhere. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A tensor to try a network with: reals uniform in [−1, 1), integers 0 or 1. */
export function randomTensor({ dtype, shape }: Omit<TensorInfo, 'name'>, seed = 1): Tensor {
  const next = randomNumbers(seed)
  const count = elementCount(shape)
  if (dtype === 'float32' || dtype === 'float64') {
    const data = dtype === 'float32' ? new Float32Array(count) : new Float64Array(count)
    for (let i = 0; i < count; i++) data[i] = 2 * next() - 1
    return { dtype, shape, data }
  }
  if (dtype === 'int64' || dtype === 'uint64') {
    const data = dtype === 'int64' ? new BigInt64Array(count) : new BigUint64Array(count)
    for (let i = 0; i < count; i++) data[i] = BigInt(Math.floor(2 * next()))
    return { dtype, shape, data }
  }
  const data = viewAs(dtype, new Uint8Array(byteLength(dtype, shape)))
  // float16 and bfloat16 are patterns: 0 is a number, 1 is not far from it
  for (let i = 0; i < data.length; i++) data[i] = Math.floor(2 * next())
  return { dtype, shape, data }
}
