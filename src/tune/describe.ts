import type { TableOptions } from '../report/table.ts'
import { renderTuneTable } from './report/table.ts'
import type { Tuned } from './tune.ts'

/** What `edgewright tune` prints: the table, and where the files are. */
export function describeTuned({ report, model, quantized, folder }: Tuned, options: TableOptions): string {
  const files = [quantized, model].filter((path) => path !== null)
  return [
    renderTuneTable(report, options),
    '',
    ...files.map((path) => `Wrote ${path}`),
    `Wrote ${folder}/report.html, and all figures in tune.json beside it`,
  ].join('\n')
}
