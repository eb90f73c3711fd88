import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededGenerator } from '../../../src/data/generator.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { convertLayout } from '../../../src/passes/layout.ts'
import { candidateOf, type Factors } from '../../../src/train/low-rank/candidates.ts'
import { chooseRanks } from '../../../src/train/low-rank/choose-ranks.ts'
import { factorize } from '../../../src/train/low-rank/factorize.ts'
import { factorLayers } from '../../../src/train/low-rank/layers.ts'
import { MomentSums } from '../../../src/train/low-rank/moments.ts'
import { errorsOf, outerGram, subspaceOf } from '../../../src/train/low-rank/subspace.ts'
import { convolution, networkOf, outputOf } from './networks.ts'

const padded = { strides: [2, 1], padsBegin: [1, 1], padsEnd: [0, 1] }

const networks: Record<string, { graph: Graph; factors: readonly Factors[] }> = {
  '3×3 convolution with stride and padding': {
    graph: convolution([6, 5, 3, 3], true, padded),
    factors: [
      { method: 'output', rank: 6 },
      { method: 'spatial', rank: 15 },
      { method: 'tucker', rank: 6, inputRank: 5 },
    ],
  },
  'dilated convolution without bias': {
    graph: convolution([6, 5, 3, 3], false, { dilations: [2, 1], padsBegin: [2, 0], padsEnd: [1, 1] }),
    factors: [
      { method: 'output', rank: 6 },
      { method: 'spatial', rank: 15 },
      { method: 'tucker', rank: 6, inputRank: 5 },
    ],
  },
  '1×1 convolution with stride': {
    graph: convolution([6, 5, 1, 1], true, { strides: [2, 3] }),
    factors: [{ method: 'output', rank: 6 }],
  },
  '1×1 convolution without bias': {
    graph: convolution([6, 5, 1, 1], false),
    factors: [{ method: 'output', rank: 6 }],
  },
  'Gemm with factors': {
    graph: networkOf([3, 7], (b, x, floats) =>
      b.op({ kind: 'Gemm', alpha: 0.5, beta: 2, transA: false, transB: true }, [x, floats(4, 7), floats(4)]),
    ),
    factors: [{ method: 'output', rank: 4 }],
  },
  MatMul: {
    graph: networkOf([2, 3, 7], (b, x, floats) => b.matMul(x, floats(7, 4))),
    factors: [{ method: 'output', rank: 4 }],
  },
}

for (const [name, { graph, factors }] of Object.entries(networks))
  for (const layout of ['channels-first', 'channels-last'] as const)
    for (const one of factors)
      test(`at full rank nothing changes: ${name}, ${one.method}, ${layout}`, async () => {
        const network = convertLayout(graph, layout)
        const [layer] = factorLayers(network)
        const candidate = candidateOf(layer!, null)
        const option = { factors: one, weights: 0, macs: 0, error: 0 }
        const factored = factorize(network, new Map([[layer!.node.name, { candidate, option }]]))
        const parts = factored.nodes.filter(({ op }) => op.kind !== 'Transpose').length
        assert.equal(parts, one.method === 'tucker' ? 3 : 2)
        const [expected, given] = [await outputOf(graph), await outputOf(factored)]
        for (const [i, value] of expected.entries()) assert.ok(Math.abs(value - given[i]!) < 1e-4)
      })

test('ranks follow what the outputs really do: samples in a subspace lose nothing', async () => {
  // the inputs have only two directions: the outputs too, whatever the weights
  const graph = networkOf([1, 8], (b, x, floats) =>
    b.op({ kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }, [x, floats(16, 8), floats(16)]),
  )
  const random = seededGenerator(9)
  const basis = Array.from({ length: 2 }, () => Array.from({ length: 8 }, () => random.normal()))
  const sampleOf = () => {
    const [a, c] = [random.normal() + 3, random.normal() - 2]
    return Float32Array.from({ length: 8 }, (_, i) => a * basis[0]![i]! + c * basis[1]![i]!)
  }
  const [layer] = factorLayers(graph)
  const sums = new MomentSums(16, 1)
  for (let i = 0; i < 64; i++)
    sums.add({ dtype: 'float32', shape: [1, 16], data: await outputOf(graph, sampleOf()) })
  const moments = sums.result()
  const chosen = chooseRanks([candidateOf(layer!, moments)], { weights: 0.5 })
  assert.ok(chosen.get(layer!.node.name)!.option.error < 1e-3)
  const factored = factorize(graph, chosen, new Map([[layer!.node.name, moments]]))
  const x = sampleOf()
  const [expected, given] = [await outputOf(graph, x), await outputOf(factored, x)]
  for (const [i, value] of expected.entries())
    assert.ok(Math.abs(value - given[i]!) < 1e-3, `${given[i]} instead of ${value}`)
})

test('the error of a rank is what the best matrix of that rank is away', () => {
  // singular values 3, 2 and 1 by construction
  const space = subspaceOf(outerGram([3, 0, 0, 0, 2, 0, 0, 0, 1], 3), 3)
  const errors = errorsOf(space)
  const expected = [1, Math.sqrt(5 / 14), Math.sqrt(1 / 14), 0]
  for (const [rank, error] of expected.entries()) assert.ok(Math.abs(errors[rank]! - error) < 1e-12)
})

test('the choice under a budget is the best of all choices', () => {
  const graph = networkOf([1, 6], (b, x, floats) => {
    const dense = (from: string, to: number, width: number) =>
      b.op({ kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }, [
        from,
        floats(to, width),
        floats(to),
      ])
    return dense(dense(x, 12, 6), 9, 12)
  })
  const candidates = factorLayers(graph).map((layer) => candidateOf(layer, null))
  const whole = candidates.reduce((sum, { layer }) => sum + layer.weights, 0)
  const chosen = chooseRanks(candidates, { weights: 0.6 })
  const [kept, error] = costOf(candidates.map(({ layer }) => chosen.get(layer.node.name)?.option ?? null))
  assert.ok(kept <= 0.6 * whole)
  const choices = candidates.map(({ options }) => [null, ...options])
  for (const first of choices[0]!)
    for (const second of choices[1]!) {
      const [weights, otherError] = costOf([first, second])
      // a choice between two prices may be a little better: never one that keeps as little
      if (weights <= kept) assert.ok(otherError >= error - 1e-9)
    }

  function costOf(options: readonly ({ weights: number; error: number } | null)[]): [number, number] {
    let [weights, sum] = [0, 0]
    options.forEach((option, index) => {
      weights += option?.weights ?? candidates[index]!.layer.weights
      sum += (option?.error ?? 0) ** 2
    })
    return [weights, sum]
  }
})
