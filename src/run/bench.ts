import { readFile } from 'node:fs/promises'
import { ensureBlobBytes } from '../deploy/blobs.ts'
import { type Pin, runAftermath } from '../deploy/pins.ts'
import { installRelease } from '../deploy/release.ts'
import type { Device } from '../deploy/types.ts'
import { EdgewrightError } from '../error.ts'
import { type Engine, engineOf } from '../execute/open.ts'
import type { Collected } from '../measure/collect.ts'
import { sensorPeriodMs } from '../measure/conditions/sensors.ts'
import type { Preset } from '../measure/presets.ts'
import { memoryPlan, standardPlan, type Subject as PlanSubject } from '../measure/standard-plan.ts'
import type { Progress } from '../progress.ts'
import { formatBytes, formatNs, formatRatio, formatShare } from '../report/format.ts'
import { latencyLine } from '../report/latency-lines.ts'
import { conditionsText } from '../report/conditions-text.ts'
import { energyCell, measuredText } from '../report/energy-text.ts'
import type { Energy, Latency, OperatorTime, RunResult } from '../store/document.ts'
import { conditionsOf, warningsOf } from './conditions.ts'
import { defaultEnergy, type EnergyChoice, measureEnergies, noEnergy } from './energy.ts'
import { execute, type Executed, follow } from './execute.ts'
import { latencyOf, operatorsOf, rawLatency } from './latency.ts'
import { tryMeter } from './meter.ts'
import { type ConnectionOptions, openBoard, type OpenedBoard } from './open-device.ts'
import { provision, type Provisioned } from './provision.ts'
import {
  type BoardSensors,
  type ConditionsChoice,
  readyBoard,
  surveyAfter,
  surveyBoard,
} from './ready-board.ts'
import { benchEngine } from './tensorrt/bench-engine.ts'
import { trtexecOf } from './tensorrt/wishes.ts'
import { type WarmUp, warmUpUntilSteady, withWarmUp } from './warm-up.ts'
import { openSubject, staticModel, type Subject } from './subject.ts'

export interface BenchRequest {
  readonly subject: string
  readonly shapes: Readonly<Record<string, readonly number[]>>
  readonly device: string
  readonly threads: readonly number[]
  readonly affinity: readonly number[]
  readonly rateHz: number
  readonly preset: Preset
  readonly operators: boolean
  /** Absent: with every preset but quick, where the board has a sensor. */
  readonly energy?: EnergyChoice
  /** Absent: nothing is set on the board. */
  readonly conditions?: ConditionsChoice
  /** A run to collect in place of a new one. */
  readonly attach: string | undefined
  readonly connection: ConnectionOptions
}

export interface BenchRow {
  readonly threads: number
  readonly latency: Latency | null
  readonly peakRssBytes: number | null
  /** Absent: nobody looked for a sensor. */
  readonly energy?: Energy
  readonly operators: readonly OperatorTime[]
}

export interface Bench {
  readonly subject: {
    readonly path: string
    readonly kind: Subject['kind']
    readonly bytes: number
    readonly sha256: string
  }
  readonly device: string
  readonly profile: string
  readonly runtime: NonNullable<RunResult['runtime']>
  readonly rows: readonly BenchRow[]
  readonly conditions: NonNullable<RunResult['conditions']>
  /** By thread count, in the order of `rows`. */
  readonly rawLatencyNs: readonly (readonly number[])[]
}

