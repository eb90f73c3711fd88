import type { RawLatency, RawSeries, RunDocument } from '../../store/document.ts'
import { csvLine } from './csv.ts'

const names = ['run_id', 'device', 'threads', 'kind', 'series', 'time_ns', 'value', 'unit']

/**
 * Every sample of a run, one a line (long format): `kind` is latency, sensor or power, `series` what of it, `time_ns` since
 * the start of the run. A run without time series gives its latencies with their times left empty.
 */
export function* samplesCsv(
  run: RunDocument,
  series: Readonly<Record<string, RawSeries>>,
  raw: Readonly<Record<string, RawLatency>>,
): Generator<string> {
  yield csvLine(names)
  for (const { device, threads, samples } of run.results) {
    const head = [run.runId, device, threads] as const
    const timed = samples?.series ? series[samples.series] : undefined
    if (!timed) {
      for (const path of [samples?.float, samples?.int8]) {
        const row = path ? raw[path] : undefined
        for (const ns of row?.ns ?? []) yield csvLine([...head, 'latency', row!.artifact, null, ns, 'ns'])
      }
      continue
    }
    for (const { artifact, tNs, ns } of timed.latency)
      for (const [i, at] of tNs.entries()) yield csvLine([...head, 'latency', artifact, at, ns[i], 'ns'])
    for (const { name, unit, tNs, values } of timed.sensors)
      for (const [i, at] of tNs.entries()) yield csvLine([...head, 'sensor', name, at, values[i], unit])
    for (const { rail, tNs, milliW } of timed.power)
      for (const [i, at] of tNs.entries()) yield csvLine([...head, 'power', rail, at, milliW[i], 'milliW'])
  }
}
