import type { Comparison } from '../store/comparison.ts'
import {
  baselineSentence,
  comparisonRows,
  conditionsSentence,
  controlSentence,
  emulatedSentence,
  outputsSentence,
  verdictWords,
} from './comparison-rows.ts'
import { printable } from './format.ts'

/** A comparison for a terminal. */
export function renderComparison(comparison: Comparison): string {
  const { a, b, passes, gate } = comparison
  const rows = comparisonRows(comparison)
  const header = { what: '', a: 'A', b: 'B', change: 'B to A', note: '95 %' }
  const width = (of: 'what' | 'a' | 'b' | 'change') =>
    Math.max(...[header, ...rows].map((row) => row[of].length))
  const widths = { what: width('what'), a: width('a'), b: width('b'), change: width('change') }
  const line = ({ what, a: first, b: second, change, note }: (typeof rows)[number]) =>
    `${what.padEnd(widths.what)}  ${first.padStart(widths.a)}  ${second.padStart(widths.b)}  ${change.padStart(widths.change)}  ${note}`.trimEnd()
  const [pass, again] = passes
  const sentences = [
    `${verdictWords[pass!.verdict]}: ${pass!.reason}`,
    ...(again ? [`Again, to confirm: ${verdictWords[again.verdict]}: ${again.reason}`] : []),
    controlSentence(comparison),
    outputsSentence(comparison),
    baselineSentence(comparison),
  ].filter((sentence) => sentence !== null)
  const emulated = emulatedSentence(comparison)
  return [
    `A  ${sideText(a)}`,
    `B  ${sideText(b)}`,
    `on ${printable(conditionsSentence(comparison))}`,
    ...(emulated ? [`! ${printable(emulated)}`] : []),
    '',
    line(header),
    ...rows.map(line),
    '',
    ...sentences.map(printable),
    ...(gate.length > 0 ? [''] : []),
    ...gate.map(
      ({ written, status, reason }) =>
        `${(status === 'broken' ? 'BROKEN' : status).padEnd(12)}  ${printable(written)}  ${printable(reason)}`,
    ),
  ].join('\n')
}

function sideText({ path, target, scheme, sha256 }: Comparison['a']): string {
  return [printable(path), ...[target, scheme].filter((part) => part !== null), sha256.slice(0, 12)].join(
    '  ',
  )
}
