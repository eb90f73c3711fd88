/** Element types a tensor can have. Sub-byte types are stored packed, low nibble first. */
export type DType =
  | 'float32' | 'float16' | 'bfloat16' | 'float64'
  | 'int8' | 'uint8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'int64' | 'uint64'
  | 'int4' | 'uint4' | 'bool' | 'string'

export type TensorData =
  | Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array
  | Int32Array | Uint32Array | BigInt64Array | BigUint64Array

/** A dense tensor in row-major order. float16 and bfloat16 are kept as their 16-bit patterns, bool as 0/1 bytes. */
export interface Tensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: TensorData
}

/** Bits per element; string has none. */
export const dtypeBits: Record<Exclude<DType, 'string'>, number> = {
  float32: 32, float16: 16, bfloat16: 16, float64: 64,
  int8: 8, uint8: 8, int16: 16, uint16: 16, int32: 32, uint32: 32, int64: 64, uint64: 64,
  int4: 4, uint4: 4, bool: 8,
}

export function elementCount(shape: readonly number[]): number {
  let count = 1
  for (const dimension of shape) count *= dimension
  return count
}

/** Bytes a tensor of this type takes, packed. */
export function byteLength(dtype: DType, shape: readonly number[]): number {
  if (dtype === 'string') throw new TypeError('a string tensor has no fixed size')
  return Math.ceil((elementCount(shape) * dtypeBits[dtype]) / 8)
}

const arrays = {
  float32: Float32Array, float64: Float64Array, float16: Uint16Array, bfloat16: Uint16Array,
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array,
  int4: Uint8Array, uint4: Uint8Array, bool: Uint8Array,
} as const

/** Views little-endian bytes as elements of `dtype`; copies only where the bytes are not aligned. */
export function viewAs(dtype: DType, bytes: Uint8Array): TensorData {
  if (dtype === 'string') throw new TypeError('a string tensor has no element view')
  const ArrayType = arrays[dtype]
  const width = ArrayType.BYTES_PER_ELEMENT
  // not slice(): that of a Buffer is a view
  const aligned = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes)
  return new ArrayType(aligned.buffer as ArrayBuffer, aligned.byteOffset, Math.floor(aligned.byteLength / width))
}

export function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/** Allocates a zeroed tensor. */
export function zeros(dtype: DType, shape: readonly number[]): Tensor {
  return { dtype, shape, data: viewAs(dtype, new Uint8Array(byteLength(dtype, shape))) }
}
