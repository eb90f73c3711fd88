import { ensureBlobBytes } from '../deploy/blobs.ts'
import { EdgewrightError, toEdgewrightError } from '../error.ts'
import { type Engine, engineOf } from '../execute/open.ts'
import { sensorPeriodMs } from '../measure/conditions/sensors.ts'
import { artifactId, memoryPlan, type Preset, standardPlan, type Subject } from '../measure/standard-plan.ts'
import { type Progress, throwIfAborted } from '../progress.ts'
import { conditionsOf, warningsOf } from '../run/conditions.ts'
import { execute } from '../run/execute.ts'
import { latencyOf } from '../run/latency.ts'
import { type ConnectionOptions, noQuestions, openBoard, type OpenedBoard } from '../run/open-device.ts'
import { provision, type Provisioned } from '../run/provision.ts'
import { type ConditionsChoice, readyBoard, surveyAfter } from '../run/ready-board.ts'
import { mediansApart } from '../run/verdict.ts'
import { type WarmUp, warmUpUntilSteady, withWarmUp } from '../run/warm-up.ts'
import type { Latency } from '../store/document.ts'
import type { TuneDevice } from './report/document.ts'
import type { RowLatency } from './report/rows.ts'

/** A model file to be measured beside others. */
export interface MeasuredModel {
  readonly id: string
  /** For people: `pruned, int8`; the id by default. */
  readonly label?: string
  /** As the engine opens it; what its shapes leave open counts as 1. */
  readonly bytes: Uint8Array
}

export interface LatencyRequest {
  /** All for one engine. The first is what the others are held against. */
  readonly models: readonly MeasuredModel[]
  readonly engine: Engine
  /** As `bench` takes it; this computer by default. */
  readonly device?: string | undefined
  /** Of the board, where it is not to be found out. */
  readonly profile?: string | undefined
  /** 1 by default. */
  readonly threads?: number | undefined
  /** `standard` by default. */
  readonly preset?: Preset | undefined
  readonly affinity?: readonly number[] | undefined
  /** Absent: nothing is set on the board. */
  readonly conditions?: ConditionsChoice | undefined
  /** False: no process of its own for each model's peak memory. */
  readonly memory?: boolean | undefined
  readonly connection?: ConnectionOptions | undefined
}

/** What was measured side by side, and where. */
export interface Latencies {
  /** By the model's id, in the order asked for. */
  readonly rows: ReadonlyMap<string, RowLatency>
  readonly device: TuneDevice
}

/** Sessions that the runner takes in one plan. */
const mostModels = 64

/**
 * Measures several model files in turns, in one run on one board: warm-up of all, then palindromic turns (A B C C B A),
 * which cancel a linear drift of clock and temperature. What was off about the board's conditions is warned of.
 *
 * @returns medians and 90th percentiles in nanoseconds, null where an emulator stands for the board; ratios to the first
 * model's median always; peak resident memory in bytes, each model alone in a process
 * @throws USAGE without models or where ids repeat; MODEL_FORMAT_UNSUPPORTED where a file is another engine's;
 * RUNNER_FAILED with the model's label where the runtime refuses one; INTERRUPTED at the progress's signal, after the run
 * on the board was ended and removed; what reaching a board throws
 */
export async function measureLatencies(request: LatencyRequest, progress: Progress): Promise<Latencies> {
  const { models, engine } = request
  requireModels(models, engine)
  const board = await openBoard(
    request.device ?? 'local:',
    request.profile,
    request.connection ?? noQuestions,
    progress,
  )
  try {
    const tools = await provision(board.device, engine, progress)
    return await measureOn(board, tools, request, progress)
  } finally {
    await board.close()
  }
}

async function measureOn(
  board: OpenedBoard,
  tools: Provisioned,
  request: LatencyRequest,
  progress: Progress,
): Promise<Latencies> {
  const { models, threads = 1, preset = 'standard', affinity = [] } = request
  const subjects = await place(board, tools, models, progress)
  const survey = await readyBoard(board.device, request.conditions ?? {}, new Map(), progress)
  const wanted = {
    subjects,
    threads: [threads],
    preset,
    affinity,
    sensors: survey.sensors,
    sensorPeriodMs,
  }
  const startedAt = new Date()
  const { executed, warmUp } = await naming(models, subjects, async () => {
    const steady: WarmUp | null = await warmUpUntilSteady(board, tools, wanted, survey.pins, progress)
    progress.stage('measure', `${models.length} networks in turns on ${board.device.name}`)
    const plan = () => standardPlan(wanted)
    const done = await execute(
      board,
      tools,
      { files: new Map(), fetch: [], plan, pins: survey.pins },
      progress,
    )
    return { executed: done, warmUp: steady }
  })
  const after = await surveyAfter(board.device, progress.signal)
  const endedAt = new Date()
  const latencies = subjects.map(({ id }) =>
    withWarmUp(latencyOf(executed.collected, id, threads, 0, preset), warmUp),
  )
  const peaks =
    request.memory === false
      ? subjects.map(() => null)
      : await naming(models, subjects, () => peakMemory(board, tools, subjects, threads, affinity, progress))
  const input = {
    device: board.device,
    collected: executed.collected,
    board: survey,
    after,
    aftermath: executed.aftermath,
    latencies: models.map((model, index) => ({ name: labelOf(model), latency: latencies[index]! })),
    artifacts: subjects.map(({ id }) => artifactId(id, threads)),
    limits: board.profile.thermal.limits,
    preset,
    affinity,
    rateHz: 0,
    interleaved: models.length > 1,
    startedAt,
    endedAt,
  }
  for (const warning of warningsOf({ ...input, profile: board.profile, usesEdgeTpu: false }))
    progress.warn(warning)
  const emulated = survey.emulator !== null
  return {
    rows: new Map(
      models.map(({ id }, index) => {
        const latency = requireMeasured(latencies[index]!, models[index]!, board)
        const first = requireMeasured(latencies[0]!, models[0]!, board)
        return [id, latencyRow(latency, index === 0 ? null : first, peaks[index]!, emulated)]
      }),
    ),
    device: {
      name: board.device.name,
      profile: board.profile.id,
      runtime: tools.runtime,
      threads,
      conditions: conditionsOf(input),
    },
  }
}

