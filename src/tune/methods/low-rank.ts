import { executeGraph } from '../../compile/execute-graph.ts'
import { samplesOf } from '../../compile/samples.ts'
import { EdgewrightError } from '../../error.ts'
import { GraphEditor } from '../../graph/edit.ts'
import type { Graph } from '../../graph/types.ts'
import { argMax, SqnrMeter } from '../../quantize/fidelity.ts'
import { throwIfAborted } from '../../progress.ts'
import { candidateOf } from '../../train/low-rank/candidates.ts'
import { chooseRanks, type ChosenRanks } from '../../train/low-rank/choose-ranks.ts'
import { factorize } from '../../train/low-rank/factorize.ts'
import { type FactorLayer, factorLayers } from '../../train/low-rank/layers.ts'
import { MomentSums, type OutputMoments } from '../../train/low-rank/moments.ts'
import { unshareConstants } from '../../train/unshare-constants.ts'
import { withBatchNorm } from '../batch-norm.ts'
import type { LayerChange, Method, TuneContext } from '../context.ts'
import { resolveTraining, trainGraph } from '../fine-tune.ts'

/** Samples that the moments of layers' outputs come from. */
const momentSamples = 128

/** Layers as products of smaller ones, ranks by the error of their outputs under the budget; then training. */
export const lowRankMethod: Method = async (stage, context) => {
  const { request, progress } = context
  const budget = request.budget && Object.keys(request.budget).length > 0 ? request.budget : { weights: 0.5 }
  const graph = unshareConstants(stage.graph)
  const layers = factorLayers(graph)
  if (layers.length === 0)
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      'The network has no layer that factors could stand for.',
      {
        where: context.original.source.name,
        saw: 'neither matrices nor convolutions with one group',
        hint: 'Prune channels instead.',
      },
    )
  progress.stage('low-rank', `${layers.length} layers`)
  const moments = await momentsOf(graph, layers, context)
  const chosen = chooseRanks(
    layers.map((layer) => candidateOf(layer, moments.get(layer.node.name) ?? null)),
    budget,
  )
  const factored = factorize(graph, chosen, moments)
  const before = await agreementOn(factored, stage.graph, context)
  const options = resolveTraining(context, {
    epochs: 12,
    learningRate: 5e-4,
    learnFrom: 'teacher',
    temperature: 4,
  })
  const batchNorm = request.training?.batchNorm ?? 'frozen'
  const conditioned = await withBatchNorm(factored, batchNorm, context)
  const { graph: conditionedGraph, epochs } = await trainGraph(
    conditioned.graph,
    'low-rank',
    options,
    conditioned.batchNorm,
    context,
  )
  const trained = { graph: await conditioned.finish(conditionedGraph), epochs }
  const after = await agreementOn(trained.graph, stage.graph, context)
  // few samples can teach less than the factors know already
  const kept = after.db > before.db
  return {
    ...stage,
    name: 'low-rank',
    graph: kept ? trained.graph : factored,
    epochs: trained.epochs,
    layers: changesOf(chosen),
    notes: [
      ...touched(chosen),
      `On ${context.samples.selection.indices.length} held-out samples, before training: ${before.words}; after: ${after.words}.${kept ? '' : ' The training was dropped.'}`,
    ],
    options: { ...options, batchNorm, budget },
  }
}

async function momentsOf(
  graph: Graph,
  layers: readonly FactorLayer[],
  { samples, progress }: TuneContext,
): Promise<Map<string, OutputMoments>> {
  const editor = new GraphEditor(graph)
  const outputs = layers.map(({ node }) => node.outputs[0]!)
  editor.outputs = [...new Set([...graph.outputs, ...outputs])]
  const evaluator = await executeGraph(editor.finish())
  const sums = layers.map(({ outputs: channels, axis }) => new MomentSums(channels, axis))
  const part = { ...samples.calibration, indices: samples.calibration.indices.slice(0, momentSamples) }
  try {
    let done = 0
    for await (const { inputs } of samplesOf(part, progress.signal)) {
      const results = await evaluator.run(inputs, outputs)
      sums.forEach((sum, index) => {
        sum.add(results.get(outputs[index]!)!)
      })
      progress.tick(++done, part.indices.length, 'samples')
    }
  } finally {
    await evaluator.close()
  }
  return new Map(layers.map(({ node }, index) => [node.name, sums[index]!.result()]))
}

/** Outputs beside those of another network on held-out samples, in words. */
async function agreementOn(
  graph: Graph,
  reference: Graph,
  { samples, progress }: TuneContext,
): Promise<{ readonly db: number; readonly words: string }> {
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
  const words =
    count === 0 ? 'not measured' : `${meter.db.toFixed(1)} dB, ${((100 * same) / count).toFixed(1)} % alike`
  return { db: meter.db, words }
}

function touched(chosen: ChosenRanks): string[] {
  const all = [...chosen.values()]
  const sum = (of: (one: (typeof all)[number]) => number) => all.reduce((total, one) => total + of(one), 0)
  const weights = sum(({ option }) => option.weights) / sum(({ candidate }) => candidate.layer.weights)
  const macs = sum(({ option }) => option.macs) / sum(({ candidate }) => candidate.layer.macs)
  return [
    `${all.length} layers in factors: ${(100 * weights).toFixed(1)} % of their weights and ${(100 * macs).toFixed(1)} % of their multiply-adds are left.`,
  ]
}

function changesOf(chosen: ChosenRanks): LayerChange[] {
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
      error: option.error,
    }
  })
}
