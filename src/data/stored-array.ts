import { open } from 'node:fs/promises'
import { sha256OfFile } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import type { DType } from '../tensor.ts'
import { swapBytes } from './elements.ts'
import { fingerprintOfFile } from './fingerprint.ts'

/** A stored array of equal records: one sample each, read one at a time. */
export interface StoredArray {
  readonly path: string
  readonly dtype: DType
  /** Of the whole array; the first axis counts samples. */
  readonly shape: readonly number[]
  /** Little-endian bytes of one sample, row-major, freshly allocated. */
  record(index: number): Promise<Uint8Array>
  digest(): Promise<string>
  /** Absent where the array is in memory. */
  fingerprint?(): Promise<string>
}

interface RecordFile {
  readonly path: string
  readonly dtype: DType
  readonly shape: readonly number[]
  /** Byte offset of the first record. */
  readonly start: number
  readonly recordBytes: number
  /** Distance between records, where they are not back to back. */
  readonly strideBytes?: number
  /** Bytes of one element. */
  readonly width: number
  readonly bigEndian: boolean
}

/** Records that are asked for in a row are read so many bytes at once: opening a file costs more than a small record. */
const blockBytes = 2 ** 20

/** Fixed-size records of a file, given one at a time. The file's size was checked by the caller. */
export function recordFile(layout: RecordFile): StoredArray {
  const { path, dtype, shape, recordBytes, strideBytes = recordBytes, width, bigEndian } = layout
  const inBlock = Math.max(1, Math.floor(blockBytes / strideBytes))
  let last = Number.NaN
  let block: { readonly first: number; readonly count: number; readonly bytes: Promise<Uint8Array> } | null =
    null
  const bytesAround = (index: number) => {
    const known = block !== null && index >= block.first && index < block.first + block.count
    const inARow = index > last && index - last < inBlock
    last = index
    if (known) return block!
    const count = inARow ? Math.max(1, Math.min(inBlock, (shape[0] ?? 0) - index)) : 1
    const read = { first: index, count, bytes: readRecords(layout, index, count) }
    block = read
    // what could not be read is tried again
    read.bytes.catch(() => {
      if (block === read) block = null
    })
    return read
  }
  const copyOf = async (index: number) => {
    const { first, bytes } = bytesAround(index)
    const from = (index - first) * strideBytes
    return (await bytes).slice(from, from + recordBytes)
  }
  return {
    path,
    dtype,
    shape,
    digest: () => sha256OfFile(path),
    // where in the file the samples are may be described elsewhere
    fingerprint: async () => `${await fingerprintOfFile(path)} ${JSON.stringify(layout)}`,
    async record(index) {
      const own = inBlock === 1 ? await readRecords(layout, index, 1) : await copyOf(index)
      if (own.length !== recordBytes)
        throw new EdgewrightError('DATA_BROKEN', 'The file ends in the middle of a sample.', {
          where: path,
          saw: `sample ${index}`,
          hint: 'Fetch or make it again.',
        })
      if (bigEndian && width > 1) swapBytes(own, width)
      return own
    },
  }
}

/** Fewer bytes where the file ends before. */
async function readRecords(
  { path, start, recordBytes, strideBytes = recordBytes }: RecordFile,
  first: number,
  count: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array((count - 1) * strideBytes + recordBytes)
  const file = await open(path, 'r')
  try {
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start + first * strideBytes)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
