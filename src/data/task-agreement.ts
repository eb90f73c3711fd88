import { decodeDetections, type DetectionTask } from './box-decoding.ts'
import { classMapOf, type SegmentationTask } from './class-map.ts'
import { MeanAveragePrecision } from './mean-average-precision.ts'
import { ConfusionMatrix } from './mean-iou.ts'
import type { Outputs } from './output-choice.ts'
import type { Task } from './types.ts'

/** How far two networks say the same of the same samples, without labels. */
export interface TaskAgreement {
  /** What the figure is, for reports. */
  readonly name: string
  /** Outputs of one sample, as reals, under the same names in the same order. */
  add(reference: Outputs, candidate: Outputs): void
  /** 0 to 1; null before the reference said anything. */
  readonly value: number | null
}

/** What counts as found by the reference: the usual threshold for showing a detection. */
const shownScore = 0.25

/**
 * Detection: mAP (COCO's) of the candidate's detections with those of the reference that score 0.25 or more as the
 * truth. Segmentation: share of pixels with the same class.
 */
export function taskAgreement(task: Task): TaskAgreement {
  return task.kind === 'detection' ? new DetectionAgreement(task) : new SegmentationAgreement(task)
}

class DetectionAgreement implements TaskAgreement {
  readonly name = 'mAP against float'
  readonly #task: DetectionTask
  readonly #meter = new MeanAveragePrecision()

  constructor(task: DetectionTask) {
    this.#task = task
  }

  add(reference: Outputs, candidate: Outputs): void {
    const truths = decodeDetections(reference, this.#task)
      .filter(({ score }) => score >= shownScore)
      .map((detection) => ({ ...detection, crowd: false, ignored: false }))
    this.#meter.add(decodeDetections(candidate, this.#task), truths)
  }

  get value(): number | null {
    return numberOrNull(this.#meter.value())
  }
}

class SegmentationAgreement implements TaskAgreement {
  readonly name = 'equal pixels'
  readonly #task: SegmentationTask
  readonly #matrix = new ConfusionMatrix()

  constructor(task: SegmentationTask) {
    this.#task = task
  }

  add(reference: Outputs, candidate: Outputs): void {
    this.#matrix.add(classMapOf(reference, this.#task), classMapOf(candidate, this.#task))
  }

  get value(): number | null {
    return numberOrNull(this.#matrix.accuracy)
  }
}

function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value
}
