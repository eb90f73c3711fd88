import type { PlanStep } from '../../src/measure/plan.ts'
import type { Board } from './board.ts'
import { type BoardTools, runOnBoard } from './on-board.ts'
import { planArtifact } from './runner.ts'

export interface SamplingOverhead {
  readonly samples: number
  /** Median time that reading one sample took. */
  readonly sampleNs: number
  /** Median latency without and with sampling. */
  readonly off: number
  readonly on: number
  /**
   * With to without: of medians, and of means of the fastest 98 %. A sample delays one inference in a few, which the
   * median does not see and the mean does; the rest is left out because one hiccup of a second would outweigh it all.
   */
  readonly p50Ratio: number
  readonly meanRatio: number
  /** The same means of steps without sampling, the last of each A B B A to the first: what chance does. */
  readonly controlRatio: number
}

/** Steps of equal length in blocks of A B B A, B with two files sampled at `rateHz`, all in one run of the runner. */
export async function samplingOverhead(
  board: Board,
  tools: BoardTools,
  options: { readonly blocks: number; readonly rateHz: number; readonly inferences: number },
): Promise<SamplingOverhead> {
  const { blocks, rateHz, inferences } = options
  const step = (meters: boolean): PlanStep => ({
    ...{ do: 'measure', artifact: 'model', rateHz: 0, meters },
    ...{ minCount: inferences, minSeconds: 0, maxCount: inferences, maxSeconds: 60 },
  })
  const warmup = {
    do: 'warmup',
    artifact: 'model',
    minCount: 50,
    minSeconds: 0,
    maxCount: 50,
    maxSeconds: 60,
  } as const
  const order = Array.from({ length: blocks }, () => [false, true, true, false]).flat()
  const hwmon = '/sys/class/hwmon/hwmon0'
  const collected = await runOnBoard(board, tools, {
    schema: 1,
    artifacts: [planArtifact(tools, tools.model)],
    steps: [warmup, ...order.map(step)],
    sensors: [],
    sensorPeriodMs: 1000,
    meters: [
      { name: 'power', paths: [`${hwmon}/in1_input`, `${hwmon}/curr1_input`], periodMs: 1000 / rateHz },
    ],
  })
  const latencies = order.map((metered, i) => ({
    metered,
    ns: [...collected.steps[i + 1]!.latencyNs.get('model')!],
  }))
  const of = (metered: boolean): number[] =>
    latencies.filter((one) => one.metered === metered).flatMap(({ ns }) => ns)
  const [off, on] = [of(false), of(true)]
  const unmetered = latencies.filter(({ metered }) => !metered)
  const first = unmetered.filter((_, i) => i % 2 === 0).flatMap(({ ns }) => ns)
  const last = unmetered.filter((_, i) => i % 2 === 1).flatMap(({ ns }) => ns)
  return {
    samples: collected.meters.length,
    sampleNs: median(collected.meters.map(({ spentNs }) => spentNs)),
    off: median(off),
    on: median(on),
    p50Ratio: median(on) / median(off),
    meanRatio: mean(on) / mean(off),
    controlRatio: mean(last) / mean(first),
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

/** Of the fastest 98 %. */
function mean(values: readonly number[]): number {
  const kept = values.toSorted((a, b) => a - b).slice(0, Math.ceil(values.length * 0.98))
  return kept.reduce((a, b) => a + b, 0) / kept.length
}
