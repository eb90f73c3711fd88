import { z } from 'zod'

/** `documented`: a vendor or the source code says so. `observed`: measured by someone named. `assumed`: our judgement. */
export const basisSchema = z.enum(['documented', 'observed', 'assumed'])

const id = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be lower-case words joined by hyphens')
const words = z.array(z.string().min(1))
const positive = z.number().positive()
const count = z.number().int().positive()
/** Keys of the profile's `sources`. */
const sourceTags = z.array(z.string().min(1)).min(1, 'must name at least one of the profile’s sources')
const glibc = z.string().regex(/^\d+\.\d+$/, 'must be written like "2.31", in quotes')

/** What a board must be for a constraint to hold; all given conditions together. Absent: always. */
const condition = z.strictObject({
  /** `uname -m`. */
  architecture: z.string().optional(),
  /** None of these words is among the CPU's features. */
  cpuLacks: words.min(1).optional(),
  /** All of these words are among the CPU's features. */
  cpuHas: words.min(1).optional(),
  memoryBelowMiB: positive.optional(),
})

/** What a constraint does to a compile, as plain parameters. */
const effect = z
  .strictObject({
    /** `refuse`: never int8 here. `warn`: int8 may lose to float, so measure both. `prefer`: int8 has its own kernels. */
    int8: z.enum(['refuse', 'warn', 'prefer']).optional(),
    weights: z.enum(['per-tensor']).optional(),
    /** The only operators whose weights may be quantized per channel. */
    perChannelOperators: words.optional(),
    /** Model file, weights and activations together must stay below this. */
    memoryLimitMiB: positive.optional(),
    /** Weights above this are fetched again at every inference. */
    weightCacheMiB: positive.optional(),
  })
  .refine((value) => Object.keys(value).length > 0, { message: 'must have at least one effect' })

const constraint = z.strictObject({
  id,
  /** One sentence: the error, the warning and the line in the documentation. */
  sentence: z.string().min(10).regex(/\.$/, 'must be a sentence that ends with a full stop'),
  basis: basisSchema,
  source: sourceTags,
  /** The targets it concerns; absent: all. */
  targets: z.array(id).min(1).optional(),
  when: condition.optional(),
  effect,
})

const identity = z.strictObject({
  /** Whole strings from /proc/device-tree/compatible; one is enough. */
  compatible: words,
  /** Beginnings of /proc/device-tree/model that end at a word boundary. */
  modelPrefixes: words,
})

const cluster = z.strictObject({
  core: z.string(),
  count,
  clockMHz: positive.nullable(),
  /** Linux CPU numbers, for pinning. */
  cpus: z.array(z.number().int().nonnegative()).optional(),
})

const cpu = z.strictObject({
  model: z.string(),
  cores: count,
  /** Highest clock of the fastest core; null where sources disagree or are silent. */
  clockMHz: positive.nullable(),
  /** `uname -m` of a 64-bit system. */
  architecture: z.enum(['aarch64', 'x86_64']),
  /** hwcap words as /proc/cpuinfo prints them. */
  features: words,
  /** Where cores differ. */
  clusters: z.array(cluster).optional(),
  source: sourceTags,
})

const memory = z.strictObject({
  /** Every size the board is sold with, smallest first; empty where unknown. */
  optionsMiB: z.array(count),
  source: sourceTags,
})

const accelerator = z.strictObject({
  name: z.string(),
  /** Vendor's figure; sparse TOPS where the vendor counts so. */
  int8Tops: positive.nullable(),
  precisions: z.array(z.enum(['int8', 'uint8', 'int16', 'float16', 'float32'])).min(1),
  onChipMemoryKiB: positive.nullable(),
  /** Of an NVIDIA GPU. */
  computeCapability: z
    .string()
    .regex(/^\d+\.\d+$/, 'must be written like "8.7", in quotes')
    .optional(),
  /** NVIDIA deep learning accelerators beside the GPU. */
  dlaCores: z.number().int().nonnegative().optional(),
  /** The newest TensorRT that the vendor's images for this board carry; absent: the newest of all. */
  newestTensorRt: z
    .string()
    .regex(/^\d+\.\d+$/, 'must be written like "8.2", in quotes')
    .optional(),
  note: z.string().nullable(),
  source: sourceTags,
})

const os = z.strictObject({
  image: z.string(),
  glibc: glibc.nullable(),
  basis: basisSchema,
  source: sourceTags,
})

const target = z.strictObject({
  target: id,
  /** What it runs on there, in words. */
  note: z.string().min(1),
})

/** A way to read electrical power, and what the figure covers. */
const powerInterface = z.strictObject({
  kind: z.enum(['ina3221', 'pmic-adc', 'hwmon', 'external-meter', 'none']),
  scope: z.enum(['board', 'rail-sum', 'pmic-rails', 'external', 'none']),
  /** The rail that stands for the scope, where there is one. */
  totalRail: z.string().nullable(),
  rails: words,
  /** What the supply or the module can take at most: no value above it is believed. */
  limitMilliW: positive.optional(),
  note: z.string().min(1),
  source: sourceTags,
})

const thermal = z.strictObject({
  /** Sysfs files or globs, milli degrees Celsius. */
  zones: words.min(1),
  throttle: z.strictObject({
    probe: z.enum(['vcgencmd', 'clock-drop', 'apex-trip-points']),
    note: z.string().min(1),
  }),
  limits: z.array(z.strictObject({ celsius: positive, sentence: z.string().min(1) })),
  source: sourceTags,
})

export const profileSchema = z.strictObject({
  id,
  name: z.string().min(1),
  identity,
  cpu,
  memory,
  accelerator: accelerator.nullable(),
  os: z.array(os),
  /** Best first. */
  targets: z.array(target).min(1, 'must list at least one target'),
  constraints: z.array(constraint),
  /** Most trustworthy first. */
  power: z.array(powerInterface).min(1, 'must say how power is read, or that it is not (kind: none)'),
  thermal,
  /** Stated somewhere, confirmed nowhere: never built upon. */
  unverified: words,
  /** Source tag → what it stands for. */
  sources: z.record(z.string(), z.string().min(1)),
})

/** An accelerator that plugs into any board: laid over a profile as `board+overlay`. */
export const overlaySchema = z.strictObject({
  id,
  name: z.string().min(1),
  /** `vendor:product` in lower-case hex, as a probe reports it. */
  usbIds: z.array(z.string().regex(/^[0-9a-f]{4}:[0-9a-f]{4}$/, 'must look like 18d1:9302')),
  pciIds: z.array(z.string().regex(/^[0-9a-f]{4}:[0-9a-f]{4}$/, 'must look like 1ac1:089a')),
  accelerator,
  targets: z.array(target).min(1, 'must list at least one target'),
  constraints: z.array(constraint),
  power: z.array(powerInterface),
  /** Replaces nothing: adds zones and limits to the board's. */
  thermal: thermal.nullable(),
  unverified: words,
  sources: z.record(z.string(), z.string().min(1)),
})

export type Profile = z.infer<typeof profileSchema>
export type Overlay = z.infer<typeof overlaySchema>
export type ProfileConstraint = Profile['constraints'][number]
export type PowerInterface = Profile['power'][number]
export type Basis = z.infer<typeof basisSchema>
