import type { Recipe } from '../compile/recipe.ts'
import type { ConnectionOptions } from '../run/open-device.ts'
import type { Model } from '../graph/types.ts'
import type { Dataset } from '../data/types.ts'
import type { EngineName } from '../train/engines/names.ts'

/** Ways to change a network by training, in the order in which they make sense. */
export const methodNames = ['train', 'prune', 'low-rank', 'distill', 'qat'] as const
export type MethodName = (typeof methodNames)[number]

/** What a network may keep, as a share of what it has: 0.5 is half. */
export interface TuneBudget {
  /** Multiply-adds. */
  readonly macs?: number
  /** Of kernels and matrices. */
  readonly weights?: number
}

/** How a network is trained. What is left out each method chooses for itself. */
export interface TrainingChoices {
  readonly epochs?: number | undefined
  readonly batchSize?: number | undefined
  readonly learningRate?: number | undefined
  readonly optimizer?: 'sgd' | 'adam' | undefined
  readonly weightDecay?: number | undefined
  /** As `--schedule` is written: `cosine,warmup=0.05`. */
  readonly schedule?: string | undefined
  /** As `--augment` is written: `shift:4,flip`. */
  readonly augment?: string | undefined
  /** What it learns from: the network's own float outputs (no labels needed), labels, or both. */
  readonly learnFrom?: 'teacher' | 'labels' | 'both' | undefined
  readonly temperature?: number | undefined
  /** Values whose difference from the teacher's counts too, by name. */
  readonly layers?: readonly string[] | undefined
  /** Statistics of each batch, the running ones, or, for a network without batch norm, some for the training only. */
  readonly batchNorm?: 'train' | 'frozen' | 'insert' | undefined
  readonly threads?: number | undefined
  /** What computes the steps; those of TensorFlow.js are the user's own package. */
  readonly engine?: EngineName | undefined
}

export interface PruneChoices {
  readonly importance?: 'taylor' | 'weights' | 'random' | undefined
  /** `channels` shrinks the network; the others put zeros in it. */
  readonly kind?: 'channels' | 'magnitude' | '2:4' | undefined
  /** Of the zeros of `magnitude`: 0.8 leaves a fifth. */
  readonly sparsity?: number | undefined
  /** Rounds of pruning and fine-tuning. */
  readonly rounds?: number | undefined
  /** Channels of each layer stay a multiple of this. */
  readonly multiple?: number | undefined
}

export interface TuneRequest {
  /** A path, or a network in memory: what `fromTfjs`, `readOnnx` and the like give. */
  readonly model: string | Model
  /** Of a network in memory, for files and reports. */
  readonly name?: string | undefined
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  readonly signature?: string | undefined
  readonly methods: readonly MethodName[]
  /** To learn from; part of it judges where `evaluationData` is not given. */
  readonly data: string | Dataset
  /** To judge by: nothing of it is learnt from. */
  readonly evaluationData?: string | Dataset | undefined
  readonly metric?: string | undefined
  /** A larger network to learn from; the given one by default. */
  readonly teacher?: string | Model | undefined
  readonly profile?: string
  readonly target?: string | undefined
  readonly recipe: Recipe
  readonly budget?: TuneBudget
  readonly training?: TrainingChoices
  readonly prune?: PruneChoices
  /** `weightBits` other than 8 are simulated: no artifact comes of them. */
  readonly qat?: { readonly weightBits?: number | undefined; readonly learnScales?: boolean | undefined }
  /** Where latency is measured; null: nowhere. */
  readonly device?: string | null
  readonly connection?: ConnectionOptions
  /** Folder of the result; `tuned/<name>-<methods>` by default. */
  readonly out?: string | undefined
  /** Goes on where an interrupted run into the same folder stopped. */
  readonly resume?: boolean
}
