import { z } from 'zod'
import { schemes } from '../artifact/manifest.ts'
import { errorCatalogue } from '../error.ts'
import { fidelitySchema, searchSchema } from './fidelity.ts'

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in lower-case hex')
const bytes = z.number().int().nonnegative()
const nanoseconds = z.number().nonnegative()
const fraction = z.number().min(0).max(1)
/** Inside the run's folder; never leaves it. */
const rawPath = z
  .string()
  .regex(/^raw\/[A-Za-z0-9][A-Za-z0-9._-]{0,120}$/, 'must be a plain file name under raw/')

export const runIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{5,63}$/, 'must be 6 to 64 lower-case letters, digits and hyphens')

const interval = z
  .object({ lowNs: nanoseconds, highNs: nanoseconds })
  .nullable()
  .describe(
    '95 % interval by order statistics, wider where inferences depend on those before; null where too few support it.',
  )

const latencyIntervals = z.object({ p50: interval, p90: interval, p99: interval })

export const latencySchema = z
  .object({
    p50Ns: nanoseconds,
    p90Ns: nanoseconds.nullable(),
    p99Ns: nanoseconds.nullable(),
    meanNs: nanoseconds,
    minNs: nanoseconds,
    count: z.number().int().positive(),
    firstNs: nanoseconds.nullable().describe('The session’s first inference; in no other figure.'),
    warmup: z
      .object({
        meanNs: nanoseconds,
        count: z.number().int().positive(),
        untilSteady: z
          .object({ seconds: z.number().nonnegative(), steady: z.boolean() })
          .optional()
          .describe('How long the board was kept busy before, and whether latency held its level then.'),
      })
      .nullable()
      .optional()
      .describe('Inferences before those that are measured; in no other figure.'),
    intervals: latencyIntervals.optional(),
    outliers: z
      .object({ mild: z.number().int().nonnegative(), severe: z.number().int().nonnegative() })
      .optional()
      .describe(
        'Inferences far above the median (by the median absolute deviation); counted, never dropped.',
      ),
    steady: z
      .object({
        state: z.enum(['steady', 'drifting', 'unknown']),
        slopePerMinute: z.number().nullable().describe('Relative change of the median in a minute.'),
        sentence: z.string(),
      })
      .optional(),
    windows: z
      .object({ medianNs: nanoseconds, meanNs: z.array(nanoseconds) })
      .optional()
      .describe('The mean of each window of the preset tiny, and the median of them.'),
  })
  .describe(
    'Per-inference time around the runtime’s own call. A percentile is null where too few inferences support it.',
  )

const memorySchema = z.object({ peakRssBytes: bytes.nullable() })

const errorSchema = z.object({
  code: z.enum(
    Object.keys(errorCatalogue) as [keyof typeof errorCatalogue, ...(keyof typeof errorCatalogue)[]],
  ),
  message: z.string(),
  where: z.string().optional(),
  saw: z.string().optional(),
  hint: z.string().optional(),
})

const accuracySchema = z.object({
  float: fraction.nullable().describe('Fraction from 0 to 1; null without labels.'),
  int8: fraction.nullable(),
  drop: z.number().min(-1).max(1).nullable().describe('float − int8, so that a loss is positive.'),
  agreement: fraction.nullable().describe('Share of samples on which int8 answers as float does.'),
  metric: z.string(),
  samples: z.number().int().nonnegative(),
  measuredOn: z.enum(['host', 'device']),
  sqnrDb: z
    .number()
    .nullable()
    .optional()
    .describe('Signal to quantization noise of the outputs, in decibels.'),
})

const paritySchema = z
  .object({
    samples: z.number().int().nonnegative(),
    maxSteps: z
      .number()
      .nonnegative()
      .describe('Largest difference between board and host, in quantization steps.'),
    identicalShare: fraction,
    tolerance: z.number().nonnegative().describe('In quantization steps.'),
    ok: z.boolean(),
    firstDivergence: z.string().optional(),
  })
  .describe('The artifact’s outputs on the device against those on the host.')

const sensorSchema = z.object({ start: z.number(), end: z.number(), min: z.number(), max: z.number() })

