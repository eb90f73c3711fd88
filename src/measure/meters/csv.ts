import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { parse } from 'csv-parse'
import { pause } from '../../deploy/deadline.ts'
import { EdgewrightError } from '../../error.ts'
import type { Progress } from '../../progress.ts'
import { chooseColumns, type CsvColumn } from './csv-columns.ts'
import { createRecording, maxRecorded, type Recording, wallClock } from './recorded.ts'
import { meterFailed } from './serial-link.ts'
import { type Meter, type MeterEdge, type MeterSeries, monotonicNs } from './types.ts'
import { parseTime } from './written-sample.ts'

export interface CsvOptions {
  /** Names of columns; undefined: by their headings. */
  readonly columns: readonly string[] | undefined
  /** The column of the marker. */
  readonly edge: string | null
  /** Where there is no column of it. */
  readonly volts: number | null
  readonly accuracyShare: number
  /** How long to wait for the file; a person exports it by hand. */
  readonly waitMs?: number
}

const waitMs = 600_000
const headingWithin = 100

/** A recording that another program makes meanwhile and writes to `path` when the measurement is over. */
export function csvMeter(path: string, options: CsvOptions, progress: Progress): Meter {
  let began: readonly [number, number] = [0, 0]
  let closed = false
  return {
    name: `the recording ${path}`,
    periodMs: 0,
    async start() {
      began = [Date.now() * 1e6, monotonicNs()]
    },
    async stop() {
      const after = [Date.now() * 1e6, monotonicNs()] as const
      progress.stage('meter', `export the recording to ${path}`)
      await exported(path, began[0], options.waitMs ?? waitMs, progress, () => closed)
      const { monotonicMinusWallNs, boundNs } = wallClock(began, after)
      return readCsvRecording(path, options, { monotonicMinusWallNs, boundNs })
    },
    async close() {
      closed = true
    },
  }
}

/** Waits until the file was written after `sinceNs` and grows no more. */
async function exported(
  path: string,
  sinceNs: number,
  deadlineMs: number,
  progress: Progress,
  given: () => boolean,
): Promise<void> {
  const end = monotonicNs() + deadlineMs * 1e6
  let size = -1
  while (!given() && monotonicNs() < end) {
    const now = await stat(path).catch(() => null)
    if (now !== null && now.mtimeMs * 1e6 >= sinceNs && now.size > 0 && now.size === size) return
    size = now?.size ?? -1
    await pause(500, progress.signal)
  }
  throw meterFailed(
    path,
    'The recording was not exported in time.',
    (await stat(path).catch(() => null)) === null ? 'no such file' : 'a file from before the measurement',
    'Stop the recording in its program and export it as CSV to this path once the measurement is over.',
  )
}

/**
 * Reads a recording: one heading, then a sample a line; lines before the heading and lines that begin with # are
 * remarks. Times are seconds since 1970 or ISO 8601, else they count from a zero of their own.
 *
 * @throws EdgewrightError METER_FAILED
 */
export async function readCsvRecording(
  path: string,
  options: CsvOptions,
  wall: { readonly monotonicMinusWallNs: number; readonly boundNs: number },
): Promise<MeterSeries> {
  const recording = createRecording()
  const edges: MeterEdge[] = []
  let columns: readonly CsvColumn[] | null = null
  let clock: 'wall' | 'monotonic' | null = null
  let level: boolean | null = null
  let latestNs = Number.NEGATIVE_INFINITY
  const records = parse({
    bom: true,
    comment: '#',
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    trim: true,
    max_record_size: 65_536,
  })
  const bytes = createReadStream(path)
  bytes.on('error', (error) => records.destroy(error))
  bytes.pipe(records)
  let line = 0
  try {
    for await (const record of records as AsyncIterable<string[]>) {
      line++
      if (columns === null) {
        if (isHeading(record)) {
          columns = chooseColumns(record, options.columns, options.edge, path)
          if (
            milliWOf(
              columns,
              record.map(() => '1'),
              options.volts,
            ) === null
          )
            throw voltageUnknown(path)
        } else if (line > headingWithin) break
        continue
      }
      const time = timeOf(columns, record)
      const milliW = milliWOf(columns, record, options.volts)
      if (time === undefined || milliW === null || !Number.isFinite(milliW)) continue
      clock ??= time.clock
      const atNs = time.ns + (clock === 'wall' ? wall.monotonicMinusWallNs : 0)
      if (atNs <= latestNs) continue
      latestNs = atNs
      keep(recording, atNs, milliW, path)
      const high = edgeOf(columns, record)
      if (high !== null && level !== null && high !== level) edges.push({ pin: 0, rising: high, atNs })
      level = high ?? level
    }
  } catch (error) {
    if (error instanceof EdgewrightError) throw error
    throw meterFailed(path, 'The recording cannot be read.', (error as Error).message)
  } finally {
    bytes.destroy()
  }
  if (columns === null) throw meterFailed(path, 'The recording has no heading.', `${line} lines`)
  if (recording.length === 0) throw meterFailed(path, 'The recording holds no samples.', `${line} lines`)
  return recording.series({
    source: path,
    accuracyShare: options.accuracyShare,
    clockBoundNs: clock === 'wall' ? wall.boundNs : 0,
    timeBase: clock === 'wall' ? 'host' : 'own',
    edges,
    lost: null,
  })
}

function keep(recording: Recording, atNs: number, milliW: number, path: string): void {
  if (recording.length === maxRecorded)
    throw meterFailed(
      path,
      `The recording has more than ${maxRecorded} samples.`,
      undefined,
      'Export it at a lower rate.',
    )
  recording.add(atNs, milliW)
}

/** Words, not numbers, and more than one. */
function isHeading(record: readonly string[]): boolean {
  return (
    record.length >= 2 &&
    record.every((field) => field === '' || !Number.isFinite(Number(field))) &&
    record.every((field) => parseTime(field) === undefined)
  )
}

function timeOf(columns: readonly CsvColumn[], record: readonly string[]) {
  const { index, scale } = columns.find(({ role }) => role === 'time')!
  const field = record[index] ?? ''
  const number = field === '' ? Number.NaN : Number(field)
  // a negative time is one before the recording's own zero
  if (Number.isFinite(number) && number < 0) return { clock: 'monotonic' as const, ns: number * scale * 1e9 }
  return parseTime(Number.isFinite(number) ? number * scale : field)
}

function milliWOf(
  columns: readonly CsvColumn[],
  record: readonly string[],
  volts: number | null,
): number | null {
  const value = (role: CsvColumn['role']) => {
    const column = columns.find((each) => each.role === role)
    const field = column === undefined ? undefined : record[column.index]
    return field === undefined || field === '' ? null : Number(field) * column!.scale
  }
  const power = value('power')
  if (power !== null) return power * 1000
  const [current, voltage] = [value('current'), value('voltage') ?? volts]
  return current === null || voltage === null ? null : current * voltage * 1000
}

function edgeOf(columns: readonly CsvColumn[], record: readonly string[]): boolean | null {
  const column = columns.find(({ role }) => role === 'edge')
  const field = column === undefined ? undefined : record[column.index]
  if (field === undefined || field === '') return null
  return /^(1|true|high)$/i.test(field) || Number(field) > 0.5
}

function voltageUnknown(path: string): EdgewrightError {
  return new EdgewrightError('METER_FAILED', 'The recording has currents but no voltage.', {
    where: path,
    hint: 'Say it: --meter-voltage 5V; or name the column: --meter-columns time,current,voltage.',
  })
}
