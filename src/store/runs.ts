import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { Warning } from '../progress.ts'
import {
  type RawLatency,
  type RawSeries,
  type RunDocument,
  rawLatencySchema,
  rawSeriesSchema,
  runDocumentSchema,
  runIdSchema,
} from './document.ts'
import { RunIndex, type RunSummary, summaryOf } from './run-index.ts'

export interface SavedRun {
  /** The run's folder: `<store>/runs/<runId>`. */
  readonly path: string
  /** The run itself is safe; these are about the index. */
  readonly warnings: readonly Warning[]
}

/** Files of a run beside run.json, by path inside its folder: `raw/int8-0.json`, `report.html`. */
export type RunFiles = Readonly<Record<string, string | Uint8Array>>

const staleMs = 24 * 3600 * 1000
/** A run document is some kilobytes. */
const maxDocumentBytes = 64 * 2 ** 20
/** The longest text that a string of Node's holds. */
const maxRawBytes = 511 * 2 ** 20

/**
 * Keeps a run as `<store>/runs/<runId>/{run.json, raw/…, report.html}`. The folder appears whole or not at all.
 *
 * @param store The `.edgewright` folder; made where it is not there.
 * @throws EdgewrightError STORE_BROKEN where the folder cannot be written or a run of that id is there already.
 */
export async function saveRun(store: string, document: RunDocument, files: RunFiles = {}): Promise<SavedRun> {
  const checked = runDocumentSchema.parse(document)
  const path = join(store, 'runs', checked.runId)
  const temporary = join(store, 'runs', `.new-${checked.runId}-${randomBytes(6).toString('hex')}`)
  try {
    await mkdir(temporary, { recursive: true })
    for (const [name, content] of Object.entries(files)) await writeSynced(temporary, name, content)
    await writeSynced(temporary, 'run.json', `${JSON.stringify(checked, null, 2)}\n`)
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {})
    throw new EdgewrightError('STORE_BROKEN', `The run ${checked.runId} could not be kept.`, {
      where: path,
      saw: cause instanceof Error ? cause.message : String(cause),
      hint: 'Free space or make the folder writable; the figures printed above are complete without it.',
      cause,
    })
  }
  await removeStale(join(store, 'runs'))
  return { path, warnings: await addToIndex(store, checked) }
}

/** All runs, newest first. Runs that came or went without the index knowing are found by their folders. */
export async function listRuns(store: string): Promise<RunSummary[]> {
  const ids = await runIds(store)
  if (ids.length === 0) return []
  return RunIndex.use(store, async (index) => {
    const known = new Set(index.ids())
    for (const id of known) if (!ids.includes(id)) index.remove(id)
    for (const id of ids) if (!known.has(id)) index.put(await summaryOrProblem(store, id))
    return index.all()
  })
}

/**
 * @param which A run's id, the start of one that is unique, or `latest`.
 * @throws EdgewrightError RUN_NOT_FOUND, or STORE_BROKEN where its run.json is not a run document.
 */
export async function loadRun(store: string, which: string): Promise<RunDocument> {
  return readDocument(store, await findRun(store, which))
}

/** Raw latencies of a run by their path in its folder, as `renderHtml` takes them. Files that are gone are left out. */
export async function loadRaw(store: string, document: RunDocument): Promise<Record<string, RawLatency>> {
  const wanted = document.results.flatMap(({ samples }) => [samples?.float ?? null, samples?.int8 ?? null])
  const raw: Record<string, RawLatency> = {}
  for (const path of wanted) {
    if (path === null) continue
    const parsed = rawLatencySchema.safeParse(await readRaw(store, document, path))
    if (parsed.success) raw[path] = parsed.data
  }
  return raw
}

/** Time series of a run by their path in its folder. Files that are gone are left out. */
export async function loadSeries(store: string, document: RunDocument): Promise<Record<string, RawSeries>> {
  const series: Record<string, RawSeries> = {}
  for (const { samples } of document.results) {
    if (!samples?.series) continue
    const parsed = rawSeriesSchema.safeParse(await readRaw(store, document, samples.series))
    if (parsed.success) series[samples.series] = parsed.data
  }
  return series
}

