import type { Tensor } from '../tensor.ts'
import { floatsOf } from './elements.ts'
import { outputOf, type Outputs, unreadable } from './output-choice.ts'
import { ignoredClass, type Task } from './types.ts'

export type SegmentationTask = Extract<Task, { kind: 'segmentation' }>

/** Scores by class and place: that of a class at a row and a column is `values[class · ofClass + row · ofRow + column · ofColumn]`. */
interface ScoreMap {
  readonly values: Float32Array
  readonly classes: number
  readonly height: number
  readonly width: number
  readonly ofClass: number
  readonly ofRow: number
  readonly ofColumn: number
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
  const first = { values, classes: a!, height: b!, width: c!, ofClass: b! * c!, ofRow: c!, ofColumn: 1 }
  const last = { values, classes: c!, height: a!, width: b!, ofClass: 1, ofRow: b! * c!, ofColumn: c! }
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
  const out = new Uint8Array(height * width)
  const most = resized(scores, 0, height, width)
  if (scores.classes === 1) {
    for (let i = 0; i < out.length; i++) out[i] = Number(most[i]! > segmentation.threshold)
    return out
  }
  for (let index = 1; index < scores.classes; index++) {
    const plane = resized(scores, index, height, width)
    for (let i = 0; i < out.length; i++)
      if (plane[i]! > most[i]!) {
        most[i] = plane[i]!
        out[i] = index
      }
  }
  return out
}

/** The scores of one class at the size asked for. */
function resized(scores: ScoreMap, index: number, height: number, width: number): Float32Array {
  const { values, ofClass, ofRow, ofColumn } = scores
  const [rows, columns] = [taps(scores.height, height), taps(scores.width, width)]
  const out = new Float32Array(height * width)
  for (let y = 0; y < height; y++) {
    const { low, high, share } = rows[y]!
    const above = index * ofClass + low * ofRow
    const below = index * ofClass + high * ofRow
    for (let x = 0; x < width; x++) {
      const column = columns[x]!
      const [left, right] = [column.low * ofColumn, column.high * ofColumn]
      const onTop = values[above + left]! * (1 - column.share) + values[above + right]! * column.share
      const under = values[below + left]! * (1 - column.share) + values[below + right]! * column.share
      out[y * width + x] = onTop * (1 - share) + under * share
    }
  }
  return out
}

interface Tap {
  readonly low: number
  readonly high: number
  /** Weight of the higher one. */
  readonly share: number
}

/** Where pixels of the larger map lie in the smaller one; of the same size each is its own. */
function taps(from: number, to: number): Tap[] {
  return Array.from({ length: to }, (_, i) => {
    const centre = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5))
    const low = Math.floor(centre)
    return { low, high: Math.min(from - 1, low + 1), share: centre - low }
  })
}
