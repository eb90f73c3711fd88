import { z } from 'zod'
import { conditionsSchema } from '../../store/document.ts'
import { rowSchema } from './rows.ts'

const count = z.number().int().nonnegative()
const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in lower-case hex')

const epochSchema = z.object({
  epoch: count.describe('From 0.'),
  metrics: z.record(z.string(), z.number()).describe('Means over the samples of the epoch, e.g. `loss`.'),
  seconds: z.number().nonnegative(),
})

const layerSchema = z
  .object({
    layer: z.string(),
    what: z.string().describe('What became of it, e.g. `16 of 32 channels`.'),
    weightsBefore: count,
    weightsAfter: count,
    macsBefore: count,
    macsAfter: count,
    error: z
      .number()
      .nonnegative()
      .nullable()
      .describe('Of the layer’s output, relative to its size; null where it was not measured.'),
  })
  .describe('One layer that a step changed.')

const stepSchema = z.object({
  method: z.string(),
  options: z
    .record(z.string(), z.unknown())
    .describe('All that the step was done with, also what it chose itself.'),
  epochs: z.array(epochSchema),
  notes: z.array(z.string()),
  layers: z.array(layerSchema).optional(),
})

export const tuneDeviceSchema = z
  .object({
    name: z.string(),
    profile: z.string(),
    runtime: z.object({ name: z.string(), version: z.string(), sha256: digest.nullable() }),
    threads: z.number().int().positive(),
    conditions: conditionsSchema,
  })
  .describe('Where latency was measured: all rows in turns, in one run.')

export const tuneReportSchema = z
  .object({
    schemaVersion: z.literal(1),
    kind: z.literal('tune'),
    createdAt: z.string().describe('ISO 8601, UTC.'),
    edgewright: z.string(),
    model: z.object({ name: z.string(), path: z.string().nullable(), sha256: digest, bytes: count }),
    data: z
      .object({
        description: z.string(),
        learnt: count.describe('Samples that training saw.'),
        judged: count.describe('Samples that every row is judged on; nothing was learnt from them.'),
        judgedOn: z.string().describe('Where those come from.'),
      })
      .describe('What was learnt from, and what was judged on.'),
    target: z.string(),
    profile: z.string(),
    seed: z.number().int(),
    steps: z.array(stepSchema),
    rows: z.array(rowSchema).min(1),
    warnings: z.array(z.object({ code: z.string(), message: z.string(), hint: z.string() })),
    device: tuneDeviceSchema.nullable().describe('Null where latency was not measured.'),
  })
  .describe('What each step of a tuning did to a network.')

/** The published JSON Schema. Unknown keys are let through: later versions only add. */
export function tuneReportJsonSchema(): string {
  const schema = z.toJSONSchema(tuneReportSchema, { io: 'input', target: 'draft-2020-12' })
  return `${JSON.stringify({ title: 'Edgewright tuning', ...schema }, null, 2)}\n`
}

/** The document of `edgewright tune`. */
export type TuneReport = z.infer<typeof tuneReportSchema>
export type TuneStep = z.infer<typeof stepSchema>
export type TuneDevice = z.infer<typeof tuneDeviceSchema>
export type TuneLayer = z.infer<typeof layerSchema>
