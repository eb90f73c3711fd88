import { EdgewrightError } from '../error.ts'

/** 8-bit pixels, row by row from the top, channels interleaved: R, G, B. */
export interface Picture {
  readonly height: number
  readonly width: number
  readonly channels: 1 | 3
  readonly data: Uint8Array
}

/** Pictures of more pixels than this are refused before they are decoded. */
export const pixelLimit = 2 ** 27

/**
 * Decodes an uncompressed Windows bitmap (BITMAPINFOHEADER and later; 8-bit palette, 24 and 32 bits), which the image
 * library does not read. Alpha is dropped.
 *
 * @throws DATA_BROKEN
 */
export function decodeBmp(bytes: Uint8Array, where: string): Picture {
  const broken = (saw: string) =>
    new EdgewrightError('DATA_BROKEN', 'The bitmap cannot be read.', {
      where,
      saw,
      hint: 'Save it as PNG, or as an uncompressed 8- or 24-bit bitmap.',
    })
  if (bytes.length < 54 || bytes[0] !== 0x42 || bytes[1] !== 0x4d) throw broken('no BMP header')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = view.getUint32(10, true)
  const headerBytes = view.getUint32(14, true)
  const width = view.getInt32(18, true)
  const signedHeight = view.getInt32(22, true)
  const bits = view.getUint16(28, true)
  const compression = view.getUint32(30, true)
  const height = Math.abs(signedHeight)
  const masked = compression === 3 && bits === 32
  if (headerBytes < 40 || ![8, 24, 32].includes(bits) || (compression !== 0 && !masked))
    throw broken(`${bits} bits, compression ${compression}`)
  if (width < 1 || height < 1 || width * height > pixelLimit) throw broken(`${width}×${height} pixels`)
  const rowBytes = Math.ceil((width * bits) / 32) * 4
  if (start + rowBytes * height > bytes.length)
    throw broken(`${bytes.length} bytes for ${width}×${height} pixels`)
  const palette = 14 + headerBytes
  const colours = bits === 8 ? view.getUint32(46, true) || 256 : 0
  if (colours > 256 || palette + colours * 4 > start) throw broken(`a palette of ${colours} colours`)
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    const row = start + rowBytes * (signedHeight < 0 ? y : height - 1 - y)
    for (let x = 0; x < width; x++) {
      const at = bits === 8 ? palette + 4 * bytes[row + x]! : row + x * (bits / 8)
      if (bits === 8 && bytes[row + x]! >= colours)
        throw broken(`colour ${bytes[row + x]} of a palette of ${colours}`)
      const to = (y * width + x) * 3
      data[to] = bytes[at + 2]!
      data[to + 1] = bytes[at + 1]!
      data[to + 2] = bytes[at]!
    }
  }
  return { height, width, channels: 3, data }
}
