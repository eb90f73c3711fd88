import { open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { DType } from '../tensor.ts'
import { recordFile, type StoredArray } from './stored-array.ts'

const idxTypes: Record<number, { dtype: DType; width: number }> = {
  8: { dtype: 'uint8', width: 1 },
  9: { dtype: 'int8', width: 1 },
  11: { dtype: 'int16', width: 2 },
  12: { dtype: 'int32', width: 4 },
  13: { dtype: 'float32', width: 4 },
  14: { dtype: 'float64', width: 8 },
}

const idxName = /\.idx(\d)-?ubyte$|-idx(\d)-ubyte$|\.idx$/

export function isIdxName(path: string): boolean {
  return idxName.test(basename(path))
}

/**
 * Opens a file of the idx format (LeCun, the MNIST page): two zero bytes, type, rank, big-endian sizes, big-endian data.
 *
 * @throws DATA_BROKEN where header and file size disagree
 */
export async function openIdx(path: string): Promise<StoredArray> {
  const file = await open(path, 'r')
  try {
    const head = Buffer.alloc(4 + 4 * 8)
    const { bytesRead } = await file.read(head, 0, head.length, 0)
    const type = idxTypes[head[2]!]
    const rank = head[3]!
    if (
      bytesRead < 4 ||
      head.readUInt16BE(0) !== 0 ||
      !type ||
      rank < 1 ||
      rank > 8 ||
      bytesRead < 4 + 4 * rank
    )
      throw broken(path, 'is not an idx file', `bytes ${head.subarray(0, 4).toString('hex')}`)
    const shape = Array.from({ length: rank }, (_, axis) => head.readUInt32BE(4 + 4 * axis))
    const start = 4 + 4 * rank
    const recordBytes = shape.slice(1).reduce((bytes, dimension) => bytes * dimension, type.width)
    const { size } = await file.stat()
    if (!Number.isSafeInteger(recordBytes * shape[0]!) || start + recordBytes * shape[0]! !== size)
      throw broken(
        path,
        'does not have the length that its header says',
        `${size} bytes, shape [${shape.join(', ')}] of ${type.dtype}`,
      )
    return recordFile({
      path,
      dtype: type.dtype,
      shape,
      start,
      recordBytes,
      width: type.width,
      bigEndian: true,
    })
  } finally {
    await file.close()
  }
}

/** The pair of idx files that a path means: the images file, the labels file, or their folder. */
export async function findIdxPair(path: string): Promise<{ images: string; labels: string | null }> {
  const folder = (await stat(path)).isDirectory() ? path : dirname(path)
  const names = (await readdir(folder)).filter(isIdxName).sort()
  if (folder !== path) {
    const name = basename(path)
    if (isLabels(name)) {
      const images = names.find((other) => !isLabels(other) && stem(other) === stem(name))
      if (images === undefined)
        throw new EdgewrightError('DATA_NOT_FOUND', 'The labels file has no images file beside it.', {
          where: path,
          hint: 'Give the file with the images.',
        })
      return { images: join(folder, images), labels: path }
    }
    const labels = names.find((other) => isLabels(other) && stem(other) === stem(name))
    return { images: path, labels: labels === undefined ? null : join(folder, labels) }
  }
  const images = names.filter((name) => !isLabels(name))
  if (images.length !== 1)
    throw new EdgewrightError(
      images.length === 0 ? 'DATA_EMPTY' : 'DATA_BROKEN',
      images.length === 0
        ? 'The folder has no idx file of samples.'
        : 'The folder has several idx files of samples.',
      {
        where: path,
        saw: names.join(', '),
        hint: 'Give the path of the images file itself.',
      },
    )
  return findIdxPair(join(folder, images[0]!))
}

function isLabels(name: string): boolean {
  return /label/i.test(name) || /idx1/.test(name)
}

/** What an images file and its labels file share: `train-images.idx3-ubyte` and `train-labels-idx1-ubyte` give `train`. */
function stem(name: string): string {
  return name
    .replace(idxName, '')
    .replace(/images?|labels?/gi, '')
    .replace(/[-_.]+/g, '')
}

function broken(path: string, what: string, saw: string): EdgewrightError {
  return new EdgewrightError('DATA_BROKEN', `The file ${what}.`, {
    where: path,
    saw,
    hint: 'Fetch or make it again.',
  })
}
