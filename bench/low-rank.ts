/**
 * Low-rank factors at half the weights of the layers that can be factored: by the weights alone beside by what the
 * layers make of samples, the same share in every layer beside ranks chosen under the one budget, before and after
 * training. Everything in one run, judged on samples that nothing was learnt from.
 *
 *     node --import tsx bench/low-rank.ts [kws] [ad] [--epochs N] [--threads N] [--augment CHANGES]
 *
 * kws  DS-CNN for keyword spotting: 350 samples to learn from, 50 to choose by, 100 to judge
 * ad   the autoencoder of anomaly detection on the one clip: windows of 5 frames, one at every frame, so that neighbours
 *      share frames. Parts lie one after the other in time with the windows between left out: no frame is in two of them
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { executeGraph } from '../src/compile/execute-graph.ts'
import { parseRecipe } from '../src/compile/recipe.ts'
import { samplesOf } from '../src/compile/samples.ts'
import type { Graph } from '../src/graph/types.ts'
import { runPasses } from '../src/passes/index.ts'
import { silentProgress } from '../src/progress.ts'
import { argMax, SqnrMeter } from '../src/quantize/fidelity.ts'
import type { Candidate } from '../src/train/low-rank/candidates.ts'
import { chooseRanks, type ChosenRanks } from '../src/train/low-rank/choose-ranks.ts'
import { factorize } from '../src/train/low-rank/factorize.ts'
import { factorLayers } from '../src/train/low-rank/layers.ts'
import { initialValues } from '../src/train/network.ts'
import { openNetwork } from '../src/train/open-network.ts'
import { trainingPasses } from '../src/train/trainable.ts'
import { unshareConstants } from '../src/train/unshare-constants.ts'
import type { TuneContext } from '../src/tune/context.ts'
import { resolveTraining } from '../src/tune/fine-tune.ts'
import { openHeldOut } from '../src/tune/held-out.ts'
import { candidatesOf, layerMoments } from '../src/tune/methods/low-rank-choice.ts'
import { trainFactors } from '../src/tune/methods/low-rank-training.ts'
import { openTuning } from '../src/tune/open.ts'
import { fixture } from '../test/fixtures.ts'

const share = 0.5
const option = (name: string) => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? undefined : process.argv[at + 1]
}
const scratch = mkdtempSync(join(tmpdir(), 'edgewright-low-rank-'))
const described = (name: string) => fileURLToPath(new URL(`peers/data/${name}`, import.meta.url))

const networks = {
  kws: () => opened('mlperf-tiny/kws_dscnn_float.onnx', described('keywords.yaml'), 30),
  ad: async () => inTime(await opened('mlperf-tiny/ad_float.tflite', described('anomaly.mjs'), 60)),
}

const named = process.argv.slice(2).filter((name) => Object.hasOwn(networks, name))
try {
  for (const name of named.length > 0 ? named : Object.keys(networks))
    await compared(name, await networks[name as keyof typeof networks]())
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

async function compared(name: string, context: TuneContext): Promise<void> {
  const { progress, samples, training } = context
  const original = await runPasses(context.original.source.original, trainingPasses(executeGraph), () => {})
  const graph = unshareConstants(original)
  const layers = factorLayers(graph)
  const moments = await layerMoments(graph, layers, samples.calibration, progress)
  const options = resolveTraining(context, {
    epochs: 12,
    learningRate: 1e-3,
    learnFrom: 'teacher',
    temperature: 4,
  })
  console.log(
    `\n## ${name}: ${training.indices.length} samples to learn from, ${samples.selection.indices.length} to choose by, ${samples.evaluation.indices.length} to judge; ${options.epochs} epochs\n`,
  )
  console.log('| factors | ranks | weights left | loss | SQNR | the same class |\n|---|---|---|---|---|---|')
  const row = async (how: string, ranks: string, of: Graph, chosen: ChosenRanks) => {
    const { loss, db, same } = await judged(of, original, options, context)
    const left = layers.reduce(
      (sum, { node, weights }) => sum + (chosen.get(node.name)?.option.weights ?? weights),
      0,
    )
    const whole = layers.reduce((sum, { weights }) => sum + weights, 0)
    const classes = name === 'kws' ? `${(100 * same).toFixed(1)} %` : '–'
    console.log(
      `| ${how} | ${ranks} | ${((100 * left) / whole).toFixed(1)} % | ${loss.toPrecision(3)} | ${db.toFixed(1)} dB | ${classes} |`,
    )
  }
  for (const [how, known] of [
    ['by weights', new Map()],
    ['by outputs', moments],
  ] as const) {
    const candidates = await candidatesOf(layers, known, progress)
    const even = sameShare(candidates)
    await row(how, 'half of each layer', factorize(graph, even, known), even)
    const chosen = chooseRanks(candidates, { weights: share })
    const factored = factorize(graph, chosen, known)
    await row(how, 'chosen', factored, chosen)
    const began = performance.now()
    const trained = await trainFactors(factored, chosen, options, 'frozen', {
      ...context,
      folder: mkdtempSync(join(scratch, name)),
    })
    await row(`${how}, trained`, 'chosen', trained.graph, chosen)
    const { kept, attempt } = trained
    console.error(
      `  ${how}: kept ${kept?.from}, ${kept?.before.toPrecision(3)} → ${kept?.after.toPrecision(3)} on what chooses; ${attempt.onlyLast ? 'last factors' : 'all'} at ${attempt.learningRate}; ${((performance.now() - began) / 1000).toFixed(0)} s`,
    )
    const ranks = [...chosen.values()].map(
      ({ candidate: { layer }, option: { factors, error } }) =>
        `${layer.outputs}×${layer.weights / layer.outputs}: ${factors.method} ${factors.rank} (${error.toFixed(3)})`,
    )
    console.error(`  ${ranks.join(', ')}`)
  }
}

/** In each layer the factors with the least error among those that leave half of it. */
function sameShare(candidates: readonly Candidate[]): ChosenRanks {
  return new Map(
    candidates.flatMap((candidate) => {
      const best = candidate.options
        .filter(({ weights }) => weights <= share * candidate.layer.weights)
        .toSorted((a, b) => a.error - b.error)[0]
      return best ? [[candidate.layer.node.name, { candidate, option: best }] as const] : []
    }),
  )
}

