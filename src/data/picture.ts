import { readFile, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { EdgewrightError } from '../error.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import { decodeBmp, pixelLimit, type Picture } from './bmp.ts'
import { inputTensor } from './elements.ts'
import { normalizePicture } from './normalize.ts'
import { extentOf, type Placement, placementOf } from './placement.ts'
import { resizePicture } from './resize.ts'
import { once } from './source.ts'
import type { InputSpec, Preprocessing } from './types.ts'

export const pictureExtensions = ['.jpg', '.jpeg', '.png', '.webp', '.bmp']

const fileLimitBytes = 512 * 2 ** 20
const decodeLimitSeconds = 60

/** One picture file as the network's input tensor, every step as `preprocessing` names it. */
export async function pictureTensor(
  path: string,
  id: string,
  spec: InputSpec,
  p: Preprocessing,
): Promise<Tensor> {
  const picture = await decodePicture(path, p.channelOrder === 'gray' ? 1 : 3)
  const { channels } = picture
  const placement = placementOf(picture, p)
  const { resized, height, width } = placement
  if (p.crop && (resized.height < height || resized.width < width))
    throw new EdgewrightError('DATA_SHAPE', 'The picture is smaller than the crop.', {
      where: id,
      saw: `${resized.height}×${resized.width}, crop ${height}×${width}`,
      hint: 'Let `preprocess` resize it first.',
    })
  if (height * width * channels !== elementCount(spec.shape))
    throw new EdgewrightError('DATA_SHAPE', 'The picture does not have the size that the network takes.', {
      where: id,
      saw: `${height}×${width}×${channels} for input [${spec.shape.join(', ')}]`,
      hint: 'Let `preprocess` resize it.',
    })
  const pixels = p.resize
    ? resizePicture(picture.data, picture, resized, p.resize.kernel, p.resize.antialias)
    : picture.data
  const framed = placePixels(pixels, channels, placement, p.resize?.padValue ?? 0)
  return inputTensor(normalizePicture(framed, height * width, channels, p), spec, id)
}

/**
 * Decodes JPEG, PNG, WebP (through libvips) or BMP to 8 bits a channel. Orientation tags are not applied and colour
 * profiles not converted, as Pillow and TensorFlow do not; transparency is dropped; gray is 0.299 R + 0.587 G + 0.114 B.
 *
 * @throws DATA_BROKEN naming the file
 */
export async function decodePicture(path: string, channels: 1 | 3): Promise<Picture> {
  const { size } = await stat(path)
  if (size > fileLimitBytes) throw broken(path, `${size} bytes`)
  const bytes = await readFile(path)
  if (extname(path).toLowerCase() === '.bmp')
    return channels === 3 ? decodeBmp(bytes, path) : toGray(decodeBmp(bytes, path))
  const sharp = await imageLibrary()
  try {
    const { data, info } = await sharp(bytes, {
      limitInputPixels: pixelLimit,
      failOn: 'error',
      ignoreIcc: true,
    })
      .timeout({ seconds: decodeLimitSeconds })
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    const { height, width } = info
    if (info.channels === 1) {
      const gray: Picture = { height, width, channels: 1, data }
      return channels === 1 ? gray : repeatChannels(gray)
    }
    const colour: Picture = { height, width, channels: 3, data }
    return channels === 3 ? colour : toGray(colour)
  } catch (error) {
    throw broken(path, error instanceof Error ? error.message.split('\n')[0]! : String(error), error)
  }
}

/** Height and width of a picture file as `decodePicture` gives it, from its header alone. */
export async function pictureSize(path: string): Promise<{ height: number; width: number }> {
  if (extname(path).toLowerCase() === '.bmp') return decodeBmp(await readFile(path), path)
  const sharp = await imageLibrary()
  try {
    const { height, width } = await sharp(path, { limitInputPixels: pixelLimit }).metadata()
    return { height, width }
  } catch (error) {
    throw broken(path, error instanceof Error ? error.message.split('\n')[0]! : String(error), error)
  }
}

/** Loaded when the first picture is: it takes longer than the rest of the program. */
const imageLibrary = once(async () => {
  const { default: sharp } = await import('sharp')
  // No sample is decoded twice in a row: a cache would only grow with their number.
  sharp.cache(false)
  return sharp
})

/** The resized picture cut or bordered to the input's size. */
export function placePixels<T extends Uint8Array | Float32Array>(
  pixels: T,
  channels: number,
  placement: Placement,
  border: number,
): T {
  const { resized, left, top, height, width } = placement
  if (resized.height === height && resized.width === width) return pixels
  const { x1, y1, x2, y2 } = extentOf(placement)
  const out = (
    pixels instanceof Float32Array
      ? new Float32Array(height * width * channels)
      : new Uint8Array(height * width * channels)
  ) as T
  out.fill(border)
  for (let y = y1; y < y2; y++) {
    const from = ((y - top) * resized.width + x1 - left) * channels
    out.set(pixels.subarray(from, from + (x2 - x1) * channels), (y * width + x1) * channels)
  }
  return out
}

function repeatChannels(gray: Picture): Picture {
  const data = new Uint8Array(gray.data.length * 3)
  for (let i = 0; i < gray.data.length; i++) data.fill(gray.data[i]!, i * 3, i * 3 + 3)
  return { ...gray, channels: 3, data }
}

/** ITU-R BT.601 luma in Pillow's 16-bit fixed point. */
function toGray({ height, width, data }: Picture): Picture {
  const gray = new Uint8Array(height * width)
  for (let i = 0; i < gray.length; i++)
    gray[i] = (data[i * 3]! * 19595 + data[i * 3 + 1]! * 38470 + data[i * 3 + 2]! * 7471 + 0x8000) >> 16
  return { height, width, channels: 1, data: gray }
}

function broken(path: string, saw: string, cause?: unknown): EdgewrightError {
  return new EdgewrightError('DATA_BROKEN', 'The picture cannot be decoded.', {
    where: path,
    saw,
    hint: 'Fetch or save it again, or take it out of the data.',
    cause,
  })
}
