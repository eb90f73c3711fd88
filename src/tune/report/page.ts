import { formatBytes, formatTime } from '../../report/format.ts'
import { type Markup, markup } from '../../report/page/markup.ts'
import { page } from '../../report/page/page.ts'
import {
  cellsOf,
  emulatedText,
  factsOf,
  formatCount,
  metricName,
  optionsText,
  sentencesOf,
  shareOfOriginal,
  trainingText,
  type TuneCells,
} from './cells.ts'
import { trainingCurves } from './curves.ts'
import type { TuneLayer, TuneReport, TuneStep } from './document.ts'
import { isFloatRow } from './rows.ts'
import { qualityCharts } from './scatter.ts'

/** Beyond so many layers the table scrolls by itself. */
const many = 40

/** One self-contained page about one tuning; it loads nothing and needs no script. */
export function renderTunePage(report: TuneReport): string {
  const { model, createdAt, steps, warnings, edgewright } = report
  const { headline, others } = sentencesOf(report)
  const emulated = emulatedText(report)
  const methods = steps.map(({ method }) => method).join(', ')
  const title = `${model.name}${steps.length > 0 ? `, tuned by ${methods}` : ''}`
  return page(
    title,
    markup`<header><h1>${title}</h1>
<p class="facts"><span>${formatBytes(model.bytes)}</span><span>sha256 <code>${model.sha256.slice(0, 16)}</code></span><span>${report.target} on ${report.profile}</span><span>${formatTime(createdAt)}</span></p>
<p class="lead">${headline}</p></header>
${emulated && markup`<div class="note"><p>${emulated}</p></div>`}
${warnings.map(({ code, message, hint }) => markup`<div class="note"><p>${message} <code>${code}</code></p><p>${hint}</p></div>`)}
<section class="card"><h2>Each step, before and after</h2>${table(report)}${others.map((sentence) => markup`<p style="margin-top:12px">${sentence}</p>`)}${rowNotes(cellsOf(report))}</section>
${qualityCharts(report)}
${steps.map((step, index) => stepCard(step, index, steps.length))}
<section class="card"><h2>What was learnt, judged and measured</h2><dl style="margin-top:12px">${[{ label: 'model', text: model.path ?? `${model.name}, from memory` }, ...factsOf(report)].map(({ label, text }) => markup`<dt>${label}</dt><dd>${text}</dd>`)}</dl></section>
<footer>Edgewright ${edgewright}. All figures are in <code>tune.json</code>.</footer>`,
    markup``,
  )
}

interface Column {
  readonly title: string
  /** With what stands in small print below it. */
  readonly cell: (row: TuneCells) => readonly [text: string | Markup, small?: string | Markup | false]
  readonly narrow?: false
  readonly main?: true
}

const columnsFor = (metric: string): readonly Column[] => [
  { title: 'size', cell: ({ size, sizeShare }) => [size, sizeShare] },
  { title: 'weights', cell: ({ weights, weightsShare }) => [weights, weightsShare], narrow: false },
  { title: 'MACs', cell: ({ macs, macsShare }) => [macs, macsShare] },
  { title: metric, cell: (row) => [row.accuracy, accuracyNote(row)], main: true },
  { title: 'agreement', cell: ({ agreement }) => [agreement], narrow: false },
  { title: 'SQNR', cell: ({ sqnr }) => [sqnr], narrow: false },
  // a note above the table says that times are an emulator's: a column of it is no figure
  { title: 'p50', cell: ({ p50 }) => [p50 === 'emulated' ? '' : p50], narrow: false },
  { title: 'speed', cell: ({ speed }) => [speed], main: true },
  { title: 'peak memory', cell: ({ memory }) => [memory], narrow: false },
]

function table(report: TuneReport): Markup {
  const cells = cellsOf(report)
  const columns = columnsFor(metricName(report)).filter(({ cell }) =>
    cells.some((row) => cell(row)[0] !== ''),
  )
  const says = (found: boolean, text: string) => (found ? text : '')
  const legend = [
    'Small: the share of the original’s size, weights and multiply-adds (MACs).',
    says(
      cells.some(({ plusMinus }) => plusMinus !== ''),
      '±: 95 % interval in points.',
    ),
    says(
      cells.some(({ pValue }) => pValue !== ''),
      'p: exact McNemar test against the original on the same samples.',
    ),
    says(
      cells.some(({ speed }) => speed !== ''),
      'Speed: against the original, measured in turns in one run.',
    ),
  ]
  return markup`<p class="quiet">${legend.filter((text) => text !== '').join(' ')}</p><div class="scroll"><table class="overview" style="margin-top:12px">
<thead><tr><th scope="col">step</th>${columns.map(({ title, narrow }) => markup`<th scope="col"${narrow === false && markup` class="hide-narrow"`}>${title}</th>`)}</tr></thead>
<tbody>${cells.map((row) => markup`<tr>${nameCell(row)}${columns.map((column) => valueCell(column, row))}</tr>`)}</tbody></table></div>`
}

