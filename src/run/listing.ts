import { formatSpeedup, formatTime, printable } from '../report/format.ts'
import type { RunSummary } from '../store/run-index.ts'

/** One line a run, one more for each of its devices. */
export function describeRunList(rows: readonly RunSummary[]): string {
  if (rows.length === 0) return 'No runs yet: edgewright run MODEL --data SAMPLES --device BOARD'
  return rows.map(describeRow).join('\n')
}

function describeRow({ runId, createdAt, model, results, problem }: RunSummary): string {
  const head = [runId, createdAt && formatTime(createdAt), model && printable(model.path), problem].filter(Boolean).join('  ')
  const devices = results.map(
    (result) => `    ${printable(result.device)}  ${result.status}${result.floatP50Ns && result.int8P50Ns ? `  int8 at ${formatSpeedup(result.floatP50Ns / result.int8P50Ns)} the speed of float` : ''}`,
  )
  return [head, ...devices].join('\n')
}
