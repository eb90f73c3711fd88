import type { Latency, RunDocument, RunResult } from '../../store/document.ts'
import { type Cell, csvLine } from './csv.ts'

type Column = readonly [name: string, value: (result: RunResult, run: RunDocument) => Cell]

/** Names hold the unit and do not change; later versions only add columns at the end. */
const columns: readonly Column[] = [
  ['run_id', (_, run) => run.runId],
  ['created_at', (_, run) => run.createdAt],
  ['edgewright', (_, run) => run.edgewright],
  ['model', (_, run) => run.model.path],
  ['model_sha256', (_, run) => run.model.sha256],
  ['status', (result) => result.status],
  ['error_code', (result) => result.error?.code],
  ['error_message', (result) => result.error?.message],
  ['device', (result) => result.device],
  ['profile', (result) => result.profile],
  ['target', (result) => result.target],
  ['scheme', (result) => result.scheme],
  ['runtime', (result) => result.runtime?.name],
  ['runtime_version', (result) => result.runtime?.version],
  ['threads', (result) => result.threads],
  ['preset', (result) => result.conditions?.preset],
  ['rate_hz', (result) => result.conditions?.rateHz],
  ['emulated', (result) => result.conditions?.emulated],
  ['stability', (result) => result.conditions?.stability],
  ['artifact_bytes', (result) => result.artifact?.bytes],
  ['artifact_sha256', (result) => result.artifact?.sha256],
  ...latencyColumns('latency', (result) => result.latency),
  ...latencyColumns('float_latency', (result) => result.baseline?.latency),
  ['speedup', (result) => result.speedup],
  ['peak_rss_bytes', (result) => result.memory?.peakRssBytes],
  ['float_peak_rss_bytes', (result) => result.baseline?.memory?.peakRssBytes],
  ['energy_uj', (result) => result.energy.value],
  ['energy_uncertainty_uj', (result) => result.energy.uncertainty],
  ['energy_dynamic_uj', (result) => result.energy.dynamic?.value],
  ['energy_dynamic_uncertainty_uj', (result) => result.energy.dynamic?.uncertainty],
  ['energy_source', (result) => result.energy.measured?.source],
  ['energy_scope', (result) => result.energy.measured?.scope],
  ['energy_missing_reason', (result) => result.energy.reason],
  ['float_energy_uj', (result) => result.baseline?.energy?.value],
  ['float_energy_uncertainty_uj', (result) => result.baseline?.energy?.uncertainty],
  ['accuracy_metric', (result) => result.accuracy?.metric],
  ['accuracy', (result) => result.accuracy?.int8],
  ['float_accuracy', (result) => result.accuracy?.float],
  ['accuracy_drop', (result) => result.accuracy?.drop],
  ['agreement', (result) => result.accuracy?.agreement],
  ['sqnr_db', (result) => result.accuracy?.sqnrDb],
  ['parity_ok', (result) => result.parity?.ok],
  ['temperature_start_milli_c', (result) => result.conditions?.temperatureMilliC?.start],
  ['temperature_max_milli_c', (result) => result.conditions?.temperatureMilliC?.max],
  ['clock_min_khz', (result) => result.conditions?.clockKHz?.min],
  ['clock_max_khz', (result) => result.conditions?.clockKHz?.max],
  ['verdict', (result) => result.verdict?.choice],
  ['warnings', (result) => result.warnings.map(({ code }) => code).join(' ')],
]

function latencyColumns(prefix: string, of: (result: RunResult) => Latency | null | undefined): Column[] {
  const column = (name: string, value: (latency: Latency) => Cell): Column => [
    `${prefix}_${name}`,
    (result) => {
      const latency = of(result)
      return latency ? value(latency) : null
    },
  ]
  return [
    ...(['p50', 'p90', 'p99'] as const).flatMap((name) => [
      column(`${name}_ns`, (latency) => latency[`${name}Ns`]),
      column(`${name}_low_ns`, (latency) => latency.intervals?.[name]?.lowNs),
      column(`${name}_high_ns`, (latency) => latency.intervals?.[name]?.highNs),
    ]),
    column('mean_ns', ({ meanNs }) => meanNs),
    column('min_ns', ({ minNs }) => minNs),
    column('count', ({ count }) => count),
    column('first_ns', ({ firstNs }) => firstNs),
    column('warmup_mean_ns', ({ warmup }) => warmup?.meanNs),
    column('outliers_mild', ({ outliers }) => outliers?.mild),
    column('outliers_severe', ({ outliers }) => outliers?.severe),
    column('steady', ({ steady }) => steady?.state),
    column('slope_per_minute', ({ steady }) => steady?.slopePerMinute),
    column('windows_median_ns', ({ windows }) => windows?.medianNs),
  ]
}

/** One line a result under a line of names. A figure that the run does not hold is an empty cell. */
export function resultsCsv(run: RunDocument): string {
  const lines = run.results.map((result) => csvLine(columns.map(([, value]) => value(result, run))))
  return csvLine(columns.map(([name]) => name)) + lines.join('')
}
