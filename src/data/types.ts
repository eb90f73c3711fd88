import type { DType, Tensor } from '../tensor.ts'

/** What a network takes, as data preparation needs to know it. */
export interface InputSpec {
  readonly name: string
  readonly dtype: DType
  /** With batch 1. */
  readonly shape: readonly number[]
}

/** One sample ready for the network: tensors by input name, with batch 1. */
export interface Sample {
  /** File name or index, for messages and reports. */
  readonly id: string
  readonly inputs: ReadonlyMap<string, Tensor>
  /** Class index (already shifted by the label offset), or null. */
  readonly label: number | null
}

/** A finite list of samples, read one at a time: nothing holds them all. */
export interface Dataset {
  readonly description: string
  readonly length: number
  readonly labelled: boolean
  /** Class index of each sample (already shifted), known without decoding: what stratified splits go by. */
  readonly labels?: readonly (number | null)[]
  /** Metric that the data's own description asks for: `top-1`, `top-5` or the absolute path of a `.mjs`. */
  readonly metric?: string
  readonly classNames: readonly string[] | null
  /** What was done to each sample, resolved and complete; goes into the artifact's manifest. */
  readonly preprocessing: Preprocessing
  /** sha256 over content, order and preprocessing: the cache key. */
  digest(): Promise<string>
  sample(index: number): Promise<Sample>
}

/** Every step named exactly; what is not applicable is null. Real = (raw · scale − mean) / std per channel. */
export interface Preprocessing {
  readonly kind: 'image' | 'audio' | 'tensor' | 'loader'
  readonly resize: {
    readonly height: number
    readonly width: number
    readonly fit: 'stretch' | 'short-side'
    readonly kernel: 'nearest' | 'bilinear' | 'bicubic' | 'lanczos3'
    readonly antialias: boolean
  } | null
  readonly crop: { readonly height: number; readonly width: number; readonly anchor: 'centre' } | null
  readonly channelOrder: 'RGB' | 'BGR' | 'gray' | null
  readonly layout: 'NCHW' | 'NHWC' | null
  readonly scale: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
  readonly audio: {
    readonly sampleRateHz: number
    readonly clipMs: number
    readonly features: 'waveform' | 'log-mel' | 'mfcc'
    readonly windowMs: number
    readonly strideMs: number
    readonly melBins: number
    readonly coefficients: number
    readonly lowHz: number
    readonly highHz: number
    /** Points of the Fourier transform; frames are padded with zeros up to it. */
    readonly fftSize: number
    /** 1: magnitude, 2: power. */
    readonly power: 1 | 2
    /** Whose mel filters: see docs/data.md. */
    readonly filterbank: 'tensorflow' | 'torchaudio' | 'librosa'
    /** ln(x + logOffset), log10(x + logOffset) or 10·log10(max(x, logOffset)). */
    readonly log: 'ln' | 'log10' | 'db'
    readonly logOffset: number
    /** Frames centred on their time, the clip's ends reflected (librosa, torchaudio), or starting at it. */
    readonly centred: boolean
  } | null
  /** Stored tensors: real = (stored − zeroPoint) · scale. */
  readonly dequantize: { readonly scale: number; readonly zeroPoint: number } | null
  readonly labelOffset: number
}

/** Disjoint parts of the data, by seed. */
export interface Splits {
  readonly calibration: readonly number[]
  readonly selection: readonly number[]
  readonly evaluation: readonly number[]
}
