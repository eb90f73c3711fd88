import type { Detection, TrueBox } from '../../src/data/boxes.ts'
import { seededGenerator } from '../../src/data/generator.ts'

export interface Scene {
  readonly detections: readonly Detection[]
  readonly truths: readonly TrueBox[]
}

/**
 * Pictures with objects and detections of every kind that the evaluation treats apart: near and far boxes, doubles,
 * wrong classes, crowds, ignored objects, equal scores, classes that only one side has, more than 100 detections.
 */
export function seededScenes(seed: number, pictures: number): Scene[] {
  const random = seededGenerator(seed).next
  const between = (low: number, high: number) => low + (high - low) * random()
  const chance = (share: number) => random() < share
  return Array.from({ length: pictures }, (_, picture) => {
    const truths: TrueBox[] = Array.from({ length: Math.floor(between(0, 9)) }, () => {
      const [x1, y1] = [between(0, 500), between(0, 400)]
      const crowd = chance(0.1)
      return {
        x1,
        y1,
        x2: x1 + between(8, 140),
        y2: y1 + between(8, 140),
        class: Math.floor(between(0, 5)),
        crowd,
        ignored: !crowd && chance(0.1),
      }
    })
    const near = truths.flatMap((truth) => {
      const times = chance(0.15) ? 0 : chance(0.2) ? 2 : 1
      return Array.from({ length: times }, () => jitter(truth, between(0, 0.2), random, chance(0.1)))
    })
    const noise = Array.from({ length: picture === 3 ? 180 : Math.floor(between(0, 6)) }, () => {
      const [x1, y1] = [between(0, 500), between(0, 400)]
      return {
        x1,
        y1,
        x2: x1 + between(5, 100),
        y2: y1 + between(5, 100),
        score: Math.round(between(0, 0.7) * 50) / 50,
        class: picture === 3 ? 1 : Math.floor(between(0, 6)),
      }
    })
    return { truths, detections: [...noise, ...near] }
  })
}

function jitter(truth: TrueBox, amount: number, random: () => number, otherClass: boolean): Detection {
  const [width, height] = [truth.x2 - truth.x1, truth.y2 - truth.y1]
  const moved = (at: number, size: number) => at + (random() - 0.5) * 2 * amount * size
  return {
    x1: moved(truth.x1, width),
    y1: moved(truth.y1, height),
    x2: moved(truth.x2, width),
    y2: moved(truth.y2, height),
    // in steps of 1/50: many are equal
    score: Math.round((0.2 + 0.8 * random()) * 50) / 50,
    class: otherClass ? (truth.class + 1) % 5 : truth.class,
  }
}

/** The scenes as COCO's evaluation reads them: annotations and detections. */
export function cocoDocuments(scenes: readonly Scene[]): { truth: object; detections: object[] } {
  const box = ({ x1, y1, x2, y2 }: Detection | TrueBox) => [x1, y1, x2 - x1, y2 - y1]
  const annotations = scenes.flatMap(({ truths }, image_id) =>
    truths.map((truth) => ({
      image_id,
      category_id: truth.class,
      bbox: box(truth),
      // the area range `all` ends at 1e10: what lies outside is ignored without being a crowd
      area: truth.ignored ? 2e10 : (truth.x2 - truth.x1) * (truth.y2 - truth.y1),
      iscrowd: Number(truth.crowd),
    })),
  )
  return {
    truth: {
      images: scenes.map((_, id) => ({ id, width: 640, height: 640, file_name: `${id}.png` })),
      categories: Array.from({ length: 6 }, (_, id) => ({ id, name: `class ${id}` })),
      annotations: annotations.map((annotation, index) => ({ id: index + 1, ...annotation })),
    },
    detections: scenes.flatMap(({ detections }, image_id) =>
      detections.map((detection) => ({
        image_id,
        category_id: detection.class,
        bbox: box(detection),
        score: detection.score,
      })),
    ),
  }
}
