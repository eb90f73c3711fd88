import { z } from 'zod'
import { energySchema, latencySchema, runDocumentSchema } from './document.ts'

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in lower-case hex')
const bytes = z.number().int().nonnegative()
const share = z.number().min(0).max(1)
const interval = z.object({ low: z.number(), high: z.number() }).nullable()

const change = z
  .object({
    estimate: z.number().describe('A share: 0.03 is 3 % more in B than in A.'),
    interval: interval.describe('95 %; null where the blocks are too few for any.'),
    pValue: z.number().min(0).max(1).nullable().describe('Null against a baseline file: there are no pairs.'),
  })
  .describe('B against A.')

const changes = z.object({
  p50: change.nullable(),
  mean: change.nullable(),
  p90: change.nullable(),
  p99: change.nullable(),
})

/** One figure of each block, nanoseconds. */
export const blockFiguresSchema = z.object({
  p50: z.array(z.number().positive()),
  mean: z.array(z.number().positive()),
  p90: z.array(z.number().positive()).nullable(),
  p99: z.array(z.number().positive()).nullable(),
})

export const verdicts = ['slower', 'faster', 'equal', 'undecided', 'unproven'] as const

const passSchema = z
  .object({
    seed: z.number().int(),
    verdict: z.enum(verdicts),
    reason: z.string(),
    blocks: z.number().int().positive(),
    band: z.number().nonnegative().describe('What counts as no difference, a share.'),
    floor: z
      .number()
      .nonnegative()
      .describe(
        'What a difference must exceed: the band, or twice what two loads of one network differed by.',
      ),
    changes,
    control: changes.describe('The same network loaded a second time, against its first load.'),
    figures: z.object({
      a: blockFiguresSchema.nullable().describe('Null where A comes from a baseline file.'),
      b: blockFiguresSchema,
      control: blockFiguresSchema,
    }),
    orders: z.array(z.array(z.string())).describe('Turns of each block, there and back.'),
    peakRssBytes: z.object({ a: bytes.nullable(), b: bytes.nullable() }),
  })
  .describe('One measurement: a process of its own on the board. A second one confirms a gate.')

const runtime = z.object({ name: z.string(), version: z.string(), sha256: digest.nullable() })

export const sideSchema = z.object({
  path: z.string(),
  kind: z.enum(['artifact', 'model']),
  bytes,
  sha256: digest,
  target: z.string().nullable(),
  scheme: z.string().nullable(),
  runtime,
  latency: latencySchema
    .nullable()
    .describe('Over all blocks. Of an emulated board it is the emulator’s, not a board’s.'),
  peakRssBytes: bytes.nullable(),
  accuracy: z
    .object({
      metric: z.string(),
      value: z.number(),
      samples: z.number().int(),
      measuredOn: z.enum(['host', 'device']),
    })
    .nullable(),
  energy: energySchema,
})

const outputsSchema = z.union([
  z.object({
    comparable: z.literal(true),
    inputs: z.enum(['data', 'random']),
    samples: z.number().int().positive(),
    identicalShare: share.describe('Of all values.'),
    maxDifference: z.number().nonnegative().describe('In the outputs’ own unit.'),
    maxSteps: z.number().nonnegative().describe('The same in quantization steps.'),
    sqnrDb: z.number().nullable().describe('Of B, with A as the signal; null where they are identical.'),
    agreement: share
      .nullable()
      .describe('Share of samples with the same largest score; null without scores.'),
  }),
  z.object({ comparable: z.literal(false), reason: z.string() }),
])

export const environmentSchema = z.object({
  device: z.string(),
  profile: z.string(),
  kernel: z.string().nullable(),
  cpu: z.string().nullable(),
  governor: z.string().nullable(),
  runtime,
  threads: z.number().int().positive(),
  preset: z.string(),
  emulated: z.string().nullable(),
})

export const gateStatuses = ['kept', 'broken', 'inconclusive'] as const

export const comparisonSchema = z
  .object({
    schemaVersion: z.literal(1),
    kind: z.literal('comparison'),
    createdAt: z.iso.datetime(),
    edgewright: z.string().describe('Version of Edgewright.'),
    environment: environmentSchema,
    conditions: runDocumentSchema.shape.results.element.shape.conditions,
    a: sideSchema,
    b: sideSchema,
    baseline: z
      .object({
        path: z.string(),
        createdAt: z.string(),
        differences: z.array(z.string()).describe('Of the environment; only with --force.'),
      })
      .nullable()
      .describe('A is a file of figures, not measured beside B: weaker. Null where A was measured.'),
    passes: z.array(passSchema).min(1),
    outputs: outputsSchema,
    accuracy: z
      .object({
        change: z.number().describe('B − A.'),
        pValue: z.number().nullable().describe('McNemar’s exact test; null where the metric has no pairs.'),
      })
      .nullable(),
    gate: z.array(
      z.object({
        written: z.string(),
        status: z.enum(gateStatuses),
        reason: z.string(),
      }),
    ),
    warnings: z.array(z.object({ code: z.string(), message: z.string(), hint: z.string() })),
  })
  .describe('One `edgewright compare`: what `--json` prints.')

/** What `--write-baseline` writes: one network's figures, block by block, and where they were taken. */
export const baselineSchema = z.object({
  schemaVersion: z.literal(1),
  kind: z.literal('baseline'),
  createdAt: z.iso.datetime(),
  edgewright: z.string(),
  environment: environmentSchema,
  subject: sideSchema,
  blocks: blockFiguresSchema,
})

export type Comparison = z.infer<typeof comparisonSchema>
export type ComparisonPass = Comparison['passes'][number]
export type ComparisonSide = z.infer<typeof sideSchema>
export type ComparedOutputs = Comparison['outputs']
export type ComparisonEnvironment = z.infer<typeof environmentSchema>
export type GateOutcome = Comparison['gate'][number]
export type Baseline = z.infer<typeof baselineSchema>

/** The published JSON Schema. Unknown keys are let through: later versions only add. */
export function comparisonJsonSchema(): string {
  const schema = z.toJSONSchema(comparisonSchema, { io: 'input', target: 'draft-2020-12' })
  return `${JSON.stringify({ title: 'Edgewright comparison', ...schema }, null, 2)}\n`
}
