import { byteLength, type DType, viewAs } from '../tensor.ts'
import { constantOfBytes } from './constant.ts'
import type { Constant } from './types.ts'

/**
 * A constant of any numeric element type. Integers wrap as in C, reals round to nearest even; bool is 0 for 0.
 * int64 and uint64 take bigints where numbers are not exact.
 */
export function constantOfNumbers(
  dtype: DType,
  shape: readonly number[],
  numbers: ArrayLike<number | bigint>,
): Constant {
  const bytes = new Uint8Array(byteLength(dtype, shape))
  if (dtype === 'int4' || dtype === 'uint4') {
    for (let i = 0; i < numbers.length; i++) bytes[i >> 1]! |= (Number(numbers[i]) & 15) << ((i & 1) * 4)
  } else {
    const data = viewAs(dtype, bytes)
    for (let i = 0; i < numbers.length; i++) data[i] = encodeElement(dtype, numbers[i]!) as never
  }
  return constantOfBytes(dtype, shape, bytes)
}

/** An element as its typed array takes it. */
export function encodeElement(dtype: DType, element: number | bigint): number | bigint {
  switch (dtype) {
    case 'int64':
    case 'uint64':
      return toBigInt(element)
    case 'bool':
      return Number(element) === 0 ? 0 : 1
    case 'float16':
      return numberToFloat16(Number(element))
    case 'bfloat16':
      return numberToBfloat16(Number(element))
    default:
      // a wide bigint must wrap before it becomes a number
      return typeof element === 'bigint' && isInteger(dtype)
        ? Number(BigInt.asIntN(32, element))
        : Number(element)
  }
}

export function isInteger(dtype: DType): boolean {
  return dtype.startsWith('int') || dtype.startsWith('uint')
}

const view = new DataView(new ArrayBuffer(8))

/** The nearest IEEE half, ties to even, as its 16-bit pattern. */
export function numberToFloat16(number: number): number {
  const sign = number < 0 || Object.is(number, -0) ? 0x8000 : 0
  const magnitude = Math.abs(number)
  if (Number.isNaN(number)) return 0x7e00
  if (magnitude >= 65520) return sign | 0x7c00
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24)
  view.setFloat64(0, magnitude)
  const exponent = ((view.getUint32(0) >>> 20) & 0x7ff) - 1023
  // a fraction that rounds up to 1024 carries into the exponent, as it should
  return sign | (((exponent + 15) << 10) - 1024 + roundHalfEven((magnitude / 2 ** exponent) * 1024))
}

export function numberToBfloat16(number: number): number {
  if (Number.isNaN(number)) return 0x7fc0
  view.setFloat32(0, number)
  const bits = view.getUint32(0)
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

/** Rounds to the nearest integer, ties to even; the sign of a zero stays. */
export function roundHalfEven(number: number): number {
  const magnitude = Math.abs(number)
  const floor = Math.floor(magnitude)
  const rest = magnitude - floor
  const up = rest === 0.5 ? floor % 2 === 1 : rest > 0.5
  const rounded = up ? floor + 1 : floor
  return number < 0 || Object.is(number, -0) ? -rounded : rounded
}

export function toBigInt(number: number | bigint): bigint {
  return typeof number === 'bigint' ? number : BigInt(Math.trunc(number))
}
