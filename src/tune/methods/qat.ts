import { chooseCandidate } from '../../compile/candidates.ts'
import { withHeadroom } from '../../compile/headroom.ts'
import { type Trial, trialOptions } from '../../compile/trial.ts'
import { EdgewrightError } from '../../error.ts'
import { initialValues, type NetworkValues } from '../../train/network.ts'
import { closeSimulation, reprepared, withValues } from '../../train/quantized/close.ts'
import { simulateQuantization, type Simulation } from '../../train/quantized/simulate.ts'
import type { QuantizationTarget } from '../../train/quantized/target.ts'
import type { TargetOptions } from '../../../targets/target.ts'
import type { Method, Stage, TuneContext } from '../context.ts'
import { resolveTraining, trainNetwork } from '../fine-tune.ts'
import { sourceOfStage } from '../judge.ts'

/**
 * Quantization-aware training: starts from what a compile makes of the network without training, and trains weights and
 * scales with every value rounded where the target rounds it (Jacob et al. 2018; scales by LSQ, Esser et al. 2020).
 */
export const qatMethod: Method = async (stage, context) => {
  const { board, request, progress } = context
  if (board.options.scheme !== 'full-int8')
    throw new EdgewrightError('USAGE', 'Quantization-aware training is for the scheme full-int8.', {
      where: '--scheme',
      saw: board.options.scheme,
      hint: 'Leave --scheme out, or tune without qat.',
    })
  const options = resolveTraining(context, {
    epochs: 10,
    learningRate: 1e-4,
    learnFrom: 'teacher',
    temperature: 2,
  })
  const trial = await startingTrial(stage, context)
  const { weightBits = 8, learnScales = true } = request.qat ?? {}
  const target = targetOf(trial, context)
  const simulate = (batchSize: number): Simulation =>
    simulateQuantization(
      trial.graph,
      trial.headroom ? withHeadroom(trial.graph, trial.ranges) : trial.ranges,
      target,
      {
        batchSize,
        learnScales,
        weightBits,
        // with few levels the widest weight is no measure for all of them
        weightScales: weightBits < 8 ? 'learned' : 'min-max',
      },
      (graph, ranges) =>
        board.target.prepare(graph, ranges, { ...trialOptions(trial, board), ...plainRounding }),
    )
  const simulation = simulate(options.batchSize)
  const { values, epochs } = await trainNetwork(simulation.network, 'qat', options, context)
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
    const one = simulate(1).network
    const form = (of: NetworkValues) => withValues(one, of)
    return {
      ...common,
      notes: [`Weights of ${weightBits} bits are simulated: no artifact computes so.`],
      simulated: [
        { form: `${weightBits}-bit weights, PTQ (simulated)`, graph: form(initialValues(one)) },
        { form: `${weightBits}-bit weights, QAT (simulated)`, graph: form(values) },
      ],
    }
  }
  const { typed, deviations } = reprepared(simulation, closed)
  for (const { where, trained, stored } of deviations)
    progress.warn({
      code: 'QAT_DEVIATION',
      message: `${where}: training saw ${trained}, the target stores ${stored}.`,
      hint: 'Report this with the model: both should be alike.',
    })
  const emitted = board.target.emit(typed.graph, { ...trialOptions(trial, board), ...plainOptions })
  const notes = [
    `Starts from the compile without training (${simulation.scales.length} scales of activations are learned, ${simulation.classes.all.length - simulation.scales.length} are fixed by the target).`,
    deviations.length === 0
      ? 'The artifact stores the very integers and scales that training saw.'
      : `${deviations.length} values are stored otherwise than training saw.`,
  ]
  return { ...common, quantized: emitted, notes }
}

/** To the nearest, no more and no less than training computes. */
const plainRounding = { correctBias: false, layers: new Map() } satisfies Partial<TargetOptions>
const plainOptions = {
  ...plainRounding,
  activationRange: { kind: 'min-max' },
  weightRange: 'min-max',
  valueRanges: new Map(),
} satisfies Partial<TargetOptions>

/** What a compile would choose: its rewrites and ranges are where training starts. */
async function startingTrial(stage: Stage, context: TuneContext): Promise<Trial> {
  const source = await sourceOfStage(stage, context)
  const chosen = await chooseCandidate({ ...context.original, source }, context.board, context.progress)
  return chosen.made.trial
}

function targetOf(trial: Trial, { board }: TuneContext): QuantizationTarget {
  const options = { ...trialOptions(trial, board), ...plainOptions }
  return {
    wanted: board.target.wantedTensors(trial.graph, options),
    prepare: (graph, ranges) => board.target.prepare(graph, ranges, options),
  }
}
