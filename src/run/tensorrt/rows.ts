import { median } from '../../measure/statistics.ts'
import { tabulateLayers } from '../../measure/trtexec/layers.ts'
import { formatNs } from '../../report/format.ts'
import type { Latency, OperatorTime, RunResult } from '../../store/document.ts'
import { timesOf } from './collected.ts'
import type { BuiltEngine } from './engine.ts'
import type { MeasuredEngines } from './measure.ts'

export type EngineRow = NonNullable<RunResult['engines']>[number]

/** An engine with what it came to. */
export function engineRow(
  engine: BuiltEngine,
  role: EngineRow['role'],
  latency: Latency | null,
  measured: MeasuredEngines,
  index: number,
): EngineRow {
  const times = timesOf(measured, index)
  const middle = (pick: (time: (typeof times)[number]) => number) =>
    times.length === 0 ? null : median(times.map(pick))
  return {
    role,
    precision: engine.wish.precision,
    bytes: engine.bytes,
    cached: engine.cached,
    buildSeconds: engine.buildSeconds,
    command: engine.command.join(' '),
    latency,
    parts: {
      computeNs: middle((time) => time.computeNs),
      toDeviceNs: middle((time) => time.toDeviceNs),
      fromDeviceNs: middle((time) => time.fromDeviceNs),
      enqueueNs: middle((time) => time.enqueueNs),
    },
  }
}

export function layersOf(measured: MeasuredEngines, index: number): OperatorTime[] {
  return tabulateLayers(measured.layers[index] ?? [])
}

/** The float engine that int8 has to beat: the faster one. -1 where there is none. */
export function fastestBaseline(rows: readonly EngineRow[]): number {
  let best = -1
  for (const [index, { role, latency }] of rows.entries())
    if (role === 'baseline' && latency && (best < 0 || latency.p50Ns < rows[best]!.latency!.p50Ns))
      best = index
  return best
}

/** `fp16 1.64 ms, int8 1.90 ms, fp32 4.20 ms`, fastest first. */
export function ranking(rows: readonly EngineRow[]): string {
  return rows
    .flatMap(({ precision, latency }) => (latency ? [{ precision, p50Ns: latency.p50Ns }] : []))
    .sort((a, b) => a.p50Ns - b.p50Ns)
    .map(({ precision, p50Ns }) => `${precision} ${formatNs(p50Ns)}`)
    .join(', ')
}
