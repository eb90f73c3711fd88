import type { RuntimeNeed } from '../artifact/manifest.ts'
import type { OnnxEvaluatorOptions } from '../execute/onnxruntime.ts'
import { engineOf } from '../execute/open.ts'
import type { Graph } from '../graph/types.ts'
import type { Progress } from '../progress.ts'
import { calibrate } from '../quantize/calibrate.ts'
import {
  type ActivationRangeMethod,
  describeRangeMethod,
  type Ranges,
  type WeightRangeMethod,
} from '../quantize/ranges.ts'
import type { Decision, Emitted, TargetOptions } from '../../targets/target.ts'
import type { Board } from './board.ts'
import { type Prepared, runnableOf } from './compile.ts'
import { executeGraph } from './execute-graph.ts'
import { outputHeadroom, withHeadroom } from './headroom.ts'
import { peakActivationBytes } from './memory.ts'
import { compareQuality } from './quality.ts'
import type { Recipe } from './recipe.ts'
import { samplesOf } from './samples.ts'

/** A way to choose ranges, with what it came to on the selection samples. */
export interface Candidate {
  readonly name: string
  readonly sqnrDb: number | null
  readonly samples: number
  readonly kept: boolean
}

export interface Chosen {
  readonly emitted: Emitted
  readonly integerOnly: boolean
  readonly decisions: readonly Decision[]
  readonly runtimes: RuntimeNeed[]
  readonly choice: string
  readonly candidates: readonly Candidate[]
  /** Of the weight tensors, biases and scales aside. */
  readonly weightBytes: number
  /** That live at once. */
  readonly activationBytes: number
}

interface Choice {
  readonly name: string
  readonly activation: ActivationRangeMethod
  readonly weight: WeightRangeMethod
  readonly correctBias: boolean
  readonly headroom: boolean
}

/**
 * Calibrates once, tries each way to choose ranges on held-out samples, keeps the best; then takes from that one what
 * else the target does to it, one thing at a time, and leaves out what does not help.
 */
export async function chooseCandidate(prepared: Prepared, board: Board, progress: Progress): Promise<Chosen> {
  const runtimes = (await board.target.runtimes(board.options.cpu.architecture)).map((build) => build.need)
  const graph = tailored(prepared, board)
  const ranges =
    board.target.wantedTensors(graph, board.options).length === 0
      ? new Map()
      : await calibrateFor(prepared, graph, board, progress)
  const held = prepared.samples.selection.indices.length
  const choices = choicesOf(prepared.recipe)
  // without ranges nothing is stored by them, and nothing was seen to correct by
  const improvements =
    ranges.size === 0 ? [] : improvementsOf(choices[0]!, (choice) => make(graph, board, ranges, choice))
  const nameOf = (choice: Choice) =>
    [choice.name, ...improvements.map((one) => (choice[one.key] ? one.made : one.left))].join(', ')
  // nothing is held out of very little data: then there is nothing to choose on
  if (choices.length === 1 || held === 0)
    return {
      ...make(graph, board, ranges, choices[0]!),
      runtimes,
      choice: nameOf(choices[0]!),
      candidates: [],
    }

  const total = choices.length + improvements.length
  progress.stage('choose', `${total} ways on ${held} held-out samples`)
  let best: { made: Made; choice: Choice; sqnrDb: number } | undefined
  const tried: { name: string; sqnrDb: number; samples: number }[] = []
  const consider = async (choice: Choice, marginDb: number) => {
    const made = make(graph, board, ranges, choice)
    const { sqnrDb, samples } = await score(prepared, board, made.emitted, progress)
    tried.push({ name: nameOf(choice), sqnrDb, samples })
    if (!best || sqnrDb > best.sqnrDb + marginDb) best = { made, choice, sqnrDb }
    progress.tick(tried.length, total, 'ways')
  }
  for (const choice of choices) await consider(choice, 0)
  for (const { key, marginDb } of improvements) await consider({ ...best!.choice, [key]: false }, marginDb)
  const kept = best!
  return {
    ...kept.made,
    runtimes,
    choice: nameOf(kept.choice),
    candidates: tried.map((entry) => ({
      ...entry,
      sqnrDb: Number.isFinite(entry.sqnrDb) ? entry.sqnrDb : null,
      kept: entry.name === nameOf(kept.choice),
    })),
  }
}

/** What is done to every candidate, and left out of the best to see whether it helps. */
interface Improvement {
  readonly key: 'correctBias' | 'headroom'
  readonly made: string
  readonly left: string
  /** What leaving it out must gain. */
  readonly marginDb: number
}

const knownImprovements: readonly Improvement[] = [
  { key: 'correctBias', made: 'biases corrected', left: 'biases as they are', marginDb: 0 },
  // what clips seldom may clip in none of few samples: a small gain there is no proof that it never will
  {
    key: 'headroom',
    made: `outputs with ${100 * outputHeadroom} % headroom`,
    left: 'outputs without headroom',
    marginDb: 0.5,
  },
]

