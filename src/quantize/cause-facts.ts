export type CauseKind =
  | 'clipped'
  | 'weight-spread'
  | 'dead-filters'
  | 'concat-mismatch'
  | 'outlier-channel'
  | 'foreign-range'
  | 'heavy-tail'
  | 'negative-tail'
  | 'tiny-signal'
  | 'add-mismatch'
  | 'bias-shift'
  | 'weight-rounding'
  | 'result-rounding'
  | 'accumulated'

export interface Cause {
  readonly kind: CauseKind
  /** One or two sentences with the numbers seen. */
  readonly sentence: string
  readonly remedies: readonly Remedy[]
}

/** Something the user can do, and what a trial would change to find out what it gives. */
export interface Remedy {
  /** As it is typed: `--per-channel`; null where it is no option. */
  readonly option: string | null
  readonly why: string
  readonly change: Change | null
}

export type Change =
  | { readonly kind: 'keep-float'; readonly names: readonly string[] }
  | { readonly kind: 'per-channel' }
  | { readonly kind: 'min-max' }
  | { readonly kind: 'correct-bias' }

/** All dB are signal over noise; Infinity is exact. */
export interface TensorFacts {
  /** As the network runs, against float. */
  readonly db: number
  /** What its operators add to the operands that they read, as these are stored. */
  readonly ownDb: number
  /** What storing the float values in the tensor's type costs by itself. */
  readonly storageDb: number
  /** Null where it is real in the quantized network too. */
  readonly stored: StoredFacts | null
  readonly seen: SeenFacts
  /** What calibration saw, where it looked. */
  readonly calibrated: Bounds | null
  /** Σ E[e]² of each channel over Σ E[e²], of the own error. */
  readonly shiftShare: number
  /** The largest magnitude of each channel. */
  readonly channels: ArrayLike<number> | null
  readonly weights: WeightFacts | null
  /** What a two-operand addition reads. */
  readonly addends: readonly (Bounds & { readonly name: string })[]
  /** How one scale hurts a branch of a concatenation: with its output and with the branch. Null where none is hurt. */
  readonly concat: ConcatFacts | null
  /** What fixes the type whatever is seen: `Softmax`. */
  readonly fixedBy: string | null
  /** An activation that lets a narrow negative tail through: `HardSwish`. */
  readonly curve: string | null
  /** As the network runs, of the worst tensor that it reads; null for an input. */
  readonly operandDb: number | null
  /** Of all that it depends on, the tensor that adds most error itself. */
  readonly origin: { readonly name: string; readonly ownDb: number } | null
  /** Names that leave its operators in float; null where the recipe cannot name them. */
  readonly keepFloat: readonly string[] | null
}

export interface ConcatFacts {
  readonly sentence: string
  /** No convolution or product follows: it ends the network. */
  readonly isOutput: boolean
  /** Names that part the branches where they stay in float. */
  readonly keepFloat: readonly string[]
}

export interface Bounds {
  readonly min: number
  readonly max: number
}

export interface StoredFacts extends Bounds {
  readonly bits: number
  readonly scale: number
  /** Of all elements. */
  readonly clippedShare: number
  /** Of the noise of storing. */
  readonly clippedNoiseShare: number
  /** Elements that are not zero and become zero, of all. */
  readonly zeroedShare: number
}

export interface SeenFacts extends Bounds {
  readonly rms: number
  /** Holds 99.9 % of the elements. */
  readonly bulk: Bounds
  readonly negativeShare: number
}

export interface WeightFacts {
  readonly perTensor: boolean
  readonly depthwise: boolean
  /** Weights over their rounding error. */
  readonly db: number
  /** Largest magnitude of each filter. */
  readonly magnitudes: readonly number[]
  /** Largest stored magnitude of each filter. */
  readonly storedMagnitudes: readonly number[]
}

/** What was asked of the compile: a remedy that is in use already is not named again. */
export interface Asked {
  readonly preset: 'fast' | 'balanced' | 'best'
  /** Of calibration; `min-max` too where the preset makes `auto` that. */
  readonly method: string
  readonly perChannel: boolean
  /** False where the board takes one weight scale only. */
  readonly perChannelAllowed: boolean
  readonly floatOutputs: boolean
  /** The target has 16-bit activations. */
  readonly wideActivations: boolean
}
