import type { Scheme } from '../../artifact/manifest.ts'
import { chooseCandidate } from '../../compile/candidates.ts'
import type { Prepared } from '../../compile/compile.ts'
import { withHeadroom } from '../../compile/headroom.ts'
import { type Made, type Trial, trialOptions } from '../../compile/trial.ts'
import { EdgewrightError } from '../../error.ts'
import { constantOf } from '../../graph/constant.ts'
import type { Graph } from '../../graph/types.ts'
import { dequantizedNumbers } from '../../quantize/weighted-layer.ts'
import { elementCount } from '../../tensor.ts'
import { initialValues, type Network, type NetworkValues } from '../../train/network.ts'
import { storedWeights } from '../../train/quantized/layers.ts'
import { closeSimulation, reprepared, withValues } from '../../train/quantized/close.ts'
import { simulateQuantization, type Simulation } from '../../train/quantized/simulate.ts'
import type { QuantizationTarget } from '../../train/quantized/target.ts'
import type { TargetOptions } from '../../../targets/target.ts'
import type { Method, Stage, TuneContext } from '../context.ts'
import type { Kept } from '../best-epoch.ts'
import { type ResolvedTraining, resolveTraining, trainNetwork } from '../fine-tune.ts'
import { openHeldOut } from '../held-out.ts'
import { sourceOfStage } from '../judge.ts'

const withoutIntegers: ReadonlySet<string> = new Set(['float', 'float16'])

/**
 * Quantization-aware training: starts from what a compile makes of the network without training, and trains weights and
 * scales with every value rounded where the target rounds it (Jacob et al. 2018; scales by LSQ, Esser et al. 2020).
 */
export const qatMethod: Method = async (stage, context) => {
  const { board, request, progress } = context
  if (withoutIntegers.has(board.options.scheme))
    throw new EdgewrightError('USAGE', 'Quantization-aware training is for schemes that store integers.', {
      where: '--scheme',
      saw: board.options.scheme,
      hint: 'Leave --scheme out, or tune without qat.',
    })
  const { weightBits = 8, learnScales = true } = request.qat ?? {}
  const options = resolveTraining(context, {
    epochs: 10,
    learningRate: rateOf(weightBits),
    learnFrom: 'teacher',
    temperature: 2,
  })
  const start = await startingPoint(stage, context)
  const { trial } = start
  const graph = startingFrom(trial.graph, start.typed.graph)
  const target = targetOf(trial, context)
  const simulate = (batchSize: number, portable = false): Simulation =>
    simulateQuantization(
      weightBits < 8 ? trial.graph : graph,
      trial.headroom ? withHeadroom(trial.graph, trial.ranges) : trial.ranges,
      target,
      {
        batchSize,
        learnScales,
        weightBits,
        portable,
        // with few levels the widest weight is no measure for all of them; with many, a scale that follows it moves all
        weightScales: weightBits < 8 ? 'learned' : 'frozen',
      },
      (graph, ranges) =>
        board.target.prepare(graph, ranges, { ...trialOptions(trial, board), ...plainRounding }),
    )
  const simulation = simulate(options.batchSize)
  const { values, epochs, kept } = await trainedToBest(simulation.network, options, context)
  const keptNotes = kept ? [keptNote(kept, context)] : []
  const closed = closeSimulation(simulation, values)
  const common = {
    ...stage,
    name: 'qat',
    graph: closed.latent,
    epochs,
    layers: [],
    options: { ...options, weightBits, learnScales },
  }
  if (!simulation.deployable) {
    const one = simulate(1, true).network
    const form = (of: NetworkValues) => withValues(one, of)
    return {
      ...common,
      notes: [`Weights of ${weightBits} bits are simulated: no artifact computes so.`, ...keptNotes],
      simulated: [
        { form: `${weightBits}-bit weights, PTQ (simulated)`, graph: form(initialValues(one)) },
        { form: `${weightBits}-bit weights, QAT (simulated)`, graph: form(values) },
      ],
    }
  }
  // what a compile makes of its own is a little better than what training starts from
  if (kept?.from === 'start')
    return { ...common, graph: stage.graph, quantized: start.emitted, notes: keptNotes }
  const { typed, deviations } = reprepared(simulation, closed)
  for (const { where, trained, stored } of deviations)
    progress.warn({
      code: 'QAT_DEVIATION',
      message: `${where}: training saw ${trained}, the target stores ${stored}.`,
      hint: 'Report this with the model: both should be alike.',
    })
  const emitted = board.target.emit(typed.graph, { ...trialOptions(trial, board), ...plainOptions })
  const notes = [
    startNote(simulation, board.options.scheme),
    deviations.length === 0
      ? 'The artifact stores the very integers and scales that training saw.'
      : `${deviations.length} values are stored otherwise than training saw.`,
    ...keptNotes,
  ]
  const seen = () => withValues(simulate(1, true).network, values)
  return { ...common, quantized: emitted, seen, notes }
}

