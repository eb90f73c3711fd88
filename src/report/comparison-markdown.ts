import type { Comparison } from '../store/comparison.ts'
import {
  baselineSentence,
  comparisonRows,
  conditionsSentence,
  controlSentence,
  emulatedSentence,
  outputsSentence,
} from './comparison-rows.ts'
import { formatTime } from './format.ts'
import { code, escapeMarkdown } from './markdown.ts'

const headings: Readonly<Record<Comparison['passes'][number]['verdict'], string>> = {
  slower: 'B is slower',
  faster: 'B is faster',
  equal: 'B is as fast as A',
  undecided: '~ nothing proved',
  unproven: 'unproven: the device cannot judge now',
}

/** A comparison as GitHub-flavoured Markdown: the comment on a pull request. */
export function renderComparisonMarkdown(comparison: Comparison): string {
  const { a, b, passes, gate, createdAt, edgewright, warnings } = comparison
  const [pass, again] = passes
  const notes = [
    escapeMarkdown(controlSentence(comparison)),
    escapeMarkdown(outputsSentence(comparison)),
    ...(again ? [`A second run: ${escapeMarkdown(again.reason)}`] : []),
    ...[baselineSentence(comparison), emulatedSentence(comparison)].flatMap((sentence) =>
      sentence === null ? [] : [`**${escapeMarkdown(sentence)}**`],
    ),
    ...warnings.map(({ code: name, message, hint }) =>
      `Warning ${code(name)}: ${escapeMarkdown(message)} ${escapeMarkdown(hint)}`.trim(),
    ),
  ]
  return `${[
    `### ${headings[pass!.verdict]}`,
    '',
    escapeMarkdown(pass!.reason),
    '',
    `| | A | B | change | 95 % |`,
    '|---|--:|--:|--:|---|',
    ...comparisonRows(comparison).map(
      ({ what, a: first, b: second, change, note }) =>
        `| ${[what, first, second, change, note].map(escapeMarkdown).join(' | ')} |`,
    ),
    '',
    ...(gate.length > 0
      ? [
          '| limit | | |',
          '|---|---|---|',
          ...gate.map(
            ({ written, status, reason }) =>
              `| ${code(written)} | ${status === 'broken' ? '**broken**' : status} | ${escapeMarkdown(reason)} |`,
          ),
          '',
        ]
      : []),
    `- A: ${code(a.path)} ${code(a.sha256.slice(0, 12))}`,
    `- B: ${code(b.path)} ${code(b.sha256.slice(0, 12))}`,
    `- ${escapeMarkdown(conditionsSentence(comparison))}, ${formatTime(createdAt)}, edgewright ${escapeMarkdown(edgewright)}`,
    ...notes.map((note) => `- ${note}`),
  ].join('\n')}\n`
}
