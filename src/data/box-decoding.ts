import { elementCount, type Tensor } from '../tensor.ts'
import { type Box, type Detection, suppressNonMaxima } from './boxes.ts'
import { floatsOf } from './elements.ts'
import { outputOf, type Outputs, unreadable } from './output-choice.ts'
import {
  alignedRows,
  type Column,
  read,
  type Rows,
  rowsAcross,
  rowsOf,
  squeezed,
  turned,
} from './output-rows.ts'
import type { DetectionSpec } from './task-schema.ts'
import type { Task } from './types.ts'

export type DetectionTask = Extract<Task, { kind: 'detection' }>

/** Candidates that enter suppression, best first: as many as Ultralytics lets in. */
const candidateLimit = 30_000

/**
 * The objects that a detector's outputs name, boxes in pixels of its input, best first.
 *
 * @param outputs of one sample, as reals
 * @throws CONFIG_INVALID where the outputs are not of the form that the task states
 */
export function decodeDetections(outputs: Outputs, task: DetectionTask): Detection[] {
  const { detection: spec } = task
  const found = spec.format === 'ssd-tflite' ? decodePostProcessed(outputs, task) : decodeRows(outputs, task)
  if (spec.nmsIou === null) return found.sort((a, b) => b.score - a.score).slice(0, spec.maxDetections)
  return suppressNonMaxima(found, {
    iou: spec.nmsIou,
    acrossClasses: spec.acrossClasses,
    limit: spec.maxDetections,
  })
}

// -- one row a box ---------------------------------------------------------------------------------------------------

interface Candidate {
  readonly row: number
  readonly class: number
  readonly score: number
}

function decodeRows(outputs: Outputs, task: DetectionTask): Detection[] {
  const { detection: spec } = task
  const { boxes, scores } =
    spec.format === 'boxes-scores' ? separateRows(outputs, task) : joinedRows(outputs, task)
  const activated = activatedColumns(scores, spec.activation)
  // a row of YOLOv5 and YOLOX says first whether there is an object at all
  const [objectness, classes] = hasObjectness(spec)
    ? [activated[0]!, activated.slice(1)]
    : [null, activated.slice(spec.background ? 1 : 0)]
  const candidates = candidatesOf(classes, objectness, scores.count, spec)
  const rows = new Map<number, Box | null>()
  return candidates.flatMap(({ row, class: index, score }) => {
    let box = rows.get(row)
    if (box === undefined) {
      box = boxOf((attribute) => read(boxes.columns[attribute]!, row), task)
      rows.set(row, box)
    }
    return box ? [{ ...box, class: index, score }] : []
  })
}

/** What scores enough, best first, at most as many as enter suppression. */
function candidatesOf(
  classes: readonly Column[],
  objectness: Column | null,
  count: number,
  { scoreThreshold, multiLabel }: DetectionSpec,
): Candidate[] {
  const found: Candidate[] = []
  const best: (Candidate | undefined)[] = []
  for (const [index, { values, start, stride }] of classes.entries())
    for (let row = 0, at = start; row < count; row++, at += stride) {
      const score = objectness ? values[at]! * read(objectness, row) : values[at]!
      // NaN is below everything
      if (!(score >= scoreThreshold)) continue
      if (multiLabel) found.push({ row, class: index, score })
      else if (!(score <= (best[row]?.score ?? -1))) best[row] = { row, class: index, score }
    }
  for (const one of best) if (one) found.push(one)
  return found.sort((a, b) => b.score - a.score).slice(0, candidateLimit)
}

function activatedColumns(
  { columns, count }: Rows,
  activation: DetectionSpec['activation'],
): readonly Column[] {
  if (activation === 'none') return columns
  const made = columns.map((column) => Float32Array.from({ length: count }, (_, row) => read(column, row)))
  if (activation === 'sigmoid')
    for (const values of made)
      for (let row = 0; row < count; row++) values[row] = 1 / (1 + Math.exp(-values[row]!))
  else
    for (let row = 0; row < count; row++) {
      const highest = Math.max(...made.map((values) => values[row]!))
      const powers = made.map((values) => Math.exp(values[row]! - highest))
      const sum = powers.reduce((a, b) => a + b, 0)
      for (const [index, values] of made.entries()) values[row] = powers[index]! / sum
    }
  return made.map((values) => ({ values, start: 0, stride: 1 }))
}

/** YOLO: boxes and scores side by side in one output, or in several that were one. */
function joinedRows(outputs: Outputs, task: DetectionTask): { boxes: Rows; scores: Rows } {
  const { detection: spec, classes } = task
  const chosen = [spec.outputs.boxes, spec.outputs.scores].filter((choice) => choice !== undefined)
  const tensors =
    chosen.length > 0
      ? chosen.map((choice) => outputOf(outputs, choice))
      : [...outputs.values()].filter(({ shape }) => squeezed(shape).length === 2)
  const ofBox = 4
  const known = classes === null ? null : ofBox + classes + (hasObjectness(spec) ? 1 : 0)
  const whole = tensors.length === 1 ? rowsOf(tensors[0]!, known) : alignedRows(tensors)
  if (!whole || whole.columns.length <= ofBox)
    throw unreadable(
      `No output has the form of ${spec.format}: a row of box and scores for each box.`,
      outputs,
    )
  const { count, columns } = whole
  const boxes = { count, columns: columns.slice(0, ofBox) }
  const decoded = spec.format === 'yolox' ? gridBoxes(boxes, task) : boxes
  if (!decoded)
    throw unreadable(
      `The output has not a box for each cell of YOLOX's grids at ${task.width}×${task.height}.`,
      outputs,
    )
  return { boxes: decoded, scores: { count, columns: columns.slice(ofBox) } }
}

