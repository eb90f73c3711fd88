import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../src/graph/ops.ts'
import { correctBias } from '../../src/quantize/bias-correction.ts'

test('a fully connected layer keeps its mean output under other weights', () => {
  const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }
  const weights = [0.4, -0.3, 0.2, 0.9]
  const stored = [0.5, -0.25, 0.25, 1]
  const means = [2, -4]
  const bias = correctBias(gemm, [1, 2], weights, stored, [2, 2], means, { input: [], output: [] })
  for (const row of [0, 1]) {
    const mean = (w: number[], b: number) => w[row * 2]! * means[0]! + w[row * 2 + 1]! * means[1]! + b
    assert.ok(Math.abs(mean(weights, [1, 2][row]!) - mean(stored, bias[row]!)) < 1e-12)
  }
})

test('a padded depthwise convolution keeps its mean output over all positions, borders too', () => {
  const conv: Op = {
    kind: 'Conv',
    group: 2,
    layout: 'channels-last',
    strides: [2, 1],
    dilations: [1, 1],
    padsBegin: [1, 1],
    padsEnd: [1, 1],
  }
  const height = 4
  const width = 3
  const weights = Array.from({ length: 18 }, (_, i) => Math.sin(i))
  const stored = weights.map((w) => Math.round(w * 4) / 4)
  const means = [3, -2]
  const input = [height, width]
  const output = [2, 3]
  const bias = correctBias(conv, [0.1, 0.2], weights, stored, [2, 1, 3, 3], means, { input, output })
  // of constant channels the mean output is exact, so it must agree exactly
  const meanOutput = (w: number[], channel: number) => {
    let sum = 0
    for (let y = 0; y < 2; y++)
      for (let x = 0; x < 3; x++)
        for (let ky = 0; ky < 3; ky++)
          for (let kx = 0; kx < 3; kx++) {
            const [row, column] = [y * 2 + ky - 1, x + kx - 1]
            if (row >= 0 && row < height && column >= 0 && column < width)
              sum += w[channel * 9 + ky * 3 + kx]! * means[channel]!
          }
    return sum / 6
  }
  for (const channel of [0, 1])
    assert.ok(
      Math.abs(
        meanOutput(weights, channel) + [0.1, 0.2][channel]! - meanOutput(stored, channel) - bias[channel]!,
      ) < 1e-9,
    )
})
