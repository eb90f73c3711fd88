import { z } from 'zod'

const count = z.number().int().nonnegative()
const fraction = z.number().min(0).max(1)
const nanoseconds = z.number().nonnegative()

const accuracySchema = z
  .object({
    metric: z.string(),
    value: z.number(),
    interval: z
      .object({ low: z.number(), high: z.number() })
      .nullable()
      .describe('95 % (Wilson) where the metric counts right answers; null for other metrics.'),
    pValue: fraction
      .nullable()
      .describe(
        'Exact McNemar test against the original on the same samples, two-sided; null for the original, and for metrics that are not right or wrong by sample.',
      ),
  })
  .describe('By labels, on samples that nothing was learnt from.')

export const rowLatencySchema = z
  .object({
    p50Ns: nanoseconds.nullable().describe('Null on an emulated board: its times are no board’s.'),
    p90Ns: nanoseconds.nullable().describe('Null where too few inferences support it.'),
    interval: z
      .object({ lowNs: nanoseconds, highNs: nanoseconds })
      .nullable()
      .describe('Of the median, 95 %; null where too few inferences support it.'),
    speedup: z
      .number()
      .positive()
      .describe('Median of the original divided by this one’s: above 1, this one is faster.'),
    apart: z
      .boolean()
      .nullable()
      .describe(
        'False where the intervals of the two medians overlap; null for the original, or where unknown.',
      ),
    peakRssBytes: count.nullable().describe('Peak memory of a process that runs nothing else.'),
  })
  .describe('Measured in turns with all other rows, in one run on one device.')

export const rowSchema = z
  .object({
    stage: z.string().min(1).describe('The step that made it; `float` for the network as given.'),
    form: z.string().min(1).describe('`float`, `int8, PTQ`, `int8, QAT`, `simulated`, …'),
    choice: z.string().nullable().describe('How it was made, where there were choices.'),
    fileBytes: count
      .nullable()
      .describe('Of the file that the board’s runtime opens; null where there is none.'),
    weights: count.describe('Elements of kernels and matrices.'),
    macs: count.describe('Multiply-adds of one inference.'),
    accuracy: accuracySchema.nullable().describe('Null without labels.'),
    agreement: fraction
      .nullable()
      .describe(
        'Share of samples answered as the original float network answers; null where that has no meaning.',
      ),
    sqnrDb: z
      .number()
      .nullable()
      .describe(
        'Signal to noise of the outputs, the original float network being the signal; null where exact.',
      ),
    samples: count.describe('On which the row was judged.'),
    latency: rowLatencySchema.nullable().describe('Null where it was not measured.'),
    notes: z.array(z.string()),
  })
  .describe('One form of the network after one step.')

/** One line of the table of a tuning: the first is the original float network, which the others are held against. */
export type TuneRow = z.infer<typeof rowSchema>
export type RowLatency = z.infer<typeof rowLatencySchema>

/** Whether a row computes in floating point. */
export function isFloatRow({ form }: Pick<TuneRow, 'form'>): boolean {
  return form === 'float' || form.startsWith('float,')
}
