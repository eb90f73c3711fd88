import { EdgewrightError } from '../error.ts'
import { decodeDetections, type DetectionTask } from './box-decoding.ts'
import { classMapOf, type SegmentationTask } from './class-map.ts'
import { iouThresholds, MeanAveragePrecision } from './mean-average-precision.ts'
import { ConfusionMatrix } from './mean-iou.ts'
import type { Metric } from './metric.ts'
import { clipBox } from './placement.ts'
import type { Dataset } from './types.ts'

/** What a metric of boxes or masks needs to know of the data. */
export type MetricData = Pick<Dataset, 'task' | 'labelled'>

/**
 * `map`, `map@0.5` (any of COCO's thresholds) or `miou`; null for another name.
 *
 * @throws CONFIG_INVALID where the data does not say how the outputs are read, DATA_LABELS where it has no labels
 */
export function taskMetric(name: string, data: MetricData | undefined): Metric | null {
  if (name === 'miou') return meanIou(required(name, 'segmentation', data))
  const threshold = /^map(?:@(0\.\d{1,2}))?$/.exec(name)
  if (!threshold) return null
  if (threshold[1] === undefined)
    return meanAveragePrecision(name, required(name, 'detection', data), undefined)
  const at = iouThresholds.findIndex((iou) => Math.abs(iou - Number(threshold[1])) < 1e-9)
  if (at === -1)
    throw new EdgewrightError('CONFIG_INVALID', 'mAP is not taken at this overlap.', {
      where: name,
      hint: `Take one of ${iouThresholds.map((iou) => iou.toFixed(2)).join(', ')}.`,
    })
  return meanAveragePrecision(name, required(name, 'detection', data), [at])
}

function required<K extends 'detection' | 'segmentation'>(
  name: string,
  kind: K,
  data: MetricData | undefined,
) {
  const task = data?.task
  if (task?.kind !== kind)
    throw new EdgewrightError(
      'CONFIG_INVALID',
      `The metric ${name} needs to know how the outputs are read.`,
      {
        where: `metric ${name}`,
        saw: task ? `a data.yaml with \`${task.kind}\`` : `no \`${kind}\` in the data's description`,
        hint: `State \`${kind}\` in a data.yaml: docs/detection.md.`,
      },
    )
  if (!data?.labelled)
    throw new EdgewrightError('DATA_LABELS', `The metric ${name} needs labels.`, {
      where: `metric ${name}`,
      hint: `State ${kind === 'detection' ? '`labels: {coco: …}` or `{yolo: …}`' : '`labels: {masks: …}`'} in the data.yaml.`,
    })
  return task as K extends 'detection' ? DetectionTask : SegmentationTask
}

function meanAveragePrecision(
  name: string,
  task: DetectionTask,
  thresholds: readonly number[] | undefined,
): Metric {
  let meter = new MeanAveragePrecision()
  return {
    name,
    higherIsBetter: true,
    needsLabels: false,
    start() {
      meter = new MeanAveragePrecision()
    },
    add(outputs, { annotation }) {
      if (annotation?.kind !== 'boxes') return
      const detections = decodeDetections(outputs, task).flatMap((detection) => {
        const visible = clipBox(detection, annotation.extent)
        return visible ? [{ ...detection, ...visible }] : []
      })
      meter.add(detections, annotation.boxes)
    },
    finish: () => meter.value(thresholds),
  }
}

function meanIou(task: SegmentationTask): Metric {
  let matrix = new ConfusionMatrix()
  return {
    name: 'miou',
    higherIsBetter: true,
    needsLabels: false,
    start() {
      matrix = new ConfusionMatrix()
    },
    add(outputs, { annotation }) {
      if (annotation?.kind === 'mask') matrix.add(annotation.classes, classMapOf(outputs, task))
    },
    finish: () => matrix.meanIou,
  }
}