/**
 * One network's figures beside the first one's; an emulator's times are left out, their ratio is not.
 *
 * @param first null for the first itself
 */
export function latencyRow(
  latency: Latency,
  first: Latency | null,
  peakRssBytes: number | null,
  emulated: boolean,
): RowLatency {
  return {
    p50Ns: emulated ? null : latency.p50Ns,
    p90Ns: emulated ? null : latency.p90Ns,
    interval: emulated ? null : (latency.intervals?.p50 ?? null),
    speedup: first === null ? 1 : first.p50Ns / latency.p50Ns,
    apart: first === null ? null : mediansApart(first, latency),
    peakRssBytes,
  }
}

/** Blobs go by their digest: what stands there already is not sent again. */
async function place(
  { device }: OpenedBoard,
  tools: Provisioned,
  models: readonly MeasuredModel[],
  progress: Progress,
): Promise<Subject[]> {
  progress.stage('deploy', device.name)
  const subjects: Subject[] = []
  for (const [index, { bytes }] of models.entries()) {
    throwIfAborted(progress.signal)
    progress.tick(index, models.length, 'models')
    const { path } = await ensureBlobBytes(device, bytes, { progress })
    // ids of a plan are plain words, labels need not be
    subjects.push({ id: planId(index), backend: tools.backend, library: tools.library, model: path })
  }
  return subjects
}

function planId(index: number): string {
  return `model-${index}`
}

async function peakMemory(
  board: OpenedBoard,
  tools: Provisioned,
  subjects: readonly Subject[],
  threads: number,
  affinity: readonly number[],
  progress: Progress,
): Promise<(number | null)[]> {
  progress.stage('memory', board.device.name)
  const peaks: (number | null)[] = []
  for (const [index, subject] of subjects.entries()) {
    progress.tick(index, subjects.length, 'models')
    const plan = () => memoryPlan({ affinity }, subject, threads)
    const { collected } = await execute(board, tools, { files: new Map(), fetch: [], plan }, progress)
    peaks.push(collected.peakRssBytes)
  }
  return peaks
}

/** The runner says which of its plan's artifacts failed; a user knows them by other names. */
async function naming<T>(
  models: readonly MeasuredModel[],
  subjects: readonly Subject[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    const error = toEdgewrightError(thrown)
    const index = subjects.findIndex(({ id }) => error.saw?.includes(`${id}-t`))
    if (index < 0) throw error
    const saw = error.saw!.replace(new RegExp(`\\b${subjects[index]!.id}-t\\d+(: )?`), '')
    throw new EdgewrightError(error.code, error.message, {
      where: labelOf(models[index]!),
      saw,
      hint: error.hint,
      cause: error,
    })
  }
}

function requireModels(models: readonly MeasuredModel[], engine: Engine): void {
  const fault = faultOf(models)
  if (fault !== null)
    throw new EdgewrightError('USAGE', 'These networks cannot be measured side by side.', { saw: fault })
  const other = models.find(({ bytes }) => engineOf(bytes) !== engine)
  if (other)
    throw new EdgewrightError(
      'MODEL_FORMAT_UNSUPPORTED',
      'Networks of two runtimes are not measured in one run.',
      {
        where: labelOf(other),
        saw: `a file for ${engineOf(other.bytes)} among files for ${engine}`,
      },
    )
}

function faultOf(models: readonly MeasuredModel[]): string | null {
  if (models.length === 0) return 'no network'
  if (models.length > mostModels) return `${models.length} networks, ${mostModels} are possible`
  const ids = models.map(({ id }) => id)
  const twice = ids.find((id, index) => ids.indexOf(id) !== index)
  return twice === undefined ? null : `the id ${JSON.stringify(twice)} twice`
}

function requireMeasured(latency: Latency | null, model: MeasuredModel, { device }: OpenedBoard): Latency {
  if (latency && latency.p50Ns > 0) return latency
  throw new EdgewrightError('RUNNER_FAILED', 'A network was not measured.', {
    where: device.name,
    saw: `no time of ${labelOf(model)}`,
    hint: 'The run was cut short: the slowest network may take longer than the preset allows.',
  })
}

function labelOf({ id, label }: MeasuredModel): string {
  return label ?? id
}