/** Measures one model on one board. */
export async function benchSubject(request: BenchRequest, progress: Progress): Promise<Bench> {
  const subject = await openSubject(request.subject)
  const board = await openBoard(request.device, undefined, request.connection, progress)
  const { device, profile } = board
  try {
    if (!request.attach) await tryMeter(request.energy?.meter, board, progress)
    if (subject.kind === 'artifact' && trtexecOf(subject.manifest))
      return await benchEngine(board, subject, request, progress)
    const { engine, place } = await placing(subject, request, progress)
    const accelerated = subject.kind === 'artifact' && subject.manifest.target === 'edgetpu'
    const tools = await provision(device, engine, progress, accelerated ? 'edgetpu' : null)
    progress.stage('deploy', device.name)
    const model = await place(device)
    const ready = request.attach
      ? null
      : await readyBoard(device, request.conditions ?? {}, new Map(), progress)
    const survey = ready ?? (await surveyBoard(device, progress.signal))
    const planned: PlanSubject = {
      id: 'model',
      backend: tools.backend,
      library: tools.library,
      model,
      ...(tools.delegate ? { delegate: tools.delegate } : {}),
    }
    const startedAt = new Date()
    const executed: Executed & { readonly warmUp?: WarmUp | null } = request.attach
      ? await attached(board, request.attach, progress)
      : await measure(board, tools, planned, survey, request, progress)
    const after = request.attach ? undefined : await surveyAfter(board.device, progress.signal)
    const threads = request.attach ? threadsIn(executed.collected) : request.threads
    const rows: BenchRow[] = []
    const energies = await measureEnergies(
      board,
      tools,
      request.attach ? { ...defaultEnergy, wanted: 'off' } : (request.energy ?? defaultEnergy),
      {
        ...request,
        threads,
        subjects: [planned],
        sensors: survey.sensors,
        pins: ready?.pins,
      },
      (id, count) => latencyOf(executed.collected, id, count, 0, request.preset)?.p50Ns ?? null,
      progress,
    )
    for (const count of threads) {
      progress.stage('memory', `${count} threads`)
      const alone = await execute(
        board,
        tools,
        { files: new Map(), fetch: [], plan: () => memoryPlan(request, planned, count) },
        progress,
      )
      rows.push({
        threads: count,
        latency: withWarmUp(
          latencyOf(executed.collected, 'model', count, request.rateHz, request.preset),
          executed.warmUp ?? null,
        ),
        peakRssBytes: alone.collected.peakRssBytes,
        energy: energies.get(count)?.bySubject.get('model') ?? noEnergy('not-asked', 'Not measured.'),
        operators: operatorsOf(executed.collected, executed.files, 'model', count),
      })
    }
    const conditions = {
      device,
      collected: executed.collected,
      board: survey,
      after,
      aftermath: executed.aftermath,
      latencies: rows.map(({ threads, latency }) => ({
        name: threads === 1 ? 'the model' : `the model with ${threads} threads`,
        latency,
      })),
      limits: profile.thermal.limits,
      preset: request.preset,
      affinity: request.affinity,
      rateHz: request.rateHz,
      interleaved: false,
      startedAt,
      endedAt: new Date(),
    }
    for (const warning of warningsOf({ ...conditions, profile, usesEdgeTpu: accelerated }))
      progress.warn(warning)
    return {
      subject: { path: request.subject, kind: subject.kind, bytes: subject.bytes, sha256: subject.sha256 },
      device: device.name,
      profile: profile.id,
      runtime: tools.runtime,
      rows,
      conditions: conditionsOf(conditions),
      rawLatencyNs: threads.map((count) => [
        ...rawLatency(executed.collected, 'model', count, request.rateHz, request.preset),
      ]),
    }
  } finally {
    await board.close()
  }
}

/** An artifact becomes a release, any other model a blob. */
async function placing(
  subject: Subject,
  request: BenchRequest,
  progress: Progress,
): Promise<{ engine: Engine; place(device: Device): Promise<string> }> {
  if (subject.kind === 'artifact')
    return {
      engine: engineOf(await readFile(subject.modelPath)),
      place: async (device) =>
        (await installRelease(device, subject.folder, { name: subject.manifest.name, progress })).modelPath,
    }
  const { bytes } = await staticModel(subject.path, request.shapes, progress)
  return {
    engine: engineOf(bytes),
    place: async (device) => (await ensureBlobBytes(device, bytes, { progress })).path,
  }
}

