import type { RunAftermath } from '../deploy/pins.ts'
import type { Device } from '../deploy/types.ts'
import type { Collected } from '../measure/collect.ts'
import { clockFall, fastestOf, type Window } from '../measure/conditions/clock-fall.ts'
import { loadBesideRun } from '../measure/conditions/cpu-times.ts'
import { chipZones, type SensorSeries, seriesOf, type Span, spanOf } from '../measure/conditions/sensors.ts'
import { type Stability, stabilityOf } from '../measure/conditions/stability.ts'
import { throttleOf } from '../measure/conditions/throttle.ts'
import type { BoardSurvey } from '../measure/conditions/types.ts'
import { conditionWarnings, pinWarnings } from '../measure/conditions/warnings.ts'
import type { Profile } from '../profiles/schema.ts'
import type { Warning } from '../progress.ts'
import type { Latency, RunResult } from '../store/document.ts'
import type { BoardSensors, ReadyBoard } from './ready-board.ts'

export { type BoardSensors, surveyBoard } from './ready-board.ts'

type Conditions = NonNullable<RunResult['conditions']>

export interface ConditionsInput {
  readonly device: Device
  readonly collected: Collected
  /** How the board was found, with what was set on it where it was made ready. */
  readonly board: BoardSensors | ReadyBoard
  /** Absent: not asked (a run of an earlier process); what was raised in the run is then known from its samples only. */
  readonly after?: BoardSurvey | undefined
  readonly aftermath?: RunAftermath | undefined
  /** What the verdict is about, by name; absent: latency says nothing. */
  readonly latencies?: readonly { readonly name: string; readonly latency: Latency | null }[] | undefined
  /** Artifacts whose steps are meant; absent: all that were measured. */
  readonly artifacts?: readonly string[] | undefined
  readonly limits?: Profile['thermal']['limits'] | undefined
  readonly preset: string
  readonly affinity: readonly number[]
  readonly rateHz: number
  readonly interleaved: boolean
  readonly startedAt: Date
  readonly endedAt: Date
}

/** What held while a board was measured, and whether it stayed the same. */
export function conditionsOf(input: ConditionsInput): Conditions {
  const { facts } = input.device
  const { board, aftermath } = input
  const ready = 'pins' in board ? board : null
  const seen = observe(input)
  const during = aftermath ? loadBesideRun(aftermath.load) : null
  const pins = (aftermath?.pins ?? []).filter(({ what }) => what !== 'record of settings')
  const governor = pins.find(({ what }) => what.startsWith('governor'))?.to ?? board.governor
  const mode = pins.find(({ what }) => what === 'power mode')?.to
  return {
    preset: input.preset,
    startedAt: input.startedAt.toISOString(),
    endedAt: input.endedAt.toISOString(),
    measuredWith: input.collected.measuredBy === 'process' ? 'in-process' : 'runner',
    emulated: board.emulator,
    hostname: facts.hostname || null,
    kernel: facts.kernel || null,
    os: facts.os,
    cpu: facts.cpuModel,
    cpuCount: facts.cpuCount > 0 ? facts.cpuCount : null,
    governor,
    affinity: [...input.affinity],
    rateHz: input.rateHz,
    order: input.interleaved ? 'interleaved' : 'sequential',
    stability: seen.stability.state,
    stabilityReason: seen.stability.reason,
    temperatureMilliC: seen.temperature && plainSpan(seen.temperature),
    clockKHz: seen.clock,
    throttle: seen.throttle,
    backgroundLoad: { before: board.before.busyShare, during },
    waitedForTemperatureSeconds: ready?.waitedSeconds ?? 0,
    pinned: pins.map(({ what, from, to, state }) => ({ what, from, to, restored: state === 'restored' })),
    powerMode: mode ?? board.before.powerMode?.current?.name ?? null,
  }
}

