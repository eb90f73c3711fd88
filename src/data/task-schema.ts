import { z } from 'zod'

const output = z.union([z.string().min(1).max(1024), z.number().int().min(0).max(1000)])
const share = z.number().min(0).max(1)

/** How a detector's outputs are read: `detection` of a data.yaml. */
export const detectionSchema = z
  .strictObject({
    format: z.enum(['yolo-v8', 'yolo-v5', 'yolox', 'ssd-tflite', 'boxes-scores']),
    /** Corners, or centre and size (`cxcywh`), or corner and size (`xywh`). */
    boxes: z.enum(['xyxy', 'yxyx', 'cxcywh', 'xywh']).optional(),
    /** In shares of the input's sides, or in its pixels. */
    coordinates: z.enum(['normalized', 'pixels']).optional(),
    /** What the scores still need. */
    activation: z.enum(['none', 'sigmoid', 'softmax']).default('none'),
    /** The first score is that of no object. */
    background: z.boolean().default(false),
    scoreThreshold: share.default(0.001),
    /** Boxes of one class that overlap more are one object; null: the network does that. */
    nmsIou: share.nullable().optional(),
    acrossClasses: z.boolean().default(false),
    /** Each class above the threshold, or only the best one, is a detection. */
    multiLabel: z.boolean().default(true),
    maxDetections: z.number().int().min(1).max(10_000).default(300),
    /** Names or positions, where shapes and order do not say. */
    outputs: z
      .strictObject({
        boxes: output.optional(),
        scores: output.optional(),
        classes: output.optional(),
        count: output.optional(),
      })
      .default({}),
  })
  .transform((said) => {
    const usual = usualForms[said.format]
    return {
      ...said,
      boxes: said.boxes ?? usual.boxes,
      coordinates: said.coordinates ?? usual.coordinates,
      nmsIou: said.nmsIou === undefined ? usual.nmsIou : said.nmsIou,
    }
  })

/** As the exports and validations of Ultralytics and YOLOX, and TensorFlow's detection post-processing, have them. */
const usualForms = {
  'yolo-v8': { boxes: 'cxcywh', coordinates: 'pixels', nmsIou: 0.7 },
  'yolo-v5': { boxes: 'cxcywh', coordinates: 'pixels', nmsIou: 0.6 },
  yolox: { boxes: 'cxcywh', coordinates: 'pixels', nmsIou: 0.65 },
  'ssd-tflite': { boxes: 'yxyx', coordinates: 'normalized', nmsIou: null },
  'boxes-scores': { boxes: 'xyxy', coordinates: 'pixels', nmsIou: 0.6 },
} as const

export type DetectionSpec = z.output<typeof detectionSchema>
export type OutputChoice = z.output<typeof output>

/** How a segmentation network's output is read: `segmentation` of a data.yaml. */
export const segmentationSchema = z.strictObject({
  output: output.default(0),
  /** For one channel: what lies above is class 1. */
  threshold: z.number().finite().default(0.5),
  /** Class of the masks that does not count. */
  ignore: z.number().int().min(0).max(255).default(255),
})

export type SegmentationSpec = z.output<typeof segmentationSchema>
