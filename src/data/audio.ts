import { readFile, stat } from 'node:fs/promises'
import { EdgewrightError } from '../error.ts'
import type { Warning } from '../progress.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import { type AudioSteps, framing, melFeatures } from './audio-features.ts'
import { inputTensor } from './elements.ts'
import { normalizeTensor } from './normalize.ts'
import { describePreprocessing, type PreprocessingOverrides, resolveTensor } from './preprocessing.ts'
import { resample } from './resample.ts'
import type { InputSpec, Preprocessing } from './types.ts'
import { decodeWav } from './wav.ts'

export const audioExtensions = ['.wav']

const fileLimitBytes = 512 * 2 ** 20

/** One .wav file as the network's input tensor. Clips are cut at the end, or padded with silence there. */
export async function audioTensor(
  path: string,
  id: string,
  spec: InputSpec,
  p: Preprocessing,
): Promise<Tensor> {
  const { size } = await stat(path)
  if (size > fileLimitBytes)
    throw new EdgewrightError('DATA_BROKEN', 'The .wav file is too large.', {
      where: path,
      saw: `${size} bytes`,
    })
  const sound = decodeWav(await readFile(path), path)
  const steps = p.audio!
  const { clip, frames } = framing(steps)
  // Of a long recording only what the clip needs is resampled; a second more lets the filter settle.
  const needed = Math.ceil((clip / steps.sampleRateHz + 1) * sound.sampleRateHz)
  const resampled = resample(sound.samples.subarray(0, needed), sound.sampleRateHz, steps.sampleRateHz)
  const fitted = new Float32Array(clip)
  fitted.set(resampled.subarray(0, clip))
  if (steps.features === 'waveform') return inputTensor(normalizeTensor(fitted, spec.shape, p), spec, id)
  const features = melFeatures(fitted, steps)
  const columns = features.length / frames
  const ordered = binsFirst(spec, frames, columns) ? transpose(features, frames, columns) : features
  return inputTensor(normalizeTensor(ordered, spec.shape, p), spec, id)
}

/**
 * Preprocessing of sound for one input. What nobody states is the front end of TensorFlow's keyword models and MLPerf
 * Tiny: 16 kHz, windows of 30 ms every 20 ms, 40 mel bins from 20 to 4000 Hz, natural logarithm. One warning says so.
 */
export function resolveAudio(
  spec: InputSpec,
  said: PreprocessingOverrides,
  warn?: (warning: Warning) => void,
): Preprocessing {
  const { audio = {}, ...rest } = said
  const plain = resolveTensor(rest, spec, 'audio')
  const axes = spec.shape.filter((dimension) => dimension !== 1)
  const [rows = 1, columns = 1] = axes
  const features =
    audio.features ?? (axes.length <= 1 ? 'waveform' : Math.min(rows, columns) <= 20 ? 'mfcc' : 'log-mel')
  const sampleRateHz = audio.sampleRateHz ?? 16000
  const windowMs = audio.windowMs ?? 30
  const window = Math.round((sampleRateHz * windowMs) / 1000)
  const coefficients = audio.coefficients ?? Math.min(rows, columns)
  const steps: AudioSteps = {
    sampleRateHz,
    clipMs:
      audio.clipMs ?? (features === 'waveform' ? (elementCount(spec.shape) / sampleRateHz) * 1000 : 1000),
    features,
    windowMs,
    strideMs: audio.strideMs ?? 20,
    melBins: audio.melBins ?? (features === 'log-mel' ? Math.min(rows, columns) : 40),
    coefficients,
    lowHz: audio.lowHz ?? 20,
    highHz: audio.highHz ?? Math.min(4000, sampleRateHz / 2),
    fftSize: audio.fftSize ?? 2 ** Math.ceil(Math.log2(window)),
    power: audio.power ?? 1,
    filterbank: audio.filterbank ?? 'tensorflow',
    log: audio.log ?? 'ln',
    logOffset: audio.logOffset ?? 1e-6,
    centred: audio.centred ?? false,
  }
  const result: Preprocessing = { ...plain, audio: steps }
  checkAudio(spec, steps, window)
  const needed: (keyof AudioSteps)[] =
    features === 'waveform'
      ? ['sampleRateHz']
      : [
          'sampleRateHz',
          'features',
          'windowMs',
          'strideMs',
          'melBins',
          'lowHz',
          'highHz',
          'filterbank',
          'power',
          'log',
        ]
  const assumed = needed.filter((key) => audio[key] === undefined)
  if (assumed.length > 0)
    warn?.({
      code: 'PREPROCESSING_ASSUMED',
      message: `Nobody said ${assumed.join(', ')} of the sound; assumed: ${describePreprocessing(result)}.`,
      hint: 'State `preprocess.audio` as the network was trained with: a wrong one costs accuracy and makes wrong ranges.',
    })
  return result
}

function checkAudio(spec: InputSpec, steps: AudioSteps, window: number): void {
  const { clip, frames } = framing(steps)
  const fail = (message: string, saw: string, hint: string): never => {
    throw new EdgewrightError('DATA_SHAPE', message, {
      where: `preprocess.audio for input ${spec.name}`,
      saw,
      hint,
    })
  }
  const { fftSize, lowHz, highHz, sampleRateHz } = steps
  if (steps.features !== 'waveform') {
    if (fftSize < window || (fftSize & (fftSize - 1)) !== 0)
      fail(
        'fftSize must be a power of two that a window fits in.',
        `${fftSize} for ${window} samples`,
        'Leave it out for the next power of two.',
      )
    if (lowHz >= highHz || highHz > sampleRateHz / 2)
      fail(
        'The mel bins must lie between 0 and half the sample rate.',
        `${lowHz} to ${highHz} Hz at ${sampleRateHz} Hz`,
        'Set lowHz and highHz.',
      )
    if (steps.features === 'mfcc' && steps.coefficients > steps.melBins)
      fail(
        'There cannot be more coefficients than mel bins.',
        `${steps.coefficients} of ${steps.melBins}`,
        'Set melBins.',
      )
  }
  const columns =
    steps.features === 'waveform' ? 1 : steps.features === 'mfcc' ? steps.coefficients : steps.melBins
  const count = steps.features === 'waveform' ? clip : frames * columns
  const axes = spec.shape.filter((dimension) => dimension !== 1)
  const made =
    steps.features === 'waveform' ? [clip] : [frames, columns].filter((dimension) => dimension !== 1)
  if (count > 0 && (axes.join() === made.join() || axes.join() === [...made].reverse().join())) return
  fail(
    `The sound gives ${steps.features === 'waveform' ? `${clip} samples` : `${frames} frames of ${columns} values`}, which is not what the network takes.`,
    `input [${spec.shape.join(', ')}], ${steps.clipMs} ms at ${sampleRateHz} Hz, window ${steps.windowMs} ms, stride ${steps.strideMs} ms`,
    'Set sampleRateHz, clipMs, windowMs, strideMs, melBins or coefficients as the network was trained with.',
  )
}

/** True for inputs [1, bins, frames]; frames first where both are alike. */
function binsFirst(spec: InputSpec, frames: number, columns: number): boolean {
  const [rows] = spec.shape.filter((dimension) => dimension !== 1)
  return frames !== columns && rows === columns
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      out[column * rows + row] = values[row * columns + column]!
  return out
}
