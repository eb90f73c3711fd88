import { readFile, stat } from 'node:fs/promises'
import { EdgewrightError } from '../../error.ts'
import { baselineLevels, type BaselineLevels } from '../../measure/compare/against-baseline.ts'
import { mostPairs } from '../../measure/compare/signed-rank.ts'
import { baselineSchema, type ComparisonEnvironment, type ComparisonSide } from '../../store/comparison.ts'
import { type RunDocument, runDocumentSchema } from '../../store/document.ts'

/** Figures of another day, from `compare --write-baseline` or `run --json`. */
export interface OpenBaseline {
  readonly path: string
  readonly createdAt: string
  readonly environment: ComparisonEnvironment
  readonly side: ComparisonSide
  readonly levels: BaselineLevels
}

const mostBytes = 64 * 2 ** 20

/**
 * Reads a file of figures.
 *
 * @param wanted which of a run's rows
 * @throws BASELINE_INVALID
 */
export async function openBaseline(
  path: string,
  wanted: { readonly device: string; readonly threads: number },
): Promise<OpenBaseline> {
  const parsed = await parse(path)
  if (isObject(parsed) && parsed['kind'] === 'baseline') {
    const checked = baselineSchema.safeParse(parsed)
    if (!checked.success) throw invalid(path, firstIssue(checked.error))
    const { createdAt, environment, subject, blocks } = checked.data
    for (const [metric, figures] of Object.entries(blocks))
      if (figures && !(figures.length >= 1 && figures.length <= mostPairs))
        throw invalid(path, `${figures.length} blocks of ${metric}`)
    return { path, createdAt, environment, side: subject, levels: baselineLevels(blocks) }
  }
  const checked = runDocumentSchema.safeParse(parsed)
  if (!checked.success) throw invalid(path, isObject(parsed) ? firstIssue(checked.error) : 'no object')
  return ofRun(path, checked.data, wanted)
}

/** What differs between then and now; figures of another environment say nothing about a network. */
export function environmentDifferences(then: ComparisonEnvironment, now: ComparisonEnvironment): string[] {
  const rows: [string, string | number | null, string | number | null][] = [
    ['device', then.device, now.device],
    ['profile', then.profile, now.profile],
    ['kernel', then.kernel, now.kernel],
    ['CPU', then.cpu, now.cpu],
    ['governor', then.governor, now.governor],
    ['runtime', runtimeText(then), runtimeText(now)],
    ['threads', then.threads, now.threads],
    ['preset', then.preset, now.preset],
    ['emulator', then.emulated, now.emulated],
  ]
  return rows
    .filter(([, before, after]) => before !== after)
    .map(([what, before, after]) => `${what}: ${before ?? 'unknown'}, now ${after ?? 'unknown'}`)
}

function runtimeText({ runtime }: ComparisonEnvironment): string {
  return `${runtime.name} ${runtime.version} ${runtime.sha256?.slice(0, 12) ?? ''}`.trim()
}

function ofRun(
  path: string,
  document: RunDocument,
  { device, threads }: { readonly device: string; readonly threads: number },
): OpenBaseline {
  const rows = document.results.filter(
    (result) => result.status === 'ok' && result.device === device && result.threads === threads,
  )
  const [row] = rows
  if (!row || rows.length > 1)
    throw invalid(
      path,
      `${rows.length} results of ${device} with ${threads} threads among ${document.results.length}`,
      rows.length > 1 ? 'Make one with edgewright compare … --write-baseline FILE.' : undefined,
    )
  const { latency, conditions, artifact, runtime, accuracy } = row
  if (!latency || !conditions || !artifact || !runtime) throw invalid(path, 'a result without latency')
  const level = (name: 'p50' | 'p90' | 'p99', value: number | null) => {
    const interval = latency.intervals?.[name]
    return value === null
      ? null
      : {
          estimate: value,
          interval: interval ? { low: interval.lowNs, high: interval.highNs } : null,
        }
  }
  return {
    path,
    createdAt: document.createdAt,
    environment: {
      device: row.device,
      profile: row.profile ?? 'unknown',
      kernel: conditions.kernel,
      cpu: conditions.cpu,
      governor: conditions.governor,
      runtime,
      threads,
      preset: conditions.preset,
      emulated: conditions.emulated,
    },
    side: {
      path: artifact.path,
      kind: 'artifact',
      bytes: artifact.bytes,
      sha256: artifact.sha256,
      target: row.target,
      scheme: row.scheme,
      runtime,
      latency,
      peakRssBytes: row.memory?.peakRssBytes ?? null,
      accuracy:
        accuracy?.int8 === null || accuracy?.int8 === undefined
          ? null
          : {
              metric: accuracy.metric,
              value: accuracy.int8,
              samples: accuracy.samples,
              measuredOn: accuracy.measuredOn,
            },
      energy: row.energy,
    },
    levels: {
      p50: level('p50', latency.p50Ns),
      p90: level('p90', latency.p90Ns),
      p99: level('p99', latency.p99Ns),
      // a run states no interval of its mean
      mean: null,
    },
  }
}

async function parse(path: string): Promise<unknown> {
  try {
    const { size } = await stat(path)
    if (size > mostBytes) throw new Error(`${size} bytes`)
    return JSON.parse(await readFile(path, 'utf8')) as unknown
  } catch (error) {
    throw invalid(path, (error as Error).message)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function firstIssue(error: {
  readonly issues: readonly { path: readonly PropertyKey[]; message: string }[]
}): string {
  const [issue] = error.issues
  return issue ? `${issue.path.map(String).join('.')}: ${issue.message}` : 'another form'
}

function invalid(path: string, saw: string, hint?: string): EdgewrightError {
  return new EdgewrightError('BASELINE_INVALID', 'This is no baseline that can be compared with.', {
    where: path,
    saw,
    hint: hint ?? 'Give a file of edgewright compare … --write-baseline FILE, or of edgewright run … --json.',
  })
}
