import type { Latency, RawLatency, RawSeries, RunResult } from '../../store/document.ts'
import {
  formatBytes,
  formatDb,
  formatNs,
  formatPoints,
  formatRatio,
  formatShare,
  formatSpeedup,
} from '../format.ts'
import { parityText } from '../table.ts'
import { conditionsList } from './conditions.ts'
import { fidelitySection } from './fidelity.ts'
import { searchTable } from './fidelity-search.ts'
import { distributionChart, type Series } from './distribution.ts'
import { energyBars, figure } from './energy-bars.ts'
import { enginesTable } from './engines.ts'
import { type Markup, markup } from './markup.ts'
import { operatorsChart } from './operators-chart.ts'
import { seriesChart } from './series-chart.ts'
import { timelineChart } from './timeline.ts'

/** Files under the run's raw/ by their path. */
export interface Sampled {
  readonly raw: Readonly<Record<string, RawLatency>>
  readonly series: Readonly<Record<string, RawSeries>>
}

/** Everything about one device: the verdict (unless the page's head says it already), the figures, why they are so, and how they were measured. */
export function deviceCard(result: RunResult, position: number, sampled: Sampled, alone: boolean): Markup {
  const { raw } = sampled
  const series = (['float', 'int8'] as const).flatMap((kind): Series[] => {
    const path = result.samples?.[kind]
    const found = path && Object.hasOwn(raw, path) ? raw[path] : undefined
    return found === undefined ? [] : [{ kind, ns: found.ns }]
  })
  const seriesPath = result.samples?.series
  const overTime =
    seriesPath && Object.hasOwn(sampled.series, seriesPath) ? sampled.series[seriesPath] : undefined
  // an emulator's times mean something only beside each other
  const relativeToNs = result.conditions?.emulated ? (result.baseline?.latency?.p50Ns ?? 1) : null
  const where = [
    result.profile,
    result.target,
    result.threads === null ? null : `${result.threads} ${result.threads === 1 ? 'thread' : 'threads'}`,
    result.runtime && `${result.runtime.name} ${result.runtime.version}`,
  ].filter((part) => part !== null)
  return markup`<section class="card" id="device-${position}">
<h2>${result.device}${badge(result)}</h2>
<p class="facts">${where.map((part) => markup`<span>${part}</span>`)}</p>
${!alone && result.verdict && markup`<p class="lead ${result.verdict.choice === 'float' ? 'warn' : result.verdict.choice === 'int8' ? 'good' : ''}">${result.verdict.sentence}</p>`}
${failure(result)}
${result.conditions?.emulated && note(`Emulated by ${result.conditions.emulated}: absolute times are not a board’s. Results and the comparison of outputs hold; speed does not carry over.`, null)}
${result.calibrated === false && note('Not calibrated: ranges come from random inputs, so accuracy means nothing yet.', 'Give --data with a hundred samples or more.')}
${result.warnings.map(({ code, message, hint }) => note(message, hint, code))}
${
  result.status === 'ok' &&
  markup`<div class="split"><div>${figures(result)}</div>${
    series.length > 0 &&
    markup`<div class="charts"><figure><figcaption>Share of inferences that took no longer than a time; dots are medians, ticks p90 and p99.</figcaption>${distributionChart(series, relativeToNs)}</figure>${!overTime && relativeToNs === null && timelineChart(`timeline-${position}`, series)}</div>`
  }</div>`
}
${result.status === 'ok' && overTime && seriesChart(`series-${position}`, overTime, relativeToNs)}
${enginesTable(result)}
${energyBars(result)}
${result.operators && operatorsChart(result.operators, result.conditions?.emulated != null)}
${result.layers && result.layers.length > 0 && layers(result.layers)}
${result.fidelity && fidelitySection(`fidelity-${position}`, result.fidelity)}
${result.search && searchTable(result.search)}
${result.constraints && result.constraints.length > 0 && constraints(result.constraints)}
${conditionsList(result)}
</section>`
}

