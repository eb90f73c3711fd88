import type { Box, TrueBox } from './boxes.ts'
import type { DetectionSpec, SegmentationSpec } from './task-schema.ts'
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
  /** What a label says beyond a class; absent where none is there. */
  readonly annotation?: Annotation
}

/** Objects or classes of pixels, where the preprocessing put them in the network's input. */
export type Annotation =
  | {
      readonly kind: 'boxes'
      readonly boxes: readonly TrueBox[]
      /** The part of the input that shows the picture. */
      readonly extent: Box
    }
  | {
      readonly kind: 'mask'
      readonly height: number
      readonly width: number
      /** Class of each pixel, row by row; `ignoredClass` where it does not count. */
      readonly classes: Uint8Array
    }

export const ignoredClass = 255

/** How outputs that are not classes are to be read, as a data.yaml says it. */
export type Task =
  | {
      readonly kind: 'detection'
      readonly detection: DetectionSpec
      /** Of the network's input. */
      readonly height: number
      readonly width: number
      readonly classes: number | null
    }
  | {
      readonly kind: 'segmentation'
      readonly segmentation: SegmentationSpec
      readonly height: number
      readonly width: number
      readonly classes: number | null
      readonly layout: 'NCHW' | 'NHWC'
    }

/** A finite list of samples, read one at a time: nothing holds them all. */
export interface Dataset {
  readonly description: string
  readonly length: number
  readonly labelled: boolean
  /** Absent for classifiers and wherever nothing is said. */
  readonly task?: Task
  /** Class index of each sample (already shifted), known without decoding: what stratified splits go by. */
  readonly labels?: readonly (number | null)[]
  /** Metric that the data's own description asks for: a built-in one's name or the absolute path of a `.mjs`. */
  readonly metric?: string
  readonly classNames: readonly string[] | null
  /** What was done to each sample, resolved and complete; goes into the artifact's manifest. */
  readonly preprocessing: Preprocessing
  /** sha256 over content, order and preprocessing: the cache key. */
  digest(): Promise<string>
  /** What changes whenever one of these samples or its preparation does, at no cost: samples need not be read for it. */
  fingerprint(indices: readonly number[]): Promise<string>
  sample(index: number): Promise<Sample>
}

/** Every step named exactly; what is not applicable is null. Real = (raw · scale − mean) / std per channel. */
export interface Preprocessing {
  readonly kind: 'image' | 'audio' | 'tensor' | 'loader'
  readonly resize: {
    readonly height: number
    readonly width: number
    readonly fit: 'stretch' | 'short-side' | 'letterbox'
    readonly kernel: 'nearest' | 'bilinear' | 'bicubic' | 'lanczos3'
    readonly antialias: boolean
    /** Raw value of a letterbox's border; absent for the other fits. */
    readonly padValue?: number
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
