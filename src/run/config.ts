import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { describeIssues, mistakes, recipeSchema } from '../compile/recipe.ts'
import { isBuiltInMetric } from '../data/metric.ts'
import { EdgewrightError } from '../error.ts'
import { presetNames } from '../measure/presets.ts'

/** `edgewright.yaml`: what makes `edgewright run` enough. Paths are relative to the file. */
export const configSchema = z.strictObject({
  model: z.string().describe('The float network'),
  data: z.string().optional().describe('Samples: see docs/data.md'),
  calibrationData: z.string().optional().describe('Samples for calibration only'),
  metric: z.string().optional().describe('top-1, top-5, map, map@0.5, miou or a metric module'),
  shapes: z
    .record(z.string(), z.array(z.number().int().positive()))
    .optional()
    .describe('Input shapes that the file leaves open'),
  devices: z
    .array(
      z.union([
        z.string(),
        // what YAML makes of an unquoted local:
        z.strictObject({ local: z.null() }).transform(() => 'local:'),
        z.strictObject({
          device: z.string(),
          profile: z.string().optional(),
          target: z.string().optional(),
          /** Left out with a word where it is not there; others count as failed. */
          optional: z.boolean().default(false),
        }),
      ]),
    )
    .default(['local:']),
  recipe: z.union([z.string(), recipeSchema]).optional().describe('A recipe, or the path of one'),
  budgets: z.array(z.string()).default([]).describe("Limits, e.g. 'latency.p99 > 33ms'"),
  threads: z.array(z.number().int().positive()).default([1]),
  preset: z.enum(presetNames).default('quick'),
  report: z.string().optional().describe('Where the HTML report goes'),
})

export type Config = z.infer<typeof configSchema>

/** Reads `edgewright.yaml`; all its mistakes in one error; paths become absolute. */
export function readConfig(path: string): Config {
  let source: string
  try {
    source = readFileSync(path, 'utf8')
  } catch (error) {
    throw new EdgewrightError('CONFIG_INVALID', 'The configuration cannot be read.', {
      where: path,
      saw: (error as Error).message,
      hint: 'Name it with --config, or give the model on the command line.',
    })
  }
  const written = parseYaml(source, path)
  const result = configSchema.safeParse(written)
  if (!result.success)
    throw new EdgewrightError(
      'CONFIG_INVALID',
      `The configuration has ${mistakes(result.error.issues.length)}.`,
      { where: path, saw: describeIssues(result.error) },
    )
  const from = (relative: string) => resolve(dirname(path), relative)
  const config = result.data
  return {
    ...config,
    model: from(config.model),
    data: config.data && from(config.data),
    calibrationData: config.calibrationData && from(config.calibrationData),
    metric: config.metric && (isBuiltInMetric(config.metric) ? config.metric : from(config.metric)),
    recipe: typeof config.recipe === 'string' ? from(config.recipe) : config.recipe,
    report: config.report && from(config.report),
    devices: config.devices.map((entry) =>
      typeof entry === 'string' || !entry.profile?.includes('/')
        ? entry
        : { ...entry, profile: from(entry.profile) },
    ),
  }
}

/** YAML whose own mistakes become one sentence with line numbers. */
export function parseYaml(source: string, path: string): unknown {
  const lines = new LineCounter()
  // alias expansion is bounded against documents made to explode
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    const described = document.errors.map(
      (error) => `line ${lines.linePos(error.pos[0]).line}: ${error.message}`,
    )
    throw new EdgewrightError('CONFIG_INVALID', 'The file is not YAML.', {
      where: path,
      saw: described.join('; '),
    })
  }
  return document.toJS({ maxAliasCount: 100 })
}
