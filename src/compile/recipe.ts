import { z } from 'zod'
import { schemes } from '../artifact/manifest.ts'
import { preprocessingSchema } from '../data/preprocessing.ts'
import { EdgewrightError } from '../error.ts'

/** How activation ranges are chosen from the calibration histograms. `auto` tries them and keeps the best. */
export const rangeMethods = ['auto', 'min-max', 'percentile', 'mse', 'kl'] as const

/** How much is tried: min-max and nothing else; what helps most networks; all that there is. */
export const presets = ['fast', 'balanced', 'best'] as const
export type Preset = (typeof presets)[number]

/** Changes that a target, or for `split-outputs` the compile, makes only where the user allows them. */
export const allowances = ['relu6', 'float-io', 'dla', 'split-outputs'] as const

/** What the user asks of a compile. Flags and YAML files are both read into this. */
export const recipeSchema = z.strictObject({
  scheme: z.enum(schemes).default('full-int8').describe('What the compile does to numbers'),
  io: z.enum(['float', 'int8', 'uint8']).default('float').describe('Element type of the inputs and outputs'),
  preset: z.enum(presets).default('balanced').describe('How much is tried to stay near float'),
  maxDrop: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe('What the metric may lose, 0.005 for half a point: layers stay in float until it holds'),
  foldPreprocessing: z
    .boolean()
    .default(false)
    .describe('Put mean and std into the first layer: raw pixels are the input'),
  calibration: z
    .strictObject({
      method: z.enum(rangeMethods).default('auto').describe('How activation ranges are chosen'),
      percentile: z.number().gt(50).max(100).default(99.99).describe('For the percentile method'),
      samples: z
        .number()
        .int()
        .positive()
        .max(1_000_000)
        .optional()
        .describe(
          'So many samples; default a quarter of the data, or all calibration data that does not choose; at most 512',
        ),
    })
    .prefault({}),
  perChannel: z.boolean().default(true).describe('One weight scale for each output channel'),
  keepFloat: z.array(z.string()).default([]).describe('Nodes to leave in float, by name'),
  allow: z
    .array(
      z.enum(allowances, {
        error: ({ input }) =>
          `Nothing is allowed by the name ${JSON.stringify(input)}; what can be: ${allowances.join(', ')}`,
      }),
    )
    .default([])
    .describe(
      'Changes that a target may make though results differ: relu6, float-io (edgetpu), dla (tensorrt), split-outputs',
    ),
  seed: z.number().int().nonnegative().default(0).describe('For splits and random inputs'),
  selectionSamples: z
    .number()
    .int()
    .positive()
    .optional()
    .describe('Held-out samples that decide between candidates; default a quarter, at most 64'),
  evaluationSamples: z
    .number()
    .int()
    .positive()
    .default(1_000)
    .describe('At most so many samples for accuracy'),
  labelOffset: z
    .union([z.number().int(), z.literal('auto')])
    .optional()
    .describe('Added to each label (1000 against 1001 classes); default what the data says, else auto'),
  preprocessing: preprocessingSchema.optional(),
})

export type Recipe = z.infer<typeof recipeSchema>
export type RecipeInput = z.input<typeof recipeSchema>

/** Checks a recipe as written by the user; all its mistakes in one error. */
export function parseRecipe(written: unknown, where: string): Recipe {
  const result = recipeSchema.safeParse(written ?? {})
  if (result.success) return result.data
  throw new EdgewrightError('RECIPE_INVALID', `The recipe has ${mistakes(result.error.issues.length)}.`, {
    where,
    saw: describeIssues(result.error),
    hint: 'docs/recipe.md lists every field with its default.',
  })
}

/** All issues of a schema in one line each, with the path to each. */
export function describeIssues(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.') || '(top)'}: ${issue.message}`).join('; ')
}

export function mistakes(count: number): string {
  return count === 1 ? 'a mistake' : `${count} mistakes`
}
