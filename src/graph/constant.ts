import { sha256 } from '../digest.ts'
import { bytesOf, byteLength, elementCount, type DType, type Tensor, type TensorData, viewAs } from '../tensor.ts'
import type { Constant } from './types.ts'

/** Makes a constant of bytes that are little-endian, row-major and packed. The bytes are not copied. */
export function constantOfBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): Constant {
  if (bytes.byteLength !== byteLength(dtype, shape))
    throw new RangeError(`${dtype}[${shape.join(',')}] takes ${byteLength(dtype, shape)} bytes, got ${bytes.byteLength}`)
  let digest: string | undefined
  return {
    dtype,
    shape: [...shape],
    byteLength: bytes.byteLength,
    bytes: () => bytes,
    // hashed on first use: most constants are never compared
    get digest() {
      digest ??= sha256(Buffer.concat([Buffer.from(`${dtype}[${shape.join(',')}]`), bytes]))
      return digest
    },
  }
}

export function constantOf(dtype: DType, shape: readonly number[], data: TensorData): Constant {
  return constantOfBytes(dtype, shape, bytesOf(data))
}

/** A float32 constant of plain numbers. */
export function float32Constant(shape: readonly number[], numbers: ArrayLike<number>): Constant {
  return constantOf('float32', shape, Float32Array.from(numbers))
}

export function tensorOf(constant: Constant): Tensor {
  return { dtype: constant.dtype, shape: constant.shape, data: viewAs(constant.dtype, constant.bytes()) }
}

/** The elements as numbers. int64 beyond 2^53 loses precision: only for shapes, axes and weights. */
export function numbersOf(constant: Constant): number[] {
  const { data, dtype, shape } = tensorOf(constant)
  const count = elementCount(shape)
  const numbers = new Array<number>(count)
  if (dtype === 'int4' || dtype === 'uint4') {
    for (let i = 0; i < count; i++) {
      const nibble = (Number(data[i >> 1]) >> ((i & 1) * 4)) & 15
      numbers[i] = dtype === 'int4' && nibble > 7 ? nibble - 16 : nibble
    }
    return numbers
  }
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const decode = dtype === 'float16' ? float16ToNumber : bfloat16ToNumber
    for (let i = 0; i < count; i++) numbers[i] = decode(Number(data[i]))
    return numbers
  }
  for (let i = 0; i < count; i++) numbers[i] = Number(data[i])
  return numbers
}

export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

export function bfloat16ToNumber(bits: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, bits << 16)
  return view.getFloat32(0)
}
