import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createLitertEvaluator } from '../../../src/execute/litert.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { randomTensor } from '../../../src/execute/random.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { writeTflite } from '../../../src/formats/tflite/write.ts'
import { GraphEditor } from '../../../src/graph/edit.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { convertLayout } from '../../../src/passes/layout.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'

/** Largest difference as a share of the largest value. */
export function relativeDifference(actual: Tensor, expected: Tensor): number {
  assert.deepEqual([...actual.shape], [...expected.shape])
  let [difference, most] = [0, 0]
  for (let i = 0; i < expected.data.length; i++) {
    difference = Math.max(difference, Math.abs(Number(actual.data[i]) - Number(expected.data[i])))
    most = Math.max(most, Math.abs(Number(expected.data[i])))
  }
  return most === 0 ? difference : difference / most
}

/** The graph without a softmax at its end, which would hide differences. */
function beforeSoftmax(graph: Graph): Graph {
  const [output] = graph.outputs
  const last = graph.nodes.find(({ outputs }) => outputs.includes(output!))
  if (last?.op.kind !== 'Softmax') return graph
  const editor = new GraphEditor(graph)
  editor.outputs = [last.inputs[0]!]
  return editor.finish()
}

describe('a float TensorFlow Lite file', { skip: fixturesMissing }, () => {
  for (const name of [
    'mlperf-tiny/ic_resnet8_float.tflite',
    'mlperf-tiny/vww_float.tflite',
    'mlperf-tiny/ad_float.tflite',
    'mnist/conv_fc_mnist_float.tflite',
    'imagenet/mobilenet_v1_0.25_224_float.tflite',
    'tflm/hello_world_float.tflite',
  ])
    it(`gives the same numbers as ONNX on ONNX Runtime: ${name}`, async () => {
      const [whole] = (await readTflite({ path: fixture(name) })).graphs.values()
      const graph = beforeSoftmax(whole!)
      const litert = await createLitertEvaluator(writeTflite(graph))
      const onnx = await createOnnxEvaluator(writeOnnx(convertLayout(graph, 'channels-first')))
      const feeds = new Map(litert.inputs.map((input) => [input.name, randomTensor(input)]))
      const [expected] = (await litert.run(feeds)).values()
      const [actual] = (await onnx.run(feeds)).values()
      const difference = relativeDifference(actual!, expected!)
      assert.ok(difference <= 1e-5, `max|d| / max|y| = ${difference}`)
      await onnx.close()
    })
})

describe('an integer TensorFlow Lite file', { skip: fixturesMissing }, () => {
  it('says its scales in ONNX too: outputs agree within two steps', async () => {
    const path = fixture('mlperf-tiny/ic_resnet8_int8.tflite')
    const [graph] = (await readTflite({ path })).graphs.values()
    const litert = await createLitertEvaluator(readFileSync(path))
    const onnx = await createOnnxEvaluator(writeOnnx(convertLayout(graph!, 'channels-first')), {
      optimize: 'disabled',
    })
    const feeds = new Map(litert.inputs.map((input) => [input.name, randomTensor(input)]))
    const [expected] = (await litert.run(feeds)).values()
    const [actual] = (await onnx.run(feeds)).values()
    const steps = [...expected!.data].map((value, i) => Math.abs(Number(value) - Number(actual!.data[i])))
    assert.ok(Math.max(...steps) <= 2, `steps ${steps}`)
    await onnx.close()
  })
})
