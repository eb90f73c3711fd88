import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import {
  type Detection,
  intersectionOverUnion,
  suppressNonMaxima,
  type TrueBox,
} from '../../src/data/boxes.ts'
import { MeanAveragePrecision } from '../../src/data/mean-average-precision.ts'
import { cocoDocuments, type Scene, seededScenes } from './coco-scenes.ts'

const truth = (x1: number, y1: number, x2: number, y2: number, more: Partial<TrueBox> = {}): TrueBox => ({
  x1,
  y1,
  x2,
  y2,
  class: 0,
  crowd: false,
  ignored: false,
  ...more,
})
const found = (x1: number, y1: number, x2: number, y2: number, score: number, of = 0): Detection => ({
  x1,
  y1,
  x2,
  y2,
  score,
  class: of,
})

function evaluate(scenes: readonly Scene[]): number[] {
  const meter = new MeanAveragePrecision()
  for (const { detections, truths } of scenes) meter.add(detections, truths)
  return [meter.value(), meter.value([0]), meter.value([5])]
}

/**
 * AP, AP50 and AP75 of the seeded scenes by pycocotools 2.0.11 with numpy 2.4.6. Made anew by the test below, or by
 * hand: cocoDocuments(seededScenes(seed, pictures)) as JSON into test/data/coco-evaluation.py.
 */
const expected: readonly { seed: number; pictures: number; figures: readonly number[] }[] = [
  { seed: 1, pictures: 40, figures: [0.3545729309558568, 0.5793391553629406, 0.36632312805952005] },
  { seed: 2, pictures: 120, figures: [0.34925437681261057, 0.5720304059803653, 0.32762090021053836] },
  { seed: 3, pictures: 6, figures: [0.21313531353135312, 0.3508250825082508, 0.2844884488448844] },
]

for (const { seed, pictures, figures } of expected)
  test(`mAP of ${pictures} seeded pictures is that of pycocotools`, () => {
    const seen = evaluate(seededScenes(seed, pictures))
    for (const [index, figure] of figures.entries())
      assert.ok(Math.abs(seen[index]! - figure) < 1e-12, `${seen} beside ${figures}`)
    assert.equal(figures.length, 3)
  })

const python = process.env.EDGEWRIGHT_PYTHON ?? 'python3'
const pycocotools = spawnSync(python, ['-c', 'import pycocotools.cocoeval'], { timeout: 60_000 })

test('mAP is that of the installed pycocotools on scenes that no number is kept of', {
  skip: pycocotools.status === 0 ? false : 'needs python3 (or EDGEWRIGHT_PYTHON) with pycocotools',
}, () => {
  for (const { seed, pictures } of [...expected, { seed: 77, pictures: 60 }]) {
    const scenes = seededScenes(seed, pictures)
    const { status, stdout, stderr } = spawnSync(
      python,
      [fileURLToPath(new URL('coco-evaluation.py', import.meta.url))],
      { input: JSON.stringify(cocoDocuments(scenes)), encoding: 'utf8', timeout: 60_000 },
    )
    assert.equal(status, 0, stderr)
    const seen = evaluate(scenes)
    for (const [index, figure] of (JSON.parse(stdout) as number[]).entries())
      assert.ok(Math.abs(seen[index]! - figure) < 1e-12, `seed ${seed}: ${seen} beside ${stdout}`)
  }
})

test('by hand: one of two objects found, a wrong one between: precision 1 up to recall 0.5, then nothing', () => {
  const meter = new MeanAveragePrecision()
  meter.add(
    [found(0, 0, 10, 10, 0.9), found(50, 50, 60, 60, 0.8)],
    [truth(0, 0, 10, 10), truth(20, 20, 30, 30)],
  )
  // recalls 0.00 to 0.50 have precision 1: 51 of the 101 steps
  assert.ok(Math.abs(meter.value() - 51 / 101) < 1e-12)
})

test('an overlap of 0.6 counts at the thresholds up to 0.6 alone', () => {
  const meter = new MeanAveragePrecision()
  // 10 wide beside 6 of it: intersection 60, union 100
  meter.add([found(0, 0, 6, 10, 0.9)], [truth(0, 0, 10, 10)])
  const found06 = [0, 1, 2, 3].map((threshold) => Math.round(meter.value([threshold])))
  assert.deepEqual(found06, [1, 1, 1, 0])
  assert.ok(Math.abs(meter.value() - 0.3) < 1e-12)
})

test('a second box on the same object is wrong; on a crowd or an ignored object it is neither', () => {
  const twice = [found(0, 0, 10, 10, 0.9), found(0, 0, 10, 9, 0.8), found(40, 0, 50, 10, 0.7)]
  const others = [truth(0, 0, 10, 10), truth(40, 0, 50, 10)]
  const doubled = new MeanAveragePrecision()
  doubled.add(twice, others)
  // the envelope: 1 up to recall 0.5, then 2/3
  assert.ok(Math.abs(doubled.value([0]) - (51 + 50 * (2 / 3)) / 101) < 1e-12)
  const crowded = new MeanAveragePrecision()
  crowded.add(
    [...twice, found(70, 0, 75, 5, 0.95), found(75, 0, 80, 5, 0.95)],
    [...others, truth(0, 0, 10, 9, { ignored: true }), truth(70, 0, 90, 10, { crowd: true })],
  )
  assert.ok(Math.abs(crowded.value([0]) - 1) < 1e-12)
})

test('without an object there is no mAP; detections of a class that no object has do not lower it', () => {
  const meter = new MeanAveragePrecision()
  meter.add([found(0, 0, 10, 10, 0.9)], [])
  assert.ok(Number.isNaN(meter.value()))
  meter.add([found(0, 0, 10, 10, 0.9, 1)], [truth(0, 0, 10, 10, { class: 1 })])
  assert.ok(Math.abs(meter.value() - 1) < 1e-12)
})

test('suppression keeps the best of boxes that overlap, by class or across classes', () => {
  const boxes = [
    found(0, 0, 10, 10, 0.5),
    found(1, 0, 11, 10, 0.9),
    found(0, 1, 10, 11, 0.7, 1),
    found(30, 0, 40, 10, 0.2),
  ]
  assert.ok(Math.abs(intersectionOverUnion(boxes[0]!, boxes[1]!) - 90 / 110) < 1e-12)
  const scores = (acrossClasses: boolean, iou = 0.5, limit = 100) =>
    suppressNonMaxima(boxes, { iou, acrossClasses, limit }).map(({ score }) => score)
  assert.deepEqual(scores(false), [0.9, 0.7, 0.2])
  assert.deepEqual(scores(true), [0.9, 0.2])
  assert.deepEqual(scores(false, 0.9), [0.9, 0.7, 0.5, 0.2])
  assert.deepEqual(scores(true, 0.9, 2), [0.9, 0.7])
})
