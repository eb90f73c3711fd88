import { existsSync, mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Scheme } from '../artifact/manifest.ts'
import { edgewrightVersion } from '../artifact/version.ts'
import { type Compiled, type Prepared, prepareCompile, requireKnownNodes } from '../compile/compile.ts'
import { EdgewrightError, type ErrorKind, toEdgewrightError } from '../error.ts'
import type { Progress, Warning } from '../progress.ts'
import { renderHtml } from '../report/html.ts'
import {
  newRunId,
  type RawLatency,
  type RawSeries,
  type RunDocument,
  type RunResult,
} from '../store/document.ts'
import { saveRun } from '../store/runs.ts'
import { type BudgetOutcome, checkBudget } from './budget.ts'
import { describeBudget, figureOf } from './figures.ts'
import type { DeviceRequest, RunRequest } from './request.ts'
import { runOnDevice } from './run-on-device.ts'

export interface RunOutcome {
  readonly document: RunDocument
  /** Lines after the table: budgets, where things are. */
  readonly closing: readonly string[]
  /** What the exit status tells; null where all is well. */
  readonly failure: ErrorKind | null
}

/** What was sampled, by path in the run's folder. */
export interface RawFiles {
  readonly latency: Record<string, RawLatency>
  readonly series: Record<string, RawSeries>
}

/** The main job: one network, compiled for, put on and measured on each device, float beside int8. */
export async function runMainJob(
  request: RunRequest,
  progress: Progress & { readonly warnings: readonly Warning[] },
): Promise<RunOutcome> {
  // what cannot be written shows before the boards are measured, not after
  if (request.report) makeFolder(dirname(resolve(request.report)))
  const prepared = await prepareCompile(request, progress)
  requireKnownNodes(prepared)
  const results: RunResult[] = []
  const raw: RawFiles = { latency: {}, series: {} }
  const errors: EdgewrightError[] = []
  const compiled = new Map<string, Compiled>()
  const firstMilliC = new Map<string, number>()
  try {
    const general = [...progress.warnings]
    for (const device of request.devices)
      for (const scheme of request.schemes) {
        const recipe = { ...request.recipe, scheme }
        const { entries, error } = await tryDevice(
          device,
          { ...request, recipe },
          { ...prepared, recipe },
          compiled,
          raw,
          firstMilliC,
          progress,
        )
        results.push(...entries.map((entry) => ({ ...entry, warnings: [...general, ...entry.warnings] })))
        if (error) errors.push(error)
      }
  } finally {
    await prepared.close()
  }
  const document = documentOf(prepared, results)
  const outcomes = budgetOutcomes(request, document)
  const saved = await saveRun(request.store, document, rawFilesOf(document, raw))
  for (const warning of saved.warnings) progress.warn(warning)
  if (request.report) await writeFile(resolve(request.report), renderHtml(document, raw.latency, raw.series))
  return {
    document,
    closing: [
      '',
      ...outcomes.map(describeBudget),
      `run       ${saved.path}`,
      ...(request.report ? [`report    ${resolve(request.report)}`] : []),
      ...[...compiled.values()].map((entry) => `artifact  ${entry.folder}`),
    ],
    failure: failureOf(outcomes, errors, results),
  }
}

/** One device's results; its failure is a result too and loses nobody else's. */
async function tryDevice(
  device: DeviceRequest,
  request: RunRequest,
  prepared: Prepared,
  compiled: Map<string, Compiled>,
  raw: RawFiles,
  firstMilliC: Map<string, number>,
  progress: Progress & { readonly warnings: readonly Warning[] },
): Promise<{ entries: RunResult[]; error: EdgewrightError | null }> {
  const before = progress.warnings.length
  try {
    return {
      entries: await runOnDevice(device, request, prepared, compiled, raw, firstMilliC, progress),
      error: null,
    }
  } catch (thrown) {
    const error = toEdgewrightError(thrown)
    if (progress.signal.aborted || error.code === 'INTERRUPTED') throw error
    const skipped = device.optional && error.kind === 'device'
    progress.warn({
      code: error.code,
      message: `${device.device} failed: ${error.message}${error.saw ? ` (${error.saw})` : ''}`,
      hint: error.hint ?? '',
    })
    const warnings = progress.warnings.slice(before).filter((warning) => warning.code !== error.code)
    return {
      entries: [failedResult(device, request.recipe.scheme, error, skipped ? 'skipped' : 'failed', warnings)],
      error: skipped ? null : error,
    }
  }
}

function failedResult(
  device: DeviceRequest,
  scheme: Scheme,
  error: EdgewrightError,
  status: 'failed' | 'skipped',
  warnings: Warning[],
): RunResult {
  return {
    status,
    error: error.toJSON(),
    device: device.device,
    profile: device.profile ?? null,
    target: device.target ?? null,
    scheme,
    calibrated: null,
    runtime: null,
    threads: null,
    artifact: null,
    baseline: null,
    accuracy: null,
    parity: null,
    latency: null,
    speedup: null,
    memory: null,
    energy: { value: null, reason: 'The device was not measured.' },
    conditions: null,
    warnings,
    verdict: null,
  }
}

function documentOf({ source }: Prepared, results: RunResult[]): RunDocument {
  const now = new Date()
  return {
    schemaVersion: 1,
    runId: newRunId(now, Math.random),
    createdAt: now.toISOString(),
    edgewright: edgewrightVersion(),
    model: { path: source.path, sha256: source.sha256, bytes: source.bytes },
    results,
  }
}

function budgetOutcomes(request: RunRequest, document: RunDocument): (BudgetOutcome & { device: string })[] {
  return document.results
    .filter((result) => result.status === 'ok')
    .flatMap((result) =>
      request.budgets.map((budget) => ({
        ...checkBudget(budget, figureOf(result, budget.metric)),
        device: result.device,
      })),
    )
}

function rawFilesOf(document: RunDocument, raw: RawFiles): Record<string, string> {
  const files: Record<string, string> = { 'report.html': renderHtml(document, raw.latency, raw.series) }
  for (const [path, sampled] of Object.entries({ ...raw.latency, ...raw.series }))
    files[path] = JSON.stringify(sampled)
  return files
}

/** One level at a time: Node's own recursion never ends where the file system denies what it just listed (/proc). */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  try {
    mkdirSync(path)
  } catch (error) {
    throw new EdgewrightError('USAGE', 'The report cannot be written there.', {
      where: path,
      saw: (error as Error).message,
      hint: 'Name another place with --report.',
    })
  }
}

/** A broken budget before a lost device, a lost device before a figure that is not there. */
function failureOf(
  outcomes: readonly BudgetOutcome[],
  errors: readonly EdgewrightError[],
  results: readonly RunResult[],
): ErrorKind | null {
  if (outcomes.some((outcome) => outcome.status === 'broken')) return 'gate'
  if (errors.length > 0) return errors[0]!.kind
  if (outcomes.some((outcome) => outcome.status === 'unknown')) return 'inconclusive'
  return results.some((result) => result.parity?.ok === false) ? 'inconclusive' : null
}
