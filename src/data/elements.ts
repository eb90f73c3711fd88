import { EdgewrightError } from '../error.ts'
import { type DType, type Tensor, type TensorData, viewAs } from '../tensor.ts'
import type { InputSpec } from './types.ts'

/** Bounds of the integer types that samples and network inputs may have. */
const integerRange: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  uint64: [0, Number.MAX_SAFE_INTEGER],
  bool: [0, 1],
}

/** Elements as 32-bit floats: half floats decoded, 64-bit integers rounded. */
export function floatsOf(dtype: DType, data: TensorData): Float32Array {
  if (data instanceof Float32Array) return data
  if (dtype === 'float16') return Float32Array.from(data as Uint16Array, floatOfHalf)
  if (dtype === 'bfloat16') return Float32Array.from(data as Uint16Array, floatOfBfloat)
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    const floats = new Float32Array(data.length)
    for (let i = 0; i < data.length; i++) floats[i] = Number(data[i])
    return floats
  }
  return Float32Array.from(data)
}

/**
 * Real values as the network's input: its dtype, its shape. Integer inputs get the nearest integer (ties to even);
 * a value that they cannot hold is an error, never saturated silently. For int8 inputs of a quantized network see
 * `quantizeTensor`.
 *
 * @throws DATA_BROKEN where a value does not fit the input's type
 */
export function inputTensor(values: Float32Array, spec: InputSpec, sampleId: string): Tensor {
  const { dtype, shape } = spec
  if (dtype === 'float32') return { dtype, shape, data: values }
  if (dtype === 'float64') return { dtype, shape, data: Float64Array.from(values) }
  if (dtype === 'float16') return { dtype, shape, data: Uint16Array.from(values, halfOfFloat) }
  const range = integerRange[dtype]
  if (!range)
    throw new EdgewrightError(
      'DATA_SHAPE',
      `Input ${spec.name} takes ${dtype}, which samples cannot be made of.`,
      {
        where: sampleId,
      },
    )
  const wide = dtype === 'int64' || dtype === 'uint64'
  const data = viewAs(dtype, new Uint8Array(values.length * bytesPerElement(dtype)))
  for (let i = 0; i < values.length; i++) {
    const rounded = roundHalfEven(values[i]!)
    if (!(rounded >= range[0] && rounded <= range[1]))
      throw new EdgewrightError(
        'DATA_BROKEN',
        `A value does not fit the input ${spec.name}, which takes ${dtype}.`,
        {
          where: sampleId,
          saw: String(values[i]),
          hint: 'Check scale, mean and std: integer inputs take raw values.',
        },
      )
    if (wide) (data as BigInt64Array)[i] = BigInt(rounded)
    else (data as Int32Array)[i] = rounded
  }
  return { dtype, shape, data }
}

/** Bytes of one element of an unpacked type. */
export function bytesPerElement(dtype: DType): number {
  return viewAs(dtype, new Uint8Array(0)).BYTES_PER_ELEMENT
}

/** Nearest integer, ties to even: IEEE 754's default and ONNX's. */
export function roundHalfEven(value: number): number {
  const rounded = Math.round(value)
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}

/** Reverses the bytes of each element, in place. */
export function swapBytes(bytes: Uint8Array, width: number): Uint8Array {
  for (let start = 0; start + width <= bytes.length; start += width)
    bytes.subarray(start, start + width).reverse()
  return bytes
}

const scratch = new DataView(new ArrayBuffer(4))

/** IEEE 754 binary16 to a number. */
export function floatOfHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** A number to IEEE 754 binary16, ties to even. */
export function halfOfFloat(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const magnitude = Math.abs(value)
  if (Number.isNaN(value)) return 0x7e00
  if (magnitude >= 65520) return sign | 0x7c00
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24)
  const exponent = Math.floor(Math.log2(magnitude))
  const exact =
    2 ** exponent > magnitude ? exponent - 1 : 2 ** (exponent + 1) <= magnitude ? exponent + 1 : exponent
  // A fraction that rounds up to 1024 carries into the exponent by itself.
  return sign | (((exact + 15) << 10) + roundHalfEven((magnitude / 2 ** exact - 1) * 1024))
}

function floatOfBfloat(bits: number): number {
  scratch.setUint16(0, bits)
  scratch.setUint16(2, 0)
  return scratch.getFloat32(0)
}
