import { join } from 'node:path'
import { boardOfDevice, type Board } from '../compile/board.ts'
import { floatBaseline } from '../compile/candidates.ts'
import { type Compiled, compileFor, type Prepared } from '../compile/compile.ts'
import { mcnemarTest } from '../data/significance.ts'
import { installRelease } from '../deploy/release.ts'
import { ensureBlobBytes } from '../deploy/blobs.ts'
import type { Device } from '../deploy/types.ts'
import { sensorPeriodMs } from '../measure/conditions/sensors.ts'
import type { BoardSurvey } from '../measure/conditions/types.ts'
import { artifactId, memoryPlan, standardPlan, type Subject } from '../measure/standard-plan.ts'
import type { Progress, Warning } from '../progress.ts'
import type { RawSeries, RunResult } from '../store/document.ts'
import { openCompilerHost } from './compiler-host.ts'
import { type BoardSensors, type ConditionsInput, conditionsOf, warningsOf } from './conditions.ts'
import { defaultEnergy, type EnergyPhase, energyWarnings, measureEnergies, noEnergy } from './energy.ts'
import { execute, type Executed } from './execute.ts'
import { fidelityOf } from './fidelity.ts'
import { latencyOf, operatorsOf, rawLatency } from './latency.ts'
import { tryMeter } from './meter.ts'
import { openBoard, type OpenedBoard } from './open-device.ts'
import { measureParity, type ParityInputs, parityInputs } from './parity-run.ts'
import { provision, type Provisioned } from './provision.ts'
import type { DeviceRequest, RunRequest } from './request.ts'
import type { RawFiles } from './run.ts'
import { readyBoard, type ReadyBoard, surveyAfter } from './ready-board.ts'
import { runEngines } from './tensorrt/run-engines.ts'
import { trtexecOf } from './tensorrt/wishes.ts'
import { seriesOf } from './series.ts'
import { type WarmUp, warmUpUntilSteady, withWarmUp } from './warm-up.ts'
import { mediansApart, type VerdictInput, verdictOf, verdictWarnings } from './verdict.ts'

/** Samples whose outputs are compared between board and host. */
const paritySamples = 32

/** What was measured on one board, before it is told by thread count. */
interface Measured {
  readonly executed: Executed
  readonly warmUp?: WarmUp | null
  readonly peakRssBytes: ReadonlyMap<string, number | null>
  /** Absent: the board was not asked again. */
  readonly after?: BoardSurvey
  readonly startedAt: Date
  readonly endedAt: Date
}

