import type { RunDocument, RunResult } from '../store/document.ts'
import { energyCell, energyText } from './energy-text.ts'
import { conditionsText } from './conditions-text.ts'
import { enginesText } from './engines.ts'
import {
  formatBytes,
  formatDb,
  formatNs,
  formatPoints,
  formatRatio,
  formatShare,
  formatSpeedup,
  formatTime,
  printable,
} from './format.ts'

export interface TableOptions {
  readonly color: boolean
  /** Columns of the terminal. */
  readonly width: number
}

interface Column {
  readonly title: string
  readonly align: 'left' | 'right'
  /** Columns with the lowest are left out first where the terminal is narrow. */
  readonly priority: number
  float(result: RunResult): string
  int8(result: RunResult): string
}

type Paint = (text: string, style: keyof typeof styles) => string

/** Colours text where the terminal shows colours. */
export function paintOf(color: boolean): Paint {
  return color ? (text, style) => `\u001b[${styles[style]}m${text}\u001b[0m` : (text) => text
}

const styles = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33' } as const
const gap = '  '

/** A run for the terminal: float above int8 for each device, then what must be said about them. */
export function renderTable(document: RunDocument, { color, width }: TableOptions): string {
  const paint = paintOf(color)
  const { model, runId, createdAt } = document
  const facts = [
    formatBytes(model.bytes),
    `sha256 ${model.sha256.slice(0, 12)}`,
    `run ${runId}`,
    formatTime(createdAt),
  ].join(gap)
  const name = printable(model.path)
  const head =
    name.length + gap.length + facts.length <= width
      ? [`${paint(name, 'bold')}${gap}${facts}`]
      : [paint(name, 'bold'), ...wrap(facts, width, '')]
  const measured = document.results.filter(({ status }) => status === 'ok')
  return [
    ...head,
    ...(measured.length > 0 ? ['', ...table(measured, width, paint)] : []),
    '',
    ...document.results.flatMap((result) => notes(result, width, paint)),
  ]
    .join('\n')
    .trimEnd()
}

const columns: readonly Column[] = [
  {
    title: 'device',
    align: 'left',
    priority: 9,
    float: ({ device }) => shorten(printable(device), 36),
    int8: (result) => gap + shorten(whereText(result), 34),
  },
  {
    title: '',
    align: 'left',
    priority: 9,
    float: () => 'float',
    int8: ({ scheme }) => (scheme === 'full-int8' || scheme === null ? 'int8' : scheme),
  },
  {
    title: 'size',
    align: 'right',
    priority: 6,
    float: ({ size }) => (size ? formatBytes(size.floatBytes) : ''),
    int8: ({ size, artifact }) => bytesOr(size?.int8Bytes ?? artifact?.bytes),
  },
  {
    title: 'accuracy',
    align: 'right',
    priority: 7,
    float: (result) => share(result.accuracy?.float ?? result.baseline?.accuracy),
    int8: ({ accuracy }) => share(accuracy?.int8),
  },
  {
    title: 'agree',
    align: 'right',
    priority: 4,
    float: () => '',
    int8: ({ accuracy }) => share(accuracy?.agreement),
  },
  {
    title: 'p50',
    align: 'right',
    priority: 9,
    float: (result) => boardTime(result, result.baseline?.latency?.p50Ns, 'p50'),
    int8: (result) => boardTime(result, result.latency?.p50Ns, 'p50'),
  },
  {
    title: 'p90',
    align: 'right',
    priority: 2,
    float: (result) => boardTime(result, result.baseline?.latency?.p90Ns, 'p90'),
    int8: (result) => boardTime(result, result.latency?.p90Ns, 'p90'),
  },
  {
    title: 'p99',
    align: 'right',
    priority: 5,
    float: (result) => boardTime(result, result.baseline?.latency?.p99Ns, 'p99'),
    int8: (result) => boardTime(result, result.latency?.p99Ns, 'p99'),
  },
  {
    title: 'speed',
    align: 'right',
    priority: 8,
    float: () => '',
    int8: ({ speedup, conditions }) =>
      speedup === null ? '' : conditions?.emulated ? `(${formatRatio(speedup)})` : formatRatio(speedup),
  },
  {
    title: 'peak memory',
    align: 'right',
    priority: 3,
    float: ({ baseline }) => bytesOr(baseline?.memory?.peakRssBytes),
    int8: ({ memory }) => bytesOr(memory?.peakRssBytes),
  },
  {
    title: 'energy',
    align: 'right',
    priority: 4,
    float: (result) => boardEnergy(result, result.baseline?.energy),
    int8: (result) => boardEnergy(result, result.energy),
  },
]

/** An emulator's times are no board's: they stay in the document, out of the table. */
function boardTime({ conditions }: RunResult, ns: number | null | undefined, name: string): string {
  if (!conditions?.emulated) return time(ns)
  return name === 'p50' ? 'emulated' : ''
}

function boardEnergy({ conditions }: RunResult, energy: RunResult['energy'] | undefined): string {
  const cell = energyCell(energy)
  return conditions?.emulated && cell !== '' ? 'emulated' : cell
}

