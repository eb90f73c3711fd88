import type { RunResult } from '../store/document.ts'
import { formatBytes, formatNs, formatRatio } from './format.ts'

/** An engine that a board built, in words; on an emulated board times stand as multiples of the fastest. */
export interface EngineRow {
  readonly name: string
  readonly p50: string
  readonly p99: string
  readonly compute: string
  readonly size: string
  readonly build: string
}

/** The engines of a result, fastest first; empty where it has none. */
export function engineRows({
  engines = [],
  conditions,
}: Pick<RunResult, 'engines' | 'conditions'>): EngineRow[] {
  const p50Of = (engine: NonNullable<RunResult['engines']>[number]) =>
    engine.latency?.p50Ns ?? Number.POSITIVE_INFINITY
  const sorted = [...engines].sort((a, b) => p50Of(a) - p50Of(b))
  const fastest = sorted[0]?.latency?.p50Ns
  const time = (ns: number | null | undefined) => {
    if (ns === null || ns === undefined) return '–'
    if (!conditions?.emulated) return formatNs(ns)
    return fastest ? formatRatio(ns / fastest) : '–'
  }
  return sorted.map(({ role, precision, latency, parts, bytes, cached, buildSeconds }) => ({
    name: role === 'artifact' ? precision : `${precision} of the float network`,
    p50: time(latency?.p50Ns),
    p99: time(latency?.p99Ns),
    compute: time(parts.computeNs),
    size: formatBytes(bytes),
    build: cached
      ? 'was there'
      : buildSeconds === null || conditions?.emulated
        ? 'built'
        : `${buildSeconds.toFixed(0)} s`,
  }))
}

/** One line for a terminal; empty without engines. */
export function enginesText(result: Pick<RunResult, 'engines' | 'conditions'>): string {
  const rows = engineRows(result)
  if (rows.length === 0) return ''
  return `engines, fastest first: ${rows.map(({ name, p50, compute, size }) => `${name} ${p50} (compute ${compute}, ${size})`).join('; ')}`
}