function badge({ status, conditions }: RunResult): Markup | false {
  if (status !== 'ok')
    return markup`<span class="badge ${status === 'failed' ? 'bad' : 'warn'}">${status}</span>`
  return conditions?.emulated ? markup`<span class="badge warn">emulated</span>` : false
}

function failure({ status, error }: RunResult): Markup | false {
  if (status === 'ok' && error === undefined) return false
  return markup`<div class="note ${status === 'failed' ? 'bad' : ''}"><p>${error?.message ?? 'No reason was given.'} <code>${error?.code ?? 'INTERNAL'}</code></p>
${error?.saw && markup`<p>Seen: ${error.saw}${error.where && ` (${error.where})`}</p>`}${error?.hint && markup`<p>${error.hint}</p>`}</div>`
}

function note(message: string, hint: string | null, code?: string): Markup {
  return markup`<div class="note"><p>${message}${code && markup` <code>${code}</code>`}</p>${hint && markup`<p>${hint}</p>`}</div>`
}

/** Float beside int8. The third column is what changes. */
function figures(result: RunResult): Markup {
  const { accuracy, baseline, latency, memory, size, speedup, parity } = result
  const rows = [
    size &&
      row(
        'Model file',
        formatBytes(size.floatBytes),
        formatBytes(size.int8Bytes),
        formatRatio(size.int8Bytes / Math.max(1, size.floatBytes)),
      ),
    size?.floatWeightBytes !== undefined &&
      size.int8WeightBytes !== undefined &&
      row(
        'Weights',
        formatBytes(size.floatWeightBytes),
        formatBytes(size.int8WeightBytes),
        formatRatio(size.int8WeightBytes / Math.max(1, size.floatWeightBytes)),
      ),
    accuracy &&
      accuracy.int8 !== null &&
      row(
        `Accuracy, ${accuracy.metric}`,
        accuracy.float === null ? '–' : formatShare(accuracy.float),
        formatShare(accuracy.int8),
        accuracy.drop === null ? '' : formatPoints(-accuracy.drop),
      ),
    accuracy &&
      accuracy.agreement !== null &&
      row('Agrees with float', '', formatShare(accuracy.agreement), ''),
    typeof accuracy?.sqnrDb === 'number' && row('Output SQNR', '', formatDb(accuracy.sqnrDb), ''),
    ...(result.conditions?.emulated
      ? [row('Latency', 'emulated', 'emulated', '')]
      : latencyRows(baseline?.latency ?? null, latency, speedup)),
    row('Peak memory', bytes(baseline?.memory?.peakRssBytes), bytes(memory?.peakRssBytes), ''),
    ...energyRows(result),
  ]
  const under = [
    accuracy && `Accuracy on ${accuracy.samples} samples, computed on the ${accuracy.measuredOn}.`,
    parity && sentence(parityText(result)),
    ...unmeasured(result),
  ].filter((line) => typeof line === 'string')
  return markup`<table><thead><tr><th></th><th><span class="key float"></span>float</th><th><span class="key int8"></span>${result.scheme === null || result.scheme === 'full-int8' ? 'int8' : result.scheme}</th><th></th></tr></thead><tbody>${rows}</tbody></table>
${under.map((line) => markup`<p class="quiet" style="margin:6px 0 0">${line}</p>`)}`
}

/** `2.33–2.37 ms`: the unit once where it is the same. */
function span(lowNs: number, highNs: number): string {
  const [low, high] = [formatNs(lowNs), formatNs(highNs)]
  const [number, unit] = low.split(' ')
  return high.endsWith(` ${unit}`) ? `${number}–${high}` : `${low}–${high}`
}

