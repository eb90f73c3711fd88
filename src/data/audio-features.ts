import FFT from 'fft.js'
import type { Preprocessing } from './types.ts'

export type AudioSteps = NonNullable<Preprocessing['audio']>

/** Samples in one window and between two, and how many windows a clip has. */
export function framing(a: AudioSteps): { clip: number; window: number; stride: number; frames: number } {
  const count = (ms: number) => Math.round((a.sampleRateHz * ms) / 1000)
  const [clip, window, stride] = [count(a.clipMs), count(a.windowMs), count(a.strideMs)]
  const frames = a.centred
    ? 1 + Math.floor(clip / stride)
    : clip < window
      ? 0
      : 1 + Math.floor((clip - window) / stride)
  return { clip, window, stride, frames }
}

/**
 * Log-mel spectrogram or MFCC of one clip, frames × bins, row by row.
 *
 * Each frame is windowed (periodic Hann), transformed, its magnitude or power summed by mel filter, and its logarithm
 * taken. MFCC are the first coefficients of the DCT-II of these, orthonormal as in SciPy, librosa and torchaudio, or
 * scaled by sqrt(2 / bins) throughout as tf.signal.mfccs_from_log_mel_spectrograms does (filterbank `tensorflow`).
 */
export function melFeatures(clip: Float32Array, a: AudioSteps): Float32Array {
  const { window, stride, frames } = framing(a)
  const spectrumLength = a.fftSize / 2 + 1
  const filters = melFilters(a)
  const fft = new FFT(a.fftSize)
  const spectrum = fft.createComplexArray()
  const frame = new Float64Array(a.fftSize)
  // A centred frame is as long as the transform, the window in its middle.
  const lead = a.centred ? Math.floor((a.fftSize - window) / 2) : 0
  const hann = Float64Array.from(
    { length: window },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / window),
  )
  const columns = a.features === 'mfcc' ? a.coefficients : a.melBins
  const out = new Float32Array(frames * columns)
  const mel = new Float64Array(a.melBins)
  const dct = a.features === 'mfcc' ? dctMatrix(a) : null
  for (let index = 0; index < frames; index++) {
    const start = index * stride + lead - (a.centred ? a.fftSize / 2 : 0)
    for (let i = 0; i < window; i++) frame[lead + i] = hann[i]! * clip[reflect(start + i, clip.length)]!
    fft.realTransform(spectrum, frame)
    mel.fill(0)
    for (let bin = 0; bin < spectrumLength; bin++) {
      const power = spectrum[2 * bin]! ** 2 + spectrum[2 * bin + 1]! ** 2
      const value = a.power === 2 ? power : Math.sqrt(power)
      for (let m = 0; m < a.melBins; m++) mel[m]! += filters[bin * a.melBins + m]! * value
    }
    for (let m = 0; m < a.melBins; m++) mel[m] = logarithm(mel[m]!, a)
    for (let c = 0; c < columns; c++) {
      let value = dct ? 0 : mel[c]!
      if (dct) for (let m = 0; m < a.melBins; m++) value += dct[c * a.melBins + m]! * mel[m]!
      out[index * columns + c] = value
    }
  }
  return out
}

function logarithm(value: number, a: AudioSteps): number {
  if (a.log === 'db') return 10 * Math.log10(Math.max(value, a.logOffset))
  return a.log === 'ln' ? Math.log(value + a.logOffset) : Math.log10(value + a.logOffset)
}

function dctMatrix(a: AudioSteps): Float64Array {
  const { melBins: n, coefficients } = a
  const matrix = new Float64Array(coefficients * n)
  for (let c = 0; c < coefficients; c++) {
    const scale = a.filterbank !== 'tensorflow' && c === 0 ? Math.sqrt(1 / n) : Math.sqrt(2 / n)
    for (let m = 0; m < n; m++) matrix[c * n + m] = scale * Math.cos((Math.PI * c * (2 * m + 1)) / (2 * n))
  }
  return matrix
}

const filterBanks = new Map<string, Float64Array>()

/**
 * Triangular filters, spectrum bins × mel bins.
 * `tensorflow` (tf.signal.linear_to_mel_weight_matrix): HTK mel, triangles straight over mel, bin 0 left out.
 * `torchaudio` (melscale_fbanks, norm=None): HTK mel, triangles straight over Hz.
 * `librosa` (filters.mel): Slaney's mel, triangles straight over Hz, each of area 1.
 */
function melFilters(a: AudioSteps): Float64Array {
  const key = JSON.stringify([a.filterbank, a.fftSize, a.sampleRateHz, a.melBins, a.lowHz, a.highHz])
  const known = filterBanks.get(key)
  if (known) return known
  const [toMel, toHz] = a.filterbank === 'librosa' ? [slaneyMel, slaneyHz] : [htkMel, htkHz]
  const low = toMel(a.lowHz)
  const step = (toMel(a.highHz) - low) / (a.melBins + 1)
  const edgesMel = Array.from({ length: a.melBins + 2 }, (_, i) => low + step * i)
  const edges = a.filterbank === 'tensorflow' ? edgesMel : edgesMel.map(toHz)
  const bins = a.fftSize / 2 + 1
  const bank = new Float64Array(bins * a.melBins)
  for (let bin = a.filterbank === 'tensorflow' ? 1 : 0; bin < bins; bin++) {
    const hz = (bin * a.sampleRateHz) / a.fftSize
    const at = a.filterbank === 'tensorflow' ? toMel(hz) : hz
    for (let m = 0; m < a.melBins; m++) {
      const [left, centre, right] = [edges[m]!, edges[m + 1]!, edges[m + 2]!]
      const triangle = Math.max(0, Math.min((at - left) / (centre - left), (right - at) / (right - centre)))
      bank[bin * a.melBins + m] = a.filterbank === 'librosa' ? triangle * (2 / (right - left)) : triangle
    }
  }
  if (filterBanks.size > 16) filterBanks.clear()
  filterBanks.set(key, bank)
  return bank
}

function htkMel(hz: number): number {
  return 2595 * Math.log10(1 + hz / 700)
}

function htkHz(mel: number): number {
  return 700 * (10 ** (mel / 2595) - 1)
}

/** Slaney's Auditory Toolbox: linear up to 1 kHz (15 mel), then logarithmic. */
function slaneyMel(hz: number): number {
  return hz < 1000 ? (3 * hz) / 200 : 15 + (27 * Math.log(hz / 1000)) / Math.log(6.4)
}

function slaneyHz(mel: number): number {
  return mel < 15 ? (200 * mel) / 3 : 1000 * 6.4 ** ((mel - 15) / 27)
}

/** Index mirrored at the ends, which are not repeated. */
function reflect(index: number, length: number): number {
  if (length === 1) return 0
  const period = 2 * (length - 1)
  const wrapped = ((index % period) + period) % period
  return wrapped < length ? wrapped : period - wrapped
}
