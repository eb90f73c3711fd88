import { z } from 'zod'

const decibels = z.number().nullable()

const remedySchema = z.object({
  option: z.string().nullable().describe('As it is typed; null where it is no option.'),
  why: z.string(),
  gainDb: decibels.optional().describe('What it gave to the output’s SQNR, where it was tried.'),
})

/** Where a compiled network differs from float, tensor by tensor. */
export const fidelitySchema = z
  .object({
    samples: z.number().int().nonnegative(),
    sqnrDb: decibels.describe('Of the output over these samples; null: exact.'),
    agreement: z.number().min(0).max(1).nullable(),
    rewrittenDb: decibels.describe(
      'Output SQNR of the float network as rewritten before it was quantized, against the model’s own; tensors are compared with the rewritten one. Null: exact.',
    ),
    tensors: z.array(
      z.object({
        name: z.string(),
        operator: z.string(),
        dtype: z
          .string()
          .nullable()
          .describe('As stored; null where it is real in the compiled network too.'),
        sqnrDb: decibels.describe('As the network runs; null: exact.'),
        ownDb: decibels.describe('What its own operators add to the operands that they read; null: exact.'),
        cosine: z.number(),
        causes: z.array(
          z.object({ kind: z.string(), sentence: z.string(), remedies: z.array(remedySchema) }),
        ),
      }),
    ),
  })
  .describe('In execution order.')

/** What a compile tried on held-out samples, and what came of it. */
export const searchSchema = z.object({
  candidates: z.array(
    z.object({
      step: z.string(),
      name: z.string(),
      sqnrDb: decibels.describe('Null: exact.'),
      gainDb: decibels.describe('Against the best before it.'),
      agreement: z.number().min(0).max(1).nullable(),
      samples: z.number().int().nonnegative(),
      kept: z.boolean(),
    }),
  ),
  declined: z.array(z.object({ step: z.string(), reason: z.string() })),
})

export type Fidelity = z.infer<typeof fidelitySchema>
export type FidelityTensor = Fidelity['tensors'][number]
export type Search = z.infer<typeof searchSchema>
