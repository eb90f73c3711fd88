import { formatBytes, formatTime, printable } from '../../report/format.ts'
import { paintOf, type TableOptions, wrap } from '../../report/table.ts'
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
import type { TuneLayer, TuneReport, TuneStep } from './document.ts'

interface Column<Row> {
  readonly title: string
  readonly align: 'left' | 'right'
  /** Columns with the lowest are left out first where the terminal is narrow; 9 is never. */
  readonly priority: number
  readonly cell: (row: Row) => string
  /** Said under the table where the column is shown. */
  readonly legend?: string
}

const gap = '  '
const labelWidth = 10
/** Of one step; the page and the document have all. */
const layersShown = 16

const shares = 'Beside size, weights and multiply-adds (MACs): the share of the original’s.'

const columnsFor = (metric: string): readonly Column<TuneCells>[] => [
  { title: 'step', align: 'left', priority: 9, cell: ({ stage }) => printable(stage) },
  { title: 'form', align: 'left', priority: 9, cell: ({ form }) => printable(form) },
  { title: 'size', align: 'right', priority: 9, cell: ({ size }) => size },
  { title: '', align: 'right', priority: 4, cell: ({ sizeShare }) => sizeShare, legend: shares },
  { title: 'weights', align: 'right', priority: 1, cell: ({ weights }) => weights },
  { title: '', align: 'right', priority: 0, cell: ({ weightsShare }) => weightsShare, legend: shares },
  { title: 'MACs', align: 'right', priority: 5, cell: ({ macs }) => macs },
  { title: '', align: 'right', priority: 3, cell: ({ macsShare }) => macsShare, legend: shares },
  { title: printable(metric), align: 'right', priority: 8, cell: ({ accuracy }) => accuracy },
  { title: '', align: 'left', priority: 3, cell: ({ plusMinus }) => plusMinus, legend: '±: 95 % interval.' },
  {
    title: 'p',
    align: 'right',
    priority: 4,
    cell: ({ pValue }) => pValue,
    legend: 'p: exact McNemar test against the original.',
  },
  {
    title: 'agree',
    align: 'right',
    priority: 7,
    cell: ({ agreement }) => agreement,
    legend: 'agree: with the original.',
  },
  { title: 'SQNR', align: 'right', priority: 2, cell: ({ sqnr }) => sqnr },
  { title: 'p50', align: 'right', priority: 6, cell: ({ p50 }) => p50 },
  { title: 'speed', align: 'right', priority: 8, cell: ({ speed }) => speed },
  { title: 'peak memory', align: 'right', priority: 0, cell: ({ memory }) => memory },
]

const layerColumns: readonly Column<TuneLayer>[] = [
  { title: 'layer', align: 'left', priority: 9, cell: ({ layer }) => shorten(printable(layer), 40) },
  { title: 'what', align: 'left', priority: 9, cell: ({ what }) => shorten(printable(what), 44) },
  { title: 'weights', align: 'right', priority: 2, cell: ({ weightsAfter }) => formatCount(weightsAfter) },
  { title: '', align: 'right', priority: 8, cell: (one) => kept(one.weightsAfter, one.weightsBefore) },
  { title: 'MACs', align: 'right', priority: 3, cell: ({ macsAfter }) => formatCount(macsAfter) },
  { title: '', align: 'right', priority: 8, cell: (one) => kept(one.macsAfter, one.macsBefore) },
  {
    title: 'error',
    align: 'right',
    priority: 7,
    cell: ({ error }) => (error === null ? '' : percent(error)),
  },
]

