import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
import { EdgewrightError } from '../error.ts'
import { pixelLimit } from './bmp.ts'

/** Stored values of a picture with one number a pixel: gray levels or palette indices. */
export interface IndexedPicture {
  readonly height: number
  readonly width: number
  readonly data: Uint8Array
}

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const inflated = promisify(inflate)

/**
 * Decodes a PNG of gray levels or a palette with up to 8 bits to the very numbers that it stores (W3C PNG, 2003), which
 * an image library turns into colours. Masks of classes are stored so. Interlaced files are refused.
 *
 * @throws DATA_BROKEN
 */
export async function decodePngIndices(bytes: Uint8Array, where: string): Promise<IndexedPicture> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (
    bytes.length < 33 ||
    Buffer.compare(bytes.subarray(0, 8), signature) !== 0 ||
    view.getUint32(12) !== 0x49484452
  )
    throw broken(where, 'no PNG header')
  const [width, height] = [view.getUint32(16), view.getUint32(20)]
  const [bits, colour, interlace] = [bytes[24]!, bytes[25]!, bytes[28]!]
  if (width < 1 || height < 1 || width * height > pixelLimit) throw broken(where, `${width}×${height} pixels`)
  if ((colour !== 0 && colour !== 3) || ![1, 2, 4, 8].includes(bits))
    throw broken(where, `colour type ${colour} with ${bits} bits`)
  if (interlace !== 0) throw broken(where, 'an interlaced file')
  const rowBytes = Math.ceil((width * bits) / 8)
  const size = (rowBytes + 1) * height
  const rows = await inflated(packedData(bytes, view, where), { maxOutputLength: size + 1 }).catch(
    (error) => {
      throw broken(where, error instanceof Error ? error.message : String(error))
    },
  )
  if (rows.length !== size) throw broken(where, `${rows.length} bytes of pixels, expected ${size}`)
  unfilter(rows, rowBytes, where)
  const data = new Uint8Array(width * height)
  const mask = (1 << bits) - 1
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const bit = x * bits
      const byte = rows[y * (rowBytes + 1) + 1 + (bit >> 3)]!
      data[y * width + x] = (byte >> (8 - bits - (bit & 7))) & mask
    }
  return { height, width, data }
}

/** The contents of all IDAT chunks, one after the other. */
function packedData(bytes: Uint8Array, view: DataView, where: string): Buffer {
  const parts: Uint8Array[] = []
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at)
    const type = view.getUint32(at + 4)
    if (at + 12 + length > bytes.length) throw broken(where, 'a chunk that reaches beyond the end')
    if (type === 0x49444154) parts.push(bytes.subarray(at + 8, at + 8 + length))
    if (type === 0x49454e44) break
    at += 12 + length
  }
  return Buffer.concat(parts)
}

/** Undoes the prediction of each row in place, all with one byte a step: pixels have at most one. */
function unfilter(rows: Uint8Array, rowBytes: number, where: string): void {
  for (let start = 0; start < rows.length; start += rowBytes + 1) {
    const filter = rows[start]!
    if (filter > 4) throw broken(where, `row filter ${filter}`)
    for (let i = 1; i <= rowBytes; i++) {
      const left = i > 1 ? rows[start + i - 1]! : 0
      const up = start > 0 ? rows[start - rowBytes - 1 + i]! : 0
      const corner = i > 1 && start > 0 ? rows[start - rowBytes - 2 + i]! : 0
      const predicted =
        filter === 1
          ? left
          : filter === 2
            ? up
            : filter === 3
              ? (left + up) >> 1
              : filter === 4
                ? paeth(left, up, corner)
                : 0
      rows[start + i] = rows[start + i]! + predicted
    }
  }
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner
  const [byLeft, byUp, byCorner] = [
    Math.abs(estimate - left),
    Math.abs(estimate - up),
    Math.abs(estimate - corner),
  ]
  if (byLeft <= byUp && byLeft <= byCorner) return left
  return byUp <= byCorner ? up : corner
}

function broken(where: string, saw: string): EdgewrightError {
  return new EdgewrightError('DATA_BROKEN', 'The mask cannot be read.', {
    where,
    saw,
    hint: 'Masks are PNG files with one number a pixel, its class: gray or with a palette, up to 8 bits, not interlaced.',
  })
}