/** Compile, deploy and measure on one device: a result for each thread count. */
export async function runOnDevice(
  wanted: DeviceRequest,
  request: RunRequest,
  prepared: Prepared,
  compiledBefore: Map<string, Compiled>,
  raw: RawFiles,
  firstMilliC: Map<string, number>,
  progress: Progress & { readonly warnings: readonly Warning[] },
): Promise<RunResult[]> {
  const warned = progress.warnings.length
  const opened = await openBoard(wanted.device, wanted.profile, request.connection, progress)
  const { device } = opened
  try {
    await tryMeter(request.energy?.meter, opened, progress)
    const board = boardOfDevice(
      opened.profile,
      device.facts,
      { target: wanted.target, recipe: request.recipe },
      progress,
    )
    const compiled = await compileOnce(prepared, board, request, compiledBefore, progress)
    const fidelity = request.report ? await fidelityOf(compiled, prepared, board, progress) : undefined
    const common = { wanted, device, board, compiled, raw, prepared }
    if (trtexecOf(compiled.manifest)) {
      progress.stage('deploy', device.name)
      const release = await installRelease(device, compiled.folder, { name: prepared.source.name, progress })
      const survey = await readyBoard(device, request.conditions ?? {}, firstMilliC, progress)
      const engines = await runEngines(
        { opened, board, compiled, prepared, release, request, survey },
        progress,
      )
      return [
        engines.finish(
          resultOf({
            ...common,
            fidelity,
            tools: engines,
            measured: engines,
            parity: engines.parity,
            threads: 1,
            survey,
            request: { ...request, rateHz: 0, affinity: [] },
            warnings: progress.warnings.slice(warned),
          }),
        ),
      ]
    }
    const tools = await provision(
      device,
      board.target.engine,
      progress,
      compiled.manifest.target === 'edgetpu' ? 'edgetpu' : null,
    )
    progress.stage('deploy', device.name)
    const release = await installRelease(device, compiled.folder, { name: prepared.source.name, progress })
    const floatModel = await ensureBlobBytes(device, floatBaseline(prepared, board), { progress })
    const subjects: Subject[] = [
      { id: 'float', backend: tools.backend, library: tools.library, model: floatModel.path },
      {
        id: 'int8',
        backend: tools.backend,
        library: tools.library,
        model: release.modelPath,
        ...(tools.delegate ? { delegate: tools.delegate } : {}),
      },
    ]
    const inputs = await parityInputs(prepared, compiled, paritySamples, progress.signal)
    const survey = await readyBoard(device, request.conditions ?? {}, firstMilliC, progress)
    const measured = await measure(opened, tools, subjects, inputs, survey, request, progress)
    const energies = await measureEnergies(
      opened,
      tools,
      request.energy ?? defaultEnergy,
      { ...request, subjects, sensors: survey.sensors, pins: survey.pins },
      (subject, threads) =>
        latencyOf(measured.executed.collected, subject, threads, 0, request.preset)?.p50Ns ?? null,
      progress,
    )
    const parity = await measureParity(compiled, inputs, measured.executed.files)
    return request.threads.map((threads) =>
      resultOf({
        ...common,
        fidelity: threads === request.threads[0] ? fidelity : undefined,
        tools,
        measured,
        energy: energies.get(threads),
        parity,
        threads,
        survey,
        request,
        warnings: progress.warnings.slice(warned),
      }),
    )
  } finally {
    await opened.close()
  }
}

/** Boards that compute alike share one artifact. */
async function compileOnce(
  prepared: Prepared,
  board: Board,
  request: RunRequest,
  before: Map<string, Compiled>,
  progress: Progress,
): Promise<Compiled> {
  const key = JSON.stringify([board.profile.id, board.target.name, board.options])
  const known = before.get(key)
  if (known) return known
  const { scheme } = prepared.recipe
  const parts = [
    prepared.source.name,
    board.profile.id,
    board.target.name,
    ...(scheme === 'full-int8' ? [] : [scheme]),
  ]
  const stem = join(request.store, 'artifacts', parts.join('-').replace(/[^A-Za-z0-9._-]/g, '-'))
  // two boards of one profile may differ in what their CPUs can do: neither's artifact replaces the other's
  const alike = [...before.values()].filter(
    ({ folder }) => folder === stem || folder.startsWith(`${stem}~`),
  ).length
  const folder = alike === 0 ? stem : `${stem}~${alike + 1}`
  const host = board.target.finish
    ? await openCompilerHost(request.edgetpuCompiler, request.connection, progress)
    : null
  try {
    const compiled = await compileFor(prepared, board, folder, progress, host)
    before.set(key, compiled)
    return compiled
  } finally {
    await host?.close()
  }
}

