import type { Progress } from '../../progress.ts'
import type { Change } from '../../quantize/causes.ts'
import type { Board } from '../board.ts'
import type { Prepared } from '../compile.ts'
import { compareQuality, type Quality } from '../quality.ts'
import type { RetainedSamples } from '../retained-samples.ts'
import { runnableOf } from '../runnable.ts'
import { type Made, makeTrial } from '../trial.ts'

/** The same network made with one thing done otherwise. */
export function changed({ trial }: Made, board: Board, change: Change): { made: Made; board: Board } {
  switch (change.kind) {
    case 'keep-float':
      return {
        made: makeTrial({ ...trial, keepFloat: [...trial.keepFloat, ...change.names] }, board),
        board,
      }
    case 'min-max':
      return {
        made: makeTrial({ ...trial, activation: { kind: 'min-max' }, valueRanges: new Map() }, board),
        board,
      }
    case 'per-channel': {
      const perChannel = { ...board, options: { ...board.options, perChannel: true } }
      return { made: makeTrial(trial, perChannel), board: perChannel }
    }
  }
}

/** The outputs of a network beside float's. */
export async function outputQuality(
  { float, makeMetric }: Prepared,
  board: Board,
  { emitted }: Made,
  samples: RetainedSamples,
  progress: Progress,
): Promise<Quality> {
  const runnable = await runnableOf(emitted, board)
  try {
    return await compareQuality(
      float,
      runnable,
      samples[Symbol.asyncIterator](),
      samples.length,
      makeMetric,
      progress,
    )
  } finally {
    await runnable.evaluator.close()
  }
}
