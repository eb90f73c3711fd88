import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'libsql'
import { EdgewrightError } from '../error.ts'
import type { RunDocument, RunResult } from './document.ts'

/** One line of `edgewright runs list`. */
export interface RunSummary {
  readonly runId: string
  /** ISO time; null where the run cannot be read. */
  readonly createdAt: string | null
  readonly model: RunDocument['model'] | null
  readonly results: readonly ResultSummary[]
  /** Why the run cannot be read, else null. */
  readonly problem: string | null
}

export interface ResultSummary {
  readonly device: string
  readonly target: string | null
  readonly status: RunResult['status']
  readonly threads: number | null
  readonly floatP50Ns: number | null
  readonly int8P50Ns: number | null
  readonly speedup: number | null
  /** Times and their ratio are then an emulator's. */
  readonly emulated: boolean
}

/** Raised when the table changes: an index of another version is made anew from the folders. */
const indexVersion = 2
const busyTimeoutMs = 5000

/** The index of runs: a cache over the run folders, which are the truth. Losing it loses nothing. */
export class RunIndex {
  readonly #database: Database.Database

  private constructor(database: Database.Database) {
    this.#database = database
  }

  /** Opens `<store>/index.db`, made anew where it is missing, broken or of another version, and closes it afterwards. */
  static async use<T>(store: string, action: (index: RunIndex) => Promise<T>): Promise<T> {
    await mkdir(store, { recursive: true })
    const path = join(store, 'index.db')
    try {
      return await RunIndex.#with(path, action)
    } catch (error) {
      if (!isBroken(error)) throw unusable(path, error)
      await Promise.all(['', '-wal', '-shm'].map((suffix) => rm(`${path}${suffix}`, { force: true })))
      return RunIndex.#with(path, action).catch((again: unknown) => {
        throw unusable(path, again)
      })
    }
  }

  static async #with<T>(path: string, action: (index: RunIndex) => Promise<T>): Promise<T> {
    const database = new Database(path, { timeout: busyTimeoutMs })
    try {
      prepare(database)
      return await action(new RunIndex(database))
    } finally {
      database.close()
    }
  }

  ids(): string[] {
    return this.#rows('SELECT run_id, summary FROM runs').map(({ run_id }) => run_id)
  }

  /** Newest first; runs of the same moment by id. */
  all(): RunSummary[] {
    return this.#rows(
      'SELECT run_id, summary FROM runs ORDER BY created_at IS NULL, created_at DESC, run_id DESC',
    ).map(({ summary }) => JSON.parse(summary) as RunSummary)
  }

  put(summary: RunSummary): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO runs (run_id, created_at, model_sha256, summary) VALUES (?, ?, ?, ?)')
      .run(summary.runId, summary.createdAt, summary.model?.sha256 ?? null, JSON.stringify(summary))
  }

  remove(runId: string): void {
    this.#database.prepare('DELETE FROM runs WHERE run_id = ?').run(runId)
  }

  // Columns are named: rows of get() carry an extra `_metadata`.
  #rows(sql: string): { run_id: string; summary: string }[] {
    return this.#database.prepare(sql).all() as { run_id: string; summary: string }[]
  }
}

export function summaryOf({ runId, createdAt, model, results }: RunDocument): RunSummary {
  return {
    runId,
    createdAt,
    model,
    results: results.map(({ device, target, status, threads, baseline, latency, speedup, conditions }) => ({
      device,
      target,
      status,
      threads,
      floatP50Ns: baseline?.latency?.p50Ns ?? null,
      int8P50Ns: latency?.p50Ns ?? null,
      speedup,
      emulated: Boolean(conditions?.emulated),
    })),
    problem: null,
  }
}

function prepare(database: Database.Database): void {
  database.pragma(`busy_timeout = ${busyTimeoutMs}`)
  database.pragma('journal_mode = WAL')
  const version = (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version
  if (version === indexVersion) return
  // Two processes may get here at once: the second finds the work done.
  database.exec(`
    BEGIN IMMEDIATE;
    ${version === 0 ? '' : 'DROP TABLE IF EXISTS runs;'}
    CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, created_at TEXT, model_sha256 TEXT, summary TEXT NOT NULL);
    PRAGMA user_version = ${indexVersion};
    COMMIT;`)
}

/** A file that is no database, a torn page, a table of somebody else's: made anew. Anything else (full disk, no rights) is not. */
function isBroken(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return (
    /SQLITE_(NOTADB|CORRUPT|ERROR)/.test(String(code)) ||
    /not a database|malformed|no such column|has no column|corrupt/i.test(String(message)) ||
    error instanceof SyntaxError
  )
}

function unusable(path: string, cause: unknown): EdgewrightError {
  if (cause instanceof EdgewrightError) return cause
  return new EdgewrightError('STORE_BROKEN', 'The index of runs cannot be used.', {
    where: path,
    saw: cause instanceof Error ? cause.message : String(cause),
    hint: 'Make the folder writable; index.db may be deleted, it is made again from the runs.',
    cause,
  })
}
