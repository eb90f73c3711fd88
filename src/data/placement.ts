import { roundHalfEven } from './elements.ts'
import type { Box } from './boxes.ts'
import type { Preprocessing } from './types.ts'

interface Size {
  readonly height: number
  readonly width: number
}

/** Where a picture comes to lie in the network's input. */
export interface Placement extends Size {
  readonly resized: Size
  /** Corner of the resized picture in the input: negative where the crop cuts, positive where a letterbox pads. */
  readonly left: number
  readonly top: number
}

/** The geometry that `preprocessing` gives a picture of this size. */
export function placementOf(
  picture: Size,
  { resize, crop }: Pick<Preprocessing, 'resize' | 'crop'>,
): Placement {
  const resized = resizedSize(picture, resize)
  if (crop)
    return {
      height: crop.height,
      width: crop.width,
      resized,
      left: -centreOffset(resized.width - crop.width),
      top: -centreOffset(resized.height - crop.height),
    }
  if (resize?.fit !== 'letterbox') return { ...resized, resized, left: 0, top: 0 }
  const { height, width } = resize
  // an odd pixel goes to the right and the bottom, as Ultralytics' LetterBox puts it
  const left = Math.floor((width - resized.width) / 2)
  const top = Math.floor((height - resized.height) / 2)
  return { height, width, resized, left, top }
}

/** A box in pixels of the picture, in pixels of the network's input; it may reach beyond. */
export function placeBox(box: Box, picture: Size, { resized, left, top }: Placement): Box {
  const [scaleX, scaleY] = [resized.width / picture.width, resized.height / picture.height]
  return {
    x1: box.x1 * scaleX + left,
    y1: box.y1 * scaleY + top,
    x2: box.x2 * scaleX + left,
    y2: box.y2 * scaleY + top,
  }
}

/** What of the input shows the picture: all but the borders of a letterbox. */
export function extentOf({ height, width, resized, left, top }: Placement): Box {
  return {
    x1: Math.max(0, left),
    y1: Math.max(0, top),
    x2: Math.min(width, left + resized.width),
    y2: Math.min(height, top + resized.height),
  }
}

/** The part of a box that lies in another; null where nothing does. */
export function clipBox(box: Box, extent: Box): Box | null {
  const x1 = Math.max(box.x1, extent.x1)
  const y1 = Math.max(box.y1, extent.y1)
  const x2 = Math.min(box.x2, extent.x2)
  const y2 = Math.min(box.y2, extent.y2)
  return x2 > x1 && y2 > y1 ? { x1, y1, x2, y2 } : null
}

/**
 * Size after the resize step: exactly as asked; aspect kept and just covering it (torchvision's rounding); or aspect
 * kept and just inside it (Ultralytics' rounding).
 */
function resizedSize(picture: Size, resize: Preprocessing['resize']): Size {
  if (!resize) return { height: picture.height, width: picture.width }
  if (resize.fit === 'stretch') return { height: resize.height, width: resize.width }
  if (resize.fit === 'letterbox') {
    const scale = Math.min(resize.height / picture.height, resize.width / picture.width)
    return {
      height: Math.max(1, roundHalfEven(picture.height * scale)),
      width: Math.max(1, roundHalfEven(picture.width * scale)),
    }
  }
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

/** Half of the spare pixels, an odd one as torchvision's CenterCrop puts it: Python's round, ties to even. */
function centreOffset(spare: number): number {
  const half = Math.floor(spare / 2)
  return spare % 2 === 1 && half % 2 === 1 ? half + 1 : half
}
