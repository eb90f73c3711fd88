import { formatSpeedup, formatTime, printable } from '../report/format.ts'
import type { ResultSummary, RunSummary } from '../store/run-index.ts'

/** One line a run, one more for each of its devices. */
export function describeRunList(rows: readonly RunSummary[]): string {
  if (rows.length === 0) return 'No runs yet: edgewright run MODEL --data SAMPLES --device BOARD'
  return rows.map(describeRow).join('\n')
}

function describeRow({ runId, createdAt, model, results, problem }: RunSummary): string {
  const head = [runId, createdAt && formatTime(createdAt), model && printable(model.path), problem]
    .filter(Boolean)
    .join('  ')
  const devices = results.map((result) =>
    [`    ${printable(result.device)}`, result.status, ...speedOf(result)].join('  '),
  )
  return [head, ...devices].join('\n')
}

/** An emulator's ratio is no forecast, so it is not shown. */
function speedOf({ speedup, threads, emulated }: ResultSummary): string[] {
  if (speedup === null) return []
  const verdict = emulated
    ? 'emulated'
    : formatSpeedup(speedup) === 'equal'
      ? 'int8 as fast as float'
      : `int8 ${formatSpeedup(speedup)} than float`
  return [verdict, ...(threads && threads > 1 ? [`(${threads} threads)`] : [])]
}