/** An emulator's energy is no board's. */
function energyRows({ energy, baseline, conditions }: RunResult): Markup[] {
  const float = baseline?.energy
  if (conditions?.emulated) return energy.value === null ? [] : [row('Energy', 'emulated', 'emulated', '')]
  const text = (one: typeof float) =>
    !one || one.value === null ? '–' : figure(one.value, one.uncertainty ?? 0)
  const ratio = float?.value && energy.value !== null ? formatRatio(energy.value / float.value) : ''
  return [row('Energy', text(float), text(energy), ratio)]
}

function unmeasured({ energy, baseline, conditions }: RunResult): string[] {
  if (conditions?.emulated && energy.value !== null) return []
  const reasons = [energy, baseline?.energy].flatMap((one) =>
    one?.value === null && one.reason ? [one.reason] : [],
  )
  return [...new Set(reasons)].map((reason) => `No energy: ${reason}`)
}

function latencyRows(float: Latency | null, int8: Latency | null, speedup: number | null): Markup[] {
  if (float === null && int8 === null) return []
  const time = (ns: number | null | undefined) => (ns === null || ns === undefined ? '–' : formatNs(ns))
  const percentile = (latency: Latency | null, name: 'p50' | 'p90' | 'p99') => {
    const value = latency?.[`${name}Ns`]
    const interval = latency?.intervals?.[name]
    if (latency?.intervals && (value === null || value === undefined))
      return markup`<small>n too small</small>`
    return interval
      ? markup`${time(value)}<small>${span(interval.lowNs, interval.highNs)}</small>`
      : time(value)
  }
  const outliers = (latency: Latency | null) =>
    latency?.outliers ? `${latency.outliers.mild + latency.outliers.severe}` : '–'
  const warmup = (latency: Latency | null) => time(latency?.warmup?.meanNs)
  return [
    row(
      'Median (p50)',
      percentile(float, 'p50'),
      percentile(int8, 'p50'),
      speedup === null ? '' : formatSpeedup(speedup),
      true,
    ),
    row('p90', percentile(float, 'p90'), percentile(int8, 'p90'), ''),
    row('p99', percentile(float, 'p99'), percentile(int8, 'p99'), ''),
    row('Fastest', time(float?.minNs), time(int8?.minNs), ''),
    row('First inference', time(float?.firstNs), time(int8?.firstNs), ''),
    ...(float?.warmup || int8?.warmup ? [row('Warm-up, mean', warmup(float), warmup(int8), '')] : []),
    row('Inferences', float ? String(float.count) : '–', int8 ? String(int8.count) : '–', ''),
    ...(float?.outliers || int8?.outliers
      ? [row('Outliers, counted in', outliers(float), outliers(int8), '')]
      : []),
  ]
}

function row(
  name: string,
  float: string | Markup,
  int8: string | Markup,
  change: string,
  main = false,
): Markup {
  const cell = (text: string | Markup) => markup`<td${main && markup` class="main"`}>${text}</td>`
  return markup`<tr><th scope="row">${name}</th>${cell(float)}${cell(int8)}${cell(change)}</tr>`
}

function layers(worst: NonNullable<RunResult['layers']>): Markup {
  return markup`<h3>Where int8 differs most from float</h3><table><thead><tr><th>layer</th><th>operator</th><th>SQNR</th></tr></thead>
<tbody>${worst.slice(0, 8).map(({ name, operator, sqnrDb }) => markup`<tr><td><code>${name}</code></td><td>${operator}</td><td>${formatDb(sqnrDb)}</td></tr>`)}</tbody></table>`
}

function constraints(list: NonNullable<RunResult['constraints']>): Markup {
  return markup`<h3>What the board sets</h3><ul class="plain">${list.map(({ sentence: text, basis, source }) => markup`<li>${text} <span class="quiet">${basis}: ${source.join(', ')}</span></li>`)}</ul>`
}

function bytes(count: number | null | undefined): string {
  return count === null || count === undefined ? '–' : formatBytes(count)
}

function sentence(text: string): string {
  return text === '' ? '' : `${text[0]!.toUpperCase()}${text.slice(1)}.`
}
