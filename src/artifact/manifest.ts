import { z } from 'zod'

/** Names every target shares for what a compile does to numbers. */
export const schemes = ['float', 'full-int8', 'int16x8', 'dynamic', 'weight-only', 'float16'] as const
export type Scheme = (typeof schemes)[number]

const relativePath = z
  .string()
  .min(1)
  .refine(
    (path) =>
      !path.startsWith('/') &&
      !path.includes('\\') &&
      !path.includes('\0') &&
      !path.split('/').includes('..'),
    {
      message: 'must be a path inside the artifact folder',
    },
  )
const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in lower-case hex')

const tensor = z.object({
  name: z.string(),
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  /** The file's own dimensions: a number, a symbol, or null where it says nothing. */
  shapeSignature: z.array(z.union([z.number(), z.string(), z.null()])),
  /** real = (stored − zeroPoint) · scale; null where the tensor holds reals. */
  quantization: z.object({ scale: z.number(), zeroPoint: z.number().int() }).nullable(),
  /** `NCHW`, `NHWC`, … where known. */
  layout: z.string().nullable(),
})

/** A runtime library that an artifact needs on the board. */
const runtime = z.object({
  name: z.string(),
  version: z.string(),
  /** File name that is opened, e.g. `libonnxruntime.so.1`. */
  library: z.string(),
  /** One build for each architecture, as `uname -m` says it: `aarch64`, `x86_64`. */
  builds: z.array(
    z.object({ architecture: z.string(), sha256: digest, bytes: z.number().int(), glibc: z.string() }),
  ),
})

/** A command to be run on the board as it stands. */
const commandPreparation = z.object({
  command: z.array(z.string()),
  inputs: z.array(relativePath),
  output: relativePath,
})

/**
 * An engine to be built on the board by its own trtexec. Flags differ by TensorRT version, so the artifact says what is
 * wanted and the host chooses them when it knows the version.
 */
const trtexecPreparation = z.object({
  kind: z.literal('trtexec'),
  /** The least that layers compute in: `int8` leaves float16 to those without Q/DQ. */
  precision: z.enum(['int8', 'fp16', 'fp32']),
  /** For TensorRT before 11: the file, and the precisions that the builder may choose from beside float32 (`--int8`, `--fp16`). */
  weaklyTyped: z.object({ model: relativePath, allow: z.array(z.enum(['int8', 'fp16'])) }),
  /** For TensorRT from 11 (`--stronglyTyped` before): the file that states the element type of every tensor itself. */
  stronglyTyped: z.object({ model: relativePath }),
  /** The accelerator beside the GPU; null: the GPU alone. Layers that it does not take run on the GPU. */
  dla: z.object({ core: z.number().int().nonnegative(), allowGpuFallback: z.boolean() }).nullable(),
  /** Where the engine belongs, on the board only: it fits no other GPU and no other TensorRT. */
  output: relativePath,
})

export const manifestSchema = z.object({
  schemaVersion: z.literal(1),
  name: z.string(),
  target: z.string(),
  profile: z.string().nullable(),
  scheme: z.enum(schemes),
  /** The compiled file that applications open; one of `files`. */
  model: relativePath,
  files: z.array(z.object({ path: relativePath, bytes: z.number().int().nonnegative(), sha256: digest })),
  runtimes: z.array(runtime),
  /** What the board itself must do once before the first inference; null: nothing. */
  prepare: z.union([commandPreparation, trtexecPreparation]).nullable(),
  inputs: z.array(tensor),
  outputs: z.array(tensor),
  /** Steps from raw sample to input tensor, as `src/data` applies them; null where none are known. */
  preprocessing: z.unknown().nullable(),
  labels: z.array(z.string()).nullable(),
  /** False where ranges come from random inputs. */
  calibrated: z.boolean(),
  /** True where every operator between the boundary conversions computes on integers. */
  integerOnly: z.boolean(),
  recipe: z.record(z.string(), z.unknown()),
  source: z.object({ path: z.string(), sha256: digest, bytes: z.number().int(), format: z.string() }),
  /** What made it: same source, recipe, CPU and thread count give the same bytes. */
  madeBy: z.object({ edgewright: z.string(), cpu: z.string(), threads: z.number().int() }),
})

export type Manifest = z.infer<typeof manifestSchema>
export type ManifestTensor = Manifest['inputs'][number]
/** How an engine is to be built on a board by its own trtexec. */
export type TrtexecPreparation = z.infer<typeof trtexecPreparation>
export type RuntimeNeed = Manifest['runtimes'][number]