async function measure(
  board: OpenedBoard,
  tools: Provisioned,
  subjects: readonly Subject[],
  inputs: ParityInputs,
  survey: ReadyBoard,
  request: RunRequest,
  progress: Progress,
): Promise<Measured> {
  const startedAt = new Date()
  const wanted = {
    subjects,
    threads: request.threads,
    preset: request.preset,
    affinity: request.affinity,
    rateHz: request.rateHz,
    operators: tools.timesOperators,
    sensors: survey.sensors,
    sensorPeriodMs,
  }
  const warmUp = await warmUpUntilSteady(board, tools, wanted, survey.pins, progress)
  progress.stage('measure', `float beside int8 on ${board.device.name}`)
  const executed = await execute(
    board,
    tools,
    {
      files: inputs.files,
      fetch: inputs.outputs.map(({ file }) => file),
      pins: survey.pins,
      plan: (folder) =>
        standardPlan({
          ...wanted,
          before: [
            {
              do: 'infer',
              artifact: artifactId('int8', request.threads[0]!),
              inputs: [...inputs.files.keys()].map((name) => `${folder}/${name}`),
              outputs: inputs.outputs.map(({ file }) => `${folder}/${file}`),
              count: inputs.samples.length,
            },
          ],
        }),
    },
    progress,
  )
  const after = await surveyAfter(board.device, progress.signal)
  progress.stage('memory', board.device.name)
  const peakRssBytes = new Map<string, number | null>()
  for (const threads of request.threads)
    for (const subject of subjects) {
      const alone = await execute(
        board,
        tools,
        { files: new Map(), fetch: [], plan: () => memoryPlan(request, subject, threads) },
        progress,
      )
      peakRssBytes.set(artifactId(subject.id, threads), alone.collected.peakRssBytes)
    }
  return { executed, warmUp, peakRssBytes, after, startedAt, endedAt: new Date() }
}

interface ResultInput {
  readonly wanted: DeviceRequest
  readonly device: Device
  readonly board: Board
  readonly compiled: Compiled
  /** With the first thread count only. */
  readonly fidelity: RunResult['fidelity']
  readonly tools: { readonly runtime: RunResult['runtime'] }
  readonly measured: Measured
  readonly energy?: EnergyPhase | undefined
  readonly parity: RunResult['parity']
  readonly threads: number
  readonly survey: BoardSensors
  readonly request: RunRequest
  readonly raw: RawFiles
  readonly prepared: Prepared
  readonly warnings: readonly Warning[]
}

function resultOf(input: ResultInput): RunResult {
  const { wanted, device, board, compiled, tools, measured, parity, threads, request, prepared } = input
  const { collected, files } = measured.executed
  const model = compiled.manifest.files.find((file) => file.path === compiled.manifest.model)!
  const { warmUp = null } = measured
  const float = withWarmUp(latencyOf(collected, 'float', threads, request.rateHz, request.preset), warmUp)
  const int8 = withWarmUp(latencyOf(collected, 'int8', threads, request.rateHz, request.preset), warmUp)
  const speedup = float && int8 ? float.p50Ns / int8.p50Ns : null
  const accuracy = accuracyOf(compiled)
  const energy = input.energy?.bySubject.get('int8') ?? noEnergy('not-asked', 'Not measured.')
  const floatEnergy = input.energy?.bySubject.get('float')
  const { scheme } = compiled.manifest
  const verdictInput: VerdictInput = {
    name: scheme === 'full-int8' ? 'int8' : scheme,
    speedup,
    apart: mediansApart(float, int8),
    sizeRatio: model.bytes / prepared.source.bytes,
    accuracy,
    mcNemarP:
      compiled.quality.floatRight.length > 0
        ? mcnemarTest(compiled.quality.floatRight, compiled.quality.compiledRight).pValue
        : null,
    int8MayLose: board.constraints.int8MayLose,
    fixedRate: request.rateHz > 0,
    emulated: input.survey.emulator !== null,
  }
  const conditions: ConditionsInput = {
    device,
    collected,
    board: input.survey,
    after: measured.after,
    aftermath: measured.executed.aftermath,
    latencies: [
      { name: 'float', latency: float },
      { name: verdictInput.name, latency: int8 },
    ],
    artifacts: [artifactId('float', threads), artifactId('int8', threads)],
    limits: board.profile.thermal.limits,
    preset: request.preset,
    affinity: request.affinity,
    rateHz: request.rateHz,
    interleaved: request.rateHz === 0,
    startedAt: measured.startedAt,
    endedAt: measured.endedAt,
  }
  return {
    status: 'ok',
    device: wanted.device,
    profile: board.profile.id,
    target: compiled.manifest.target,
    scheme: compiled.manifest.scheme,
    calibrated: compiled.manifest.calibrated,
    runtime: tools.runtime,
    threads,
    artifact: { path: compiled.folder, bytes: model.bytes, sha256: model.sha256 },
    baseline: {
      accuracy: compiled.quality.float,
      latency: float,
      memory: { peakRssBytes: measured.peakRssBytes.get(artifactId('float', threads)) ?? null },
      ...(floatEnergy ? { energy: floatEnergy } : {}),
    },
    accuracy,
    parity,
    latency: int8,
    speedup,
    memory: { peakRssBytes: measured.peakRssBytes.get(artifactId('int8', threads)) ?? null },
    energy,
    conditions: conditionsOf(conditions),
    warnings: [
      ...input.warnings,
      ...verdictWarnings(verdictInput),
      ...parityWarnings(parity),
      ...warningsOf({
        ...conditions,
        profile: board.profile,
        usesEdgeTpu: compiled.manifest.target === 'edgetpu',
      }),
      ...energyWarnings([energy, floatEnergy], input.energy?.notes ?? []),
    ],
    verdict: verdictOf(verdictInput),
    size: {
      floatBytes: prepared.source.bytes,
      int8Bytes: model.bytes,
      floatWeightBytes: compiled.weightBytes.float,
      int8WeightBytes: compiled.weightBytes.compiled,
    },
    operators: {
      float: operatorsOf(collected, files, 'float', threads),
      int8: operatorsOf(collected, files, 'int8', threads),
    },
    ...(input.fidelity ? { fidelity: input.fidelity } : {}),
    ...(threads === request.threads[0] ? { search: searchOf(compiled) } : {}),
    constraints: board.reasons.map(({ id, sentence, basis, source }) => ({
      id,
      sentence,
      basis,
      source: [...source],
    })),
    samples: keepRaw(input),
  }
}

