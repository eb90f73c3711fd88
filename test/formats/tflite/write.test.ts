import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { decodeModel, type TfliteModel } from '../../../src/formats/tflite/schema.ts'
import { operatorName } from '../../../src/formats/tflite/operators.ts'
import { writeTflite } from '../../../src/formats/tflite/write.ts'
import { constantOf, float32Constant } from '../../../src/graph/constant.ts'
import { GraphEditor } from '../../../src/graph/edit.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph, Quantization, TensorType } from '../../../src/graph/types.ts'
import type { DType } from '../../../src/tensor.ts'
import { repositoryRoot } from '../../fixtures.ts'
import { writeAndCompare, type Written, writtenCases } from './on-both-runtimes.ts'
import { operatorTable } from './operator-table.ts'

const last = { layout: 'channels-last' } as const
const window = { strides: [1, 1], dilations: [1, 1], padsBegin: [1, 1], padsEnd: [1, 1] } as const

describe('a written operator', () => {
  const results: Written[] = []
  for (const [i, one] of writtenCases.entries())
    it(`computes on LiteRT what it does on ONNX Runtime, or is refused by name: ${one[0].kind} (${i})`, async () => {
      const result = await writeAndCompare(one)
      results.push(result)
      assert.notEqual(result.outcome, 'different', `apart by ${result.difference}`)
      if (result.outcome === 'refused')
        assert.match(result.reason, /^TensorFlow Lite has no operator for .+\.$/)
    })

  it('is refused for few kinds only', () => {
    const refused = results.filter(({ outcome }) => outcome === 'refused').map(({ operator }) => operator)
    assert.deepEqual([...new Set(refused)].toSorted(), ['ArgMax', 'ConvTranspose', 'Resize', 'Unary Erf'])
  })

  it('is what docs/tflite-operators.md says', () => {
    const written = readFileSync(join(repositoryRoot, 'docs', 'tflite-operators.md'), 'utf8')
    assert.equal(
      operatorTable(results),
      written,
      'docs/tflite-operators.md is stale: run `npm run docs:tflite`',
    )
  })
})

function perTensor(scale: number, zeroPoint = 0): Quantization {
  return { scales: [scale], zeroPoints: [zeroPoint], axis: null }
}

/** x → Conv 3×3 → Relu, of one kind of activations and weights. */
function convolution(activations: TensorType, weights: DType | null, perChannel = false): Graph {
  const editor = GraphEditor.empty('g')
  editor.addInput('x', activations)
  const shape = [4, 2, 3, 3]
  const scales = perChannel ? [0.1, 0.2, 0.3, 0.4] : [0.1]
  const w = weights
    ? editor.addConstant(
        'w',
        constantOf(
          'int8',
          shape,
          Int8Array.from({ length: 72 }, (_, i) => (i * 7) % 100),
        ),
        {
          scales,
          zeroPoints: scales.map(() => 0),
          axis: perChannel ? 0 : null,
        },
      )
    : editor.addConstant(
        'w',
        float32Constant(
          shape,
          Array.from({ length: 72 }, (_, i) => i / 72),
        ),
      )
  const y = { ...activations, shape: [1, 5, 5, 4] }
  const conv = { kind: 'Conv', group: 1, ...window, ...last } as const
  editor.addNode({ name: 'conv', op: conv, inputs: ['x', w], outputs: [{ name: 'linear', type: y }] })
  editor.addNode({
    name: 'relu',
    op: { kind: 'Relu' },
    inputs: ['linear'],
    outputs: [{ name: 'y', type: y }],
  })
  editor.outputs = ['y']
  return editor.finish()
}

const real: TensorType = { dtype: 'float32', shape: [1, 5, 5, 2], quantization: null }
const int8: TensorType = { dtype: 'int8', shape: [1, 5, 5, 2], quantization: perTensor(0.05, -3) }
const int16: TensorType = { dtype: 'int16', shape: [1, 5, 5, 2], quantization: perTensor(0.001) }

function decoded(graph: Graph, options?: Parameters<typeof writeTflite>[1]): TfliteModel {
  return decodeModel(writeTflite(graph, options), 'the file')
}

function codesOf(model: TfliteModel): string[] {
  return model.operatorCodes!.map(({ builtinCode, version }) => `${operatorName(builtinCode)} ${version}`)
}

