import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Matrix, SingularValueDecomposition } from 'ml-matrix'
import { seededGenerator } from '../../../src/data/generator.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { candidateOf } from '../../../src/train/low-rank/candidates.ts'
import { factorize } from '../../../src/train/low-rank/factorize.ts'
import { type FactorLayer, factorLayers } from '../../../src/train/low-rank/layers.ts'
import { MomentSums } from '../../../src/train/low-rank/moments.ts'
import { convolution, networkOf, outputsOf } from './networks.ts'

const gemm = networkOf([1, 12], (b, x, floats) =>
  b.op({ kind: 'Gemm', alpha: 0.7, beta: 1, transA: false, transB: true }, [x, floats(10, 12), floats(10)]),
)
const layers: Record<string, { graph: Graph; ranks: readonly number[] }> = {
  'a matrix with bias': { graph: gemm, ranks: [1, 3, 5] },
  'a matrix without bias': {
    graph: networkOf([1, 12], (b, x, floats) => b.matMul(x, floats(12, 10))),
    ranks: [1, 3, 5],
  },
  'a matrix with more outputs than inputs': {
    graph: networkOf([1, 6], (b, x, floats) => b.matMul(x, floats(6, 30))),
    ranks: [1, 4],
  },
  'a 3×3 convolution with stride and padding': {
    graph: convolution([10, 4, 3, 3], true, { strides: [2, 1], padsBegin: [1, 1], padsEnd: [1, 1] }),
    ranks: [2, 6],
  },
}

for (const [name, { graph, ranks }] of Object.entries(layers))
  test(`no factors of a rank are nearer to what samples give: ${name}`, async () => {
    const [layer] = factorLayers(graph)
    const inputs = skewedInputs(graph, 400)
    const outputs = await outputsOf(graph, inputs)
    const moments = momentsOf(layer!, graph, outputs)
    const candidate = candidateOf(layer!, moments)
    // the best that any matrix of that rank can do, found from the samples themselves
    const values = singularValues(layer!, graph, outputs)
    const whole = values.reduce((sum, value) => sum + value ** 2, 0)
    for (const rank of ranks) {
      const option = candidate.options.find(
        ({ factors }) => factors.method === 'output' && factors.rank === rank,
      )!
      const made = factorize(
        graph,
        new Map([[layer!.node.name, { candidate, option }]]),
        new Map([[layer!.node.name, moments]]),
      )
      const given = await outputsOf(made, inputs)
      let noise = 0
      outputs.forEach((output, sample) => {
        output.forEach((value, i) => {
          noise += (value - given[sample]![i]!) ** 2
        })
      })
      const measured = Math.sqrt(noise / whole)
      const best = Math.sqrt(values.slice(rank).reduce((sum, value) => sum + value ** 2, 0) / whole)
      assert.ok(Math.abs(measured - option.error) < 1e-4, `said ${option.error}, measured ${measured}`)
      assert.ok(Math.abs(best - measured) < 1e-4, `measured ${measured}, the best is ${best}`)
    }
  })

test('what stands between factors has mean 0, and half of the spread of its directions, on the samples', async () => {
  const [layer] = factorLayers(gemm)
  const inputs = skewedInputs(gemm, 200)
  const moments = momentsOf(layer!, gemm, await outputsOf(gemm, inputs))
  const candidate = candidateOf(layer!, moments)
  const option = candidate.options.find(({ factors }) => factors.rank === 4)!
  const made = factorize(
    gemm,
    new Map([[layer!.node.name, { candidate, option }]]),
    new Map([[layer!.node.name, moments]]),
  )
  const between = await outputsOf({ ...made, outputs: [made.nodes[0]!.outputs[0]!] }, inputs)
  for (let channel = 0; channel < 4; channel++) {
    const values = between.map((output) => output[channel]!)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
    assert.ok(Math.abs(mean) < 1e-3, `mean ${mean}`)
    const wanted = Math.sqrt(candidate.outputSpace.values[channel]!)
    assert.ok(Math.abs(variance / wanted - 1) < 1e-3, `variance ${variance} instead of ${wanted}`)
  }
})

test('outputs that are no numbers leave the choice to the weights', async () => {
  const [layer] = factorLayers(gemm)
  const covariance = new Float64Array(100).fill(Number.NaN)
  const broken = { channels: 10, count: 3, mean: new Float64Array(10).fill(Number.NaN), covariance }
  assert.deepEqual(
    candidateOf(layer!, broken).options.map(({ error }) => error),
    candidateOf(layer!, null).options.map(({ error }) => error),
  )
  const candidate = candidateOf(layer!, broken)
  const option = candidate.options.at(-1)!
  const { name } = layer!.node
  const made = factorize(gemm, new Map([[name, { candidate, option }]]), new Map([[name, broken]]))
  const [output] = await outputsOf(made, skewedInputs(gemm, 1))
  assert.ok(output!.every(Number.isFinite))
})

test('positions that count come from all columns and rows, also where sizes have a common divisor', () => {
  // one channel that says which of 64 columns it is
  const columns = Float32Array.from({ length: 64 * 64 }, (_, i) => i % 64)
  const sums = new MomentSums(1, 1)
  sums.add({ dtype: 'float32', shape: [1, 1, 64, 64], data: columns })
  const { mean, covariance } = sums.result()
  assert.ok(Math.abs(mean[0]! - 31.5) < 1, `mean ${mean[0]}`)
  assert.ok(Math.abs(covariance[0]! - (64 ** 2 - 1) / 12) < 10, `variance ${covariance[0]}`)
})

/** Far from white: a few directions and a mean tell most of them. */
function skewedInputs(graph: Graph, count: number): Float32Array[] {
  const random = seededGenerator(3)
  const length = graph.values.get('x')!.type.shape.reduce((product, size) => product * size, 1)
  return Array.from({ length: count }, () => {
    const common = random.normal()
    return Float32Array.from(
      { length },
      (_, i) => common * Math.cos(i) + (random.normal() * 3) / (i + 1) + Math.sin(i),
    )
  })
}

function momentsOf({ outputs: channels, axis }: FactorLayer, graph: Graph, outputs: readonly Float32Array[]) {
  const sums = new MomentSums(channels, axis)
  const { shape } = graph.values.get(graph.outputs[0]!)!.type
  for (const data of outputs) sums.add({ dtype: 'float32', shape, data })
  return sums.result()
}

/** Of the samples' outputs, channel by channel, around their mean where the layer has a bias. */
function singularValues(
  { outputs: channels, takesBias }: FactorLayer,
  graph: Graph,
  outputs: readonly Float32Array[],
): number[] {
  const shape = graph.values.get(graph.outputs[0]!)!.type.shape
  const inner = shape.length === 4 ? shape[2]! * shape[3]! : 1
  const rows: number[][] = []
  for (const output of outputs)
    for (let position = 0; position < inner; position++)
      rows.push(Array.from({ length: channels }, (_, c) => output[c * inner + position]!))
  const matrix = new Matrix(rows)
  if (takesBias) matrix.subRowVector(matrix.mean('column'))
  return new SingularValueDecomposition(matrix).diagonal
}
