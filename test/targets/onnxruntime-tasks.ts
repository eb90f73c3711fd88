import { readFileSync } from 'node:fs'
import { readOnnx } from '../../src/formats/onnx/read.ts'
import type { Graph } from '../../src/graph/types.ts'
import { floatPasses, runPasses } from '../../src/passes/index.ts'
import type { Tensor } from '../../src/tensor.ts'
import { fixture } from '../fixtures.ts'
import { evaluatorOf } from './onnxruntime-run.ts'

/** A float network with samples and their classes. */
export interface Task {
  readonly path: string
  readonly original: Graph
  readonly graph: Graph
  readonly samples: readonly Float32Array[]
  readonly labels: readonly number[]
}

export async function open(path: string): Promise<{ original: Graph; graph: Graph }> {
  const [original] = (await readOnnx({ path })).graphs.values()
  return { original: original!, graph: await runPasses(original!, floatPasses(evaluatorOf)) }
}

/** 500 keyword inputs: real = (q − 83) · 0.58470291. */
export async function keywordSpotting(): Promise<Task> {
  const path = fixture('mlperf-tiny/kws_dscnn_float.onnx')
  const raw = new Int8Array(readFileSync(fixture('data/kws01_x_int8.bin')))
  const samples = Array.from({ length: 500 }, (_, i) =>
    Float32Array.from(raw.subarray(i * 490, (i + 1) * 490), (q) => (q - 83) * 0.58470291),
  )
  const rows = readFileSync(fixture('data/kws01_labels.csv'), 'utf8').trim().split(/\r?\n/)
  const labels = rows.map((row) => Number(row.split(',').at(-1))).filter((label) => !Number.isNaN(label))
  return { path, ...(await open(path)), samples, labels }
}

export async function digits(): Promise<Task> {
  const path = fixture('mnist/mnist_cntk.onnx')
  const images = readFileSync(fixture('data/mnist_images.idx3-ubyte'))
  const classes = readFileSync(fixture('data/mnist_labels.idx1-ubyte'))
  const samples = Array.from({ length: 500 }, (_, i) =>
    Float32Array.from(images.subarray(16 + i * 784, 16 + (i + 1) * 784)),
  )
  return { path, ...(await open(path)), samples, labels: [...classes.subarray(8, 508)] }
}

export function feedOf({ graph, samples }: Task, index: number): Map<string, Tensor> {
  const [input] = graph.inputs
  return new Map([
    [input!, { dtype: 'float32', shape: graph.values.get(input!)!.type.shape, data: samples[index]! }],
  ])
}

/** The network of the example and its test images. */
export async function exampleDigits(): Promise<Task> {
  const file = (name: string) => new URL(`../../examples/mnist/${name}`, import.meta.url).pathname
  const path = file('mnist.onnx')
  const images = readFileSync(file('test-images.idx3-ubyte'))
  const classes = readFileSync(file('test-labels.idx1-ubyte'))
  const samples = Array.from({ length: 500 }, (_, i) =>
    Float32Array.from(images.subarray(16 + i * 784, 16 + (i + 1) * 784), (pixel) => pixel / 255),
  )
  return { path, ...(await open(path)), samples, labels: [...classes.subarray(8, 508)] }
}
