import { formatBytes, formatTime } from '../../report/format.ts'
import { code, escapeMarkdown } from '../../report/markdown.ts'
import {
  cellsOf,
  emulatedText,
  factsOf,
  formatCount,
  metricName,
  optionsText,
  sentencesOf,
  trainingText,
  type TuneCells,
} from './cells.ts'
import type { TuneReport, TuneStep } from './document.ts'

interface Column {
  readonly title: string
  readonly align: '---' | '--:'
  readonly cell: (row: TuneCells) => string
}

const columnsFor = (metric: string): readonly Column[] => [
  { title: 'step', align: '---', cell: ({ stage }) => escapeMarkdown(stage) },
  { title: 'form', align: '---', cell: ({ form }) => escapeMarkdown(form) },
  { title: 'size', align: '--:', cell: ({ size, sizeShare }) => withShare(size, sizeShare) },
  { title: 'weights', align: '--:', cell: ({ weights, weightsShare }) => withShare(weights, weightsShare) },
  { title: 'multiply-adds', align: '--:', cell: ({ macs, macsShare }) => withShare(macs, macsShare) },
  {
    title: escapeMarkdown(metric),
    align: '--:',
    cell: ({ accuracy, plusMinus }) => `${accuracy} ${plusMinus}`.trim(),
  },
  {
    title: 'p',
    align: '--:',
    cell: ({ pValue, differs }) =>
      differs === null ? escapeMarkdown(pValue) : `**${escapeMarkdown(pValue)}**`,
  },
  { title: 'agreement', align: '--:', cell: ({ agreement }) => agreement },
  { title: 'SQNR', align: '--:', cell: ({ sqnr }) => sqnr },
  { title: 'p50', align: '--:', cell: ({ p50 }) => p50 },
  { title: 'speed', align: '--:', cell: ({ speed }) => escapeMarkdown(speed) },
  { title: 'peak memory', align: '--:', cell: ({ memory }) => memory },
]

/** A tuning as GitHub-flavoured Markdown, e.g. for a comment on a pull request. */
export function renderTuneMarkdown(report: TuneReport): string {
  const { model, createdAt, steps, warnings } = report
  const cells = cellsOf(report)
  const filled = columnsFor(metricName(report)).filter(({ cell }) => cells.some((row) => cell(row) !== ''))
  const { headline, others } = sentencesOf(report)
  const emulated = emulatedText(report)
  const line = (texts: readonly string[]) => `| ${texts.join(' | ')} |`
  return `${[
    `### ${escapeMarkdown(model.name)}, tuned${steps.length > 0 ? ` by ${escapeMarkdown(steps.map(({ method }) => method).join(', '))}` : ''}`,
    '',
    escapeMarkdown(headline),
    '',
    line(filled.map(({ title }) => title)),
    `|${filled.map(({ align }) => align).join('|')}|`,
    ...cells.map((row) => line(filled.map(({ cell }) => cell(row)))),
    '',
    ...others.map((sentence) => `- ${escapeMarkdown(sentence)}`),
    ...(emulated ? [`- **${escapeMarkdown(emulated)}**`] : []),
    `- model: ${code(model.path ?? model.name)} (${formatBytes(model.bytes)}, sha256 ${code(model.sha256.slice(0, 12))}), ${formatTime(createdAt)}, edgewright ${escapeMarkdown(report.edgewright)}`,
    ...factsOf(report).map(({ label, text }) => `- ${label}: ${escapeMarkdown(text)}`),
    ...steps.flatMap(stepLines),
    ...cells.flatMap(({ row, number }) =>
      row.notes.map((note) => `- row ${number}: ${escapeMarkdown(note)}`),
    ),
    ...warnings.map(({ code: name, message, hint }) =>
      `- Warning ${code(name)}: ${escapeMarkdown(message)} ${escapeMarkdown(hint)}`.trim(),
    ),
    ...steps.flatMap(layerTable),
  ].join('\n')}\n`
}

function stepLines(step: TuneStep): string[] {
  const texts = [trainingText(step), optionsText(step), ...step.notes].filter((text) => text !== '')
  return texts.length === 0
    ? [`- ${code(step.method)}`]
    : [`- ${code(step.method)}: ${escapeMarkdown(texts.join('. '))}`]
}

function layerTable({ method, layers = [] }: TuneStep): string[] {
  if (layers.length === 0) return []
  return [
    '',
    `<details><summary>${escapeMarkdown(method)}: what became of ${layers.length === 1 ? 'one layer' : `${layers.length} layers`}</summary>`,
    '',
    '| layer | | weights | multiply-adds | error |',
    '|---|---|--:|--:|--:|',
    ...layers.map(
      ({ layer, what, weightsBefore, weightsAfter, macsBefore, macsAfter, error }) =>
        `| ${code(layer)} | ${escapeMarkdown(what)} | ${formatCount(weightsBefore)} → ${formatCount(weightsAfter)} | ${formatCount(macsBefore)} → ${formatCount(macsAfter)} | ${error === null ? '' : `${Number((100 * error).toPrecision(2))} %`} |`,
    ),
    '',
    '</details>',
  ]
}

function withShare(value: string, share: string): string {
  return share === '' ? value : `${value} (${share})`
}