/** Those that change a byte: a target may have no use for one, or a network no place. */
function improvementsOf(choice: Choice, make: (choice: Choice) => Made): Improvement[] {
  const bytesOf = ({ emitted }: Made) => emitted.files.get(emitted.model)!
  const whole = bytesOf(make(choice))
  return knownImprovements.filter(
    ({ key }) => choice[key] && Buffer.compare(whole, bytesOf(make({ ...choice, [key]: false }))) !== 0,
  )
}

/** The network in the form that the target calibrates and types. */
function tailored({ source }: Prepared, { target, options }: Board): Graph {
  return target.tailor?.(source.graph, options) ?? source.graph
}

/** The float network as the target itself would run it: what the compiled one is measured against on a board. */
export function floatBaseline(prepared: Prepared, board: Board): Uint8Array {
  const { source } = prepared
  const own = engineOf(source.floatModel)
  if (own === board.target.engine && !isQuantized(source.original)) return source.floatModel
  const options: TargetOptions = { ...board.options, scheme: 'float', io: 'float' }
  const emitted = board.target.emit(
    board.target.prepare(board.target.tailor?.(source.graph, options) ?? source.graph, new Map(), options)
      .graph,
    options,
  )
  return emitted.files.get(emitted.model)!
}

/** True where a file brought its own scales. */
export function isQuantized(graph: Graph): boolean {
  return [...graph.values.values()].some(({ type }) => type.quantization !== null)
}

interface Made {
  readonly emitted: Emitted
  readonly weightBytes: number
  readonly activationBytes: number
  readonly integerOnly: boolean
  readonly decisions: readonly Decision[]
}

function make(graph: Graph, board: Board, ranges: Ranges, choice: Choice): Made {
  const options: TargetOptions = {
    ...board.options,
    activationRange: choice.activation,
    weightRange: choice.weight,
    correctBias: choice.correctBias,
  }
  const typed = board.target.prepare(graph, choice.headroom ? withHeadroom(graph, ranges) : ranges, options)
  return {
    emitted: board.target.emit(typed.graph, options),
    integerOnly: typed.integerOnly,
    decisions: typed.decisions,
    weightBytes: weightBytesOf(typed.graph),
    activationBytes: peakActivationBytes(typed.graph),
  }
}

/** Constants with more than one axis: kernels and matrices. */
export function weightBytesOf(graph: Graph): number {
  return [...graph.values.values()].reduce(
    (sum, { constant }) => sum + (constant && constant.shape.length > 1 ? constant.byteLength : 0),
    0,
  )
}

async function calibrateFor(
  prepared: Prepared,
  graph: Graph,
  board: Board,
  progress: Progress,
): Promise<Ranges> {
  const { samples } = prepared
  const wanted = board.target.wantedTensors(graph, board.options)
  progress.stage('calibrate', `${samples.calibration.indices.length} samples, ${wanted.length} tensors`)
  const feeds = async function* () {
    for await (const sample of samplesOf(samples.calibration, progress.signal)) yield sample.inputs
  }
  return calibrate(graph, executeGraph, feeds(), wanted, {
    progress,
    total: samples.calibration.indices.length,
  })
}

async function score(prepared: Prepared, board: Board, emitted: Emitted, progress: Progress) {
  const compiled = await runnableOf(emitted, board)
  const { selection } = prepared.samples
  try {
    const quiet = { ...progress, signal: progress.signal, tick() {} }
    return await compareQuality(
      prepared.float,
      compiled,
      samplesOf(selection, progress.signal),
      selection.indices.length,
      prepared.makeMetric,
      quiet,
    )
  } finally {
    await compiled.evaluator.close()
  }
}

function choicesOf({ calibration, scheme }: Recipe): Choice[] {
  const choice = (activation: ActivationRangeMethod, weight: WeightRangeMethod): Choice => ({
    name: `${describeRangeMethod(activation)} activations, ${weight} weights`,
    activation,
    weight,
    correctBias: true,
    headroom: true,
  })
  const percentile: ActivationRangeMethod = { kind: 'percentile', percentile: calibration.percentile }
  const minMax: ActivationRangeMethod = { kind: 'min-max' }
  if (scheme === 'float' || scheme === 'float16') return [{ ...choice(minMax, 'min-max'), name: scheme }]
  const weights = (['min-max', 'mse'] as const).map((weight) => ({
    ...choice(minMax, weight),
    name: `${weight} weights`,
  }))
  if (scheme === 'dynamic' || scheme === 'weight-only')
    return calibration.method === 'auto' ? weights : [weights[0]!]
  if (calibration.method === 'percentile') return [choice(percentile, 'min-max')]
  if (calibration.method !== 'auto') return [choice({ kind: calibration.method }, 'min-max')]
  const activations: ActivationRangeMethod[] = [minMax, percentile, { kind: 'mse' }]
  return activations.flatMap((activation) => [choice(activation, 'min-max'), choice(activation, 'mse')])
}

/** How this computer must run a model so that it computes what the board does: signed activations as integers too. */
export function hostSession(options: Pick<TargetOptions, 'cpu' | 'scheme'>): OnnxEvaluatorOptions {
  const signed = options.cpu.architecture === 'aarch64' && options.scheme !== 'float'
  return signed ? { config: { 'session.qdqisint8allowed': '1' } } : {}
}
