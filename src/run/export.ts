import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EdgewrightError } from '../error.ts'
import { resultsCsv } from '../report/export/results.ts'
import { samplesCsv } from '../report/export/samples.ts'
import { loadRaw, loadRun, loadSeries } from '../store/runs.ts'

export const exportFormats = ['csv', 'json'] as const
export type ExportFormat = (typeof exportFormats)[number]

/** A run in a form that other programs read, in pieces: figures, or with `samples` everything that was sampled. */
export async function exportRun(
  store: string,
  which: string,
  format: ExportFormat,
  samples: boolean,
): Promise<Iterable<string>> {
  const run = await loadRun(store, which)
  if (!samples) return [format === 'csv' ? resultsCsv(run) : `${JSON.stringify(run, null, 2)}\n`]
  const [series, raw] = [await loadSeries(store, run), await loadRaw(store, run)]
  if (Object.keys(series).length === 0 && Object.keys(raw).length === 0)
    throw new EdgewrightError('RUN_NOT_FOUND', `The run ${run.runId} holds no samples.`, {
      hint: 'Leave --samples out for its figures.',
    })
  return format === 'csv'
    ? samplesCsv(run, series, raw)
    : [`${JSON.stringify({ schemaVersion: 1, runId: run.runId, series, latency: raw })}\n`]
}

/** @throws EdgewrightError USAGE where the file cannot be written. */
export async function writeExport(pieces: Iterable<string>, path: string): Promise<void> {
  try {
    await pipeline(Readable.from(pieces), createWriteStream(path))
  } catch (cause) {
    throw new EdgewrightError('USAGE', 'The export cannot be written there.', {
      where: path,
      saw: cause instanceof Error ? cause.message : String(cause),
      hint: 'Name another place with --out.',
      cause,
    })
  }
}