describe('a written file', () => {
  it('has operators in the version that their types need, the activation fused', () => {
    assert.deepEqual(codesOf(decoded(convolution(real, null))), ['CONV_2D 1'])
    assert.deepEqual(codesOf(decoded(convolution(int8, 'int8'))), ['CONV_2D 3'])
    assert.deepEqual(codesOf(decoded(convolution(int16, 'int8'))), ['CONV_2D 4'])
    assert.deepEqual(codesOf(decoded(convolution(real, 'int8'))), ['CONV_2D 2'])
    assert.deepEqual(codesOf(decoded(convolution(real, 'int8', true))), ['CONV_2D 5'])
  })

  it('says from which runtime on it runs', () => {
    const model = decoded(convolution(real, 'int8', true))
    const { buffer } = model.metadata!.find(({ name }) => name === 'min_runtime_version')!
    const bytes = model.buffers![buffer]!.data!
    assert.equal(bytes.byteLength, 16)
    assert.equal(Buffer.from(bytes).toString('latin1').replace(/\0+$/, ''), '2.4.0')
  })

  it('keeps weights as [out, height, width, in], scales along their first axis', () => {
    const tensors = decoded(convolution(int8, 'int8', true)).subgraphs![0]!.tensors!
    const w = tensors.find(({ name }) => name === 'w')!
    assert.deepEqual(w.shape, [4, 3, 3, 2])
    assert.equal(w.quantization!.quantizedDimension, 0)
    assert.equal(w.quantization!.scale!.length, 4)
  })

  it('gives a convolution of integers the bias that its kernel wants: zeros in 32 bits, in 64 beside 16', () => {
    for (const [type, dtype, width] of [
      [int8, 2, 4],
      [int16, 4, 8],
    ] as const) {
      const model = decoded(convolution(type, 'int8'))
      const bias = model.subgraphs![0]!.tensors!.find(({ name }) => name?.endsWith('no_bias'))!
      assert.equal(bias.type, dtype)
      assert.deepEqual(bias.quantization!.scale, [Math.fround(type.quantization!.scales[0]! * 0.1)])
      assert.deepEqual(model.buffers![bias.buffer]!.data, new Uint8Array(4 * width))
    }
  })

  it('has its constants on multiples of 16 bytes, equal ones once', () => {
    const editor = GraphEditor.empty('g')
    editor.addInput('x', { dtype: 'float32', shape: [3], quantization: null })
    const numbers = () => float32Constant([3], [1, 2, 3])
    const [a, b] = [editor.addConstant('a', numbers()), editor.addConstant('b', numbers())]
    const type: TensorType = { dtype: 'float32', shape: [3], quantization: null }
    const add: Op = { kind: 'Binary', fn: 'Add' }
    editor.addNode({ name: 'n', op: add, inputs: ['x', a], outputs: [{ name: 'y', type }] })
    editor.addNode({ name: 'm', op: add, inputs: ['y', b], outputs: [{ name: 'z', type }] })
    editor.outputs = ['z']
    const bytes = writeTflite(editor.finish())
    const model = decodeModel(bytes, 'the file')
    const of = (wanted: string) => model.subgraphs![0]!.tensors!.find(({ name }) => name === wanted)!.buffer
    assert.equal(of('a'), of('b'))
    for (const { data } of model.buffers!)
      if (data) assert.equal((data.byteOffset - bytes.byteOffset) % 16, 0)
  })

  it('has a signature of the graph’s names, or of those that are given', () => {
    const [own] = decoded(convolution(real, null)).signatureDefs!
    assert.deepEqual(
      [own!.signatureKey, own!.inputs![0]!.name, own!.outputs![0]!.name],
      ['serving_default', 'x', 'y'],
    )
    const signature = { name: 'predict', inputs: { x: 'picture' }, outputs: { y: 'scores' } }
    const [given] = decoded(convolution(real, null), { signature }).signatureDefs!
    assert.deepEqual(
      [given!.signatureKey, given!.inputs![0]!.name, given!.outputs![0]!.name],
      ['predict', 'picture', 'scores'],
    )
    assert.equal(decoded(convolution(real, null), { signature: null }).signatureDefs, null)
  })

  it('keeps records of other programs, and its own word on the runtime', async () => {
    const records = new Map([
      ['TFLITE_METADATA', Uint8Array.of(1, 2, 3)],
      ['min_runtime_version', new Uint8Array(16)],
    ])
    const model = await readTflite({ bytes: writeTflite(convolution(real, null), { records }) })
    assert.deepEqual(model.extras!.records.get('TFLITE_METADATA'), Uint8Array.of(1, 2, 3))
    assert.equal(model.metadata.minimumRuntimeVersion, '1.5.0')
  })
})

describe('a graph that the format cannot hold', () => {
  it('is refused where it is channels first, with the pass that must run', () => {
    const graph = convolution(real, null)
    const nodes = graph.nodes.map((node) =>
      'layout' in node.op ? { ...node, op: { ...node.op, layout: 'channels-first' } as Op } : node,
    )
    assert.throws(() => writeTflite({ ...graph, nodes }), { code: 'GRAPH_INVALID', where: 'conv' })
  })

  it('is refused by name where it carries an operator of ONNX', () => {
    const editor = GraphEditor.empty('g')
    editor.addInput('x', real)
    const op: Op = {
      kind: 'Opaque',
      format: 'onnx',
      domain: '',
      opType: 'NonMaxSuppression',
      opset: 17,
      payload: new Uint8Array(),
      captures: [],
    }
    editor.addNode({ name: 'nms', op, inputs: ['x'], outputs: [{ name: 'y', type: real }] })
    editor.outputs = ['y']
    assert.throws(() => writeTflite(editor.finish()), { code: 'OPERATOR_UNSUPPORTED', where: 'nms' })
  })
})
