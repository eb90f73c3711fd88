import { executeGraph } from '../../compile/execute-graph.ts'
import { samplesOf } from '../../compile/samples.ts'
import { seededGenerator } from '../../data/generator.ts'
import type { Sample } from '../../data/types.ts'
import { EdgewrightError } from '../../error.ts'
import { macsOf } from '../../graph/macs.ts'
import type { Graph } from '../../graph/types.ts'
import { SqnrMeter } from '../../quantize/fidelity.ts'
import { throwIfAborted } from '../../progress.ts'
import { elementCount } from '../../tensor.ts'
import { datasetBatches } from '../../train/dataset-batches.ts'
import { openGradients } from '../../train/gradient-session.ts'
import { crossEntropy } from '../../train/losses.ts'
import { initialValues } from '../../train/network.ts'
import { openNetwork } from '../../train/open-network.ts'
import { type ChannelMap, channelMap } from '../../train/prune/channel-map.ts'
import { MomentSums } from '../../train/low-rank/moments.ts'
import { chooseChannels } from '../../train/prune/choose-channels.ts'
import { compensated, readValues } from '../../train/prune/compensate.ts'
import {
  type Importance,
  randomImportance,
  TaylorImportance,
  weightImportance,
} from '../../train/prune/importance.ts'
import { outputProbe, probeFeeds } from '../../train/prune/probe.ts'
import { profitOf } from '../../train/prune/profit.ts'
import { removeChannels } from '../../train/prune/remove-channels.ts'
import type { EpochReport } from '../../train/train.ts'
import { unshareConstants } from '../../train/unshare-constants.ts'
import { batchNormFor, withBatchNorm } from '../batch-norm.ts'
import { firstOf, observe } from '../observe.ts'
import type { LayerChange, Method, TuneContext } from '../context.ts'
import { type ResolvedTraining, resolveTraining, trainGraph } from '../fine-tune.ts'
import { maskedMethod } from './prune-weights.ts'

/** Batches that importance is estimated from. */
const importanceBatches = 40
/** Samples that tell how channels follow from each other. */
const momentSamples = 64
/** Of a group's channels, in the measure of how sensitive the network is to it. */
const sensitivityShare = 0.5

/** Takes weights away: channels, so that the network shrinks, or single weights, which become zeros. */
export const pruneMethod: Method = (stage, context) =>
  (context.request.prune?.kind ?? 'channels') === 'channels'
    ? channelsMethod(stage, context)
    : maskedMethod(stage, context)

/** Channels in rounds, least important first, with training between (Molchanov et al. 2019). */
const channelsMethod: Method = async (stage, context) => {
  const { request, progress } = context
  const { importance: how = 'taylor', rounds = 3, multiple } = request.prune ?? {}
  const budget = request.budget ?? {}
  if (budget.macs === undefined && budget.weights === undefined)
    throw new EdgewrightError('USAGE', 'Pruning needs a budget.', {
      where: '--budget',
      hint: 'Say what may be left: --budget macs=0.5, or weights=0.5.',
    })
  const options = resolveTraining(context, {
    epochs: 12,
    learningRate: 1e-3,
    learnFrom: 'teacher',
    temperature: 4,
  })
  const batchNorm = request.training?.batchNorm ?? batchNormFor(stage.graph)
  const epochs: EpochReport[] = []
  const notes: string[] = []
  let graph = unshareConstants(stage.graph)
  const whole = totals(graph)
  let sensitivity: readonly { layers: readonly string[]; db: number }[] = []
  for (let round = 1; round <= rounds; round++) {
    const map = channelMap(graph)
    progress.stage('prune', `round ${round} of ${rounds}, importance by ${how}`)
    const importance = await importanceOf(how, map, options, round, context)
    if (round === 1) sensitivity = await sensitivities(map, importance, context)
    const now = totals(graph)
    // the same factor each round
    const left = (target: number | undefined, before: number, at: number) =>
      target === undefined ? undefined : Math.min(1, (target ** (round / rounds) * before) / at)
    const chosen = chooseChannels(
      map,
      importance,
      {
        macs: left(budget.macs, whole.macs, now.macs),
        weights: left(budget.weights, whole.weights, now.weights),
      },
      { multiple, bySavings: how !== 'random' },
    )
    // chance is what a choice must beat: nothing helps it
    graph =
      how === 'random'
        ? removeChannels(map, chosen.removed)
        : compensated(map, chosen.removed, await readMoments(map, context))
    const last = round === rounds
    const short = { ...options, epochs: last ? options.epochs : Math.max(1, Math.round(options.epochs / 6)) }
    const conditioned = await withBatchNorm(graph, batchNorm, context)
    const trained = await trainGraph(
      conditioned.graph,
      `prune-${round}`,
      short,
      conditioned.batchNorm,
      context,
    )
    graph = await conditioned.finish(trained.graph)
    epochs.push(...trained.epochs.map((epoch) => ({ ...epoch, epoch: epochs.length + epoch.epoch })))
  }
  const after = totals(graph)
  notes.push(
    `${percent(after.macs / whole.macs)} of the multiply-adds and ${percent(after.weights / whole.weights)} of the weights are left.`,
    profitOf('channels', context.board.target.name).sentence,
  )
  for (const { layers, db } of sensitivity.toSorted((a, b) => a.db - b.db).slice(0, 3))
    notes.push(
      `Most sensitive: without half of the channels of ${layers.join(', ')} alone the outputs are at ${db.toFixed(1)} dB.`,
    )
  return {
    ...stage,
    name: 'prune',
    graph,
    epochs,
    layers: layerChanges(stage.graph, graph),
    notes,
    options: {
      ...options,
      batchNorm,
      kind: 'channels',
      importance: how,
      rounds,
      multiple: multiple ?? 'up to 8',
      budget,
    },
  }
}

