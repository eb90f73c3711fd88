import type { Collected } from '../measure/collect.ts'
import { type OperatorProfile, parseOperatorProfile } from '../measure/operators.ts'
import { artifactId, profileId } from '../measure/standard-plan.ts'
import { summary } from '../measure/statistics.ts'
import type { Latency, OperatorTime } from '../store/document.ts'

/** Raw latencies of a subject at a thread count, in the order in which they were taken: at the fixed rate where there is one. */
export function rawLatency(
  collected: Collected,
  subject: string,
  threads: number,
  rateHz: number,
): Float64Array {
  const id = artifactId(subject, threads)
  const taken = collected.steps.filter(
    (step) => (step.do === 'measure' || step.do === 'interleave') && step.latencyNs.has(id),
  )
  // a plan measures flat out first, then at the rate
  return (rateHz > 0 ? taken.at(-1) : taken[0])?.latencyNs.get(id) ?? new Float64Array()
}

/** The row of figures; a percentile that the count does not support is null. */
export function latencyOf(
  collected: Collected,
  subject: string,
  threads: number,
  rateHz: number,
): Latency | null {
  const firstNs = collected.artifacts.get(artifactId(subject, threads))?.firstNs ?? null
  const row = summary(rawLatency(collected, subject, threads, rateHz), firstNs)
  if (!row) return null
  const unless = (name: 'p50' | 'p90' | 'p99', value: number) =>
    row.unsupported.includes(name) ? null : value
  return {
    p50Ns: row.p50Ns,
    p90Ns: unless('p90', row.p90Ns),
    p99Ns: unless('p99', row.p99Ns),
    meanNs: row.meanNs,
    minNs: row.minNs,
    count: row.count,
    firstNs: row.firstNs,
  }
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
