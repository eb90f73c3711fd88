import { boardOfDevice } from '../../compile/board.ts'
import type { CalibrationCacheOptions } from '../../compile/calibration-cache.ts'
import { floatBaseline } from '../../compile/candidates.ts'
import {
  type Compiled,
  compileFor,
  type Prepared,
  prepareCompile,
  requireKnownNodes,
} from '../../compile/compile.ts'
import { unitsAlone } from '../../compile/explain/alone.ts'
import type { Divergence } from '../../compile/explain/divergence.ts'
import { unitFidelity } from '../../compile/explain/fidelity.ts'
import { shapeNote, type Unit, unitsOf } from '../../compile/explain/units.ts'
import type { Recipe } from '../../compile/recipe.ts'
import { ensureBlobBytes } from '../../deploy/blobs.ts'
import { installRelease } from '../../deploy/release.ts'
import type { Preset } from '../../measure/presets.ts'
import { artifactId, standardPlan, type Subject } from '../../measure/standard-plan.ts'
import type { Progress } from '../../progress.ts'
import type { Latency, RunResult } from '../../store/document.ts'
import { surveyBoard } from '../conditions.ts'
import { execute } from '../execute.ts'
import { latencyOf, operatorProfileOf } from '../latency.ts'
import { type ConnectionOptions, openBoard, type OpenedBoard } from '../open-device.ts'
import { measureParity, type ParityInputs, parityInputs } from '../parity-run.ts'
import { provision, type Provisioned } from '../provision.ts'
import { type ExplainedUnit, type Finding, findingsOf } from './findings.ts'
import { type OperatorTimes, timesAlone, timesInPlace } from './operator-times.ts'
import { whereTheyPart } from './parting.ts'

export interface ExplainRequest {
  readonly model: string
  readonly shapes: Readonly<Record<string, readonly number[]>>
  readonly signature?: string | undefined
  readonly data: string | undefined
  readonly calibrationData: string | undefined
  readonly calibrationCache?: CalibrationCacheOptions | null
  readonly metric: string | undefined
  readonly recipe: Recipe
  readonly device: string
  readonly profile: string | undefined
  readonly target: string | undefined
  readonly threads: number
  readonly preset: Preset
  readonly out: string
  readonly connection: ConnectionOptions
}

/** Float beside the compiled network, operator by operator, on one board. */
export interface Explanation {
  readonly model: string
  readonly device: string
  readonly profile: string
  readonly target: string
  /** What emulates the board; then times are the emulator's. */
  readonly emulated: string | null
  readonly threads: number
  readonly float: Latency | null
  readonly int8: Latency | null
  readonly timed: OperatorTimes['how']
  readonly units: readonly ExplainedUnit[]
  readonly conversionNs: number | null
  readonly runtimeNs: number | null
  readonly findings: readonly Finding[]
  readonly quality: {
    readonly sqnrDb: number | null
    readonly agreement: number | null
    readonly samples: number
  }
  readonly boardConstraints: readonly string[]
  readonly parity: RunResult['parity']
  /** Where board and host part; null where they agree. */
  readonly parting: (Divergence & { readonly sample: string }) | null
}

/** Samples whose outputs are compared between board and host. */
const paritySamples = 16

/** Compiles for a board, measures there, and says why int8 is slower or worse, operator by operator. */
export async function explainModel(request: ExplainRequest, progress: Progress): Promise<Explanation> {
  const prepared = await prepareCompile(request, progress)
  try {
    requireKnownNodes(prepared)
    const board = await openBoard(request.device, request.profile, request.connection, progress)
    try {
      const compiledFor = boardOfDevice(board.profile, board.device.facts, request, progress)
      const compiled = await compileFor(prepared, compiledFor, request.out, progress)
      return await explainOn(board, compiled, prepared, request, progress)
    } finally {
      await board.close()
    }
  } finally {
    await prepared.close()
  }
}