function nameCell({ row, number }: TuneCells): Markup {
  const kind = isFloatRow(row) ? 'float' : 'int8'
  const simulated = row.form.startsWith('simulated') && markup` style="background:var(--power)"`
  const what = row.stage === 'float' && row.form === 'float' ? 'original' : row.stage
  return markup`<td style="min-width:min(170px,24vw)"><span class="quiet">${number}</span> <span class="key ${kind}"${simulated}></span>${what === 'float' ? 'as given' : what}, ${row.form}${row.choice !== null && markup`<small class="hide-narrow">${row.choice}</small>`}</td>`
}

function valueCell({ cell, narrow, main }: Column, row: TuneCells): Markup {
  const [text, small] = cell(row)
  const names = [narrow === false && 'hide-narrow', main && 'main'].filter(Boolean).join(' ')
  return markup`<td${names !== '' && markup` class="${names}"`}>${text}${small !== undefined && small !== '' && small !== false && markup`<small style="white-space:normal">${small}</small>`}</td>`
}

/** The mark is a word before it is a colour. */
function accuracyNote({ plusMinus, pValue, differs }: TuneCells): Markup | false {
  if (plusMinus === '' && pValue === '') return false
  const p = pValue === '' ? '' : `p ${pValue}`
  return markup`${plusMinus}${plusMinus !== '' && p !== '' && markup`<br>`}${p}${differs !== null && markup` <b class="${differs === 'worse' ? 'warn' : 'good'}">${differs}</b>`}`
}

function rowNotes(cells: readonly TuneCells[]): Markup | false {
  const notes = cells.flatMap(({ row, number }) => row.notes.map((note) => ({ number, note })))
  return (
    notes.length > 0 &&
    markup`<ul class="plain" style="margin-top:12px">${notes.map(({ number, note }) => markup`<li>Row ${number}: ${note}</li>`)}</ul>`
  )
}

function stepCard(step: TuneStep, index: number, count: number): Markup {
  const { method, notes, layers = [] } = step
  const trained = trainingText(step)
  const options = optionsText(step)
  return markup`<section class="card"><h2>${count > 1 && `${index + 1}. `}${method}</h2>
${trained !== '' && markup`<p>${trained}.</p>`}${options !== '' && markup`<p class="quiet">${options}</p>`}
${notes.map((note) => markup`<p>${note}</p>`)}
${trainingCurves(step)}
${layers.length > 0 && layerTable(layers, `layers-${index}`)}</section>`
}

function layerTable(layers: readonly TuneLayer[], id: string): Markup {
  const errors = layers.some(({ error }) => error !== null)
  const largest = Math.max(1, ...layers.map(({ macsBefore }) => macsBefore))
  return markup`<h3 id="${id}">What became of ${layers.length === 1 ? 'one layer' : `${layers.length} layers`}</h3>
${errors && markup`<p class="quiet">Error: of the layer’s output, relative to its size.</p>`}
<div class="tensors${layers.length > many && ' tall'}" role="region" tabindex="0" aria-labelledby="${id}"><table>
<thead><tr><th scope="col">layer</th><th scope="col" class="hide-narrow">weights</th><th scope="col">MACs</th><th scope="col" class="hide-narrow" style="width:30%;text-align:left"><span class="key float"></span>before <span class="key int8"></span>after</th>${errors && markup`<th scope="col">error</th>`}</tr></thead>
<tbody>${layers.map((layer) => layerRow(layer, largest, errors))}</tbody></table></div>`
}

function layerRow(layer: TuneLayer, largest: number, errors: boolean): Markup {
  const { weightsBefore, weightsAfter, macsBefore, macsAfter, error } = layer
  return markup`<tr><td><code>${layer.layer}</code><small>${layer.what}</small></td>${change(weightsBefore, weightsAfter, true)}${change(macsBefore, macsAfter)}
<td class="hide-narrow">${bar('float', macsBefore / largest)}${bar('int8', macsAfter / largest)}</td>${errors && markup`<td>${error === null ? '–' : `${Number((100 * error).toPrecision(2))} %`}</td>`}</tr>`
}

function change(before: number, after: number, wide = false): Markup {
  return markup`<td${wide && markup` class="hide-narrow"`}>${formatCount(after)}<small>${before > 0 && `${shareOfOriginal(after / before)} of ${formatCount(before)}`}</small></td>`
}

/** Before above after, both against the greatest layer. */
function bar(kind: 'float' | 'int8', share: number): Markup {
  return markup`<span class="bar ${kind}" style="display:block;height:8px;margin-top:2px;width:${(100 * share).toFixed(2)}%"></span>`
}