export const conditionsSchema = z
  .object({
    preset: z.string(),
    startedAt: z.string(),
    endedAt: z.string(),
    measuredWith: z.enum(['runner', 'in-process', 'trtexec']),
    emulated: z
      .string()
      .nullable()
      .describe('What emulates the board; its absolute times are then not a board’s. Null on real hardware.'),
    hostname: z.string().nullable(),
    kernel: z.string().nullable(),
    os: z.string().nullable(),
    cpu: z.string().nullable(),
    cpuCount: z.number().int().positive().nullable(),
    governor: z.string().nullable(),
    affinity: z.array(z.number().int().nonnegative()),
    rateHz: z.number().nonnegative().describe('0: flat out.'),
    order: z.enum(['interleaved', 'sequential']).describe('How float and int8 took turns.'),
    stability: z.enum(['steady', 'drifting', 'throttled', 'unknown']),
    temperatureMilliC: sensorSchema.nullable(),
    clockKHz: sensorSchema.nullable(),
    stabilityReason: z.string().optional().describe('What the verdict rests on.'),
    throttle: z
      .object({
        underVoltage: z.boolean(),
        frequencyCapped: z.boolean(),
        throttled: z.boolean(),
        softTemperatureLimit: z.boolean(),
        source: z.string().describe('Where the flags were read, e.g. `vcgencmd get_throttled`.'),
      })
      .nullable()
      .optional()
      .describe('Raised during the run; null where the board has no such flags.'),
    backgroundLoad: z
      .object({ before: fraction.nullable(), during: fraction.nullable() })
      .optional()
      .describe('Share of the time of all CPUs that other processes took, before and during the run.'),
    waitedForTemperatureSeconds: z.number().nonnegative().optional(),
    pinned: z
      .array(z.object({ what: z.string(), from: z.string(), to: z.string(), restored: z.boolean() }))
      .optional()
      .describe('What was set for the run and put back from the board’s side.'),
    powerMode: z.string().nullable().optional().describe('nvpmodel, by name.'),
  })
  .describe('What held while it was measured.')

const quantity = z.object({
  value: z.number().describe('Microjoules per inference.'),
  uncertainty: z.number().nonnegative().describe('Half of the 95 % interval, in microjoules.'),
})

/** Energy per inference, and how far it is to be trusted. */
export const energySchema = z.object({
  value: z.number().nonnegative().nullable().describe('Microjoules per inference, idle included.'),
  reason: z.string().nullable().describe('Why there is no value.'),
  reasonCode: z
    .string()
    .optional()
    .describe('The same for programs, e.g. `no-sensor`, `wrong-label`, `stuck`, `flat`.'),
  uncertainty: z.number().nonnegative().nullable().optional(),
  dynamic: quantity.nullable().optional().describe('Above what the board takes idle.'),
  measured: z
    .object({
      source: z.string().describe('Sensor or meter, e.g. `ina3221 VDD_IN`.'),
      scope: z
        .enum(['board', 'rail-sum', 'rail', 'pmic-rails', 'external'])
        .describe('What the figure covers. PMIC rails and sums of rails are below what the board takes.'),
      covers: z.string().optional().describe('The same in a sentence.'),
      sync: z
        .enum(['same-clock', 'edge', 'offset'])
        .describe('How samples and inferences were put on one clock.'),
      syncBoundNs: nanoseconds,
      sampleHz: z.number().nonnegative(),
      samples: z.number().int().nonnegative(),
      windowNs: nanoseconds,
      inferences: z.number().int().nonnegative(),
      rateHz: z.number().nonnegative().describe('0: flat out.'),
      activeMilliW: z.number(),
      idleMilliW: z.object({ before: z.number(), after: z.number() }),
      uncertaintyParts: z
        .object({ scatter: z.number(), unseen: z.number(), sensor: z.number() })
        .optional()
        .describe(
          'Of the uncertainty, in microjoules: the samples’ scatter, peaks that none of them met, the sensor.',
        ),
    })
    .optional(),
})

const operatorTime = z.object({
  operator: z.string().describe('As the runtime names it, e.g. Conv, QLinearConv.'),
  meanNs: nanoseconds.describe('Per inference, all calls together.'),
  calls: z.number().int().positive(),
})

/** An engine that TensorRT built on the board, measured in turns with the others of its row. */
const engineSchema = z.object({
  role: z.enum(['artifact', 'baseline']),
  precision: z.enum(['int8', 'fp16', 'fp32']),
  bytes,
  cached: z.boolean().describe('It stood on the board already.'),
  buildSeconds: z.number().nonnegative().nullable().describe('As trtexec said; null where cached.'),
  command: z.string().describe('How trtexec was asked to build it.'),
  latency: latencySchema.nullable(),
  parts: z
    .object({
      computeNs: nanoseconds.nullable(),
      toDeviceNs: nanoseconds.nullable(),
      fromDeviceNs: nanoseconds.nullable(),
      enqueueNs: nanoseconds.nullable(),
    })
    .describe('Medians. Latency is the first three together; enqueueing overlaps with them.'),
})

