import { open } from 'node:fs/promises'
import { sha256, sha256OfFile } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import type { DType } from '../tensor.ts'
import { swapBytes } from './elements.ts'
import { recordFile, type StoredArray } from './stored-array.ts'

export interface NpyHeader {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly fortranOrder: boolean
  readonly bigEndian: boolean
  /** Bytes of one element. */
  readonly width: number
  /** Byte offset of the first element. */
  readonly start: number
}

const numpyTypes: Record<string, DType> = {
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  b1: 'bool',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]
const headerLimit = 65536
/** Whole arrays held in memory (.npz members, Fortran order) are bounded by this. */
export const arrayLimitBytes = 2 ** 31

/**
 * Reads the head of a .npy file (NumPy enhancement proposal 1, format versions 1 to 3). Python is never evaluated: the
 * dictionary must be the literal that NumPy writes.
 *
 * @param head at least the first 64 KiB of the file, or all of it
 * @param size bytes of the whole file
 * @throws DATA_BROKEN
 */
export function parseNpyHeader(head: Uint8Array, size: number, where: string): NpyHeader {
  const broken = (saw: string) =>
    new EdgewrightError('DATA_BROKEN', 'The .npy array cannot be read.', {
      where,
      saw,
      hint: 'Save it again with numpy.save, as plain numbers.',
    })
  if (head.length < 10 || magic.some((byte, i) => head[i] !== byte))
    throw broken('no NumPy magic at the beginning')
  const version = head[6]!
  if (version < 1 || version > 3) throw broken(`format version ${version}`)
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (version > 1 && head.length < 12) throw broken('a cut header')
  const textStart = version === 1 ? 10 : 12
  const textBytes = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (textBytes > headerLimit || textStart + textBytes > head.length)
    throw broken(`a header of ${textBytes} bytes`)
  const text = Buffer.from(head.buffer, head.byteOffset + textStart, textBytes).toString('latin1')
  const descr = /'descr'\s*:\s*'([<>|=]?)([a-zA-Z]\d{1,4})'/.exec(text)
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(text)
  const dims = /'shape'\s*:\s*\(([\d,\sL]{0,1024})\)/.exec(text)
  if (!fortran || !dims) throw broken(`header ${JSON.stringify(text.slice(0, 120))}`)
  const dtype = descr && numpyTypes[descr[2]!]
  if (!descr || !dtype) throw broken(`element type ${/'descr'\s*:\s*(.{1,40})/.exec(text)?.[1] ?? 'missing'}`)
  const shape = dims[1]!
    .split(',')
    .map((part) => part.replace('L', '').trim())
    .filter((part) => part !== '')
    .map(Number)
  const width = Number(descr[2]!.slice(1))
  const start = textStart + textBytes
  const bytes = shape.reduce((total, dimension) => total * dimension, width)
  if (shape.length > 32 || !Number.isSafeInteger(bytes) || start + bytes > size)
    throw broken(`shape (${shape.join(', ')}) of ${dtype} in ${size} bytes`)
  return { dtype, shape, fortranOrder: fortran[1] === 'True', bigEndian: descr[1] === '>', width, start }
}

/** Opens a .npy file; C order is read sample by sample, Fortran order is held whole. */
export async function openNpy(path: string): Promise<StoredArray> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const head = new Uint8Array(Math.min(size, headerLimit + 12))
    await file.read(head, 0, head.length, 0)
    const header = parseNpyHeader(head, size, path)
    if (!header.fortranOrder || header.shape.length < 2) {
      const recordBytes = header.shape.slice(1).reduce((bytes, dimension) => bytes * dimension, header.width)
      return {
        ...recordFile({ path, ...header, shape: header.shape, recordBytes }),
        digest: () => sha256OfFile(path),
      }
    }
    if (size > arrayLimitBytes)
      throw new EdgewrightError('DATA_BROKEN', 'A Fortran-order array of more than 2 GB cannot be read.', {
        where: path,
        saw: `${size} bytes`,
        hint: 'Save numpy.ascontiguousarray(x).',
      })
    const bytes = new Uint8Array(size)
    await file.read(bytes, 0, size, 0)
    return npyInMemory(bytes, path)
  } finally {
    await file.close()
  }
}

/** A .npy file that is in memory already: its samples are copied out one at a time. */
export function npyInMemory(file: Uint8Array, path: string): StoredArray {
  const header = parseNpyHeader(file, file.length, path)
  const { shape, width, start } = header
  const samples = shape[0] ?? 0
  const recordBytes = shape.slice(1).reduce((bytes, dimension) => bytes * dimension, width)
  return {
    path,
    dtype: header.dtype,
    shape,
    digest: async () => sha256(file),
    async record(index) {
      if (!(index >= 0 && index < samples)) throw new RangeError(`sample ${index} of ${samples}`)
      const bytes =
        header.fortranOrder && shape.length > 1
          ? gatherFortran(file, header, index, recordBytes)
          : file.slice(start + index * recordBytes, start + (index + 1) * recordBytes)
      return header.bigEndian ? swapBytes(bytes, width) : bytes
    },
  }
}

/** One sample of a column-major array in row-major order: the first axis varies fastest in the file. */
function gatherFortran(file: Uint8Array, header: NpyHeader, index: number, recordBytes: number): Uint8Array {
  const { shape, width, start } = header
  const out = new Uint8Array(recordBytes)
  const rank = shape.length
  const strides = new Array<number>(rank)
  let stride = width
  for (let axis = 0; axis < rank; axis++) {
    strides[axis] = stride
    stride *= shape[axis]!
  }
  const position = new Array<number>(rank).fill(0)
  let at = start + index * strides[0]!
  for (let to = 0; to < recordBytes; to += width) {
    for (let byte = 0; byte < width; byte++) out[to + byte] = file[at + byte]!
    for (let axis = rank - 1; axis >= 1; axis--) {
      at += strides[axis]!
      if (++position[axis]! < shape[axis]!) break
      at -= strides[axis]! * shape[axis]!
      position[axis] = 0
    }
  }
  return out
}