/** Undefined where it is not there or no JSON; more than a file of ours can be is not read. */
async function readRaw(store: string, { runId }: RunDocument, path: string): Promise<unknown> {
  const file = join(store, 'runs', runId, path)
  const bytes = await stat(file).then(
    ({ size }) => size,
    () => null,
  )
  if (bytes === null || bytes > maxRawBytes) return undefined
  return parseJson(await readFile(file, 'utf8').catch(() => ''))
}

async function findRun(store: string, which: string): Promise<string> {
  const ids = await runIds(store)
  if (which === 'latest' && ids.length > 0) {
    const [newest] = await listRuns(store)
    return newest!.runId
  }
  const fits = ids.includes(which) ? [which] : ids.filter((id) => which !== '' && id.startsWith(which))
  if (fits.length === 1) return fits[0]!
  throw new EdgewrightError(
    'RUN_NOT_FOUND',
    fits.length === 0
      ? `There is no run ${JSON.stringify(which.slice(0, 80))}.`
      : `More than one run begins with ${JSON.stringify(which)}.`,
    {
      where: join(store, 'runs'),
      saw: fits.length > 0 ? fits.slice(0, 10).join(', ') : `${ids.length} runs`,
      hint: fits.length > 0 ? 'Give more of its id.' : '`edgewright runs list` shows those that are there.',
    },
  )
}

/** Folders under runs/ that bear a run's name; what is half written begins with a dot. */
async function runIds(store: string): Promise<string[]> {
  const entries = await readdir(join(store, 'runs'), { withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw new EdgewrightError('STORE_BROKEN', 'The folder of runs cannot be read.', {
        where: join(store, 'runs'),
        saw: error.message,
        cause: error,
      })
    },
  )
  return entries
    .filter((entry) => entry.isDirectory() && runIdSchema.safeParse(entry.name).success)
    .map(({ name }) => name)
}

async function readDocument(store: string, id: string): Promise<RunDocument> {
  const path = join(store, 'runs', id, 'run.json')
  const broken = (saw: string, cause?: unknown) =>
    new EdgewrightError('STORE_BROKEN', `The run ${id} cannot be read.`, {
      where: path,
      saw,
      hint: 'Remove its folder, or measure again.',
      cause,
    })
  let text: string
  try {
    const { size } = await stat(path)
    if (size > maxDocumentBytes) throw broken(`${size} bytes`)
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw cause instanceof EdgewrightError
      ? cause
      : broken(cause instanceof Error ? cause.message : String(cause), cause)
  }
  const parsed = runDocumentSchema.safeParse(parseJson(text))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw broken(`${issue?.path.join('.') || 'run.json'}: ${issue?.message}`)
  }
  if (parsed.data.runId !== id) throw broken(`it says it is ${parsed.data.runId}`)
  return parsed.data
}

async function summaryOrProblem(store: string, id: string): Promise<RunSummary> {
  try {
    return summaryOf(await readDocument(store, id))
  } catch (error) {
    if (!(error instanceof EdgewrightError)) throw error
    return {
      runId: id,
      createdAt: null,
      model: null,
      results: [],
      problem: `${error.message} ${error.saw ?? ''}`.trim(),
    }
  }
}

async function addToIndex(store: string, document: RunDocument): Promise<Warning[]> {
  try {
    await RunIndex.use(store, async (index) => index.put(summaryOf(document)))
    return []
  } catch (error) {
    return [
      {
        code: 'INDEX_NOT_WRITTEN',
        message: `The run is kept, but the index of runs could not be written: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'It is mended at the next `edgewright runs list`.',
      },
    ]
  }
}

async function writeSynced(folder: string, name: string, content: string | Uint8Array): Promise<void> {
  if (!/^(raw\/)?[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
    throw new Error(`${JSON.stringify(name)} is not a file name a run may hold`)
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  const file = await open(path, 'wx')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** What a crashed process left half written, once it is surely not being written any more. */
async function removeStale(runs: string): Promise<void> {
  for (const name of await readdir(runs).catch(() => [])) {
    if (!name.startsWith('.new-')) continue
    const path = join(runs, name)
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > staleMs) await rm(path, { recursive: true, force: true }).catch(() => {})
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
