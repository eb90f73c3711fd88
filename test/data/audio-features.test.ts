import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AudioSteps, framing, melFeatures } from '../../src/data/audio-features.ts'
import { tone } from './wav-file.ts'

// Expected values: TensorFlow 2.21 (tf.signal) and librosa 0.11 on the same clip: a tone with noise, a quarter of silence.
const clip = tone(16000, 16000)
clip.fill(0, 12000)

const keyword: AudioSteps = {
  sampleRateHz: 16000,
  clipMs: 1000,
  features: 'mfcc',
  windowMs: 30,
  strideMs: 20,
  melBins: 40,
  coefficients: 10,
  lowHz: 20,
  highHz: 4000,
  fftSize: 512,
  power: 1,
  filterbank: 'tensorflow',
  log: 'ln',
  logOffset: 1e-6,
  centred: false,
}
const librosa: AudioSteps = {
  ...keyword,
  windowMs: 64,
  strideMs: 32,
  melBins: 64,
  coefficients: 13,
  lowHz: 0,
  highHz: 8000,
  fftSize: 1024,
  power: 2,
  filterbank: 'librosa',
  log: 'db',
  logOffset: 1e-10,
  centred: true,
}

const cases: {
  name: string
  steps: AudioSteps
  shape: [number, number]
  rows: Record<number, number[]>
  tolerance: number
}[] = [
  {
    name: 'MFCC of keyword models are those of tf.signal',
    steps: keyword,
    shape: [49, 10],
    rows: {
      0: [-0.1304, -2.9145, -0.7363, -2.2916, -2.1147, -2.8346, -1.4319, 2.6755, 3.3566, 1.5564],
      20: [1.7743, -2.6972, -0.6914, -2.032, -1.9657, -2.5873, -1.2652, 2.575, 3.1801, 1.3502],
      48: [-123.5697, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    },
    tolerance: 1e-3,
  },
  {
    name: 'log-mel with the tensorflow filter bank is that of tf.signal',
    steps: { ...keyword, features: 'log-mel' },
    shape: [49, 40],
    rows: {
      0: [-1.2268, -1.5756, -1.7625, -2.2095, -1.865, -1.9211, -1.496, -0.7996, 2.6728, 4.2091],
      20: [-1.0289, -1.1475, -1.3572, -1.6237, -1.5826, -1.5198, -1.4413, -0.6228, 2.6974, 4.2336],
    },
    tolerance: 1e-3,
  },
  {
    name: 'log-mel in dB with the librosa filter bank is librosa.feature.melspectrogram',
    steps: { ...librosa, features: 'log-mel' },
    shape: [32, 64],
    rows: {
      0: [1.7028, 2.4584, 2.9873, 3.7452, 4.831, 6.4264, 8.8985, 14.0506, 21.3111, 20.7432],
      20: [-18.7481, -23.5226, -26.5053, -27.8056, -27.9507, -26.9148, -24.2152, -13.1753, 22.3411, 21.993],
      31: [-100, -100, -100, -100, -100, -100, -100, -100, -100, -100],
    },
    tolerance: 2e-3,
  },
  {
    name: 'MFCC with the librosa filter bank are librosa.feature.mfcc',
    steps: librosa,
    shape: [32, 13],
    rows: {
      0: [-65.3744, 54.454, 31.0285, 10.9051, 6.908, 0.555, -19.2722, -34.6277, -17.36, 14.9648],
      20: [-135.9999, -10.9315, 6.0338, -2.1388, -2.5986, -3.2685, -11.0108, -23.6847, -22.1915, -3.3457],
    },
    tolerance: 2e-3,
  },
  {
    name: 'the torchaudio filter bank with a window shorter than the transform is HTK without norm, the window in the middle',
    steps: {
      ...keyword,
      features: 'log-mel',
      windowMs: 25,
      strideMs: 10,
      highHz: 7600,
      filterbank: 'torchaudio',
      centred: true,
    },
    shape: [101, 40],
    rows: {
      0: [2.0676, 2.0556, 2.2783, 2.4652, 2.7157, 3.2545, 3.7122, 3.55, 3.4387, 2.4396],
      20: [-1.3603, -3.0961, -2.8347, -2.2538, -1.705, 0.8506, 3.6271, 4.1012, 2.1412, -1.161],
    },
    tolerance: 2e-3,
  },
]

for (const { name, steps, shape, rows, tolerance } of cases)
  test(name, () => {
    const out = melFeatures(clip, steps)
    const [frames, columns] = shape
    assert.equal(framing(steps).frames, frames)
    assert.equal(out.length, frames * columns)
    for (const [row, expected] of Object.entries(rows))
      expected.forEach((value, i) => {
        const seen = out[Number(row) * columns + i]!
        assert.ok(
          Math.abs(seen - value) <= tolerance * Math.max(1, Math.abs(value)),
          `row ${row}, ${i}: ${seen} beside ${value}`,
        )
      })
  })
