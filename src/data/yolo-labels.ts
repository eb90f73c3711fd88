import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { TrueBox } from './boxes.ts'

const fileLimitBytes = 2 ** 24

/** Where the labels of a picture are: the same path under `root`, ending in .txt. */
export function yoloLabelPath(root: string, picture: string): string {
  return join(root, picture.replace(/\.[^./]+$/, '.txt'))
}

/**
 * Reads the labels of one picture: `class cx cy width height` a line, in shares of the picture's sides; a polygon
 * `class x y x y x y …` counts as the box around it. A file that is not there says that nothing is in the picture.
 *
 * @throws DATA_LABELS naming the line
 */
export async function readYoloLabels(
  path: string,
  picture: { readonly height: number; readonly width: number },
): Promise<TrueBox[]> {
  const text = await textOf(path)
  if (text === null) return []
  return text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === '') return []
    const [label, ...numbers] = line.trim().split(/\s+/).map(Number)
    const box = boxOf(numbers)
    if (!Number.isSafeInteger(label) || label! < 0 || !box)
      throw new EdgewrightError('DATA_LABELS', 'A line of the labels cannot be read.', {
        where: `${path}, line ${index + 1}`,
        saw: line.slice(0, 100),
        hint: 'Expected `class cx cy width height` in shares of the picture, 0 to 1.',
      })
    const { width, height } = picture
    return [
      {
        x1: box.x1 * width,
        y1: box.y1 * height,
        x2: box.x2 * width,
        y2: box.y2 * height,
        class: label!,
        crowd: false,
        ignored: false,
      },
    ]
  })
}

function boxOf(numbers: readonly number[]) {
  // a box may reach a little beyond the picture by rounding; pixels instead of shares reach far
  if (!numbers.every((number) => number >= -1 && number <= 2)) return null
  if (numbers.length === 4) {
    const [x, y, width, height] = numbers as [number, number, number, number]
    if (width < 0 || height < 0) return null
    return { x1: x - width / 2, y1: y - height / 2, x2: x + width / 2, y2: y + height / 2 }
  }
  if (numbers.length < 6 || numbers.length % 2 !== 0) return null
  const xs = numbers.filter((_, index) => index % 2 === 0)
  const ys = numbers.filter((_, index) => index % 2 === 1)
  return { x1: Math.min(...xs), y1: Math.min(...ys), x2: Math.max(...xs), y2: Math.max(...ys) }
}

async function textOf(path: string): Promise<string | null> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (!file) return null
  try {
    const { size } = await file.stat()
    if (size > fileLimitBytes)
      throw new EdgewrightError('DATA_LABELS', 'The labels of a picture are too large.', {
        where: path,
        saw: `${size} bytes`,
      })
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
