import { readFile, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { EdgewrightError } from '../error.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import { decodeBmp, pixelLimit, type Picture } from './bmp.ts'
import { inputTensor } from './elements.ts'
import { normalizePicture } from './normalize.ts'
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
  const size = resizedSize(picture, p.resize)
  const resized = p.resize
    ? resizePicture(picture.data, picture, size, p.resize.kernel, p.resize.antialias)
    : picture.data
  const cropped = p.crop ? cropCentre(resized, { ...size, channels }, p.crop, id) : resized
  const { height, width } = p.crop ?? size
  if (height * width * channels !== elementCount(spec.shape))
    throw new EdgewrightError('DATA_SHAPE', 'The picture does not have the size that the network takes.', {
      where: id,
      saw: `${height}×${width}×${channels} for input [${spec.shape.join(', ')}]`,
      hint: 'Let `preprocess` resize it.',
    })
  return inputTensor(normalizePicture(cropped, height * width, channels, p), spec, id)
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

/** Loaded when the first picture is: it takes longer than the rest of the program. */
const imageLibrary = once(async () => {
  const { default: sharp } = await import('sharp')
  // No sample is decoded twice in a row: a cache would only grow with their number.
  sharp.cache(false)
  return sharp
})

/** Size after the resize step: exactly as asked, or aspect kept and just covering it (torchvision's rounding). */
function resizedSize(
  picture: { height: number; width: number },
  resize: Preprocessing['resize'],
): { height: number; width: number } {
  if (!resize) return { height: picture.height, width: picture.width }
  if (resize.fit === 'stretch') return { height: resize.height, width: resize.width }
  return resize.height * picture.width >= resize.width * picture.height
    ? {
        height: resize.height,
        width: Math.max(resize.width, Math.floor((resize.height * picture.width) / picture.height)),
      }
    : {
        height: Math.max(resize.height, Math.floor((resize.width * picture.height) / picture.width)),
        width: resize.width,
      }
}

function cropCentre<T extends Uint8Array | Float32Array>(
  data: T,
  from: { height: number; width: number; channels: number },
  to: { height: number; width: number },
  id: string,
): T {
  if (from.height === to.height && from.width === to.width) return data
  if (from.height < to.height || from.width < to.width)
    throw new EdgewrightError('DATA_SHAPE', 'The picture is smaller than the crop.', {
      where: id,
      saw: `${from.height}×${from.width}, crop ${to.height}×${to.width}`,
      hint: 'Let `preprocess` resize it first.',
    })
  const top = centreOffset(from.height - to.height)
  const left = centreOffset(from.width - to.width)
  const rowLength = to.width * from.channels
  const out = data.slice(0, to.height * rowLength) as T
  for (let y = 0; y < to.height; y++) {
    const at = ((top + y) * from.width + left) * from.channels
    out.set(data.subarray(at, at + rowLength), y * rowLength)
  }
  return out
}

/** Half of the spare pixels, an odd one as torchvision's CenterCrop puts it: Python's round, ties to even. */
function centreOffset(spare: number): number {
  const half = Math.floor(spare / 2)
  return spare % 2 === 1 && half % 2 === 1 ? half + 1 : half
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