const resultSchema = z.object({
  status: z.enum(['ok', 'failed', 'skipped']),
  error: errorSchema.optional(),
  device: z.string(),
  profile: z.string().nullable(),
  target: z.string().nullable(),
  scheme: z.enum(schemes).nullable(),
  calibrated: z.boolean().nullable(),
  runtime: z.object({ name: z.string(), version: z.string(), sha256: digest.nullable() }).nullable(),
  threads: z.number().int().positive().nullable(),
  artifact: z.object({ path: z.string(), bytes, sha256: digest }).nullable(),
  baseline: z
    .object({
      accuracy: fraction.nullable(),
      latency: latencySchema.nullable(),
      memory: memorySchema.nullable(),
      energy: energySchema.optional(),
    })
    .nullable()
    .describe('The float model on the same device, measured in the same run.'),
  accuracy: accuracySchema.nullable(),
  parity: paritySchema.nullable(),
  latency: latencySchema.nullable(),
  speedup: z
    .number()
    .positive()
    .nullable()
    .describe('Float median divided by int8 median: above 1, int8 is faster.'),
  memory: memorySchema.nullable(),
  energy: energySchema,
  conditions: conditionsSchema.nullable(),
  warnings: z.array(z.object({ code: z.string(), message: z.string(), hint: z.string() })),
  verdict: z
    .object({ choice: z.enum(['int8', 'float', 'either', 'undecided']), sentence: z.string() })
    .nullable()
    .describe('Which of the two to ship on this device.'),
  size: z
    .object({
      floatBytes: bytes,
      int8Bytes: bytes,
      floatWeightBytes: bytes.optional(),
      int8WeightBytes: bytes.optional(),
    })
    .nullable()
    .optional(),
  operators: z
    .object({ float: z.array(operatorTime), int8: z.array(operatorTime) })
    .nullable()
    .optional()
    .describe('From a profiled session of its own; slower than the session that latency is taken from.'),
  layers: z
    .array(z.object({ name: z.string(), operator: z.string(), sqnrDb: z.number() }))
    .optional()
    .describe('Where int8 differs most from float, worst first.'),
  fidelity: fidelitySchema
    .optional()
    .describe('Where the artifact differs from float; with the first result of an artifact only.'),
  engines: z
    .array(engineSchema)
    .optional()
    .describe(
      'TensorRT only: the artifact’s engine and float engines of the same network; `baseline` is the fastest of these.',
    ),
  search: searchSchema.optional().describe('With the first result of an artifact only.'),
  constraints: z
    .array(z.object({ id: z.string(), sentence: z.string(), basis: z.string(), source: z.array(z.string()) }))
    .optional()
    .describe('What the board’s profile set or narrowed.'),
  samples: z
    .object({ float: rawPath.nullable(), int8: rawPath.nullable(), series: rawPath.nullable().optional() })
    .optional()
    .describe('Raw latencies in the run’s folder.'),
})

export const runDocumentSchema = z
  .object({
    schemaVersion: z.literal(1),
    runId: runIdSchema,
    createdAt: z.iso.datetime(),
    edgewright: z.string().describe('Version of Edgewright.'),
    model: z.object({ path: z.string(), sha256: digest, bytes }),
    results: z.array(resultSchema),
  })
  .describe('One `edgewright run`: what `--json` prints and `.edgewright/runs/<runId>/run.json` holds.')

/** A file under raw/: every inference of one artifact in the order they ran. */
export const rawLatencySchema = z.object({
  schema: z.literal(1),
  artifact: z.enum(['float', 'int8']),
  device: z.string(),
  ns: z.array(nanoseconds),
})

const times = z.array(nanoseconds)
const thinned = z
  .number()
  .int()
  .positive()
  .optional()
  .describe('There were so many points that of each group of this size some were kept.')

/** `samples.series`, a file under raw/: everything on the board's one clock, nanoseconds from the start of the run. */
export const rawSeriesSchema = z.object({
  schema: z.literal(1),
  device: z.string(),
  steps: z.array(
    z.object({ do: z.string(), artifacts: z.array(z.string()), startNs: nanoseconds, endNs: nanoseconds }),
  ),
  latency: z
    .array(
      z.object({
        artifact: z.string(),
        tNs: times,
        ns: times,
        every: thinned,
        count: z.number().int().positive().optional().describe('How many there were before.'),
      }),
    )
    .describe(
      'Start and time of each inference, in order. Starts are exact once a second and in between as inferences followed each other. Thinned: the first and the slowest of each group.',
    ),
  sensors: z.array(
    z.object({
      name: z.string(),
      unit: z.enum(['milliC', 'kHz', 'share', 'flags']),
      tNs: times,
      values: z.array(z.number()),
      every: thinned,
    }),
  ),
  power: z.array(
    z.object({
      rail: z.string(),
      total: z.boolean(),
      tNs: times,
      milliW: z.array(z.number()),
      every: thinned,
    }),
  ),
})

export type Energy = z.infer<typeof energySchema>
export type RawSeries = z.infer<typeof rawSeriesSchema>
export type RunDocument = z.infer<typeof runDocumentSchema>
export type RunResult = RunDocument['results'][number]
export type Latency = z.infer<typeof latencySchema>
export type OperatorTime = z.infer<typeof operatorTime>
export type RawLatency = z.infer<typeof rawLatencySchema>

/** The published JSON Schema. Unknown keys are let through: later versions only add. */
export function runDocumentJsonSchema(): string {
  const schema = z.toJSONSchema(runDocumentSchema, { io: 'input', target: 'draft-2020-12' })
  return `${JSON.stringify({ title: 'Edgewright run', ...schema }, null, 2)}\n`
}

/** Sorts by time, tells runs of one second apart: `20261122-204731-3f9a2c`. */
export function newRunId(now: Date, random: () => number): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)
  const tail = Math.floor(random() * 0x1000000)
    .toString(16)
    .padStart(6, '0')
  return `${stamp}-${tail}`
}