/** What is worth saying about them. */
export function warningsOf(
  input: ConditionsInput & { readonly usesEdgeTpu: boolean; readonly profile: Profile },
): Warning[] {
  const { board, aftermath, device } = input
  const ready = 'pins' in board ? board : null
  const seen = observe(input)
  const during = aftermath ? loadBesideRun(aftermath.load) : null
  const cpus = (share: number | null) => (share === null ? null : share * Math.max(1, device.facts.cpuCount))
  const unrestored = (aftermath?.pins ?? []).filter(({ state }) => state === 'left' || state === 'failed')
  return [
    ...(unrestored.length > 0 ? [pinWarnings.notRestored(device.name, unrestored)] : []),
    ...conditionWarnings({
      device: device.name,
      emulated: board.emulator !== null,
      throttle: seen.throttle,
      stability: seen.stability,
      clockKHz: seen.clock,
      pinned: ready?.pinned ?? false,
      pinAsked: ready?.choice.pin ?? false,
      fixedRate: input.rateHz > 0,
      hottestMilliC: seen.temperature?.max ?? null,
      limitMilliC: seen.temperature?.limitMilliC ?? null,
      cooled: typeof ready?.choice.coolTo === 'object',
      otherCpus: { before: cpus(board.before.busyShare), during: cpus(during) },
      latencies: (input.latencies ?? []).flatMap(({ name, latency }) =>
        latency
          ? [
              {
                name,
                firstNs: latency.firstNs,
                p50Ns: latency.p50Ns,
                count: latency.count,
                severeOutliers: latency.outliers?.severe ?? 0,
              },
            ]
          : [],
      ),
      edgeTpuLinks: board.before.edgeTpuLinks,
      usesEdgeTpu: input.usesEdgeTpu,
      missingSensors: missing(board.before, input.profile),
    }),
  ]
}

interface Observed {
  readonly stability: Stability
  readonly throttle: (Conditions['throttle'] & object) | null
  readonly temperature: (Span & { readonly limitMilliC: number | null }) | null
  readonly clock: Span | null
}

function observe(input: ConditionsInput): Observed {
  const { board, collected, after } = input
  const series = seriesOf(board.sensing, collected.sensors)
  const windows = windowsOf(collected, input.artifacts)
  const sampled = new Map(
    series.filter(({ unit }) => unit === 'flags').map(({ path, values }) => [path, values]),
  )
  const throttle = throttleOf(board.before.gauges, after?.gauges ?? [], sampled)
  const temperature = hottest(series, board.before, input.limits ?? [])
  const fastest = fastestOf(series, windows)
  const clock = spanOf(fastest.map(({ kHz }) => kHz)) ?? spanOf(fastestOf(series, null).map(({ kHz }) => kHz))
  const stability = stabilityOf({
    latency: (input.latencies ?? []).flatMap(({ latency }) => latency?.steady ?? []),
    throttle,
    clock: clockFall(series, windows, input.rateHz > 0),
    temperature,
  })
  return { stability, throttle, temperature, clock }
}

/** From the first inference that was measured to the last: pauses between turns are part of it, profiled sessions are not. */
function windowsOf(collected: Collected, artifacts: readonly string[] | undefined): Window[] {
  return collected.steps
    .filter((step) => step.do === 'measure' || step.do === 'interleave')
    .filter((step) =>
      [...step.latencyNs.keys()].some((id) =>
        artifacts ? artifacts.includes(id) : !id.endsWith('-operators'),
      ),
    )
    .map(({ startNs, elapsedNs }) => ({
      startNs,
      endNs: elapsedNs === null ? Infinity : startNs + elapsedNs,
    }))
}

/** The zone that got hottest, and from where on it, or the board's profile, says that the board slows itself. */
function hottest(
  series: readonly SensorSeries[],
  before: BoardSurvey,
  limits: Profile['thermal']['limits'],
): Observed['temperature'] {
  const spans = series.flatMap(({ unit, path, values }) => {
    const span = unit === 'milliC' ? spanOf(values) : null
    return span ? [{ ...span, path }] : []
  })
  if (spans.length === 0) return null
  const { path, ...span } = spans.reduce((a, b) => (b.max > a.max ? b : a))
  const own = before.zones.find((zone) => zone.path === path)?.limitMilliC
  const limit = Math.min(own ?? Infinity, ...limits.map(({ celsius }) => celsius * 1000))
  return { ...span, limitMilliC: Number.isFinite(limit) ? limit : null }
}

function plainSpan({ start, end, min, max }: Span): Span {
  return { start, end, min, max }
}

/** Sensors that boards of this kind have, and this one does not show. */
function missing(before: BoardSurvey, profile: Profile): string[] {
  const generic = profile.id.startsWith('generic-') || profile.id === 'this-computer'
  if (generic) return []
  return [
    ...(chipZones(before.zones).length === 0 ? ['temperature'] : []),
    ...(before.policies.length === 0 ? ['clock'] : []),
    ...(profile.thermal.throttle.probe === 'vcgencmd' && before.gauges.length === 0
      ? ['throttle flags']
      : []),
  ]
}
