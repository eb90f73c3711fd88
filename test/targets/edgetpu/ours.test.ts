import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { readOnnx } from '../../../src/formats/onnx/read.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { convertLayout } from '../../../src/passes/layout.ts'
import { calibrate } from '../../../src/quantize/calibrate.ts'
import { edgetpu } from '../../../targets/edgetpu/index.ts'
import { predict } from '../../../targets/edgetpu/predict.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../../fixtures.ts'
import { arm64Options, randomFeeds } from '../onnxruntime-run.ts'

const evaluatorOf = (graph: Graph) => createOnnxEvaluator(writeOnnx(convertLayout(graph, 'channels-first')))

async function read(path: string): Promise<Graph> {
  const model = path.endsWith('.onnx') ? await readOnnx({ path }) : await readTflite({ path })
  return [...model.graphs.values()][0]!
}

/** Our int8 file of a float network, read back. Ranges come from random inputs: placement does not depend on them. */
async function compiled(graph: Graph): Promise<Graph> {
  const tailored = edgetpu.tailor!(graph, arm64Options)
  const feeds = Array.from({ length: 2 }, (_, i) => randomFeeds(tailored, i + 1))
  const ranges = await calibrate(tailored, evaluatorOf, feeds, edgetpu.wantedTensors(tailored, arm64Options))
  const prepared = edgetpu.prepare(tailored, ranges, arm64Options)
  assert.equal(prepared.integerOnly, true)
  const emitted = edgetpu.emit(prepared.graph, arm64Options)
  const model = await readTflite({ bytes: emitted.files.get(emitted.model)! })
  return [...model.graphs.values()][0]!
}

const networks = [
  ['ResNet8', fixture('mlperf-tiny/ic_resnet8_float.tflite')],
  ['VWW', fixture('mlperf-tiny/vww_float.tflite')],
  ['MobileNetV1', fixture('imagenet/mobilenet_v1_0.25_224_float.tflite')],
  ['MNIST CNN', fixture('mnist/conv_fc_mnist_float.tflite')],
  ['MNIST CNN of the example', join(repositoryRoot, 'examples', 'mnist', 'mnist.onnx')],
  ['DS-CNN', fixture('mlperf-tiny/kws_dscnn_float.onnx')],
] as const

test('our int8 files are predicted to map whole, inputs and outputs included', {
  skip: fixturesMissing,
}, async (t) => {
  for (const [name, path] of networks)
    await t.test(name, async () => {
      const graph = await read(path)
      assert.deepEqual(
        edgetpu.inspect(graph, arm64Options).filter(({ placement }) => placement !== 'accelerator'),
        [],
      )
      const file = await compiled(graph)
      const { operators, cpuCount, deviceInputs, deviceOutputs } = predict(file, { assumeInt8: false })
      assert.deepEqual(
        operators.filter(({ mapped }) => !mapped).map(({ operator, reason }) => [operator.type, reason]),
        [],
      )
      assert.equal(cpuCount, 0)
      assert.ok(operators.length > 4)
      for (const { type } of [...deviceInputs, ...deviceOutputs]) assert.match(type.dtype, /^u?int8$/)
    })
})

test('float inputs and outputs, where allowed, are conversions on the CPU and nothing else is lost', {
  skip: fixturesMissing,
}, async () => {
  const graph = await read(networks[0][1])
  const options = { ...arm64Options, allow: ['float-io'] }
  const summary = edgetpu.summary!(graph, options)
  assert.equal((summary.facts.transfers as { boundaryConversions: number }).boundaryConversions, 2)
  assert.ok(summary.lines.some((line) => line.includes('2 conversions on the CPU')))
  const strict = edgetpu.summary!(graph, arm64Options)
  assert.equal((strict.facts.transfers as { boundaryConversions: number }).boundaryConversions, 0)
  assert.match(strict.lines[0]!, /^All 16 operators/)
})

test('a dynamic-range file keeps its activations in float, so nothing of it maps', {
  skip: fixturesMissing,
}, async () => {
  const rows = edgetpu.inspect(await read(fixture('mlperf-tiny/kws_dscnn_hybrid.tflite')), arm64Options)
  assert.equal(rows.length, 13)
  assert.ok(rows.every(({ placement, precision }) => placement === 'cpu' && precision === 'float'))
  assert.match(rows[0]!.reason, /input_1 is float32/)
})

test('the rows of a file carry its own operator names, indices and results', {
  skip: fixturesMissing,
}, async () => {
  const graph = await read(fixture('edgetpu/2021/deeplabv3_mnv2_dm05_pascal_quant.tflite'))
  const rows = edgetpu.inspect(graph, arm64Options)
  assert.deepEqual(
    rows.map(({ index }) => index),
    Array.from({ length: 72 }, (_, i) => i),
  )
  const [resize] = rows.filter(({ placement }) => placement === 'cpu')
  assert.deepEqual(
    [resize!.index, resize!.sourceOp, resize!.outputs, resize!.basis],
    [64, 'RESIZE_BILINEAR', ['ResizeBilinear'], 'observed'],
  )
  assert.equal(rows[71]!.sourceOp, 'ARG_MAX')
  assert.doesNotThrow(() => JSON.stringify([rows, edgetpu.summary!(graph, arm64Options)]))
})
