import { basename } from 'node:path'
import type { Comparison, ComparisonPass } from '../../store/comparison.ts'
import {
  baselineSentence,
  comparisonRows,
  conditionsSentence,
  controlSentence,
  emulatedSentence,
  outputsSentence,
  ratioText,
  verdictWords,
} from '../comparison-rows.ts'
import { formatTime } from '../format.ts'
import { type Markup, markup } from './markup.ts'
import { page } from './page.ts'

const width = 640
const left = 118
const right = 24

const verdictMarks: Readonly<Record<ComparisonPass['verdict'], string>> = {
  slower: 'bad',
  faster: 'good',
  equal: 'good',
  undecided: 'warn',
  unproven: 'warn',
}

/** One self-contained page about one comparison; it loads nothing and needs no script. */
export function renderComparisonPage(comparison: Comparison): string {
  const { a, b, passes, environment, gate, createdAt, warnings, edgewright } = comparison
  const name = (path: string) => basename(path.replaceAll('\\', '/'))
  const emulated = emulatedSentence(comparison)
  const baseline = baselineSentence(comparison)
  return page(
    `${name(a.path)} and ${name(b.path)} on ${environment.device}`,
    markup`<header><h1>${name(b.path)} against ${name(a.path)}</h1>
<p class="facts"><span>${conditionsSentence(comparison)}</span><span>${formatTime(createdAt)}</span></p>
<p class="lead"><span class="${verdictMarks[passes[0]!.verdict]}">${verdictWords[passes[0]!.verdict]}</span>: ${passes[0]!.reason}</p></header>
${emulated && markup`<div class="note"><p>${emulated}</p></div>`}
${baseline && markup`<div class="note"><p>${baseline}</p></div>`}
${warnings.map(({ code, message, hint }) => markup`<div class="note"><p>${message} <code>${code}</code></p><p>${hint}</p></div>`)}
${gate.length > 0 && gateCard(comparison)}
<section class="card"><h2>Figures</h2><div class="scroll"><table style="margin-top:12px"><thead><tr><th></th><th>A</th><th>B</th><th>change</th><th>95 %</th></tr></thead>
<tbody>${comparisonRows(comparison).map(({ what, a: first, b: second, change, note }) => markup`<tr><th scope="row">${what}</th><td>${first}</td><td>${second}</td><td class="main">${change}</td><td>${note}</td></tr>`)}</tbody></table></div>
<p class="quiet" style="margin-top:12px">A: ${a.path} <code>${a.sha256.slice(0, 12)}</code>. B: ${b.path} <code>${b.sha256.slice(0, 12)}</code>.</p>
<p class="quiet">${outputsSentence(comparison)}</p></section>
${passes.map((pass, i) => passCard(comparison, pass, i))}
<footer>Edgewright ${edgewright}.</footer>`,
    markup``,
  )
}

function gateCard({ gate }: Comparison): Markup {
  const marks = { kept: 'good', broken: 'bad', inconclusive: 'warn' } as const
  return markup`<section class="card"><h2>Limits</h2><div class="scroll"><table style="margin-top:12px"><tbody>${gate.map(
    ({ written, status, reason }) =>
      markup`<tr><td><code>${written}</code></td><td style="text-align:left"><span class="mark ${marks[status]}">${status}</span></td><td style="text-align:left;white-space:normal">${reason}</td></tr>`,
  )}</tbody></table></div></section>`
}

function passCard(comparison: Comparison, pass: ComparisonPass, index: number): Markup {
  return markup`<section class="card"><h2>${index === 0 ? 'What the verdict rests on' : 'A second run, to confirm'}</h2>
${index > 0 && markup`<p class="lead"><span class="${verdictMarks[pass.verdict]}">${verdictWords[pass.verdict]}</span>: ${pass.reason}</p>`}
<figure class="wide"><figcaption>Change of B against A with its 95 % interval. Shaded: no difference (±${(pass.floor * 100).toPrecision(2)} %). p50 decides; the others stand without a verdict.</figcaption>${forest(pass)}</figure>
<figure class="wide"><figcaption>Each block in the order measured: B against A, and ${comparison.baseline ? 'B' : 'A'} loaded a second time as the control.</figcaption>${blocks(pass)}</figure>
${index === 0 && markup`<p class="quiet">${controlSentence(comparison)}</p>`}</section>`
}

interface Line {
  readonly label: string
  readonly kind: 'int8' | 'float'
  readonly estimate: number
  readonly interval: { readonly low: number; readonly high: number } | null
}