/** A training that is held to the samples that choose between candidates of a compile. */
async function trainedToBest(network: Network, options: ResolvedTraining, context: TuneContext) {
  const heldOut = await openHeldOut(network, options, context)
  try {
    const { values, epochs, kept } = await trainNetwork(network, 'qat', options, context, undefined, heldOut)
    return { values, epochs, kept }
  } finally {
    await heldOut?.close()
  }
}

function startNote({ scales, classes, layers }: Simulation, scheme: Scheme): string {
  const start = 'Starts from the compile without training'
  if (layers.some(({ input }) => input !== null))
    return `${start} (${scales.length} scales of activations are learned, ${classes.all.length - scales.length} are fixed by the target).`
  const activations =
    scheme === 'dynamic'
      ? 'activations, which the board rounds as they come, are not'
      : 'activations are real'
  return `${start} (the weights of ${layers.length} layers are rounded; ${activations}).`
}

function keptNote({ from, before, after }: Kept, { samples, progress }: TuneContext): string {
  const count = `${samples.selection.indices.length} samples that nothing was learnt from`
  if (from === 'start') {
    progress.warn({
      code: 'TRAINING_NO_GAIN',
      message: `No epoch lost less than the start on ${count}: the network stays as it was.`,
      hint: 'Give more samples or another --learning-rate. What quantization lost may also be nothing to win back.',
    })
    return `Stays as it was before training: no epoch lost less on ${count} (${before.toPrecision(3)}).`
  }
  const what = from === 'mean' ? 'the mean of the later epochs' : `epoch ${from + 1}`
  return `Kept: ${what}, loss ${before.toPrecision(3)} → ${after.toPrecision(3)} on ${count}.`
}

/** Some hundred steps of Adam take a weight one or two integers on: tenfold at 4 bits, whose steps are 18 times as wide. */
function rateOf(weightBits: number): number {
  return Number((3e-5 * 10 ** ((8 - weightBits) / 4)).toPrecision(2))
}

/** To the nearest, no more and no less than training computes. */
const plainRounding = { correctBias: false, layers: new Map() } satisfies Partial<TargetOptions>
const plainOptions = {
  ...plainRounding,
  activationRange: { kind: 'min-max' },
  weightRange: 'min-max',
  valueRanges: new Map(),
} satisfies Partial<TargetOptions>

/** What a compile would choose: its rewrites, ranges and rounding are where training starts, also where `fast` was asked for. */
async function startingPoint(stage: Stage, context: TuneContext): Promise<Made> {
  const source = await sourceOfStage(stage, context)
  const { recipe } = context.original
  const prepared: Prepared = {
    ...context.original,
    source,
    recipe: recipe.preset === 'fast' ? { ...recipe, preset: 'balanced' } : recipe,
  }
  const chosen = await chooseCandidate(prepared, context.board, context.progress)
  return chosen.made
}

/** The float network with the weights and biases that the compile stored: training goes on from its rounding. */
function startingFrom(graph: Graph, typed: Graph): Graph {
  const stored = new Map(typed.nodes.map((node) => [node.name, node]))
  const weightsOf = storedWeights(typed)
  const values = new Map(graph.values)
  for (const { name, op, inputs } of graph.nodes) {
    const node = stored.get(name)
    // a factor in the weights, or axes the other way round
    if (!node || node.op.kind !== op.kind || (op.kind === 'Gemm' && (op.alpha !== 1 || op.beta !== 1)))
      continue
    const found = [weightsOf(node), typed.values.get(node.inputs[2] ?? '')]
    for (const [index, value] of found.entries()) {
      const own = graph.values.get(inputs[index + 1] ?? '')
      const { constant, type } = value ?? {}
      if (!own?.constant || !constant || !type?.quantization) continue
      if (elementCount(constant.shape) !== elementCount(own.type.shape)) continue
      const numbers = Float32Array.from(dequantizedNumbers(constant, type.quantization))
      values.set(own.name, { ...own, constant: constantOf('float32', own.type.shape, numbers) })
    }
  }
  return { ...graph, values }
}

function targetOf(trial: Trial, { board }: TuneContext): QuantizationTarget {
  const options = { ...trialOptions(trial, board), ...plainOptions }
  return {
    wanted: board.target.wantedTensors(trial.graph, options),
    prepare: (graph, ranges) => board.target.prepare(graph, ranges, options),
    ...(board.target.ties && { ties: board.target.ties }),
  }
}
