import { z } from 'zod'
import { preprocessingSchema } from './preprocessing.ts'
import { detectionSchema, segmentationSchema } from './task-schema.ts'

const path = z
  .string()
  .min(1)
  .max(4096)
  .refine((text) => !text.includes('\0'), { message: 'must be a path' })
const column = z.union([z.string().min(1), z.number().int().min(0).max(10_000)])
const dimension = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31)
const storedTypes = [
  'float32',
  'float16',
  'float64',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
] as const

/** Raw samples back to back in one file. */
const binary = z.strictObject({
  path,
  dtype: z.enum(storedTypes),
  /** Of one sample. */
  shape: z.array(dimension).min(1).max(8),
  byteOrder: z.enum(['little', 'big']).default('little'),
  /** Bytes before the first sample. */
  offsetBytes: z.number().int().min(0).default(0),
  /** Distance between samples, where they are not back to back. */
  sampleBytes: z.number().int().min(1).optional(),
})

const kinds = ['images', 'wav', 'npy', 'npz', 'idx', 'binary', 'arrays'] as const

const files = z
  .strictObject({
    images: path.optional(),
    wav: path.optional(),
    npy: path.optional(),
    npz: path.optional(),
    idx: path.optional(),
    binary: binary.optional(),
    /** A .npy for each input, by name. */
    arrays: z.record(z.string(), path).optional(),
    /** Layout of stored samples, where it differs from the network's. */
    layout: z.enum(['NCHW', 'NHWC']).optional(),
  })
  .superRefine((given, context) => {
    const named = kinds.filter((kind) => given[kind] !== undefined)
    if (named.length !== 1)
      context.addIssue({
        code: 'custom',
        message: `needs exactly one of ${kinds.join(', ')}; has ${named.join(', ') || 'none'}`,
      })
  })

const labelSources = ['csv', 'idx', 'npy', 'coco', 'yolo', 'masks', 'from'] as const

const labels = z
  .strictObject({
    csv: path.optional(),
    /** Column names of a csv without a header row. */
    columns: z.array(z.string().min(1)).min(1).max(10_000).optional(),
    file: column.optional(),
    label: column.optional(),
    idx: path.optional(),
    npy: path.optional(),
    /** COCO instances. */
    coco: path.optional(),
    /** How COCO categories become classes; by name where classNames are given, else in order. */
    categories: z.enum(['in-order', 'ids']).optional(),
    /** Folder of a .txt for each picture. */
    yolo: path.optional(),
    /** Folder of a .png of class indices for each picture. */
    masks: path.optional(),
    /** `folders`: class sub-folders; `file-names`: <class>_<number>.<extension>; `none`. */
    from: z.enum(['folders', 'file-names', 'none']).optional(),
    offset: z.union([z.number().int().min(-1_000_000).max(1_000_000), z.literal('auto')]).optional(),
  })
  .superRefine((given, context) => {
    const sources = labelSources.filter((key) => given[key] !== undefined)
    if (sources.length > 1)
      context.addIssue({
        code: 'custom',
        message: `needs one of ${labelSources.join(', ')}; has ${sources.join(', ')}`,
      })
    if (given.categories !== undefined && given.coco === undefined)
      context.addIssue({ code: 'custom', path: ['categories'], message: 'goes with coco only' })
    for (const key of ['columns', 'file', 'label'] as const)
      if (given[key] !== undefined && given.csv === undefined)
        context.addIssue({ code: 'custom', path: [key], message: 'goes with csv only' })
  })

/** data.yaml. Paths are relative to its folder. */
export const dataSchema = z
  .strictObject({
    description: z.string().max(1000).optional(),
    files,
    preprocess: preprocessingSchema.optional(),
    labels: labels.optional(),
    /** A list, or a file with one name a line. */
    classNames: z.union([path, z.array(z.string()).min(1).max(1_000_000)]).optional(),
    detection: detectionSchema.optional(),
    segmentation: segmentationSchema.optional(),
    /** A built-in one or a module. */
    metric: path.optional(),
  })
  .superRefine(({ files, labels, detection, segmentation }, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (detection && segmentation)
      issue(['segmentation'], 'a network is read as one of the two: detection is stated too')
    for (const [key, read] of [
      ['coco', detection],
      ['yolo', detection],
      ['masks', segmentation],
    ] as const) {
      if (labels?.[key] === undefined) continue
      if (!read)
        issue(
          ['labels', key],
          `needs \`${key === 'masks' ? 'segmentation' : 'detection'}\`: how the outputs are read`,
        )
      if (files.images === undefined) issue(['labels', key], 'goes with `images` only')
    }
  })

export type DataDescription = z.output<typeof dataSchema>