/** Forest plot: an interval that leaves the shaded band is a difference. */
function forest(pass: ComparisonPass): Markup {
  const lines = [
    ...(['p50', 'mean', 'p90', 'p99'] as const).flatMap((metric): Line[] => {
      const change = pass.changes[metric]
      return change ? [{ label: metric, kind: 'int8', ...change }] : []
    }),
    ...(pass.control.p50 ? [{ label: 'control, p50', kind: 'float', ...pass.control.p50 } as Line] : []),
  ]
  const scale = scaleOf(
    lines.flatMap(({ estimate, interval }) => [estimate, interval?.low, interval?.high]),
    pass.floor,
  )
  const rowHeight = 28
  const height = lines.length * rowHeight + 40
  const words = lines.map(
    ({ label, estimate, interval }) =>
      `${label} ${ratioText(estimate)}${interval ? `, ${ratioText(interval.low)} to ${ratioText(interval.high)}` : ''}`,
  )
  return markup`<svg class="chart forest" viewBox="0 0 ${width} ${height}" role="img" aria-label="${words.join('; ')}">
${background(scale, pass.floor, height - 30)}
${lines.map(({ label, kind, estimate, interval }, i) => {
  const y = i * rowHeight + 18
  return markup`<text x="${left - 10}" y="${y + 4}" text-anchor="end">${label}</text>${interval && markup`<line class="interval ${kind}" x1="${scale.x(interval.low)}" x2="${scale.x(interval.high)}" y1="${y}" y2="${y}"/>`}<circle class="dot ${kind}" cx="${scale.x(estimate)}" cy="${y}" r="${i === 0 ? 6 : 4}"/>`
})}
</svg>`
}

/** Points of each block; the headline figure. */
function blocks(pass: ComparisonPass): Markup {
  const { a, b, control } = pass.figures
  const base = a ?? control
  const ratios = (of: readonly number[], against: readonly number[]) =>
    of.map((value, i) => (against[i] ? value / against[i]! - 1 : 0))
  const series = [
    { kind: 'int8', name: 'B against A', values: a ? ratios(b.p50, a.p50) : [] },
    { kind: 'float', name: 'control', values: ratios(control.p50, a ? base.p50 : b.p50) },
  ] as const
  const scale = scaleOf(
    series.flatMap(({ values }) => values),
    pass.floor,
  )
  const count = Math.max(1, ...series.map(({ values }) => values.length))
  const rowHeight = Math.max(10, Math.min(20, 360 / count))
  const height = count * rowHeight + 40
  return markup`<svg class="chart blocks" viewBox="0 0 ${width} ${height}" role="img" aria-label="${series.map(({ name, values }) => `${name}: ${values.map(ratioText).join(', ')}`).join('; ')}">
${background(scale, pass.floor, height - 30)}
${Array.from({ length: count }, (_, i) => markup`<text x="${left - 10}" y="${i * rowHeight + rowHeight / 2 + 4}" text-anchor="end">block ${i + 1}</text>`)}
${series.map(({ kind, values }) => values.map((value, i) => markup`<circle class="dot ${kind}" cx="${scale.x(value)}" cy="${(i * rowHeight + rowHeight / 2).toFixed(1)}" r="4"/>`))}
</svg><p class="quiet"><span class="key int8"></span>B against A &nbsp; <span class="key float"></span>control</p>`
}

interface Scale {
  readonly ticks: readonly number[]
  x(share: number): string
}

function scaleOf(values: readonly (number | null | undefined)[], floor: number): Scale {
  const known = [
    ...values.filter((value) => typeof value === 'number' && Number.isFinite(value)),
    floor,
    -floor,
    0,
  ]
  const low = Math.min(...(known as number[]))
  const high = Math.max(...(known as number[]))
  const margin = Math.max((high - low) * 0.08, 1e-4)
  const [from, to] = [low - margin, high + margin]
  const rough = (to - from) / 6
  const decade = 10 ** Math.floor(Math.log10(rough))
  const step = decade * ([1, 2, 5].find((factor) => factor * decade >= rough) ?? 10)
  const first = Math.ceil(from / step)
  const ticks = Array.from(
    { length: Math.min(20, Math.floor(to / step) - first + 1) },
    (_, i) => (first + i) * step,
  )
  return { ticks, x: (share) => (left + ((share - from) / (to - from)) * (width - left - right)).toFixed(1) }
}

function background(scale: Scale, floor: number, bottom: number): Markup {
  const [low, high] = [Number(scale.x(-floor)), Number(scale.x(floor))]
  return markup`<rect class="band" x="${low}" y="0" width="${(high - low).toFixed(1)}" height="${bottom}"/>
${scale.ticks.map((share) => markup`<line class="grid" x1="${scale.x(share)}" x2="${scale.x(share)}" y1="0" y2="${bottom}"/><text x="${scale.x(share)}" y="${bottom + 18}" text-anchor="middle">${Math.abs(share) < 1e-12 ? '0 %' : ratioText(share)}</text>`)}
<line class="zero" x1="${scale.x(0)}" x2="${scale.x(0)}" y1="0" y2="${bottom}"/>`
}
