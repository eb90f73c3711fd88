import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentProgress } from '../../src/progress.ts'
import { calibrate } from '../../src/quantize/calibrate.ts'
import type { Tensor } from '../../src/tensor.ts'
import { evaluatorOf } from '../passes/run-pass.ts'
import { SmallGraph } from '../targets/small-graphs.ts'

function feeds(...numbers: number[][]): Map<string, Tensor>[] {
  return numbers.map(
    (data) => new Map([['x', { dtype: 'float32', shape: [2], data: Float32Array.from(data) }]]),
  )
}

function network() {
  const g = new SmallGraph()
  const doubled = g.node({ kind: 'Binary', fn: 'Mul' }, [g.input('x', 2), g.constant([], [2])], 'double')
  return {
    graph: g.finish(g.node({ kind: 'Relu' }, [doubled], 'relu')),
    wanted: ['x', 'double_out', 'relu_out'],
  }
}

test('inputs, inner values and outputs are seen over all samples', async () => {
  const { graph, wanted } = network()
  const ranges = await calibrate(graph, evaluatorOf, feeds([-1, 2], [3, -4], [0, 1]), wanted)
  const ends = wanted.map((name) => [ranges.get(name)!.min, ranges.get(name)!.max])
  assert.deepEqual(ends, [
    [-4, 3],
    [-8, 6],
    [0, 6],
  ])
  assert.equal(ranges.get('relu_out')!.histogram!.count, 6)
})

test('a value that is asked for by channel only has no histogram', async () => {
  const { graph } = network()
  const ranges = await calibrate(graph, evaluatorOf, feeds([-1, 2], [3, -4]), ['x'], {
    channelStatistics: new Set(['relu_out']),
  })
  assert.deepEqual(ranges.get('relu_out'), { min: 0, max: 6 })
  assert.ok(ranges.get('x')!.histogram)
})

test('samples may come one at a time from anywhere', async () => {
  const { graph } = network()
  async function* slow() {
    yield* feeds([1, 2], [5, 0])
  }
  assert.equal((await calibrate(graph, evaluatorOf, slow(), ['x'])).get('x')!.max, 5)
})

test('no sample at all is an error', async () => {
  const { graph, wanted } = network()
  await assert.rejects(calibrate(graph, evaluatorOf, [], wanted), { code: 'DATA_EMPTY' })
})

test('a NaN in a sample names the tensor', async () => {
  const { graph, wanted } = network()
  await assert.rejects(calibrate(graph, evaluatorOf, feeds([1, Number.NaN]), wanted), {
    code: 'MODEL_NAN_WEIGHTS',
    where: 'x',
  })
})

test('an interruption stops between samples and closes the evaluator', async () => {
  const { graph, wanted } = network()
  const controller = new AbortController()
  let closed = false
  const factory = async (g: typeof graph) => {
    const evaluator = await evaluatorOf(g)
    return {
      ...evaluator,
      close() {
        closed = true
        return evaluator.close()
      },
    }
  }
  function* samples() {
    yield* feeds([1, 2])
    controller.abort()
    yield* feeds([1, 2])
  }
  const progress = silentProgress(controller.signal)
  await assert.rejects(calibrate(graph, factory, samples(), wanted, { progress }), { code: 'INTERRUPTED' })
  assert.ok(closed)
})
