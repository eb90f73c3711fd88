import type { Fidelity, FidelityTensor } from '../store/fidelity.ts'
import { worstFirst } from './fidelity-order.ts'
import { formatDb, formatShare, printable } from './format.ts'
import { paintOf, type TableOptions, wrap } from './table.ts'

const gap = '  '

/** A diagnosis for the terminal: the worst tensors, each with its causes and what helps. */
export function renderFidelity(
  fidelity: Fidelity,
  { color, width, worst }: TableOptions & { readonly worst: number },
): string {
  const paint = paintOf(color)
  const shown = worstFirst(fidelity.tensors).slice(0, worst)
  const cells = shown.map(cellsOf)
  const fixed = [1, 2, 3].map((column) =>
    Math.max(titles[column]!.length, ...cells.map((row) => row[column]!.length)),
  )
  const room = width - fixed.reduce((sum, one) => sum + one + gap.length, 0)
  const first = Math.min(
    Math.max(titles[0].length, ...cells.map(([name]) => name.length)),
    Math.max(24, room),
  )
  const line = ([name, ...rest]: Row) =>
    [shortenInside(name, first).padEnd(first), ...rest.map((cell, i) => cell.padStart(fixed[i]!))]
      .join(gap)
      .trimEnd()
  const said = new Set<string>()
  // what helps several tensors stands with the worst of them
  const isNew = (text: string) => !said.has(text) && said.add(text)
  const rows = shown.flatMap((tensor, i) => [
    paint(line(cells[i]!), styleOf(tensor)),
    ...tensor.causes.flatMap(({ sentence, remedies }) => [
      ...wrap(printable(sentence), width, gap),
      ...remedies
        .map(remedyText)
        .filter(isNew)
        .flatMap((text) => wrap(text, width, `${gap}${gap}`).map((text) => paint(text, 'dim'))),
    ]),
  ])
  const left = fidelity.tensors.length - shown.length
  return [
    headline(fidelity),
    ...rewriteNote(fidelity).flatMap((note) => wrap(note, width, '').map((text) => paint(text, 'yellow'))),
    '',
    paint(line(titles), 'dim'),
    ...rows,
    ...(left > 0
      ? ['', paint(`${left} more ${left === 1 ? 'tensor' : 'tensors'}: --worst, --report or --json`, 'dim')]
      : []),
  ].join('\n')
}

type Row = readonly [name: string, sqnr: string, own: string, cosine: string]
const titles: Row = ['worst first', 'SQNR', 'own', 'cosine']

function headline({ sqnrDb, agreement, samples }: Fidelity): string {
  const agrees = agreement === null ? '' : `, agrees with float on ${formatShare(agreement)}`
  return `output SQNR ${dbText(sqnrDb)}${agrees} (${samples} samples)`
}

/** Rewrites of the float network are exact but for rounding in 32 bits: where they are not, no tensor shows it. */
export function rewriteNote({ rewrittenDb }: Fidelity): string[] {
  if (rewrittenDb === null || rewrittenDb >= 60) return []
  return [
    `The float network was rewritten before it was quantized (equalization); that by itself leaves the output ${formatDb(rewrittenDb)} of the model’s. Tensors are compared with the rewritten network, so this loss shows in none of them.`,
  ]
}

function cellsOf({ name, operator, sqnrDb, ownDb, cosine }: FidelityTensor): Row {
  return [`${printable(name)} (${printable(operator)})`, dbText(sqnrDb), dbText(ownDb), cosine.toFixed(4)]
}

function styleOf({ sqnrDb }: FidelityTensor): 'red' | 'yellow' | 'green' {
  if (sqnrDb === null || sqnrDb >= 30) return 'green'
  return sqnrDb >= 15 ? 'yellow' : 'red'
}

export function dbText(db: number | null): string {
  return db === null ? 'exact' : formatDb(db)
}

/** `→ --per-channel: a scale for each filter (tried: +19.8 dB)`. */
function remedyText({ option, why, gainDb }: FidelityTensor['causes'][number]['remedies'][number]): string {
  return printable(
    `→ ${option === null ? why : `${option}: ${why}`}${gainDb === undefined ? '' : ` (tried: ${gainText(gainDb)})`}`,
  )
}

/** A change of SQNR with its sign: `+3.2 dB`. */
export function gainText(gainDb: number | null): string {
  return gainDb === null ? 'exact' : `${gainDb < 0 ? '−' : '+'}${Math.abs(gainDb).toFixed(1)} dB`
}

/** Layer names differ at their ends: what is too long loses its middle. */
function shortenInside(text: string, length: number): string {
  if (text.length <= length) return text
  const tail = Math.floor((length - 1) * 0.7)
  return `${text.slice(0, length - 1 - tail)}…${text.slice(text.length - tail)}`
}
