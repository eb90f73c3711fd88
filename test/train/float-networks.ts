import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Evaluator } from '../../src/execute/evaluator.ts'
import { createOnnxEvaluator } from '../../src/execute/onnxruntime.ts'
import { randomTensor } from '../../src/execute/random.ts'
import { openModel } from '../../src/formats/index.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import type { Graph } from '../../src/graph/types.ts'
import { convertLayout } from '../../src/passes/layout.ts'
import { elementCount, type Tensor } from '../../src/tensor.ts'
import type { Network, NetworkValues } from '../../src/train/network.ts'
import { fixture, repositoryRoot } from '../fixtures.ts'

const own = (path: string) => join(repositoryRoot, path)

/** Float networks of all formats: with and without batch normalization, channels first and last, with batch 1 fixed. */
export const floatNetworks: Readonly<Record<string, string>> = {
  'autoencoder (Keras)': fixture('mlperf-tiny/ad_autoencoder.h5'),
  'autoencoder (TFLite)': fixture('mlperf-tiny/ad_float.tflite'),
  'ResNet8 (Keras)': fixture('mlperf-tiny/ic_resnet8.h5'),
  'ResNet8 (TFLite)': fixture('mlperf-tiny/ic_resnet8_float.tflite'),
  'DS-CNN (ONNX)': fixture('mlperf-tiny/kws_dscnn_float.onnx'),
  'MobileNetV1 96 (Keras)': fixture('mlperf-tiny/vww_mobilenetv1_025_96.h5'),
  'MobileNetV1 96 (TFLite)': fixture('mlperf-tiny/vww_float.tflite'),
  'MobileNetV1 224 (TFLite)': fixture('imagenet/mobilenet_v1_0.25_224_float.tflite'),
  'MNIST (TFLite)': fixture('mnist/conv_fc_mnist_float.tflite'),
  'MNIST (CNTK)': fixture('mnist/mnist_cntk.onnx'),
  ShuffleNet: fixture('onnx/light/light_shufflenet.onnx'),
  SqueezeNet: fixture('onnx/light/light_squeezenet.onnx'),
  'examples/mnist': own('examples/mnist/mnist.onnx'),
  'examples/mnist-tfjs': own('examples/mnist-tfjs/model'),
  'vision transformer': own('test/models/mnist-vit.onnx'),
}

export async function readGraph(path: string): Promise<Graph> {
  const { graphs } = await openModel(path)
  return [...graphs.values()][0]!
}

/** ONNX Runtime without its own rewrites. */
export function evaluatorOf(graph: Graph): Promise<Evaluator> {
  return createOnnxEvaluator(writeOnnx(convertLayout(graph, 'channels-first')), { optimize: 'disabled' })
}

export type Feeds = ReadonlyMap<string, Tensor>

/** Random samples of the inputs of a graph with batch 1. */
export function samplesOf(graph: Graph, count: number): Feeds[] {
  return Array.from(
    { length: count },
    (_, sample) =>
      new Map(
        graph.inputs.map((name, i) => [
          name,
          randomTensor(graph.values.get(name)!.type, 31 * sample + i + 3),
        ]),
      ),
  )
}

/** Tensors of one sample each as one of all of them. */
export function stacked(samples: readonly Feeds[]): Feeds {
  return new Map(
    [...samples[0]!].map(([name, { dtype, shape }]) => {
      const parts = samples.map((sample) => sample.get(name)!.data as Float32Array)
      const data = new Float32Array(parts.length * parts[0]!.length)
      for (const [i, part] of parts.entries()) data.set(part, i * part.length)
      return [name, { dtype, shape: shape.with(0, parts.length), data }]
    }),
  )
}

/** What parameters and statistics of an opened network are fed as. */
export function fedValues(network: Network, values: NetworkValues): Feeds {
  return new Map(
    [...network.parameters, ...network.statistics].map(({ name, shape }) => {
      const data = values.get(name)!
      assert.equal(data.length, elementCount(shape))
      return [name, { dtype: 'float32', shape, data } satisfies Tensor]
    }),
  )
}

export async function run(graph: Graph, feeds: Feeds, fetch = graph.outputs): Promise<Map<string, Tensor>> {
  const evaluator = await evaluatorOf(graph)
  try {
    return await evaluator.run(feeds, fetch)
  } finally {
    await evaluator.close()
  }
}

/** The largest difference of two tensors, as a part of the largest number in the first. */
export function difference(expected: Tensor | undefined, found: Tensor | undefined): number {
  assert.ok(expected && found)
  assert.deepEqual(found.shape, expected.shape)
  const wanted = expected.data as Float32Array
  const got = found.data as Float32Array
  let [peak, worst] = [1e-30, 0]
  for (const [i, x] of wanted.entries()) {
    peak = Math.max(peak, Math.abs(x))
    // not Math.max: it must not lose a NaN
    if (!(Math.abs(x - got[i]!) <= worst)) worst = Math.abs(x - got[i]!)
  }
  return worst / peak
}

/** Asserts that a graph gives for each sample of a batch what another gives for it alone. */
export async function assertRowByRow(
  alone: Graph,
  batched: Graph,
  count: number,
  fed: Feeds = new Map(),
  tolerance = 1e-5,
): Promise<void> {
  const samples = samplesOf(alone, count)
  const evaluator = await evaluatorOf(alone)
  const rows: Feeds[] = []
  for (const sample of samples) rows.push(await evaluator.run(sample))
  await evaluator.close()
  const together = await run(batched, new Map([...stacked(samples), ...fed]), alone.outputs)
  for (const [name, expected] of stacked(rows)) {
    const worst = difference(expected, together.get(name))
    assert.ok(worst <= tolerance, `${name} differs by ${worst}`)
  }
}

/** Asserts that two graphs are the same in every name, type, attribute and byte. */
export function assertSameGraph(found: Graph, expected: Graph): void {
  const comparable = ({ name, inputs, outputs, nodes, values }: Graph) => ({
    name,
    inputs,
    outputs,
    nodes,
    values: new Map(
      [...values].map(([key, { type, constant }]) => [key, { type, digest: constant?.digest ?? null }]),
    ),
  })
  assert.deepEqual(comparable(found), comparable(expected))
}
