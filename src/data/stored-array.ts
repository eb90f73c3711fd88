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

/** Fixed-size records of a file, read one at a time. The file's size was checked by the caller. */
export function recordFile(layout: RecordFile): StoredArray {
  const { path, dtype, shape, start, recordBytes, strideBytes = recordBytes, width, bigEndian } = layout
  return {
    path,
    dtype,
    shape,
    digest: () => sha256OfFile(path),
    // where in the file the samples are may be described elsewhere
    fingerprint: async () => `${await fingerprintOfFile(path)} ${JSON.stringify(layout)}`,
    async record(index) {
      const bytes = new Uint8Array(recordBytes)
      const file = await open(path, 'r')
      try {
        const { bytesRead } = await file.read(bytes, 0, recordBytes, start + index * strideBytes)
        if (bytesRead !== recordBytes)
          throw new EdgewrightError('DATA_BROKEN', 'The file ends in the middle of a sample.', {
            where: path,
            saw: `sample ${index}`,
            hint: 'Fetch or make it again.',
          })
      } finally {
        await file.close()
      }
      if (bigEndian && width > 1) swapBytes(bytes, width)
      return bytes
    },
  }
}
