import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quantizeWeights } from '../../src/quantize/weights.ts'
import {
  chooseSmoothing,
  type Product,
  sharedWeightPeaks,
  smoothingFactors,
  smoothingStrengths,
} from '../../src/quantize/smooth-quant.ts'
import { randomNumbers } from '../../src/execute/random.ts'

const storage = { method: 'min-max', axis: 0, limit: 127 } as const
const near = (found: ArrayLike<number>, expected: readonly number[]) => {
  assert.equal(found.length, expected.length)
  for (const [i, x] of expected.entries())
    assert.ok(Math.abs(found[i]! - x) < 1e-9, `${i}: ${found[i]} for ${x}`)
}

test('factors are max|X|^α / max|W|^(1 − α), up to the factor that all share', () => {
  // √8/√½ = 4, √2/√½ = 2, √½/√2 = ½: their geometric mean is ∛4
  const mean = 4 ** (1 / 3)
  near(smoothingFactors([8, 2, 0.5], [0.5, 0.5, 2], 0.5), [4 / mean, 2 / mean, 0.5 / mean])
  // all of the spread moves: peaks of X / s are equal
  near(smoothingFactors([8, 2, 0.5], [1, 1, 1], 1), [4, 1, 0.25])
})

test('a channel that never carried anything keeps its weights, and one that no weight reads leaves the range', () => {
  near(smoothingFactors([4, 0, 1], [1, 7, 1], 0.5), [Math.SQRT2, 1, Math.SQRT1_2])
  near(smoothingFactors([1, 1, 9], [1, 1, 0], 0.5), [1, 1, 100])
})

test('factors end at a hundredfold either way', () => {
  near(smoothingFactors([1e-9, 1, 1e9], [1, 1, 1], 1), [0.01, 1, 100])
})

test('one channel’s peak is that over all products, whichever way they are stored', () => {
  const byOutput: Product = { ...storage, weights: [1, -2, 3, 0.5], shape: [2, 2], inputAxis: 1 }
  const byInput: Product = { ...storage, weights: [0.25, -5, 1, 1], shape: [2, 2], inputAxis: 0 }
  near(sharedWeightPeaks([byOutput], 2), [3, 2])
  near(sharedWeightPeaks([byInput], 2), [5, 1])
  near(sharedWeightPeaks([byOutput, byInput], 2), [5, 2])
})

const channels = 16
const count = 64

/** Rows of a normal distribution; the first channel `spread` times as wide, its weights as much finer. */
function block(spread: number, inputAxis: 0 | 1 = 1) {
  const random = randomNumbers(7)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const rows = Float32Array.from(
    { length: count * channels },
    (_, i) => normal() * (i % channels === 0 ? spread : 1),
  )
  const outputs = 8
  const channelOf = (i: number) => (inputAxis === 1 ? i % channels : Math.floor(i / outputs))
  const weights = Float32Array.from(
    { length: outputs * channels },
    (_, i) => normal() / (channelOf(i) === 0 ? spread : 1),
  )
  const shape = inputAxis === 1 ? ([outputs, channels] as const) : ([channels, outputs] as const)
  const peaks = Array.from({ length: channels }, (_, channel) =>
    Math.max(...Array.from({ length: count }, (_, row) => Math.abs(rows[row * channels + channel]!))),
  )
  const product: Product = { ...storage, axis: inputAxis === 1 ? 0 : 1, weights, shape, inputAxis }
  return { rows, peaks, products: [product], activations: [{ kind: 'min-max' }] as const }
}

/** ‖Q(X/s)·Q(sW) − XW‖² / ‖XW‖², written out. */
function noiseByHand({ rows, products }: ReturnType<typeof block>, factors: ArrayLike<number>): number {
  const { weights, shape } = products[0]!
  const divided = Array.from(rows, (x, i) => x / factors[i % channels]!)
  const low = Math.min(0, ...divided)
  const scale = (Math.max(0, ...divided) - low) / 255
  const zero = Math.round(-128 - low / scale)
  const stored = divided.map(
    (x) => (Math.min(127, Math.max(-128, Math.round(x / scale) + zero)) - zero) * scale,
  )
  const scaled = Array.from(weights, (w, i) => w * factors[i % channels]!)
  const { data, quantization } = quantizeWeights(scaled, shape, storage)
  let noise = 0
  let signal = 0
  for (let row = 0; row < count; row++)
    for (let output = 0; output < shape[0]; output++) {
      let exact = 0
      let found = 0
      for (let c = 0; c < channels; c++) {
        exact += rows[row * channels + c]! * weights[output * channels + c]!
        found += stored[row * channels + c]! * data[output * channels + c]! * quantization.scales[output]!
      }
      noise += (exact - found) ** 2
      signal += exact ** 2
    }
  return noise / signal
}

test('an outlier channel: the strength with the least noise of the products is taken, with its gain', () => {
  const outlier = block(100)
  const chosen = chooseSmoothing(outlier, 0.5)!
  const peaks = sharedWeightPeaks(outlier.products, channels)
  const without = noiseByHand(outlier, new Float64Array(channels).fill(1))
  const gains = smoothingStrengths.map(
    (strength) =>
      10 * Math.log10(without / noiseByHand(outlier, smoothingFactors(outlier.peaks, peaks, strength))),
  )
  const best = gains.indexOf(Math.max(...gains))
  assert.equal(chosen.strength, smoothingStrengths[best])
  assert.ok(Math.abs(chosen.gainDb - gains[best]!) < 0.05, `${chosen.gainDb} for ${gains[best]}`)
  assert.ok(chosen.gainDb > 25, `${chosen.gainDb} dB`)
})

test('weights stored input by input give the same choice', () => {
  const turned = block(100, 0)
  assert.ok(chooseSmoothing(turned, 0.5)!.gainDb > 25)
})

test('channels that are alike are left alone, and so is a block without activations', () => {
  const random = randomNumbers(3)
  // each channel and each row of weights reaches 1
  const alike = (length: number) =>
    Float32Array.from({ length }, (_, i) => (i < channels ? 1 : 2 * random() - 1))
  const rows = alike(count * channels)
  const product: Product = { ...storage, weights: alike(8 * channels), shape: [8, channels], inputAxis: 1 }
  const even = {
    rows,
    peaks: new Float64Array(channels).fill(1),
    products: [product],
    activations: block(1).activations,
  }
  assert.equal(chooseSmoothing(even, 0.5), null)
  const silent = { ...even, rows: new Float32Array(count * channels), peaks: new Float64Array(channels) }
  assert.equal(chooseSmoothing(silent, 0.5), null)
})

test('a gain that is asked for and not reached changes nothing', () => {
  const moderate = block(4)
  const { gainDb } = chooseSmoothing(moderate, 0.5)!
  assert.ok(gainDb > 1)
  assert.equal(chooseSmoothing(moderate, gainDb + 0.1), null)
})