async function measure(
  board: OpenedBoard,
  tools: Provisioned,
  subject: PlanSubject,
  survey: BoardSensors & { readonly pins?: readonly Pin[] },
  request: BenchRequest,
  progress: Progress,
): Promise<Executed & { readonly warmUp: WarmUp | null }> {
  const wanted = {
    ...request,
    operators: request.operators && tools.timesOperators,
    subjects: [subject],
    sensors: survey.sensors,
    sensorPeriodMs,
  }
  const pins = survey.pins ?? []
  const warmUp = await warmUpUntilSteady(board, tools, wanted, pins, progress)
  progress.stage('measure', board.device.name)
  const plan = () => standardPlan(wanted)
  return {
    ...(await execute(board, tools, { files: new Map(), fetch: [], plan, pins }, progress)),
    warmUp,
  }
}

async function attached(board: OpenedBoard, id: string, progress: Progress): Promise<Executed> {
  progress.stage('collect', id)
  const { collected } = await follow(board, id, progress)
  return { collected, files: new Map(), aftermath: await runAftermath(board.device, id) }
}

function threadsIn(collected: Collected): number[] {
  const counts = [...collected.artifacts.keys()].flatMap((id) =>
    /^model-t(\d+)$/.exec(id)?.[1] ? [Number(/^model-t(\d+)$/.exec(id)![1])] : [],
  )
  if (counts.length > 0) return counts
  throw new EdgewrightError('RUN_NOT_FOUND', 'The run is not one of bench.', {
    saw: [...collected.artifacts.keys()].join(', ') || 'nothing measured',
  })
}

export function describeBench(bench: Bench): string {
  const { conditions } = bench
  const lines = [
    `${bench.subject.path} (${formatBytes(bench.subject.bytes)}) on ${bench.device} (${bench.profile}), ${bench.runtime.name} ${bench.runtime.version}`,
    ...(conditions.emulated
      ? [
          `! ${conditions.emulated} emulates this board: its times are no board's and stand as multiples of the median.`,
        ]
      : []),
    'threads        p50        p90        p99       mean        min      first   count  peak memory',
  ]
  for (const { threads, latency, peakRssBytes } of bench.rows) {
    const time = (ns: number) =>
      conditions.emulated ? formatRatio(ns / (latency?.p50Ns || 1)) : formatNs(ns)
    const cell = (ns: number | null | undefined) =>
      (ns === null || ns === undefined ? 'few' : time(ns)).padStart(11)
    lines.push(
      latency
        ? `${String(threads).padStart(7)}${[latency.p50Ns, latency.p90Ns, latency.p99Ns, latency.meanNs, latency.minNs, latency.firstNs].map(cell).join('')}${String(latency.count).padStart(8)}  ${peakRssBytes === null ? 'unknown' : formatBytes(peakRssBytes)}`
        : `${String(threads).padStart(7)}  not measured`,
    )
    if (latency) lines.push(`${' '.repeat(9)}${latencyLine(latency, time)}`)
  }
  lines.push(`conditions: ${conditionsText(conditions)}`)
  for (const { threads, energy } of bench.rows) {
    if (!energy || energy.reasonCode === 'not-asked') continue
    const what = `energy per inference, ${threads === 1 ? '1 thread' : `${threads} threads`}:`
    if (energy.value === null) lines.push(`${what} none. ${energy.reason}`)
    else if (conditions.emulated) lines.push(`${what} measured, but of an emulated board: see --json.`)
    else {
      const above = energy.dynamic
        ? `, above idle ${energyCell({ value: energy.dynamic.value, uncertainty: energy.dynamic.uncertainty, reason: null })}`
        : ''
      lines.push(`${what} ${energyCell(energy)}${above}`, `  ${measuredText(energy)}`)
    }
  }
  for (const { threads, operators } of bench.rows) {
    if (operators.length === 0) continue
    lines.push(
      '',
      `time by operator, ${threads === 1 ? '1 thread' : `${threads} threads`} (a session of its own, slower)`,
    )
    const wholeNs = operators.reduce((sum, { meanNs }) => sum + meanNs, 0)
    for (const { operator, meanNs, calls } of operators) {
      const time = conditions.emulated ? formatShare(meanNs / Math.max(1, wholeNs)) : formatNs(meanNs)
      lines.push(`  ${operator.padEnd(24)} ${time.padStart(10)}  ${calls} nodes`)
    }
  }
  return lines.join('\n')
}
