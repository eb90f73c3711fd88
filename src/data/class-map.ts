import type { Tensor } from '../tensor.ts'
import { floatsOf } from './elements.ts'
import { outputOf, type Outputs, unreadable } from './output-choice.ts'
import { ignoredClass, type Task } from './types.ts'

export type SegmentationTask = Extract<Task, { kind: 'segmentation' }>

/** Scores by class and place. */
interface ScoreMap {
  readonly classes: number
  readonly height: number
  readonly width: number
  at(index: number, y: number, x: number): number
}

/**
 * The class of each pixel of the network's input, row by row. Scores of a coarser map are interpolated linearly, pixel
 * centres at half integers, before the highest is taken; a map of classes is repeated. One channel of scores is class 1
 * above the threshold.
 *
 * @throws CONFIG_INVALID where the output is no map of classes or scores
 */
export function classMapOf(outputs: Outputs, task: SegmentationTask): Uint8Array {
  const tensor = outputOf(outputs, task.segmentation.output)
  const stated = statedClasses(tensor, task)
  if (stated) return stated
  const scores = scoreMapOf(tensor, task)
  if (!scores)
    throw unreadable(
      'The output is no map of scores [1, classes, H, W] or [1, H, W, classes], nor of classes [1, H, W].',
      outputs,
    )
  return bestClasses(scores, task)
}

/** A network that ends in an ArgMax: integers, or one number a place and no axis of classes. */
function statedClasses(tensor: Tensor, { height, width }: SegmentationTask): Uint8Array | null {
  const shape = tensor.shape.filter((dimension, axis) => dimension !== 1 || axis > 1)
  const places =
    tensor.shape.length <= 3 || !tensor.dtype.startsWith('float') ? shape.filter((d) => d !== 1) : []
  if (places.length !== 2) return null
  const [rows, columns] = places as [number, number]
  const values = floatsOf(tensor.dtype, tensor.data)
  const out = new Uint8Array(height * width)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from =
        Math.floor(((y + 0.5) * rows) / height) * columns + Math.floor(((x + 0.5) * columns) / width)
      out[y * width + x] = Math.min(ignoredClass - 1, Math.max(0, Math.round(values[from]!)))
    }
  return out
}

function scoreMapOf(tensor: Tensor, task: SegmentationTask): ScoreMap | null {
  const [batch, a, b, c] = tensor.shape
  if (tensor.shape.length !== 4 || batch !== 1) return null
  const values = floatsOf(tensor.dtype, tensor.data)
  const first: ScoreMap = {
    classes: a!,
    height: b!,
    width: c!,
    at: (k, y, x) => values[(k * b! + y) * c! + x]!,
  }
  const last: ScoreMap = {
    classes: c!,
    height: a!,
    width: b!,
    at: (k, y, x) => values[(y * b! + x) * c! + k]!,
  }
  const fits = [first, last].filter(
    (map) =>
      map.classes < ignoredClass &&
      (task.classes === null || map.classes === task.classes || map.classes === 1) &&
      // outputs of strided networks are a rounding off the input's proportions
      Math.abs(map.height * task.width - map.width * task.height) <= Math.max(task.height, task.width),
  )
  if (fits.length < 2) return fits[0] ?? null
  return task.layout === 'NCHW' ? first : last
}

function bestClasses(scores: ScoreMap, { height, width, segmentation }: SegmentationTask): Uint8Array {
  const [rows, columns] = [taps(scores.height, height), taps(scores.width, width)]
  const same = scores.height === height && scores.width === width
  const out = new Uint8Array(height * width)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const score = (index: number) =>
        same ? scores.at(index, y, x) : interpolated(scores, index, rows[y]!, columns[x]!)
      out[y * width + x] =
        scores.classes === 1 ? Number(score(0) > segmentation.threshold) : highest(scores.classes, score)
    }
  return out
}

function highest(classes: number, score: (index: number) => number): number {
  let best = 0
  let most = score(0)
  for (let index = 1; index < classes; index++) {
    const value = score(index)
    if (value > most) {
      most = value
      best = index
    }
  }
  return best
}

interface Tap {
  readonly low: number
  readonly high: number
  /** Weight of the higher one. */
  readonly share: number
}

function taps(from: number, to: number): Tap[] {
  return Array.from({ length: to }, (_, i) => {
    const centre = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5))
    const low = Math.floor(centre)
    return { low, high: Math.min(from - 1, low + 1), share: centre - low }
  })
}

function interpolated(scores: ScoreMap, index: number, row: Tap, column: Tap): number {
  const along = (y: number) =>
    scores.at(index, y, column.low) * (1 - column.share) + scores.at(index, y, column.high) * column.share
  return along(row.low) * (1 - row.share) + along(row.high) * row.share
}