function table(results: readonly RunResult[], width: number, paint: Paint): string[] {
  const filled = columns
    .map((column) => ({
      column,
      cells: results.flatMap((result) => [column.float(result), column.int8(result)]),
    }))
    .filter(({ column, cells }) => column.priority === 9 || cells.some((cell) => cell !== ''))
    .map(({ column, cells }) => ({
      column,
      cells,
      width: Math.max(column.title.length, ...cells.map((cell) => cell.length)),
    }))
  const total = () => filled.reduce((sum, { width }) => sum + width + gap.length, -gap.length)
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
  const rows = results.flatMap((result, i) => [
    line(filled.map(({ cells }) => cells[2 * i]!)),
    paint(
      line(filled.map(({ cells }) => cells[2 * i + 1]!)),
      result.verdict?.choice === 'float' ? 'yellow' : 'green',
    ),
  ])
  return [paint(line(filled.map(({ column }) => column.title)), 'dim'), ...rows]
}

function notes(result: RunResult, width: number, paint: Paint): string[] {
  const lines: string[] = []
  const say = (text: string, style?: keyof typeof styles) =>
    lines.push(...wrap(text, width, gap).map((line) => (style ? paint(line, style) : line)))
  if (result.status !== 'ok') {
    say(
      `${result.status}: ${printable(result.error?.message ?? 'no reason given')} (${result.error?.code ?? 'INTERNAL'})`,
      result.status === 'failed' ? 'red' : 'yellow',
    )
    if (result.error?.saw) say(`saw: ${printable(result.error.saw)}`)
    if (result.error?.hint) say(`hint: ${printable(result.error.hint)}`)
  }
  if (result.verdict)
    say(printable(result.verdict.sentence), result.verdict.choice === 'float' ? 'yellow' : 'green')
  for (const [fact, style] of [
    [accuracyText(result), undefined],
    [enginesText(result), undefined],
    [parityText(result), result.parity?.ok === false ? 'yellow' : undefined],
    [energyText(result), undefined],
    [result.runtime ? printable(`${result.runtime.name} ${result.runtime.version}`) : '', 'dim'],
    [
      result.conditions ? `conditions: ${conditionsText(result.conditions)}` : '',
      result.conditions?.stability === 'throttled' ? 'yellow' : 'dim',
    ],
  ] as const)
    if (fact !== '') say(fact, style)
  if (result.calibrated === false)
    say('Not calibrated: ranges come from random inputs, so accuracy means nothing yet.', 'yellow')
  if (result.conditions?.emulated)
    say(
      `Emulated (${printable(result.conditions.emulated)}): times are the emulator’s, not a board’s, and their ratio is no forecast.`,
      'yellow',
    )
  for (const { code, message, hint } of result.warnings)
    say(`warning ${code}: ${printable(message)} ${printable(hint)}`, 'yellow')
  return lines.length === 0 ? [] : [paint(printable(result.device), 'bold'), ...lines]
}

function whereText({ profile, threads, target }: RunResult): string {
  const parts = [
    profile ?? target,
    threads === null ? null : `${threads} ${threads === 1 ? 'thread' : 'threads'}`,
  ]
  return printable(parts.filter((part) => part !== null).join(', '))
}

/** Shared with the Markdown: how int8 answers beside float, in one phrase. */
export function accuracyText({ accuracy, speedup }: RunResult): string {
  if (accuracy === null) return speedup === null ? '' : `int8 is ${formatSpeedup(speedup)}`
  const parts = [
    accuracy.drop === null ? null : `${printable(accuracy.metric)} ${formatPoints(-accuracy.drop)}`,
    accuracy.agreement === null ? null : `agrees with float on ${formatShare(accuracy.agreement)}`,
    accuracy.sqnrDb === null || accuracy.sqnrDb === undefined ? null : `SQNR ${formatDb(accuracy.sqnrDb)}`,
  ].filter((part) => part !== null)
  return parts.length === 0
    ? ''
    : `${parts.join(', ')} (${accuracy.samples} samples, on the ${accuracy.measuredOn})`
}

/** Shared with the Markdown: board against host, in one phrase. */
export function parityText({ parity }: RunResult): string {
  if (parity === null) return ''
  if (parity.maxSteps === 0 && parity.identicalShare === 1)
    return `board and host agree in every bit over ${parity.samples} samples`
  const difference = `board and host differ by at most ${Number(parity.maxSteps.toPrecision(3))} quantization ${parity.maxSteps === 1 ? 'step' : 'steps'} over ${parity.samples} samples`
  return parity.ok
    ? difference
    : `${difference}, more than the ${parity.tolerance} allowed${parity.firstDivergence ? `: first at ${printable(parity.firstDivergence)}` : ''}`
}

/** Lines of at most `width` columns, each behind the indent. */
export function wrap(text: string, width: number, indent: string): string[] {
  const limit = Math.max(40, width) - indent.length
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > limit) {
      lines.push(indent + line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, indent + line]
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}

function time(ns: number | null | undefined): string {
  return ns === null || ns === undefined ? '' : formatNs(ns)
}

function share(fraction: number | null | undefined): string {
  return fraction === null || fraction === undefined ? '' : formatShare(fraction)
}

function bytesOr(bytes: number | null | undefined): string {
  return bytes === null || bytes === undefined ? '' : formatBytes(bytes)
}
