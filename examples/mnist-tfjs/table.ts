import type { RunDocument, RunResult } from '../../src/index.ts'

const columns = ['runtime', 'scheme', 'size', 'accuracy', 'as float', 'p50', 'p99', 'speed'] as const

/** Markdown: a row for each scheme on each runtime; speed is against the float network, measured in turn with it. */
export function tableOf(runs: readonly RunDocument[]): string {
  const rows = runs.flatMap(({ results }) => results.map(rowOf))
  return [columns, columns.map((_, index) => (index < 2 ? '---' : '--:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function rowOf(result: RunResult): string[] {
  const { status, target, scheme, artifact, accuracy, latency, speedup } = result
  const runtime = result.runtime ? `${result.runtime.name} ${result.runtime.version}` : (target ?? '')
  if (status !== 'ok')
    return [
      runtime,
      scheme ?? '',
      [`${status}:`, result.error?.message, result.error?.hint].join(' '),
      '',
      '',
      '',
      '',
      '',
    ]
  return [
    runtime,
    scheme ?? '',
    kilobytes(artifact?.bytes),
    percent(accuracy?.int8),
    percent(accuracy?.agreement),
    microseconds(latency?.p50Ns),
    microseconds(latency?.p99Ns),
    speedup === null ? '' : `${speedup.toFixed(2)} ×`,
  ]
}

function kilobytes(bytes: number | undefined): string {
  return bytes === undefined ? '' : `${(bytes / 1000).toFixed(1)} kB`
}

function percent(share: number | null | undefined): string {
  return typeof share === 'number' ? `${(100 * share).toFixed(1)} %` : ''
}

function microseconds(ns: number | null | undefined): string {
  return typeof ns === 'number' ? `${(ns / 1000).toFixed(0)} µs` : ''
}
