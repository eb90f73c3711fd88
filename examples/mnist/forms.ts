import type * as tf from '@tensorflow/tfjs'
import { type ComparedNetwork, fromTfjs, type TuneOptions, tune, type Tuned } from '../../src/index.ts'

/** What all tunings of the example share: data, target, who is told how far it is. */
export type Shared = Pick<TuneOptions, 'data' | 'evaluationData' | 'target' | 'progress'> & {
  /** Folder of all results. */
  readonly out: string
}

/** Trains the network on labels, in Edgewright's engine, batch norm and all. */
export async function trainNetwork(network: tf.LayersModel, shared: Shared, epochs = 14): Promise<Tuned> {
  return tune(await fromTfjs(network), {
    ...shared,
    name: 'mnist',
    method: 'train',
    scheme: 'float',
    training: {
      epochs,
      learningRate: 4e-3,
      schedule: 'cosine,warmup=0.3',
      weightDecay: 0.05,
      ...lessons,
    },
    device: null,
    out: `${shared.out}/train`,
  })
}

/** Trains on with every value rounded where the target rounds it. No labels: it learns from the float network. */
export function quantizationAware(trained: Tuned, shared: Shared, epochs = 2): Promise<Tuned> {
  return tune(trained.model, {
    ...shared,
    method: 'qat',
    training: { ...lessons, epochs },
    device: null,
    out: `${shared.out}/qat`,
  })
}

/** The forms of the trained network that cost less, each beside int8 of itself. */
export async function smallerForms(
  trained: Tuned,
  student: tf.LayersModel,
  shared: Shared,
): Promise<ComparedNetwork[]> {
  const common = { ...shared, scheme: 'float', device: null } as const
  const pruned = await tune(trained.model, {
    ...common,
    method: 'prune',
    budget: { macs: 0.5 },
    training: { ...lessons, epochs: 4 },
    out: `${shared.out}/prune`,
  })
  const lowRank = await tune(trained.model, {
    ...common,
    method: 'low-rank',
    budget: { weights: 0.5 },
    training: { ...lessons, epochs: 3 },
    out: `${shared.out}/low-rank`,
  })
  const distilled = await tune(await fromTfjs(student), {
    ...common,
    name: 'student',
    method: 'distill',
    teacher: trained.model,
    training: { ...lessons, epochs: 12, learningRate: 4e-3, learnFrom: 'both' },
    out: `${shared.out}/distill`,
  })
  return [
    { name: 'prune', network: pruned },
    { name: 'low-rank', network: lowRank },
    { name: 'distill', network: distilled },
  ]
}

/**
 * Each digit is moved by up to two pixels and made up to a tenth larger or smaller, anew in each epoch. One thread:
 * the next batches are made beside it.
 */
const lessons = { batchSize: 64, threads: 1, augment: 'shift:2,zoom:0.1' }
