import type { RunDocument, RunResult } from '../store/document.ts'
import { formatBytes, formatNs, formatRatio, formatShare, formatTime, printable } from './format.ts'
import { accuracyText, parityText } from './table.ts'

/** A run as GitHub-flavoured Markdown, e.g. for a comment on a pull request. */
export function renderMarkdown(document: RunDocument): string {
  const { model, runId, createdAt, results } = document
  const measured = results.filter(({ status }) => status === 'ok')
  const lines = [
    `**${escapeMarkdown(model.path)}** (${formatBytes(model.bytes)}, sha256 \`${model.sha256.slice(0, 12)}\`), run \`${runId}\`, ${formatTime(createdAt)}`,
    '',
  ]
  if (measured.length > 0)
    lines.push(
      '| device | threads | | size | accuracy | p50 | p90 | p99 | speed | peak memory |',
      '|---|--:|---|--:|--:|--:|--:|--:|--:|--:|',
      ...measured.flatMap(rows),
      '',
    )
  for (const result of results) lines.push(...notes(result))
  return `${lines.join('\n').trimEnd()}\n`
}

function rows(result: RunResult): string[] {
  const { baseline, latency, accuracy, size, memory, speedup } = result
  const time = (ns: number | null | undefined) => (ns === null || ns === undefined ? '' : formatNs(ns))
  const share = (fraction: number | null | undefined) =>
    fraction === null || fraction === undefined ? '' : formatShare(fraction)
  const bytes = (count: number | null | undefined) =>
    count === null || count === undefined ? '' : formatBytes(count)
  const float = [
    code(result.device),
    result.threads ?? '',
    'float',
    bytes(size?.floatBytes),
    share(accuracy?.float ?? baseline?.accuracy),
    time(baseline?.latency?.p50Ns),
    time(baseline?.latency?.p90Ns),
    time(baseline?.latency?.p99Ns),
    '',
    bytes(baseline?.memory?.peakRssBytes),
  ]
  const int8 = [
    result.profile === null ? '' : code(result.profile),
    '',
    result.scheme === null || result.scheme === 'full-int8' ? 'int8' : result.scheme,
    bytes(size?.int8Bytes ?? result.artifact?.bytes),
    share(accuracy?.int8),
    time(latency?.p50Ns),
    time(latency?.p90Ns),
    time(latency?.p99Ns),
    speedup === null ? '' : `**${formatRatio(speedup)}**`,
    bytes(memory?.peakRssBytes),
  ]
  return [float, int8].map((cells) => `| ${cells.join(' | ')} |`)
}

function notes(result: RunResult): string[] {
  const parts = [
    result.status === 'ok'
      ? null
      : `**${result.status}**: ${escapeMarkdown(result.error?.message ?? 'no reason given')} (\`${result.error?.code ?? 'INTERNAL'}\`) ${escapeMarkdown(result.error?.hint ?? '')}`,
    result.verdict === null ? null : escapeMarkdown(result.verdict.sentence),
    escapeMarkdown(accuracyText(result)),
    escapeMarkdown(parityText(result)),
    result.calibrated === false ? 'Not calibrated: ranges come from random inputs.' : null,
    result.conditions?.emulated
      ? `Emulated (${escapeMarkdown(result.conditions.emulated)}): these times are not a board’s.`
      : null,
    ...result.warnings.map(
      ({ code: name, message, hint }) =>
        `Warning ${code(name)}: ${escapeMarkdown(message)} ${escapeMarkdown(hint)}`,
    ),
  ].filter((part) => part !== null && part.trim() !== '')
  return parts.length === 0 ? [] : [`- ${code(result.device)}`, ...parts.map((part) => `  - ${part!.trim()}`)]
}

/** Nothing from outside becomes markup, a link or a mention. */
export function escapeMarkdown(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/[\\`*_{}[\]()#|~>]/g, '\\$&')
    .replaceAll('@', '&#64;')
    .replaceAll('://', ':&#47;&#47;')
}

/** A code span: verbatim, with a fence longer than any inside. A pipe would still end the cell. */
export function code(text: string): string {
  const clean = printable(text).replaceAll('|', '\\|')
  const longest = Math.max(0, ...(clean.match(/`+/g) ?? []).map((run) => run.length))
  const fence = '`'.repeat(longest + 1)
  return longest === 0 ? `\`${clean}\`` : `${fence} ${clean} ${fence}`
}