/** A tuning for the terminal: the table, what can be said of it, and what each step did. */
export function renderTuneTable(report: TuneReport, { color, width }: TableOptions): string {
  const paint = paintOf(color)
  const { model, createdAt, steps, warnings } = report
  const cells = cellsOf(report)
  const { titles, lines, legend } = aligned(columnsFor(metricName(report)), cells, width)
  const { headline, others } = sentencesOf(report)
  const emulated = emulatedText(report)
  const facts = [formatBytes(model.bytes), `sha256 ${model.sha256.slice(0, 12)}`, formatTime(createdAt)].join(
    gap,
  )
  const name = printable(model.path ?? model.name)
  return [
    ...(name.length + gap.length + facts.length <= width
      ? [`${paint(name, 'bold')}${gap}${facts}`]
      : [paint(name, 'bold'), ...wrap(facts, width, '')]),
    '',
    paint(titles, 'dim'),
    ...lines.map((line, index) => {
      const { differs } = cells[index]!
      return differs === 'worse'
        ? paint(line, 'yellow')
        : index === lines.length - 1
          ? paint(line, 'green')
          : line
    }),
    ...(legend === '' ? [] : wrap(legend, width, '').map((line) => paint(line, 'dim'))),
    '',
    ...wrap(printable(headline), width, '').map((line) => paint(line, 'bold')),
    ...others.flatMap((sentence) => wrap(printable(sentence), width, '')),
    ...(emulated ? wrap(printable(emulated), width, '').map((line) => paint(line, 'yellow')) : []),
    '',
    ...factsOf(report).flatMap(({ label, text }) => entry(label, text, width)),
    ...steps.flatMap((step) => stepLines(step, width)),
    ...cells.flatMap(({ row, number }) => row.notes.flatMap((note) => entry(`row ${number}`, note, width))),
    ...warnings
      .flatMap(({ code, message, hint }) =>
        wrap(printable(`warning ${code}: ${message} ${hint}`), width, gap),
      )
      .map((line) => paint(line, 'yellow')),
  ]
    .join('\n')
    .trimEnd()
}

function stepLines(step: TuneStep, width: number): string[] {
  const { method, notes, layers = [] } = step
  const texts = [trainingText(step), optionsText(step), ...notes].filter((text) => text !== '')
  const shown = layers.slice(0, layersShown)
  const indent = ' '.repeat(labelWidth + 3)
  const layerTable = aligned(layerColumns, shown, width - indent.length)
  return [
    ...texts.flatMap((text, index) => entry(index === 0 ? method : '', text, width)),
    ...(texts.length === 0 && layers.length > 0
      ? entry(method, `${layers.length} layers changed`, width)
      : []),
    ...(shown.length > 0 ? [layerTable.titles, ...layerTable.lines].map((line) => indent + line) : []),
    ...(layers.length > shown.length
      ? [`${indent}and ${layers.length - shown.length} more: see the page or the document`]
      : []),
  ]
}

interface Aligned {
  readonly titles: string
  readonly lines: readonly string[]
  readonly legend: string
}

/** Columns without content or room are left out. */
function aligned<Row>(wanted: readonly Column<Row>[], rows: readonly Row[], width: number): Aligned {
  const filled = wanted
    .map((column) => ({ column, cells: rows.map(column.cell) }))
    .filter(({ cells }) => cells.some((cell) => cell !== ''))
    .map(({ column, cells }) => ({
      column,
      cells,
      width: Math.max(column.title.length, ...cells.map((cell) => cell.length)),
    }))
  const total = () => filled.reduce((sum, one) => sum + one.width + gap.length, -gap.length)
  while (total() > width) {
    const least = filled.reduce((a, b) => (b.column.priority < a.column.priority ? b : a))
    if (least.column.priority === 9) break
    filled.splice(filled.indexOf(least), 1)
  }
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) =>
        filled[i]!.column.align === 'left' ? text.padEnd(filled[i]!.width) : text.padStart(filled[i]!.width),
      )
      .join(gap)
      .trimEnd()
  return {
    titles: line(filled.map(({ column }) => column.title)),
    lines: rows.map((_, index) => line(filled.map(({ cells }) => cells[index]!))),
    legend: [...new Set(filled.flatMap(({ column }) => column.legend ?? []))].join(' '),
  }
}

/** A label and its text, further lines under the text. */
function entry(label: string, text: string, width: number): string[] {
  const indent = ' '.repeat(labelWidth + 3)
  const lines = wrap(printable(text), width, indent)
  return lines.map((line, index) =>
    index === 0 ? `  ${printable(label).padEnd(labelWidth)} ${line.slice(indent.length)}` : line,
  )
}

function kept(after: number, before: number): string {
  return before === 0 ? '' : shareOfOriginal(after / before)
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}
