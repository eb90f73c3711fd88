/** Corners in pixels of the network's input, x to the right, y down; x2 and y2 are outside. */
export interface Box {
  readonly x1: number
  readonly y1: number
  readonly x2: number
  readonly y2: number
}

export interface Detection extends Box {
  readonly score: number
  /** Index from 0. */
  readonly class: number
}

/** An object that a label states. */
export interface TrueBox extends Box {
  readonly class: number
  /** Many objects in one box: neither missed where nothing finds it, nor wrong where something does. */
  readonly crowd: boolean
  /** Like a crowd, but a single object, e.g. one that the crop left little of. */
  readonly ignored: boolean
}

export function areaOf({ x1, y1, x2, y2 }: Box): number {
  return (x2 - x1) * (y2 - y1)
}

/** Intersection over union; 0 where the boxes do not overlap. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const shared = overlap(a, b)
  return shared === 0 ? 0 : shared / (areaOf(a) + areaOf(b) - shared)
}

/** Share of a box that lies in another: what COCO takes for the overlap with a crowd. */
export function shareInside(box: Box, other: Box): number {
  const shared = overlap(box, other)
  return shared === 0 ? 0 : shared / areaOf(box)
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1)
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1)
  return width > 0 && height > 0 ? width * height : 0
}

export interface SuppressionOptions {
  /** A box that overlaps a better one by more is left out. */
  readonly iou: number
  /** Boxes of different classes suppress each other too. */
  readonly acrossClasses: boolean
  readonly limit: number
}

/** Greedy non-maximum suppression: best scores first, equal ones in the order given. */
export function suppressNonMaxima(
  detections: readonly Detection[],
  { iou, acrossClasses, limit }: SuppressionOptions,
): Detection[] {
  const kept: Detection[] = []
  const rivals = new Map<number, Detection[]>()
  for (const candidate of [...detections].sort((a, b) => b.score - a.score)) {
    if (kept.length >= limit) break
    const key = acrossClasses ? 0 : candidate.class
    const better = rivals.get(key) ?? []
    if (better.some((other) => intersectionOverUnion(candidate, other) > iou)) continue
    rivals.set(key, [...better, candidate])
    kept.push(candidate)
  }
  return kept
}
