import { EdgewrightError } from '../../error.ts'
import { GraphEditor } from '../../graph/edit.ts'
import type { Graph } from '../../graph/types.ts'
import { closeNetwork } from '../../train/close-network.ts'
import type { ChosenRanks } from '../../train/low-rank/choose-ranks.ts'
import { openNetwork } from '../../train/open-network.ts'
import type { EpochReport } from '../../train/train.ts'
import { type BatchNormChoice, withBatchNorm } from '../batch-norm.ts'
import type { Kept } from '../best-epoch.ts'
import type { TuneContext } from '../context.ts'
import { type ResolvedTraining, trainNetwork } from '../fine-tune.ts'
import { openHeldOut } from '../held-out.ts'

export interface TrainedFactors {
  readonly graph: Graph
  readonly epochs: readonly EpochReport[]
  /** What it was held to, and what came of it; of the last attempt. */
  readonly kept: Kept | null
  readonly attempt: Attempt
}

/** One way to train factors. */
export interface Attempt {
  /** What reads a layer's input stays as it was found. */
  readonly onlyLast: boolean
  readonly learningRate: number
}

/**
 * All weights at the learning rate; if that gains nothing on samples that nothing is learnt from, only the last factor of
 * each layer at ever smaller ones. What a last factor reads has mean 0 (`factorize`); what the first reads
 * may be decibels around −30, where a step that helps one direction throws the sum over all inputs far off. The training
 * of factors that are nearly exact then loses what the decomposition had.
 */
export async function trainFactors(
  factored: Graph,
  chosen: ChosenRanks,
  options: ResolvedTraining,
  batchNorm: BatchNormChoice,
  context: TuneContext,
): Promise<TrainedFactors> {
  const attempts = attemptsAt(options.learningRate)
  for (const [index, attempt] of attempts.entries()) {
    const name = index === 0 ? 'low-rank' : `low-rank-gently-${index}`
    try {
      const trained = await trainOnce(factored, chosen, { name, attempt, options, batchNorm }, context)
      if (trained.kept?.from !== 'start' || index === attempts.length - 1) return trained
    } catch (error) {
      const diverged = error instanceof EdgewrightError && error.code === 'TRAINING_DIVERGED'
      if (!diverged || index === attempts.length - 1) throw error
    }
  }
  throw new EdgewrightError('INTERNAL', 'Internal error: there was no attempt to train.')
}

function attemptsAt(learningRate: number): Attempt[] {
  return [
    { onlyLast: false, learningRate },
    { onlyLast: true, learningRate: learningRate / 10 },
    { onlyLast: true, learningRate: learningRate / 30 },
  ]
}

async function trainOnce(
  factored: Graph,
  chosen: ChosenRanks,
  {
    name,
    attempt,
    options,
    batchNorm,
  }: { name: string; attempt: Attempt; options: ResolvedTraining; batchNorm: BatchNormChoice },
  context: TuneContext,
): Promise<TrainedFactors> {
  const conditioned = await withBatchNorm(factored, batchNorm, context)
  const fixed = attempt.onlyLast ? innerFactors(factored, chosen) : new Set<string>()
  const opened = openNetwork(conditioned.graph, {
    batchSize: options.batchSize,
    batchNorm: conditioned.batchNorm,
  })
  const network = {
    ...opened,
    parameters: opened.parameters.map((parameter) => ({
      ...parameter,
      trainable: parameter.trainable && !fixed.has(parameter.name),
    })),
  }
  const own = { ...options, learningRate: attempt.learningRate }
  const heldOut = await openHeldOut(network, own, withSelection(context))
  try {
    const { values, epochs, kept } = await trainNetwork(network, name, own, context, undefined, heldOut)
    // taking inserted batch norm out again would round what was not trained
    const graph =
      kept?.from === 'start'
        ? factored
        : await conditioned.finish(closeNetwork(conditioned.graph, network, values))
    return { graph, epochs, kept, attempt }
  } finally {
    await heldOut?.close()
  }
}

/** Where so few samples are that none is held out, those that are learnt from must do: the start is still a floor. */
function withSelection(context: TuneContext): TuneContext {
  const { samples } = context
  if (samples.selection.indices.length > 0) return context
  return { ...context, samples: { ...samples, selection: samples.calibration } }
}

/** Constants of all factors but the last of each layer. */
function innerFactors(factored: Graph, chosen: ChosenRanks): Set<string> {
  const editor = new GraphEditor(factored)
  const names = new Set<string>()
  for (const { candidate, option } of chosen.values()) {
    let node = editor.producer(candidate.layer.node.outputs[0]!)!
    for (let inner = option.factors.method === 'tucker' ? 2 : 1; inner > 0; inner--) {
      node = editor.producer(node.inputs[0]!)!
      for (const name of node.inputs.slice(1)) if (name !== null) names.add(name)
    }
  }
  return names
}