async function explainOn(
  board: OpenedBoard,
  compiled: Compiled,
  prepared: Prepared,
  request: ExplainRequest,
  progress: Progress,
): Promise<Explanation> {
  const { device } = board
  const { made, board: compiledFor, manifest, quality } = compiled
  const units = unitsOf(made.trial.graph)
  const tools = await provision(device, compiledFor.target.engine, progress)
  progress.stage('deploy', device.name)
  const release = await installRelease(device, compiled.folder, { name: manifest.name, progress })
  const floatModel = await ensureBlobBytes(device, floatBaseline(prepared, compiledFor), { progress })
  const inputs = await parityInputs(prepared, compiled, paritySamples, progress.signal)
  const survey = await surveyBoard(device, progress.signal)
  const subjects: Subject[] = [
    { id: 'float', backend: tools.backend, library: tools.library, model: floatModel.path },
    { id: 'int8', backend: tools.backend, library: tools.library, model: release.modelPath },
  ]
  const measured = await measureWhole(board, tools, subjects, inputs, request, progress)
  const parity = await measureParity(compiled, inputs, measured.files)
  const times = measured.profiles
    ? timesInPlace(units, measured.profiles.float, measured.profiles.int8)
    : await timesAlone(board, tools, unitsAlone(made, compiledFor), request.threads, progress)
  const fidelity = await unitFidelity(units, prepared, compiled, progress)
  const explained = explainedUnits(units, compiled, times, fidelity)
  const whole = {
    float: measured.float?.p50Ns ?? 0,
    int8: measured.int8?.p50Ns ?? 0,
    conversions: times.conversionNs,
    runtime: times.runtimeNs?.int8 ?? null,
    inPlace: times.how === 'in place',
  }
  return {
    model: request.model,
    device: device.name,
    profile: board.profile.id,
    target: manifest.target,
    emulated: survey.emulator,
    threads: request.threads,
    float: measured.float,
    int8: measured.int8,
    timed: times.how,
    units: explained,
    conversionNs: times.conversionNs,
    runtimeNs: times.runtimeNs?.int8 ?? null,
    findings: findingsOf(explained, whole),
    quality: {
      sqnrDb: Number.isFinite(quality.sqnrDb) ? quality.sqnrDb : null,
      agreement: quality.agreement,
      samples: quality.samples,
    },
    boardConstraints: compiledFor.reasons.map(({ sentence }) => sentence),
    parity,
    parting: parity.ok ? null : await findParting(board, compiled, tools, inputs, parity, progress),
  }
}

async function measureWhole(
  board: OpenedBoard,
  tools: Provisioned,
  subjects: readonly Subject[],
  inputs: ParityInputs,
  { threads, preset }: ExplainRequest,
  progress: Progress,
) {
  progress.stage('measure', `float beside int8 on ${board.device.name}`)
  const { collected, files } = await execute(
    board,
    tools,
    {
      files: inputs.files,
      fetch: inputs.outputs.map(({ file }) => file),
      plan: (folder) =>
        standardPlan({
          subjects,
          threads: [threads],
          preset,
          operators: tools.timesOperators && tools.backend === 'onnxruntime',
          before: [
            {
              do: 'infer',
              artifact: artifactId('int8', threads),
              inputs: [...inputs.files.keys()].map((name) => `${folder}/${name}`),
              outputs: inputs.outputs.map(({ file }) => `${folder}/${file}`),
              count: inputs.samples.length,
            },
          ],
        }),
    },
    progress,
  )
  const [float, int8] = ['float', 'int8'].map((subject) =>
    operatorProfileOf(collected, files, subject, threads),
  )
  return {
    files,
    float: latencyOf(collected, 'float', threads, 0),
    int8: latencyOf(collected, 'int8', threads, 0),
    profiles: float && int8 ? { float: float.byNode, int8: int8.byNode } : null,
  }
}

function explainedUnits(
  units: readonly Unit[],
  { made, board }: Compiled,
  times: OperatorTimes,
  fidelity: ReadonlyMap<string, number>,
): ExplainedUnit[] {
  const rows = board.target.inspect(made.trial.graph, { ...board.options, keepFloat: made.trial.keepFloat })
  const rowOf = new Map(rows.flatMap((row) => row.outputs.map((output) => [output, row] as const)))
  return units.map((unit) => {
    const row = unit.values.map((value) => rowOf.get(value)).find((found) => found !== undefined)
    return {
      name: unit.name,
      operator: unit.operator,
      precision: row?.placement === 'unsupported' ? 'unsupported' : (row?.precision ?? 'int8'),
      reason: row?.reason ?? '',
      remedy: row?.remedy ?? null,
      floatNs: times.float.get(unit.name) ?? null,
      int8Ns: times.int8.get(unit.name) ?? null,
      sqnrDb: fidelity.get(unit.name) ?? null,
      note: shapeNote(unit, made.trial.graph),
    }
  })
}

async function findParting(
  board: OpenedBoard,
  compiled: Compiled,
  tools: Provisioned,
  inputs: ParityInputs,
  parity: NonNullable<RunResult['parity']>,
  progress: Progress,
): Promise<Explanation['parting']> {
  const id = /^sample (.*), output /.exec(parity.firstDivergence ?? '')?.[1]
  const sample = inputs.samples.find((one) => one.id === id) ?? inputs.samples[0]!
  const found = await whereTheyPart(compiled, board, tools, sample, progress)
  return found && { ...found, sample: sample.id }
}
