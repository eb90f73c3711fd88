import { ensureBlobBytes } from '../../deploy/blobs.ts'
import { EdgewrightError } from '../../error.ts'
import { randomNumbers } from '../../execute/random.ts'
import type { Collected } from '../../measure/collect.ts'
import { type BlockFigures, blockFigures, blockLatencies } from '../../measure/compare/blocks.ts'
import { comparisonPlan, turnLength } from '../../measure/compare/plan.ts'
import { artifactId, memoryPlan, type Subject } from '../../measure/standard-plan.ts'
import { median } from '../../measure/statistics.ts'
import type { Progress } from '../../progress.ts'
import { execute, type Executed } from '../execute.ts'
import type { OpenedBoard } from '../open-device.ts'
import { provision, type Provisioned } from '../provision.ts'
import type { ReadyBoard } from '../ready-board.ts'
import type { OutputCheck } from './outputs.ts'
import { type CompareRequest, shapeOf } from './request.ts'
import type { Side } from './side.ts'

/** A network on the board. */
export interface PlacedSide {
  readonly tools: Provisioned
  readonly model: string
}

export type Arm = 'a' | 'b' | 'control'

/** The arms that are measured; where A comes from a file, B is its own control. */
export interface Arms {
  readonly a: PlacedSide | null
  readonly b: PlacedSide
}

/** Everything of one process on the board. */
export interface MeasuredPass {
  readonly seed: number
  readonly figures: {
    readonly a: BlockFigures | null
    readonly b: BlockFigures
    readonly control: BlockFigures
  }
  readonly orders: readonly (readonly string[])[]
  readonly collected: Collected
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly aftermath?: Executed['aftermath'] | undefined
}

/** Puts a network and what runs it onto a board. */
export async function placeSide(side: Side, board: OpenedBoard, progress: Progress): Promise<PlacedSide> {
  const tools = await provision(board.device, side.engine, progress, side.accelerator)
  progress.stage('deploy', board.device.name)
  const { path } = await ensureBlobBytes(board.device, side.network.bytes, { progress })
  return { tools, model: path }
}

export function subjectOf(id: Arm, { tools, model }: PlacedSide): Subject {
  return {
    id,
    backend: tools.backend,
    library: tools.library,
    model,
    ...(tools.delegate ? { delegate: tools.delegate } : {}),
  }
}

/** What a network takes where nothing else is loaded. */
export interface MeasuredAlone {
  readonly peakRssBytes: { readonly a: number | null; readonly b: number | null }
  /** The slower one's, about. */
  readonly inferenceNs: number
}

/** Each network in a process of its own. */
export async function measureAlone(
  board: OpenedBoard,
  { a, b }: Arms,
  request: CompareRequest,
  progress: Progress,
): Promise<MeasuredAlone> {
  progress.stage('memory', board.device.name)
  const first = a && (await runAlone(board, a.tools, subjectOf('a', a), request, progress))
  const second = await runAlone(board, b.tools, subjectOf('b', b), request, progress)
  return {
    peakRssBytes: { a: first?.peakRssBytes ?? null, b: second.peakRssBytes },
    inferenceNs: Math.max(first?.inferenceNs ?? 0, second.inferenceNs),
  }
}

/** All in turns within one process. */
export async function measurePass(
  board: OpenedBoard,
  arms: Arms,
  request: CompareRequest,
  options: {
    readonly seed: number
    /** About what one inference takes: how long a turn is. */
    readonly inferenceNs: number
    readonly outputs: OutputCheck | null
    readonly survey: Pick<ReadyBoard, 'sensors' | 'pins'>
    readonly label: string
  },
  progress: Progress,
): Promise<MeasuredPass> {
  const { threads, affinity } = request
  const reference = arms.a ?? arms.b
  const subjects = [
    ...(arms.a ? [subjectOf('a', arms.a)] : []),
    subjectOf('b', arms.b),
    subjectOf('control', reference),
  ]
  progress.stage('compare', `${options.label} on ${board.device.name}`)
  const shape = shapeOf(request)
  const planned = (folder: string) =>
    comparisonPlan({
      arms: subjects,
      threads,
      affinity,
      blocks: shape.blocks,
      blockSeconds: shape.blockSeconds,
      turn: turnLength(options.inferenceNs),
      warmup: { minCount: 2, minSeconds: shape.warmupSeconds, maxCount: 1_000_000, maxSeconds: 60 },
      sensors: options.survey.sensors,
      before: options.outputs?.steps(folder, (arm) => artifactId(arm, threads)) ?? [],
      random: randomNumbers(options.seed),
    })
  const { blocks, orders } = planned('/')
  const { collected, files, aftermath } = await execute(
    board,
    reference.tools,
    {
      files: options.outputs?.files ?? new Map(),
      fetch: options.outputs?.fetch ?? [],
      plan: (folder) => planned(folder).plan,
      pins: options.survey.pins,
    },
    progress,
  )
  const figures = (arm: Arm): BlockFigures => {
    const latencies = blockLatencies(collected.steps, blocks, artifactId(arm, threads))
    if (latencies) return blockFigures(latencies)
    throw new EdgewrightError('DEVICE_ANSWER_INVALID', 'The board did not measure every block.', {
      where: board.device.name,
      saw: `${collected.steps.length} steps`,
      hint: 'Run compare again.',
    })
  }
  return {
    seed: options.seed,
    figures: { a: arms.a ? figures('a') : null, b: figures('b'), control: figures('control') },
    orders,
    collected,
    files,
    aftermath,
  }
}

async function runAlone(
  board: OpenedBoard,
  tools: Provisioned,
  subject: Subject,
  request: CompareRequest,
  progress: Progress,
): Promise<{ peakRssBytes: number | null; inferenceNs: number }> {
  const { collected } = await execute(
    board,
    tools,
    { files: new Map(), fetch: [], plan: () => memoryPlan(request, subject, request.threads) },
    progress,
  )
  const { warmupNs } = collected.artifacts.get(artifactId(subject.id, request.threads)) ?? {}
  return {
    peakRssBytes: collected.peakRssBytes,
    inferenceNs: warmupNs && warmupNs.length > 0 ? median(warmupNs) : 0,
  }
}
