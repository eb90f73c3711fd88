import type { Progress } from '../../progress.ts'
import type { Change } from '../../quantize/causes.ts'
import type { Board } from '../board.ts'
import type { Prepared } from '../compile.ts'
import { executeGraph } from '../execute-graph.ts'
import { compareQuality, type Quality, type Runnable } from '../quality.ts'
import { RetainedSamples } from '../retained-samples.ts'
import { runnableOf } from '../runnable.ts'
import { inFloat, withRanges } from '../sensitivity.ts'
import { type Made, makeTrial } from '../trial.ts'

/** Calibration samples that are looked at where a change asks for ranges that the compile did not need. */
const rangeSamples = 64

/** The same network made with one thing done otherwise. */
export async function changed(
  { trial }: Made,
  board: Board,
  change: Change,
  { samples }: Prepared,
  progress: Progress,
): Promise<{ made: Made; board: Board }> {
  switch (change.kind) {
    case 'keep-float': {
      const calibration = new RetainedSamples(samples.calibration, progress.signal, rangeSamples)
      const ranged = await withRanges(trial, [{ values: change.names }], { board, calibration, progress })
      return { made: makeTrial(inFloat(ranged, change.names), board), board }
    }
    case 'min-max':
      return {
        made: makeTrial({ ...trial, activation: { kind: 'min-max' }, valueRanges: new Map() }, board),
        board,
      }
    case 'correct-bias':
      return { made: makeTrial({ ...trial, correctBias: true }, board), board }
    case 'per-channel': {
      const perChannel = { ...board, options: { ...board.options, perChannel: true } }
      return { made: makeTrial(trial, perChannel), board: perChannel }
    }
  }
}

/** The outputs of a network beside float's. */
export async function outputQuality(
  prepared: Prepared,
  board: Board,
  { emitted }: Made,
  samples: RetainedSamples,
  progress: Progress,
): Promise<Quality> {
  return qualityOf(prepared, await runnableOf(emitted, board), samples, progress)
}

/** The outputs of the float network that was quantized beside those of the model as it was given. */
export async function rewrittenQuality(
  prepared: Prepared,
  { trial: { graph } }: Made,
  samples: RetainedSamples,
  progress: Progress,
): Promise<Quality> {
  const real = (name: string) => ({ name, stored: null })
  const runnable = {
    evaluator: await executeGraph(graph),
    inputs: graph.inputs.map(real),
    outputs: graph.outputs.map(real),
  }
  return qualityOf(prepared, runnable, samples, progress)
}

async function qualityOf(
  { float, makeMetric }: Prepared,
  runnable: Runnable,
  samples: RetainedSamples,
  progress: Progress,
): Promise<Quality> {
  try {
    const each = samples[Symbol.asyncIterator]()
    return await compareQuality(float, runnable, each, samples.length, makeMetric, progress)
  } finally {
    await runnable.evaluator.close()
  }
}
