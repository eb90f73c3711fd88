import type { Collected, CollectedStep } from '../measure/collect.ts'
import { sensorUnit } from '../measure/conditions/sensors.ts'
import { inferenceStarts } from '../measure/inference-starts.ts'
import { artifactId } from '../measure/standard-plan.ts'
import type { RawSeries } from '../store/document.ts'

/** Power as one source gave it, on the board's clock. */
export interface PowerTrace {
  readonly rail: string
  /** Whether it stands for the whole board. */
  readonly total: boolean
  readonly tNs: ArrayLike<number>
  readonly milliW: ArrayLike<number>
}

export interface SeriesInput {
  readonly device: string
  /** Parts of the run (latency, then energy), each collected from a process of its own on one board. */
  readonly parts: readonly Collected[]
  /** Names of what was measured, e.g. `float` and `int8`. */
  readonly subjects: readonly string[]
  readonly threads: number
  readonly power: readonly PowerTrace[]
}

/** Points of one row of a file; more are thinned out, and the file says so. */
const mostPoints = 100_000

/** Everything that was sampled in a run on one clock, in nanoseconds from its first event. */
export function seriesOf(input: SeriesInput): RawSeries {
  const ids = new Map(input.subjects.map((subject) => [artifactId(subject, input.threads), subject]))
  const steps = input.parts.flatMap((part) => part.steps).filter((step) => concerns(step, ids))
  const sensors = input.parts.flatMap((part) => part.sensors)
  const zero = earliest([
    ...steps.map(({ startNs }) => startNs),
    ...sensors.map(({ tNs }) => tNs),
    ...input.power.map(({ tNs }) => tNs[0] ?? Number.POSITIVE_INFINITY),
  ])
  const since = (ns: number) => Math.max(0, Math.round(ns - zero))
  return {
    schema: 1,
    device: input.device,
    steps: steps.map((step) => ({
      do: step.do,
      artifacts: [...step.latencyNs.keys()].flatMap((id) => ids.get(id) ?? []),
      startNs: since(step.startNs),
      endNs: since(step.startNs + (step.elapsedNs ?? 0)),
    })),
    latency: [...ids].flatMap(([id, artifact]) => latencyRow(steps, id, artifact, since)),
    sensors: [...new Set(sensors.map(({ name }) => name))].flatMap((name) => {
      const unit = sensorUnit(name)
      const samples = sensors.filter((sample) => sample.name === name)
      const every = Math.ceil(samples.length / mostPoints)
      const kept = samples.filter((_, i) => i % every === 0)
      if (unit === null) return []
      return {
        name,
        unit,
        tNs: kept.map(({ tNs }) => since(tNs)),
        values: kept.map(({ value }) => value),
        ...(every > 1 ? { every } : {}),
      }
    }),
    power: input.power.map((trace) => powerRow(trace, since)),
  }
}

/** A step of no artifact (idle) is everybody's; one of other thread counts is not ours. */
function concerns({ latencyNs }: CollectedStep, ids: ReadonlyMap<string, string>): boolean {
  return latencyNs.size === 0 || [...latencyNs.keys()].some((id) => ids.has(id))
}

function latencyRow(
  steps: readonly CollectedStep[],
  id: string,
  artifact: string,
  since: (ns: number) => number,
): RawSeries['latency'] {
  const taken = steps.filter((step) => step.latencyNs.has(id))
  const count = taken.reduce((sum, step) => sum + step.latencyNs.get(id)!.length, 0)
  if (count === 0) return []
  const every = count <= mostPoints ? 1 : 2 * Math.ceil(count / mostPoints)
  const tNs: number[] = []
  const ns: number[] = []
  for (const step of taken) {
    const latencyNs = step.latencyNs.get(id)!
    const starts = inferenceStarts(step, id)
    for (let from = 0; from < latencyNs.length; from += every)
      for (const i of firstAndSlowest(latencyNs, from, Math.min(latencyNs.length, from + every))) {
        tNs.push(since(starts[i]!))
        ns.push(latencyNs[i]!)
      }
  }
  return [{ artifact, tNs, ns, ...(every > 1 ? { every, count } : {}) }]
}

/** What is kept of a group: thinning by position alone would lose the stalls, by size alone the usual level. */
function firstAndSlowest(latencyNs: Float64Array, from: number, to: number): number[] {
  let slowest = from
  for (let i = from; i < to; i++) if (latencyNs[i]! > latencyNs[slowest]!) slowest = i
  return slowest === from ? [from] : [from, slowest]
}

function powerRow(
  { rail, total, tNs, milliW }: PowerTrace,
  since: (ns: number) => number,
): RawSeries['power'][number] {
  // a reading that failed is no sample
  const read = Array.from(milliW, (value, i) => [tNs[i]!, value] as const).filter(([, value]) =>
    Number.isFinite(value),
  )
  const every = Math.max(1, Math.ceil(read.length / mostPoints))
  const kept = read.filter((_, i) => i % every === 0)
  return {
    rail,
    total,
    tNs: kept.map(([at]) => since(at)),
    milliW: kept.map(([, value]) => value),
    ...(every > 1 ? { every } : {}),
  }
}

function earliest(times: readonly number[]): number {
  return times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY)
}