async function importanceOf(
  how: 'taylor' | 'weights' | 'random',
  map: ChannelMap,
  options: ResolvedTraining,
  round: number,
  context: TuneContext,
): Promise<Importance> {
  if (how === 'random') return randomImportance(map, options.seed + round)
  if (how === 'weights') return weightImportance(map)
  const network = openNetwork(map.graph, { batchSize: options.batchSize, batchNorm: 'frozen' })
  const { dataset, indices, cache } = context.training
  // towards the network itself a distillation has no gradient: without labels random signs of the outputs stand for a loss
  const labelled = dataset.labelled && !dataset.task && context.request.training?.learnFrom !== 'teacher'
  const session = await openGradients(network, labelled ? crossEntropy() : outputProbe, options.threads)
  const batches = datasetBatches(dataset, indices, {
    batchSize: network.batchSize,
    seed: options.seed,
    shuffle: true,
    cache,
  })
  const random = seededGenerator(options.seed + round)
  const taylor = new TaylorImportance(map, ({ node, input }) => node.inputs[input] ?? null)
  const values = initialValues(network)
  const total = Math.min(importanceBatches, batches.steps)
  try {
    let done = 0
    for await (const batch of batches.epoch(0, 0, context.progress.signal)) {
      const probe = labelled ? [] : probeFeeds(network, random)
      taylor.add(values, await session.run(new Map([...batch.feeds, ...probe])))
      context.progress.tick(++done, total, 'batches')
      if (done >= total) break
    }
  } finally {
    await session.close()
  }
  return relative(taylor.result(), map)
}

/** To the size of all of a group, as Molchanov et al. 2017 rescale layers: gradients of late layers are of another size. */
function relative(importance: Importance, { groups }: ChannelMap): Importance {
  return new Map(
    groups.flatMap(({ channels }) => {
      const size = Math.hypot(...channels.map((id) => importance.get(id)!)) || 1
      return channels.map((id) => [id, importance.get(id)! / size] as const)
    }),
  )
}

/** Of what the layers read whose inputs can shrink. */
async function readMoments(map: ChannelMap, { samples, progress }: TuneContext) {
  const sums = new Map(
    readValues(map).map(({ name, axis }) => [
      name,
      new MomentSums(map.graph.values.get(name)!.type.shape[axis]!, axis),
    ]),
  )
  const part = firstOf(samples.calibration, momentSamples)
  await observe(map.graph, [...sums.keys()], part, progress, (values) => {
    for (const [name, sum] of sums) sum.add(values.get(name)!)
  })
  return new Map([...sums].map(([name, sum]) => [name, sum.result()]))
}

/** What the outputs come to where one group alone loses half of its channels, without training. */
async function sensitivities(map: ChannelMap, importance: Importance, { samples, progress }: TuneContext) {
  const held: Sample[] = []
  for await (const sample of samplesOf(
    { ...samples.selection, indices: samples.selection.indices.slice(0, 32) },
    progress.signal,
  ))
    held.push(sample)
  const outputsOf = async (graph: Graph) => {
    const evaluator = await executeGraph(graph)
    try {
      const outputs: Float32Array[] = []
      for (const { inputs } of held) {
        throwIfAborted(progress.signal)
        outputs.push((await evaluator.run(inputs)).get(graph.outputs[0]!)!.data as Float32Array)
      }
      return outputs
    } finally {
      await evaluator.close()
    }
  }
  const reference = await outputsOf(map.graph)
  const measured: { layers: readonly string[]; db: number }[] = []
  for (const { layers, channels } of map.groups) {
    if (channels.length < 2) continue
    const worst = channels.toSorted((a, b) => importance.get(a)! - importance.get(b)!)
    const graph = removeChannels(map, new Set(worst.slice(0, Math.floor(channels.length * sensitivityShare))))
    const meter = new SqnrMeter()
    ;(await outputsOf(graph)).forEach((output, index) => {
      meter.add(reference[index]!, output)
    })
    measured.push({ layers, db: meter.db })
    progress.tick(measured.length, map.groups.length, 'layers')
  }
  return measured
}

function layerChanges(before: Graph, after: Graph): LayerChange[] {
  const nodes = new Map(after.nodes.map((node) => [node.name, node]))
  return before.nodes.flatMap((node) => {
    const now = nodes.get(node.name)
    const macs = macsOf(node, before)
    if (!now || macs === 0) return []
    const shapeOf = (graph: Graph, one: typeof node) => graph.values.get(one.inputs[1]!)!.type.shape
    const channels = (graph: Graph, one: typeof node) => graph.values.get(one.outputs[0]!)!.type.shape
    const [was, is] = [channels(before, node), channels(after, now)]
    const axis = was.findIndex((size, at) => size !== is[at])
    return [
      {
        layer: node.source?.name || node.name,
        what: axis < 0 ? 'fewer inputs' : `${is[axis]} of ${was[axis]} channels`,
        weightsBefore: elementCount(shapeOf(before, node)),
        weightsAfter: elementCount(shapeOf(after, now)),
        macsBefore: macs,
        macsAfter: macsOf(now, after),
        error: null,
      },
    ].filter(({ weightsBefore, weightsAfter }) => weightsBefore !== weightsAfter)
  })
}

function totals(graph: Graph): { macs: number; weights: number } {
  let [macs, weights] = [0, 0]
  for (const node of graph.nodes) {
    const cost = macsOf(node, graph)
    if (cost === 0) continue
    macs += cost
    weights += elementCount(graph.values.get(node.inputs[1]!)!.type.shape)
  }
  return { macs, weights }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}
