import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GramMatrices } from '../../src/quantize/gram.ts'
import { layerRows } from '../../src/quantize/gram-rows.ts'
import { outputError, roundByOutput } from '../../src/quantize/rounding.ts'
import type { RoundingRequest } from '../../src/quantize/weighted-layer.ts'
import { noise } from './noise.ts'

/** A Gemm with weights [channels, width]. */
function layerOf(width: number, channels: number) {
  const op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true } as const
  return layerRows({ op }, [channels, width], [1, width], [1, channels])!
}

function requestOf(weights: readonly number[], width: number, scale: number): RoundingRequest {
  const nearest = Int8Array.from(weights, (w) => Math.min(127, Math.max(-127, Math.round(w / scale))))
  return { weights, shape: [weights.length / width, width], axis: null, scales: [scale], limit: 127, nearest }
}

/** Of rows whose neighbours are alike, as those of pictures are. */
function gramOf(width: number, rows: number, seed: number): GramMatrices {
  const random = noise(seed)
  const gram = new Float64Array(width * width)
  for (let row = 0; row < rows; row++) {
    const common = random()
    const x = Array.from({ length: width }, () => common + 0.4 * random())
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++) gram[i * width + j]! += (x[i]! * x[j]!) / rows
  }
  return { rows, means: [], groups: [gram] }
}

/** The least error over all 2^width ways to round down or up. */
function leastError(request: RoundingRequest, width: number, gram: GramMatrices): number {
  let least = Number.POSITIVE_INFINITY
  for (let choice = 0; choice < 2 ** width; choice++) {
    const integers = Int8Array.from(
      request.weights,
      (w, i) => Math.floor(w / request.scales[0]!) + ((choice >> i) & 1),
    )
    least = Math.min(least, outputError(request, integers, layerOf(width, 1), gram))
  }
  return least
}

test('of all 512 roundings of nine weights, as of a depthwise channel, it finds one within a third of the best, mostly the best', () => {
  const width = 9
  let best = 0
  const ratios: number[] = []
  for (let seed = 1; seed <= 40; seed++) {
    const gram = gramOf(width, 400, seed)
    const random = noise(1000 + seed)
    const request = requestOf(Array.from({ length: width }, random), width, 0.05)
    const found = roundByOutput(request, request.nearest, layerOf(width, 1), { fit: gram, guard: gram })
    const error = found?.guardError.after ?? outputError(request, request.nearest, layerOf(width, 1), gram)
    const least = leastError(request, width, gram)
    ratios.push(error / least)
    if (error <= least * (1 + 1e-9)) best++
    assert.ok(error <= outputError(request, request.nearest, layerOf(width, 1), gram))
  }
  ratios.sort((a, b) => a - b)
  assert.ok(best >= 20, `the best of all in ${best} of 40`)
  assert.ok(ratios[35]! < 1.34, `ratios ${ratios.slice(-8).map((ratio) => ratio.toFixed(2))}`)
})

test('two inputs that always go together: one weight takes up what the other loses', () => {
  const gram: GramMatrices = { rows: 100, means: [], groups: [Float64Array.of(1, 1, 1, 1)] }
  // 0.4 + 0.4 is nearer to 1 step than to none
  const request = requestOf([0.4, 0.4], 2, 1)
  const found = roundByOutput(request, request.nearest, layerOf(2, 1), { fit: gram, guard: gram })!
  assert.deepEqual([...found.integers].sort(), [0, 1])
  assert.ok(Math.abs(found.guardError.before - 0.64) < 1e-12)
  assert.ok(Math.abs(found.guardError.after - 0.04) < 1e-12)
})

test('where inputs are not correlated the nearest integers are the best, and nothing changes', () => {
  const width = 6
  const gram = new Float64Array(width * width)
  for (let i = 0; i < width; i++) gram[i * width + i] = 1 + i
  const matrices = { rows: 100, means: [], groups: [gram] }
  const request = requestOf(Array.from({ length: 3 * width }, noise(5)), width, 0.02)
  assert.equal(
    roundByOutput(request, request.nearest, layerOf(width, 3), { fit: matrices, guard: matrices }),
    null,
  )
})

test('what few rows teach many weights does not hold on others: it is not taken', () => {
  const width = 60
  const independent = (rows: number, seed: number): GramMatrices => {
    const random = noise(seed)
    const gram = new Float64Array(width * width)
    for (let row = 0; row < rows; row++) {
      const x = Array.from({ length: width }, random)
      for (let i = 0; i < width; i++)
        for (let j = 0; j < width; j++) gram[i * width + j]! += (x[i]! * x[j]!) / rows
    }
    return { rows, means: [], groups: [gram] }
  }
  const [fit, guard] = [independent(12, 1), independent(5_000, 2)]
  const request = requestOf(Array.from({ length: 8 * width }, noise(3)), width, 0.05)
  const layer = layerOf(width, 8)
  assert.equal(roundByOutput(request, request.nearest, layer, { fit, guard }), null)
  // the same rows as guard would have let it through
  const fooled = roundByOutput(request, request.nearest, layer, { fit, guard: fit })!
  assert.ok(fooled.guardError.after < 0.5 * fooled.guardError.before)
  assert.ok(
    outputError(request, fooled.integers, layer, guard) > outputError(request, request.nearest, layer, guard),
  )
})

test('no integer leaves [−limit, limit], and none moves two steps away from its weight', () => {
  const width = 12
  const random = noise(9)
  const weights = Array.from({ length: 4 * width }, () => 0.3 * random())
  const gram = gramOf(width, 300, 4)
  const request = { ...requestOf(weights, width, 0.005), limit: 63 }
  const nearest = request.nearest.map((q) => Math.min(63, Math.max(-63, q)))
  const { integers } = roundByOutput({ ...request, nearest }, nearest, layerOf(width, 4), {
    fit: gram,
    guard: gram,
  })!
  assert.ok(nearest.some((q) => Math.abs(q) === 63))
  integers.forEach((q, i) => {
    assert.ok(Math.abs(q) <= 63)
    const exact = weights[i]! / 0.005
    if (Math.abs(exact) <= 63) assert.ok(Math.abs(q - exact) < 2, `${q} for ${exact}`)
  })
})

test('an input that never varies, whose variance is 0, stops nothing', () => {
  const gram = { rows: 100, means: [], groups: [Float64Array.of(1, 0.9, 0, 0.9, 1, 0, 0, 0, 0)] }
  const request = requestOf([0.4, 0.4, 0.4], 3, 1)
  const { integers } = roundByOutput(request, request.nearest, layerOf(3, 1), { fit: gram, guard: gram })!
  assert.equal(integers[2], 0)
  assert.equal(integers[0]! + integers[1]!, 1)
})