function hasObjectness({ format }: DetectionSpec): boolean {
  return format === 'yolo-v5' || format === 'yolox'
}

const gridStrides = [8, 16, 32]

/**
 * Centres and sizes in pixels from YOLOX's offsets in cells and logarithms of sizes in cells, grids of stride 8, 16 and
 * 32 one after the other (Ge et al., "YOLOX", 2021); null where their number does not fit the input.
 */
function gridBoxes({ count, columns }: Rows, { height, width }: DetectionTask): Rows | null {
  const made = columns.map(() => new Float32Array(count))
  let row = 0
  for (const stride of gridStrides) {
    const [down, across] = [Math.floor(height / stride), Math.floor(width / stride)]
    if (row + down * across > count) return null
    for (let cell = 0; cell < down * across; cell++, row++) {
      made[0]![row] = (read(columns[0]!, row) + (cell % across)) * stride
      made[1]![row] = (read(columns[1]!, row) + Math.floor(cell / across)) * stride
      made[2]![row] = Math.exp(read(columns[2]!, row)) * stride
      made[3]![row] = Math.exp(read(columns[3]!, row)) * stride
    }
  }
  return row === count ? { count, columns: made.map((values) => ({ values, start: 0, stride: 1 })) } : null
}

function separateRows(outputs: Outputs, { detection: { outputs: said }, classes }: DetectionTask) {
  const matrices = [...outputs.values()].filter(({ shape }) => squeezed(shape).length === 2)
  const boxTensor =
    said.boxes !== undefined
      ? outputOf(outputs, said.boxes)
      : matrices.find(({ shape }) => squeezed(shape).includes(4))
  const scoreTensor =
    said.scores !== undefined
      ? outputOf(outputs, said.scores)
      : matrices.find((tensor) => tensor !== boxTensor)
  const boxes = boxTensor && rowsOf(boxTensor, 4)
  const scores = scoreTensor && boxes && scoresBeside(boxes, scoreTensor, classes)
  if (!boxes || boxes.columns.length !== 4 || !scores)
    throw unreadable('No two outputs have the form of boxes-scores: [N, 4] and [N, classes].', outputs)
  return { boxes, scores }
}

function scoresBeside({ count }: Rows, tensor: Tensor, classes: number | null): Rows | null {
  // one score a box may come as [1, N]
  if (elementCount(tensor.shape) === count) return rowsAcross(tensor, count, 1)
  return [rowsOf(tensor, classes), turned(tensor)].find((rows) => rows?.count === count) ?? null
}

// -- TensorFlow Lite's post-processing -------------------------------------------------------------------------------

/** The four outputs of TFLite_Detection_PostProcess: boxes [N, 4], classes [N], scores [N], count [1]. */
function decodePostProcessed(outputs: Outputs, task: DetectionTask): Detection[] {
  const { outputs: said, scoreThreshold, background } = task.detection
  const tensors = [...outputs.values()]
  const boxAt = tensors.findIndex(({ shape }) => shape.length >= 2 && shape.at(-1) === 4)
  // TensorFlow 1 puts boxes first; signatures of TensorFlow 2 come out as scores, boxes, count, classes
  const order =
    boxAt === 1
      ? { scores: 0, boxes: 1, count: 2, classes: 3 }
      : { boxes: 0, classes: 1, scores: 2, count: 3 }
  const { boxes, classes, scores, count } = { ...order, ...said }
  const floats = (choice: string | number) => {
    const { dtype, data } = outputOf(outputs, choice)
    return floatsOf(dtype, data)
  }
  const [corners, labels, confidences] = [floats(boxes), floats(classes), floats(scores)]
  const most = Math.min(confidences.length, labels.length, Math.floor(corners.length / 4))
  const stated = Math.round(floats(count)[0] ?? 0)
  if (most === 0 || stated > most)
    throw unreadable(
      'The outputs are not those of TFLite_Detection_PostProcess.',
      outputs,
      'State `detection.outputs`.',
    )
  const found: Detection[] = []
  for (let row = 0; row < stated; row++) {
    const score = confidences[row]!
    const box = score >= scoreThreshold ? boxOf((attribute) => corners[row * 4 + attribute]!, task) : null
    const index = Math.round(labels[row]!) - (background ? 1 : 0)
    if (box && index >= 0) found.push({ ...box, class: index, score })
  }
  return found
}

/** Corners in pixels of the input; null for what is no box. */
function boxOf(at: (attribute: number) => number, { detection, height, width }: DetectionTask): Box | null {
  const [a, b, c, d] = [at(0), at(1), at(2), at(3)]
  const [scaleX, scaleY] = detection.coordinates === 'normalized' ? [width, height] : [1, 1]
  const [x1, y1, x2, y2] = cornersOf[detection.boxes](a, b, c, d)
  const box = { x1: x1 * scaleX, y1: y1 * scaleY, x2: x2 * scaleX, y2: y2 * scaleY }
  return box.x2 > box.x1 && box.y2 > box.y1 && Number.isFinite(areaSum(box)) ? box : null
}

function areaSum({ x1, y1, x2, y2 }: Box): number {
  return x1 + y1 + x2 + y2
}

type Corners = readonly [number, number, number, number]

const cornersOf: Record<DetectionSpec['boxes'], (a: number, b: number, c: number, d: number) => Corners> = {
  xyxy: (x1, y1, x2, y2) => [x1, y1, x2, y2],
  yxyx: (y1, x1, y2, x2) => [x1, y1, x2, y2],
  cxcywh: (x, y, width, height) => [x - width / 2, y - height / 2, x + width / 2, y + height / 2],
  xywh: (x, y, width, height) => [x, y, x + width, y + height],
}
