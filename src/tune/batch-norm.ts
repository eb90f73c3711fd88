import type { Graph } from '../graph/types.ts'
import { foldScaleAndShift } from '../passes/fold-scale-and-shift.ts'
import { runPasses } from '../passes/pass.ts'
import { ChannelSums, insertBatchNorm, normalizable } from '../train/insert-batch-norm.ts'
import type { TuneContext } from './context.ts'
import { firstOf, observe } from './observe.ts'

/** `insert` gives a network that has no batch norm some for as long as it trains. */
export type BatchNormChoice = 'train' | 'frozen' | 'insert'

/** A network as it trains. */
export interface Conditioned {
  readonly graph: Graph
  readonly batchNorm: 'train' | 'frozen'
  /** Takes what was inserted out of the trained network again. */
  finish(trained: Graph): Promise<Graph>
}

/** Samples that inserted batch norm takes its first statistics from. */
const momentSamples = 128

/** What changes much learns by batch norm, and so gets some where its own was folded away. */
export function batchNormFor(graph: Graph): BatchNormChoice {
  return normalizable(graph).length > 0 ? 'insert' : 'train'
}

/** The network with batch norm as chosen. A network that has its own, or no convolutions, trains with what it has. */
export async function withBatchNorm(
  graph: Graph,
  choice: BatchNormChoice,
  context: TuneContext,
): Promise<Conditioned> {
  const places = choice === 'insert' ? normalizable(graph) : []
  if (places.length === 0) {
    const batchNorm = choice === 'insert' ? 'train' : choice
    return { graph, batchNorm, finish: (trained) => Promise.resolve(trained) }
  }
  const { samples, progress } = context
  const sums = places.map(({ name, axis }) => ({ name, of: new ChannelSums(axis) }))
  const names = sums.map(({ name }) => name)
  await observe(graph, names, firstOf(samples.calibration, momentSamples), progress, (values) => {
    for (const { name, of } of sums) of.add(values.get(name)!)
  })
  return {
    graph: insertBatchNorm(graph, new Map(sums.map(({ name, of }) => [name, of.result()]))),
    batchNorm: 'train',
    finish: (trained) => runPasses(trained, [foldScaleAndShift]),
  }
}
