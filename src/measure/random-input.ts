import { type DType, elementCount, type TensorData, zeros } from '../tensor.ts'

/**
 * A seeded random tensor's data by the runner's rules: reals near-normal with variance 1, 8- and 16-bit integers over
 * their whole range, wider integers (mostly indexes) and bool 0 or 1. Not the runner's very values.
 */
export function createRandomTensor(dtype: DType, shape: readonly number[], seed: number): TensorData {
  const { data } = zeros(dtype, shape)
  const next = mulberry32(seed)
  const count = Math.min(elementCount(shape), data.length)
  for (let i = 0; i < count; i++) {
    const bits = next()
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(bits & 1)
    else if (dtype === 'float32' || dtype === 'float64') data[i] = normal(bits, next())
    else if (dtype === 'float16') data[i] = halfBits(normal(bits, next()))
    else data[i] = dtype === 'bool' || dtype === 'int32' || dtype === 'uint32' ? bits & 1 : bits
  }
  return data
}

/** The sum of four uniform 16-bit numbers, scaled to variance 1. */
function normal(a: number, b: number): number {
  return ((a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16) - 131_070) / 37_837
}

function halfBits(value: number): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0]!
  const exponent = ((bits >>> 23) & 0xff) - 112
  const sign = (bits >>> 16) & 0x8000
  return exponent <= 0 ? sign : sign | (exponent << 10) | ((bits >>> 13) & 0x3ff)
}

/** Mulberry32: 32 uniform bits a call. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 15), z | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return (z ^ (z >>> 14)) >>> 0
  }
}
