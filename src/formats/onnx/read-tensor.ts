import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { isAbsolute, join, relative, sep } from 'node:path'
import { EdgewrightError } from '../../error.ts'
import { constantOfBytes } from '../../graph/constant.ts'
import type { Constant } from '../../graph/types.ts'
import { sha256 } from '../../digest.ts'
import { byteLength, bytesOf, type DType, elementCount, viewAs } from '../../tensor.ts'
import { dtypeOfDataType, type Int64, type OnnxTensor } from './proto.ts'

/** Where external tensors may be read from: the model's own folder, or nowhere. */
export interface ExternalFolder {
  readonly path: string | null
}

/**
 * A TensorProto as a constant: raw bytes, typed fields or external data, whose length must agree with its dims.
 * External data are read when first asked for.
 * @throws MODEL_BROKEN, MODEL_EXTERNAL_DATA, OPERATOR_UNSUPPORTED for element types that we do not carry
 */
export function constantOfTensor(tensor: OnnxTensor, what: string, folder: ExternalFolder): Constant {
  const shape = shapeOf(tensor, what)
  const dtype = dtypeOf(tensor, what)
  if (dtype === 'string')
    throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'A constant tensor of strings is not supported.', {
      where: what,
    })
  if (tensor.segment) throw broken('is split in segments, which no exporter does', what)
  const expected = byteLength(dtype, shape)
  if (tensor.dataLocation === 1) return externalConstant(tensor, dtype, shape, expected, what, folder)
  const bytes =
    tensor.rawData.byteLength > 0 ? tensor.rawData : typedBytes(tensor, dtype, elementCount(shape), what)
  if (bytes.byteLength !== expected)
    throw broken(
      'holds another number of bytes than its shape takes',
      what,
      `${bytes.byteLength} bytes for ${dtype}[${shape.join(',')}] of ${expected}`,
    )
  return constantOfBytes(dtype, shape, bytes)
}

function shapeOf(tensor: OnnxTensor, what: string): number[] {
  const shape = tensor.dims.map(Number)
  // elementCount of absurd sizes must stay exact so that the comparison with the bytes at hand is
  if (
    shape.length > 64 ||
    shape.some((d) => d < 0) ||
    !Number.isSafeInteger(elementCount(shape) * 8) ||
    shape.some((d) => !Number.isSafeInteger(d))
  )
    throw broken(
      'has an impossible shape',
      what,
      `[${shape.slice(0, 8).join(',')}${shape.length > 8 ? ',…' : ''}]`,
    )
  return shape
}

function dtypeOf(tensor: OnnxTensor, what: string): DType {
  const dtype = dtypeOfDataType(tensor.dataType)
  if (!dtype)
    throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'A tensor has an element type that is not supported.', {
      where: what,
      saw: `ONNX data type ${tensor.dataType}`,
      hint: 'Export the model in float32, float16 or a standard integer type.',
    })
  return dtype
}

/** Which typed field holds the elements, by onnx.proto's comments. */
function typedBytes(tensor: OnnxTensor, dtype: DType, count: number, what: string): Uint8Array {
  const field = typedField(tensor, dtype)
  const perEntry = dtype === 'int4' || dtype === 'uint4' ? 2 : 1
  if (field.length !== Math.ceil(count / perEntry))
    throw broken('holds another number of elements than its shape takes', what, `${field.length} of ${count}`)
  const data = viewAs(dtype, new Uint8Array(byteLength(dtype, [count])))
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < field.length; i++) data[i] = BigInt(field[i]!)
  } else {
    for (let i = 0; i < field.length; i++) data[i] = Number(field[i])
  }
  return bytesOf(data)
}

function typedField(tensor: OnnxTensor, dtype: DType): ArrayLike<Int64> {
  switch (dtype) {
    case 'float32':
      return tensor.floatData
    case 'float64':
      return tensor.doubleData
    case 'int64':
      return tensor.int64Data
    case 'uint32':
    case 'uint64':
      return tensor.uint64Data
    default:
      return tensor.int32Data
  }
}