/** @returns the loss that is trained by, and outputs beside those of the original */
async function judged(
  graph: Graph,
  original: Graph,
  options: ReturnType<typeof resolveTraining>,
  context: TuneContext,
): Promise<{ loss: number; db: number; same: number }> {
  const { evaluation } = context.samples
  const network = openNetwork(graph, { batchSize: options.batchSize, batchNorm: 'frozen' })
  const heldOut = await openHeldOut(network, options, {
    ...context,
    samples: { ...context.samples, selection: evaluation },
  })
  const loss = await heldOut!.loss(initialValues(network))
  await heldOut!.close()
  const [ours, theirs] = [await executeGraph(graph), await executeGraph(original)]
  const meter = new SqnrMeter()
  let same = 0
  for await (const { inputs } of samplesOf(evaluation, context.progress.signal)) {
    const output = (await ours.run(inputs)).get(graph.outputs[0]!)!.data as Float32Array
    const wanted = (await theirs.run(inputs)).get(original.outputs[0]!)!.data as Float32Array
    meter.add(wanted, output)
    if (argMax(output) === argMax(wanted)) same++
  }
  await ours.close()
  await theirs.close()
  return { loss, db: meter.db, same: same / evaluation.indices.length }
}

async function opened(model: string, data: string, epochs: number): Promise<TuneContext> {
  const given = option('epochs')
  return openTuning(
    {
      model: fixture(model),
      methods: ['low-rank'],
      data,
      target: 'litert',
      recipe: parseRecipe({ preset: 'fast' }, 'bench'),
      training: {
        epochs: given === undefined ? epochs : Number(given),
        threads: Number(option('threads') ?? 1),
        augment: option('augment'),
      },
      device: null,
      out: scratch,
    },
    silentProgress(),
  )
}

/** Three parts one after the other, with the windows between left out that would share frames. */
function inTime(context: TuneContext): TuneContext {
  const { dataset } = context.training
  const framesOfWindow = 5
  const judging = Math.round(dataset.length * 0.8)
  const choosing = Math.round(dataset.length * 0.6)
  const part = (from: number, to: number) => ({
    dataset,
    indices: Array.from({ length: to - from }, (_, index) => from + index),
  })
  const learning = part(0, choosing - framesOfWindow + 1)
  return {
    ...context,
    training: { ...context.training, indices: learning.indices },
    samples: {
      ...context.samples,
      calibration: learning,
      selection: part(choosing, judging - framesOfWindow + 1),
      evaluation: part(judging, dataset.length),
    },
  }
}
