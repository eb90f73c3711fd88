import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Evaluator } from '../../src/execute/evaluator.ts'
import { randomNumbers } from '../../src/execute/random.ts'
import type { Graph } from '../../src/graph/types.ts'
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

/** Two convolutions, a fully connected layer; planes of 45 and of 1 element; channels last at the input. */
function convolutions() {
  const g = new SmallGraph()
  const next = randomNumbers(4)
  const weights = (...shape: number[]) =>
    g.constant(
      shape,
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next() - 0.5),
    )
  const conv = (name: string, input: string, ...shape: number[]) => {
    const convolved = g.node(
      {
        kind: 'Conv',
        group: 1,
        layout: 'channels-first',
        strides: [1, 1],
        dilations: [1, 1],
        padsBegin: [1, 1],
        padsEnd: [1, 1],
      },
      [input, weights(...shape)],
      name,
    )
    return g.node({ kind: 'Relu' }, [convolved], `${name}_relu`)
  }
  const x = g.node({ kind: 'Transpose', perm: [0, 3, 1, 2] }, [g.input('x', 1, 9, 5, 3)], 'turned')
  const features = conv('b', conv('a', x, 6, 3, 3, 3), 10, 6, 3, 3)
  const mean = g.node({ kind: 'Reduce', fn: 'Mean', axes: [2, 3], keepDims: false }, [features], 'mean')
  const scores = g.node(
    { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true },
    [mean, weights(7, 10)],
    'scores',
  )
  return g.finish(scores)
}

function* noise(samples: number): Generator<Map<string, Tensor>> {
  const next = randomNumbers(9)
  // grows a thousandfold: histograms must grow with it
  for (let i = 0; i < samples; i++) {
    const data = Float32Array.from({ length: 135 }, () => 1.5 ** i * (next() - 0.5))
    yield new Map([['x', { dtype: 'float32', shape: [1, 9, 5, 3], data }]])
  }
}

/** The simple loop: every output a new tensor, every statistic in JavaScript. */
const plainly = async (graph: Graph): Promise<Evaluator> => ({
  ...(await evaluatorOf(graph)),
  runInto: undefined,
})

test("the kernel in the runtime's own memory and the simple loop give the same ranges, bit for bit", async () => {
  const graph = convolutions()
  const wanted = ['x', 'a_relu_out', 'b_relu_out', 'mean_out', 'scores_out']
  const options = { channelStatistics: new Set(['a_out', 'scores_out']) }
  const fast = await calibrate(graph, evaluatorOf, noise(20), wanted, options)
  const simple = await calibrate(graph, plainly, noise(20), wanted, options)
  assert.deepEqual(fast, simple)
  assert.equal(fast.get('a_relu_out')!.channelMeans!.length, 6)
  assert.equal(fast.get('mean_out')!.histogram!.count, 200)
  assert.ok(fast.get('x')!.histogram!.negative)
})

test('without histograms everything else is the same', async () => {
  const graph = convolutions()
  const wanted = ['x', 'a_relu_out', 'mean_out']
  const whole = await calibrate(graph, evaluatorOf, noise(5), wanted)
  const least = await calibrate(graph, evaluatorOf, noise(5), wanted, { histograms: false })
  for (const name of wanted) {
    const { histogram, ...rest } = whole.get(name)!
    assert.ok(histogram)
    assert.deepEqual(least.get(name), rest)
  }
})

test('a NaN that the network makes of a sample names the tensor', async () => {
  const graph = convolutions()
  const sample = new Map([...noise(1)][0]!)
  sample.set('x', { ...sample.get('x')!, data: new Float32Array(135).fill(3e38) })
  await assert.rejects(calibrate(graph, evaluatorOf, [sample], ['a_relu_out']), {
    code: 'MODEL_NAN_WEIGHTS',
    where: 'a_relu_out',
  })
})

test('a sample of another size than the network says is an error, not a half-filled tensor', async () => {
  const sample = new Map<string, Tensor>([['x', { dtype: 'float32', shape: [3], data: new Float32Array(3) }]])
  const { graph } = network()
  await assert.rejects(calibrate(graph, evaluatorOf, [sample], ['x']), { code: 'DATA_SHAPE', where: 'x' })
})
