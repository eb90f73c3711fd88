import { executeGraph } from '../../compile/execute-graph.ts'
import { type SamplePart, samplesOf } from '../../compile/samples.ts'
import { EdgewrightError } from '../../error.ts'
import type { Graph } from '../../graph/types.ts'
import { argMax, SqnrMeter } from '../../quantize/fidelity.ts'
import { throwIfAborted } from '../../progress.ts'
import { chooseRanks, type ChosenRanks } from '../../train/low-rank/choose-ranks.ts'
import { factorize } from '../../train/low-rank/factorize.ts'
import { sortLayers, type WholeLayer } from '../../train/low-rank/layers.ts'
import { unshareConstants } from '../../train/unshare-constants.ts'
import type { LayerChange, Method, TuneContext } from '../context.ts'
import { type ResolvedTraining, resolveTraining } from '../fine-tune.ts'
import { candidatesOf, layerMoments, measuredErrors } from './low-rank-choice.ts'
import { trainFactors, type TrainedFactors } from './low-rank-training.ts'

/** Samples that the moments of layers' outputs come from. */
const momentSamples = 512

/**
 * Layers as products of smaller ones, ranks by the error of their outputs on samples under the budget (Zhang et al. 2015);
 * then training.
 */
export const lowRankMethod: Method = async (stage, context) => {
  const { request, progress, samples } = context
  const budget = request.budget && Object.keys(request.budget).length > 0 ? request.budget : { weights: 0.5 }
  const graph = unshareConstants(stage.graph)
  const { layers, whole } = sortLayers(graph)
  if (layers.length === 0)
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      'The network has no layer that factors could stand for.',
      {
        where: context.original.source.name,
        saw: whole.length > 0 ? reasonsOf(whole) : 'neither matrices nor convolutions',
        hint: 'Prune channels instead.',
      },
    )
  progress.stage('low-rank', `${layers.length} layers`)
  const part = { ...samples.calibration, indices: samples.calibration.indices.slice(0, momentSamples) }
  const moments = await layerMoments(graph, layers, part, progress)
  const chosen = chooseRanks(await candidatesOf(layers, moments, progress), budget)
  const options = resolveTraining(context, {
    epochs: 12,
    learningRate: 1e-3,
    learnFrom: 'teacher',
    temperature: 4,
  })
  const batchNorm = request.training?.batchNorm ?? 'frozen'
  const common = { ...stage, name: 'low-rank', options: { ...options, batchNorm, budget } }
  const left =
    whole.length > 0
      ? [`${whole.length} ${whole.length === 1 ? 'layer stays' : 'layers stay'} whole: ${reasonsOf(whole)}.`]
      : []
  if (chosen.size === 0) {
    const notes = ['The budget leaves all layers whole: nothing was changed.', ...left]
    return { ...common, epochs: [], layers: [], notes }
  }
  const factored = factorize(graph, chosen, moments)
  const errors = await measuredErrors(graph, chosen, moments, heldOutOr(part, context), progress)
  const before = await agreementOn(factored, stage.graph, context)
  const trained = await trainFactors(factored, chosen, options, batchNorm, context)
  const after = await agreementOn(trained.graph, stage.graph, context)
  const count = `${samples.selection.indices.length} held-out samples`
  return {
    ...common,
    graph: trained.graph,
    epochs: trained.epochs,
    layers: changesOf(chosen, errors),
    notes: [
      ...touched(chosen),
      ...left,
      `On ${count}, before training: ${before}; after: ${after}.`,
      trainingNote(trained, options, context),
    ],
  }
}

function trainingNote(
  { kept, attempt }: TrainedFactors,
  { learningRate }: ResolvedTraining,
  { progress }: TuneContext,
): string {
  if (kept === null) return `Trained at ${learningRate}.`
  if (kept.from === 'start') {
    progress.warn({
      code: 'TRAINING_NO_GAIN',
      message: 'No epoch lost less than the factors as they were found: they stay so.',
      hint: 'Give more samples, or others by --augment (noise:…), or another --learning-rate.',
    })
    return `Stays as it was before training: no epoch lost less (${kept.before.toPrecision(3)}).`
  }
  const what = kept.from === 'mean' ? 'the mean of the later epochs' : `epoch ${kept.from + 1}`
  const how = attempt.onlyLast
    ? `trained gently, the last factor of each layer at ${attempt.learningRate.toPrecision(2)}, because all at ${learningRate} gained nothing`
    : `all weights at ${learningRate}`
  return `Kept: ${what}, loss ${kept.before.toPrecision(3)} → ${kept.after.toPrecision(3)}; ${how}.`
}

/** What nothing was learnt from, where there is some. */
function heldOutOr(part: SamplePart, { samples }: TuneContext): SamplePart {
  return samples.selection.indices.length > 0 ? samples.selection : part
}

function reasonsOf(whole: readonly WholeLayer[]): string {
  const counts = new Map<string, number>()
  for (const { reason } of whole) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  return [...counts].map(([reason, count]) => `${reason} (${count})`).join(', ')
}

/** Outputs beside those of another network on held-out samples, in words. */
async function agreementOn(
  graph: Graph,
  reference: Graph,
  { samples, progress }: TuneContext,
): Promise<string> {
  const [ours, theirs] = [await executeGraph(graph), await executeGraph(reference)]
  const meter = new SqnrMeter()
  let [same, count] = [0, 0]
  try {
    for await (const { inputs } of samplesOf(samples.selection, progress.signal)) {
      throwIfAborted(progress.signal)
      const output = (await ours.run(inputs)).get(graph.outputs[0]!)!.data as Float32Array
      const wanted = (await theirs.run(inputs)).get(reference.outputs[0]!)!.data as Float32Array
      meter.add(wanted, output)
      if (argMax(output) === argMax(wanted)) same++
      count++
    }
  } finally {
    await ours.close()
    await theirs.close()
  }
  return count === 0
    ? 'not measured'
    : `${meter.db.toFixed(1)} dB, ${((100 * same) / count).toFixed(1)} % alike`
}

function touched(chosen: ChosenRanks): string[] {
  const all = [...chosen.values()]
  const sum = (of: (one: (typeof all)[number]) => number) => all.reduce((total, one) => total + of(one), 0)
  const weights = sum(({ option }) => option.weights) / sum(({ candidate }) => candidate.layer.weights)
  const macs = sum(({ option }) => option.macs) / sum(({ candidate }) => candidate.layer.macs)
  return [
    `${all.length} ${all.length === 1 ? 'layer' : 'layers'} in factors: ${(100 * weights).toFixed(1)} % of their weights and ${(100 * macs).toFixed(1)} % of their multiply-adds are left.`,
  ]
}

function changesOf(chosen: ChosenRanks, errors: ReadonlyMap<string, number>): LayerChange[] {
  return [...chosen.values()].map(({ candidate: { layer }, option }) => {
    const { factors } = option
    const rank = factors.method === 'tucker' ? `${factors.inputRank} × ${factors.rank}` : `${factors.rank}`
    return {
      layer: layer.node.source?.name || layer.node.name,
      what: `${{ output: 'SVD', spatial: 'spatial SVD', tucker: 'Tucker-2' }[factors.method]}, rank ${rank}`,
      weightsBefore: layer.weights,
      weightsAfter: option.weights,
      macsBefore: layer.macs,
      macsAfter: option.macs,
      error: errors.get(layer.node.name) ?? null,
    }
  })
}
