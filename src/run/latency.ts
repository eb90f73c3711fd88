import type { Collected, CollectedStep } from '../measure/collect.ts'
import { inferenceStarts } from '../measure/inference-starts.ts'
import { type OperatorProfile, parseOperatorProfile } from '../measure/operators.ts'
import { countOutliers } from '../measure/outliers.ts'
import { type Preset, presets } from '../measure/presets.ts'
import { artifactId, profileId } from '../measure/standard-plan.ts'
import { median, type PercentileName, summary } from '../measure/statistics.ts'
import { steadiness } from '../measure/steady.ts'
import type { Latency, OperatorTime } from '../store/document.ts'

/** Inferences of one artifact in the order in which they were taken. */
export interface TimedLatency {
  readonly latencyNs: Float64Array
  /** When each began, on the board's clock. */
  readonly startNs: Float64Array
}

/** What was measured of a subject at a thread count: at the fixed rate where there is one, else in all of its turns. */
export function timedLatency(
  collected: Collected,
  subject: string,
  threads: number,
  rateHz: number,
  preset: Preset = 'standard',
): TimedLatency {
  const id = artifactId(subject, threads)
  const steps = stepsOf(collected, id, rateHz, preset)
  return {
    latencyNs: joined(steps.map((step) => step.latencyNs.get(id)!)),
    startNs: joined(steps.map((step) => inferenceStarts(step, id))),
  }
}

/** Raw latencies alone. */
export function rawLatency(...measured: Parameters<typeof timedLatency>): Float64Array {
  return timedLatency(...measured).latencyNs
}

/** A plan measures flat out first, then at the rate, in as many windows as its preset has. */
function stepsOf(collected: Collected, id: string, rateHz: number, preset: Preset): CollectedStep[] {
  const taken = collected.steps.filter(
    (step) => (step.do === 'measure' || step.do === 'interleave') && step.latencyNs.has(id),
  )
  return rateHz > 0 ? taken.slice(-presets[preset].windows) : taken
}

/** The mean of each window, where the preset has several: its steps, whole turns of them, one after another. */
function windowsOf(steps: readonly CollectedStep[], id: string, preset: Preset): Latency['windows'] {
  const { windows } = presets[preset]
  // a run that was cut short has no whole windows
  if (windows === 1 || steps.length === 0 || steps.length % windows !== 0) return undefined
  const each = steps.length / windows
  const meanNs = Array.from({ length: windows }, (_, window) => {
    const latencyNs = joined(
      steps.slice(window * each, (window + 1) * each).map((step) => step.latencyNs.get(id)!),
    )
    return latencyNs.reduce((sum, ns) => sum + ns, 0) / latencyNs.length
  })
  return { medianNs: median(meanNs), meanNs }
}

/** The row of figures; a percentile that the count does not support is null, an interval that it does not support too. */
export function latencyOf(
  collected: Collected,
  subject: string,
  threads: number,
  rateHz: number,
  preset: Preset = 'standard',
): Latency | null {
  const id = artifactId(subject, threads)
  const artifact = collected.artifacts.get(id)
  const { latencyNs, startNs } = timedLatency(collected, subject, threads, rateHz, preset)
  const row = summary(latencyNs, artifact?.firstNs ?? null)
  if (!row) return null
  const unless = (name: PercentileName, value: number) => (row.unsupported.includes(name) ? null : value)
  const warmup = artifact && artifact.warmupNs.length > 0 ? summary(artifact.warmupNs) : null
  const { state, slopePerMinute, sentence } = steadiness(latencyNs, startNs)
  const windows = windowsOf(stepsOf(collected, id, rateHz, preset), id, preset)
  return {
    p50Ns: row.p50Ns,
    p90Ns: unless('p90', row.p90Ns),
    p99Ns: unless('p99', row.p99Ns),
    meanNs: row.meanNs,
    minNs: row.minNs,
    count: row.count,
    firstNs: row.firstNs,
    warmup: warmup && { meanNs: warmup.meanNs, count: warmup.count },
    intervals: row.intervals,
    outliers: countOutliers(latencyNs),
    steady: { state, slopePerMinute, sentence },
    ...(windows ? { windows } : {}),
  }
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Time by operator of a subject's profiled session; empty where there is none. */
export function operatorsOf(
  collected: Collected,
  files: ReadonlyMap<string, Uint8Array>,
  subject: string,
  threads: number,
): OperatorTime[] {
  const profile = operatorProfileOf(collected, files, subject, threads)
  return (profile?.byOperator ?? []).map(({ operator, nodes, meanUs }) => ({
    operator,
    meanNs: meanUs * 1_000,
    calls: nodes,
  }))
}

/** A subject's profiled session; null where there is none. */
export function operatorProfileOf(
  collected: Collected,
  files: ReadonlyMap<string, Uint8Array>,
  subject: string,
  threads: number,
): OperatorProfile | null {
  const entry = collected.operators.find(({ artifact }) => artifact === profileId(subject, threads))
  const bytes = entry && files.get(entry.file.split(/[\\/]/).at(-1)!)
  return bytes ? parseOperatorProfile(bytes) : null
}
