import { type Detection, intersectionOverUnion, shareInside, type TrueBox } from './boxes.ts'

/** 0.50 to 0.95 by 0.05, in the very floats of numpy's linspace that COCO's evaluation compares with. */
export const iouThresholds: readonly number[] = Array.from({ length: 10 }, (_, i) =>
  i === 9 ? 0.95 : 0.5 + i * ((0.95 - 0.5) / 9),
)
const recallSteps = Array.from({ length: 101 }, (_, i) => (i === 100 ? 1 : i * 0.01))

/** Detections of one class in one picture that count. */
const detectionLimit = 100

/** What is kept of a detection: bit t of the masks speaks of IoU threshold t. */
interface Judged {
  readonly score: number
  readonly matched: number
  readonly ignored: number
}

interface ClassRecord {
  readonly judged: Judged[]
  truths: number
}

/**
 * Mean average precision as COCO defines it (cocodataset/cocoapi, PythonAPI/pycocotools/cocoeval.py): greedy matching
 * by score at ten IoU thresholds, precision interpolated at 101 recalls, at most 100 detections of a class in a
 * picture, objects of every size, the mean over classes that have an object. Pictures come one after the other; of each
 * detection three numbers are kept.
 */
export class MeanAveragePrecision {
  readonly #classes = new Map<number, ClassRecord>()

  /** One picture: its detections and the objects that are there. */
  add(detections: readonly Detection[], truths: readonly TrueBox[]): void {
    const classes = new Set([...detections, ...truths].map((one) => one.class))
    for (const index of classes) {
      const record = this.#recordOf(index)
      const own = truths.filter((truth) => truth.class === index)
      record.truths += own.filter((truth) => !isIgnored(truth)).length
      const best = detections
        .filter((detection) => detection.class === index)
        .sort((a, b) => b.score - a.score)
        .slice(0, detectionLimit)
      record.judged.push(...judge(best, own))
    }
  }

  /**
   * Mean over classes and over `thresholds`, indices into `iouThresholds`; all ten unless stated. NaN where no class
   * has an object.
   */
  value(thresholds: readonly number[] = [...iouThresholds.keys()]): number {
    const precisions = [...this.#classes.values()]
      .filter(({ truths }) => truths > 0)
      .flatMap((record) => {
        const ranked = [...record.judged].sort((a, b) => b.score - a.score)
        return thresholds.map((threshold) => averagePrecision(ranked, record.truths, threshold))
      })
    if (precisions.length === 0) return Number.NaN
    return precisions.reduce((sum, precision) => sum + precision, 0) / precisions.length
  }

  #recordOf(index: number): ClassRecord {
    const record = this.#classes.get(index) ?? { judged: [], truths: 0 }
    this.#classes.set(index, record)
    return record
  }
}

function isIgnored({ crowd, ignored }: TrueBox): boolean {
  return crowd || ignored
}

/** Matches detections, best first, to objects: each takes the free one that it overlaps most, an ignored one last. */
function judge(detections: readonly Detection[], truths: readonly TrueBox[]): Judged[] {
  const ordered = [...truths].sort((a, b) => Number(isIgnored(a)) - Number(isIgnored(b)))
  const overlaps = detections.map((detection) =>
    ordered.map((truth) =>
      truth.crowd ? shareInside(detection, truth) : intersectionOverUnion(detection, truth),
    ),
  )
  const masks = detections.map(() => ({ matched: 0, ignored: 0 }))
  for (const [threshold, least] of iouThresholds.entries()) {
    const taken = new Set<number>()
    for (const [position, mask] of masks.entries()) {
      const match = bestMatch(overlaps[position]!, ordered, taken, Math.min(least, 1 - 1e-10))
      if (match === null) continue
      taken.add(match)
      mask.matched |= 1 << threshold
      if (isIgnored(ordered[match]!)) mask.ignored |= 1 << threshold
    }
  }
  return detections.map(({ score }, position) => ({ score, ...masks[position]! }))
}

function bestMatch(
  overlaps: readonly number[],
  ordered: readonly TrueBox[],
  taken: ReadonlySet<number>,
  least: number,
): number | null {
  let best: number | null = null
  for (const [index, truth] of ordered.entries()) {
    // a crowd can be found by many
    if (taken.has(index) && !truth.crowd) continue
    // ignored objects come last: one that counts is never left for one that does not
    if (best !== null && isIgnored(truth) && !isIgnored(ordered[best]!)) break
    if (overlaps[index]! < least) continue
    least = overlaps[index]!
    best = index
  }
  return best
}

/** Area under the precision envelope at 101 recalls. */
function averagePrecision(ranked: readonly Judged[], truths: number, threshold: number): number {
  const recall: number[] = []
  const precision: number[] = []
  let right = 0
  let wrong = 0
  for (const { matched, ignored } of ranked) {
    const bit = 1 << threshold
    if ((ignored & bit) === 0) {
      if (matched & bit) right++
      else wrong++
    }
    recall.push(right / truths)
    precision.push(right / (right + wrong + Number.EPSILON))
  }
  for (let i = precision.length - 1; i > 0; i--)
    if (precision[i]! > precision[i - 1]!) precision[i - 1] = precision[i]!
  let sum = 0
  let at = 0
  for (const step of recallSteps) {
    while (at < recall.length && recall[at]! < step) at++
    if (at === recall.length) break
    sum += precision[at]!
  }
  return sum / recallSteps.length
}