function externalConstant(
  tensor: OnnxTensor,
  dtype: DType,
  shape: number[],
  expected: number,
  what: string,
  folder: ExternalFolder,
): Constant {
  const entry = new Map(tensor.externalData.map(({ key, value }) => [key, value]))
  const path = resolveInside(folder, entry.get('location') ?? '', what)
  const fileBytes = statSync(path).size
  const offset = wholeNumber(entry.get('offset') ?? '0', 'offset', what)
  const length = entry.has('length') ? wholeNumber(entry.get('length')!, 'length', what) : fileBytes - offset
  if (offset + length > fileBytes)
    throw external(
      'reaches beyond the end of its data file',
      what,
      `bytes ${offset} to ${offset + length} of a file of ${fileBytes} bytes`,
    )
  if (length !== expected)
    throw external(
      'has another length than its shape takes',
      what,
      `${length} bytes for ${dtype}[${shape.join(',')}] of ${expected}`,
    )
  return lazyConstant(dtype, shape, expected, () => readRange(path, offset, length, what))
}

/** A constant whose bytes are made when asked for, and kept as long as someone uses them. */
export function lazyConstant(
  dtype: DType,
  shape: readonly number[],
  length: number,
  read: () => Uint8Array,
): Constant {
  // weak: looking through all weights must not hold all of them
  let kept: WeakRef<Uint8Array> | undefined
  let digest: string | undefined
  const constant = {
    dtype,
    shape: [...shape],
    byteLength: length,
    bytes: () => {
      const bytes = kept?.deref() ?? read()
      kept = new WeakRef(bytes)
      return bytes
    },
    get digest() {
      digest ??= sha256(Buffer.concat([Buffer.from(`${dtype}[${shape.join(',')}]`), constant.bytes()]))
      return digest
    },
  }
  return constant
}

/** Absolute, upward and symlinked paths out of the folder are refused: a model must not make us read other files. */
function resolveInside(folder: ExternalFolder, location: string, what: string): string {
  if (folder.path === null)
    throw external(
      'is in an external file, but the model was given as bytes',
      what,
      location,
      'Open the model by its path, or save it as one file.',
    )
  if (
    location === '' ||
    isAbsolute(location) ||
    /^[A-Za-z]:|^\\|\0/.test(location) ||
    location.split(/[\\/]/).includes('..')
  )
    throw external(
      'is in a file outside of the model’s folder',
      what,
      JSON.stringify(location),
      'Put the data file beside the model and export again.',
    )
  let real: string
  let root: string
  try {
    root = realpathSync(folder.path)
    real = realpathSync(join(root, location))
    if (!statSync(real).isFile()) throw new Error('not a regular file')
  } catch (error) {
    throw external(
      'is in a data file that cannot be read',
      what,
      `${JSON.stringify(location)}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`,
      'Copy the model’s external data files beside it.',
    )
  }
  const inside = relative(root, real)
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    throw external(
      'is in a file outside of the model’s folder',
      what,
      `${JSON.stringify(location)} links to ${real}`,
    )
  return real
}

function wholeNumber(text: string, key: string, what: string): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(number)) throw external(`has an impossible ${key}`, what, JSON.stringify(text))
  return number
}

function readRange(path: string, offset: number, length: number, what: string): Uint8Array {
  const bytes = new Uint8Array(length)
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    for (let done = 0; done < length; ) {
      const count = readSync(file, bytes, done, Math.min(length - done, 1 << 30), offset + done)
      if (count === 0) throw new Error('the file became shorter')
      done += count
    }
  } catch (error) {
    throw external('cannot be read from its data file', what, `${path}: ${(error as Error).message}`)
  } finally {
    if (file !== undefined) closeSync(file)
  }
  return bytes
}

function broken(message: string, where: string, saw?: string): EdgewrightError {
  return new EdgewrightError('MODEL_BROKEN', `A tensor of the model ${message}.`, {
    where,
    saw,
    hint: 'The file is damaged or was written by a faulty exporter: export the model again.',
  })
}

function external(message: string, where: string, saw?: string, hint?: string): EdgewrightError {
  return new EdgewrightError('MODEL_EXTERNAL_DATA', `A tensor of the model ${message}.`, { where, saw, hint })
}
