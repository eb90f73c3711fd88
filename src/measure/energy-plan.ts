import type { Collected, CollectedStep } from './collect.ts'
import type { EnergyInput, LoadWindow } from './energy.ts'
import { inferenceStarts } from './inference-starts.ts'
import type { Bounds, Plan, PlanArtifact, PlanMeter, PlanStep } from './plan.ts'
import type { EnergyWindow } from './power/mean-power.ts'
import { samplePeriodMs } from './power/period.ts'

/** How long an energy phase measures: of each artifact, and idle before and after, in seconds. */
export interface EnergyDurations {
  readonly loadSeconds: number
  readonly idleSeconds: number
}

export interface EnergyPlanRequest {
  /** Measured in turns there and back (A B B A), so that a drift meets all of them alike. */
  readonly artifacts: readonly PlanArtifact[]
  /** 0: flat out. */
  readonly rateHz: number
  readonly durations: EnergyDurations
  /** On the board; none where a meter beside it measures. */
  readonly meters?: readonly PlanMeter[]
  readonly marker?: string
  /** Of a meter beside the board, between two samples: windows are long enough for it. */
  readonly samplePeriodMs?: number
  readonly sensors: Plan['sensors']
}

/** Samples that each window should hold. */
const samplesPerWindow = 25
/** For the power of what was before, such as loading a model, to be gone. */
const settleSeconds = 1
const warmupSeconds = 0.8

/** Idle, each artifact twice, idle again; meters and marker only where it is measured. */
export function energyPlan(request: EnergyPlanRequest): Plan {
  const { artifacts, rateHz, durations, meters = [], marker, samplePeriodMs = 0, sensors } = request
  const periodMs = Math.max(...meters.map((meter) => meter.periodMs), samplePeriodMs)
  const least = (samplesPerWindow * periodMs) / 1000
  const idle: PlanStep[] = [
    { do: 'idle', seconds: settleSeconds },
    { do: 'idle', seconds: Math.max(durations.idleSeconds / 2, least), meters: true },
  ]
  const seconds = Math.max(durations.loadSeconds / 2, least)
  const measured: Bounds = {
    minCount: 3,
    minSeconds: seconds,
    maxCount: 10_000_000,
    maxSeconds: 20 * seconds,
  }
  const warm: Bounds = { minCount: 1, minSeconds: warmupSeconds, maxCount: 1_000_000, maxSeconds: 20 }
  const ids = artifacts.map(({ id }) => id)
  return {
    schema: 1,
    artifacts: [...artifacts],
    steps: [
      ...idle,
      ...[...ids, ...ids.toReversed()].flatMap((artifact): PlanStep[] => [
        { do: 'warmup', artifact, ...warm },
        { do: 'measure', artifact, rateHz, ...measured, meters: true },
      ]),
      ...idle,
    ],
    sensors,
    sensorPeriodMs: 1000,
    meters,
    ...(marker === undefined ? {} : { marker }),
  }
}

/**
 * A sampling period for inferences of these times, none of which it keeps step with.
 *
 * @param leastMs of the source: what is chosen here is then not lengthened into step again
 */
export function meterPeriodMs(
  sampleHz: number,
  latenciesNs: readonly number[],
  rateHz: number,
  leastMs = 0,
): number {
  const cycles = latenciesNs.map((ns) => ns / 1e6)
  return samplePeriodMs(1000 / sampleHz, rateHz > 0 ? [...cycles, 1000 / rateHz] : cycles, leastMs)
}

/** The windows of an artifact in a run of an energy plan; null where the run did not come so far. */
export function energyWindows(
  { steps }: Pick<Collected, 'steps'>,
  artifact: string,
  rateHz: number,
): Pick<EnergyInput, 'idle' | 'load' | 'duty'> | null {
  // of each pair of idle steps the first only settles
  const idle = steps.filter((step) => step.do === 'idle' && step.elapsedNs !== null)
  const [, before] = idle
  const after = idle[3]
  const taken = steps.filter(
    (step) => step.do === 'measure' && step.elapsedNs !== null && step.latencyNs.has(artifact),
  )
  if (!before || !after || taken.length === 0) return null
  const busyNs = taken.reduce(
    (sum, step) => sum + step.latencyNs.get(artifact)!.reduce((a, b) => a + b, 0),
    0,
  )
  const allNs = taken.reduce((sum, step) => sum + step.elapsedNs!, 0)
  return {
    idle: { before: windowOf(before), after: windowOf(after) },
    load: taken.map((step) => loadWindow(step, artifact, rateHz)),
    duty: Math.min(1, busyNs / allNs),
  }
}

function windowOf({ startNs, elapsedNs }: CollectedStep): EnergyWindow {
  return { fromNs: startNs, toNs: startNs + elapsedNs! }
}

function loadWindow(step: CollectedStep, artifact: string, rateHz: number): LoadWindow {
  const window = windowOf(step)
  return {
    ...window,
    inferences: step.latencyNs.get(artifact)!.length,
    startsNs: rateHz > 0 ? scheduled(window, rateHz) : inferenceStarts(step, artifact),
  }
}

function scheduled({ fromNs, toNs }: EnergyWindow, rateHz: number): Float64Array {
  const periodNs = 1e9 / rateHz
  return Float64Array.from(
    { length: Math.floor((toNs - fromNs) / periodNs) },
    (_, i) => fromNs + i * periodNs,
  )
}