function searchOf({ candidates, declined }: Compiled): NonNullable<RunResult['search']> {
  return { candidates: [...candidates], declined: [...declined] }
}

function accuracyOf({ quality }: Compiled): RunResult['accuracy'] {
  return {
    float: quality.float,
    int8: quality.compiled,
    drop: quality.float === null || quality.compiled === null ? null : quality.float - quality.compiled,
    agreement: quality.agreement,
    metric: quality.metric,
    samples: quality.samples,
    measuredOn: 'host',
    sqnrDb: Number.isFinite(quality.sqnrDb) ? quality.sqnrDb : null,
  }
}

function parityWarnings(parity: RunResult['parity']): Warning[] {
  if (!parity || parity.ok) return []
  return [
    {
      code: 'PARITY_BROKEN',
      message: `Board and host disagree by up to ${parity.maxSteps.toFixed(1)} quantization steps: ${parity.firstDivergence}.`,
      hint: 'Accuracy was measured on the host: run edgewright evaluate ARTIFACT --device BOARD before you trust it.',
    },
  ]
}

/** What was sampled goes into the run's folder; paths into the document. */
function keepRaw(input: ResultInput): NonNullable<RunResult['samples']> {
  const { raw, wanted, measured, threads, request } = input
  const place = (artifact: 'float' | 'int8') => {
    const path = `raw/${artifact}-t${threads}-${Object.keys(raw.latency).length}.json`
    raw.latency[path] = {
      schema: 1,
      artifact,
      device: wanted.device,
      ns: [...rawLatency(measured.executed.collected, artifact, threads, request.rateHz, request.preset)],
    }
    return path
  }
  const series = `raw/series-t${threads}-${Object.keys(raw.series).length}.json`
  raw.series[series] = runSeries(input)
  return { float: place('float'), int8: place('int8'), series }
}

function runSeries({ wanted, measured, energy, threads }: ResultInput): RawSeries {
  const power = energy?.power
  return seriesOf({
    device: wanted.device,
    // energy is measured at one thread count, for all results
    parts: [measured.executed.collected, ...(power ? [power.collected] : [])],
    subjects: ['float', 'int8'],
    threads,
    power: power ? [{ rail: power.source.name, total: power.source.scope === 'board', ...power.series }] : [],
  })
}
