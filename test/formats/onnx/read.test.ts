import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { Graph } from '../../../src/graph/types.ts'
import { decodeTensor, encodeModel, type OnnxModel, type Partially } from '../../../src/formats/onnx/proto.ts'
import { readOnnx, type ReadOnnxOptions } from '../../../src/formats/onnx/read.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import { attribute, input, modelOf, node, tensor } from './model.ts'
import { runModel, testTensor } from './ort.ts'
import { assertSame, roundTrip } from './round-trip.ts'

const { ints, float, string } = attribute

async function graphOf(spec: Partially<OnnxModel>, options: ReadOnnxOptions = {}): Promise<Graph> {
  const model = await readOnnx({ bytes: encodeModel(spec) }, options)
  return [...model.graphs.values()][0]!
}

const kindsOf = (graph: Graph) =>
  graph.nodes.map(({ op }) => (op.kind === 'Opaque' ? `Opaque ${op.opType}` : op.kind))

describe('real networks are read whole', { skip: fixturesMissing }, () => {
  for (const name of ['light_squeezenet', 'light_shufflenet'])
    it(`${name} gives the ONNX project’s own output`, async () => {
      const model = await readOnnx({ path: fixture(`onnx/light/${name}.onnx`) })
      const [graph] = model.graphs.values()
      assert.deepEqual(
        kindsOf(graph!).filter((kind) => kind.startsWith('Opaque')),
        [],
      )
      const [inputName] = graph!.inputs
      const { shape } = graph!.values.get(inputName!)!.type
      // the project's runner makes all inputs of its "light" networks so
      const count = shape.reduce((a, b) => a * b, 1)
      const data = Float32Array.from({ length: count }, (_, i) => i / count)
      const results = await runModel(
        writeOnnx(graph!),
        new Map([[inputName!, { dtype: 'float32', shape, data }]]),
      )
      const want = testTensor(decodeTensor(readFileSync(fixture(`onnx/light/${name}_output_0.pb`))))
      const got = [...results.values()][0]!
      assert.deepEqual([...got.shape], [...want.shape])
      for (let i = 0; i < want.data.length; i++) {
        const [a, b] = [Number(got.data[i]), Number(want.data[i])]
        assert.ok(Math.abs(a - b) <= 1e-7 + 1e-3 * Math.abs(b), `${i}: ${a}, expected ${b}`)
      }
    })

  for (const name of ['mlperf-tiny/kws_dscnn_float.onnx', 'mnist/mnist_cntk.onnx'])
    it(`${name} gives the same numbers as the file itself`, async () => {
      const bytes = readFileSync(fixture(name))
      const [graph] = (await readOnnx({ bytes })).graphs.values()
      const { shape } = graph!.values.get(graph!.inputs[0]!)!.type
      const data = Float32Array.from(
        { length: shape.reduce((a, b) => a * b, 1) },
        (_, i) => ((i * 7919) % 255) / 10,
      )
      const feeds = new Map([[graph!.inputs[0]!, { dtype: 'float32' as const, shape, data }]])
      assertSame({ before: await runModel(bytes, feeds), after: await runModel(writeOnnx(graph!), feeds) })
    })
})

describe('names of inputs and outputs stay', () => {
  it('an output behind Identity and Dropout keeps its name and costs nothing', async () => {
    const graph = await graphOf(
      modelOf({
        inputs: [input('x', 'float32', [2])],
        nodes: [node('Relu', ['x'], ['a']), node('Identity', ['a'], ['b']), node('Dropout', ['b'], ['y'])],
        outputs: ['y'],
      }),
    )
    assert.deepEqual([kindsOf(graph), graph.outputs], [['Relu'], ['y']])
  })

  it('an output that is an input, a constant, or another output', async () => {
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', [2])],
        nodes: [
          node('Identity', ['x'], ['copy']),
          node('Relu', ['x'], ['a']),
          node('Identity', ['a'], ['b']),
          node('Constant', [], ['c'], attribute.tensor('value', tensor('', 'float32', [2], [1, 2]))),
          node('Identity', ['c'], ['d']),
        ],
        outputs: ['copy', 'a', 'b', 'c', 'd'],
      }),
    )
    assertSame(result)
    assert.deepEqual(result.graph.outputs, ['copy', 'a', 'b', 'c', 'd'])
  })
})

describe('functions of the model are put in place', () => {
  it('with attributes handed down, defaults, and a call inside a call', async () => {
    const spec = modelOf({
      inputs: [input('x', 'float32', [2, 3])],
      nodes: [
        node('Outer', ['x'], ['a'], { domain: 'own' }, float('slope', 0.5)),
        node('Outer', ['a'], ['y'], { domain: 'own' }),
      ],
      outputs: ['y'],
      domains: { own: 1 },
    })
    const inner = {
      name: 'Inner',
      domain: 'own',
      input: ['v'],
      output: ['r'],
      attribute: ['alpha'],
      opsetImport: [{ domain: '', version: 17 }],
      node: [
        { ...node('LeakyRelu', ['v'], ['t']), attribute: [{ name: 'alpha', refAttrName: 'alpha', type: 1 }] },
        node('Neg', ['t'], ['r']),
      ],
    }
    const outer = {
      name: 'Outer',
      domain: 'own',
      input: ['v'],
      output: ['r'],
      attributeProto: [float('slope', 0.25)],
      opsetImport: [
        { domain: '', version: 17 },
        { domain: 'own', version: 1 },
      ],
      node: [
        {
          ...node('Inner', ['v'], ['t'], { domain: 'own' }),
          attribute: [{ name: 'alpha', refAttrName: 'slope', type: 1 }],
        },
        node('Add', ['t', 'v'], ['r']),
      ],
    }
    const result = await roundTrip({ ...spec, functions: [inner, outer] })
    assertSame(result)
    assert.deepEqual(
      result.graph.nodes.flatMap(({ op }) => (op.kind === 'LeakyRelu' ? [op.alpha] : [])),
      [0.5, 0.25],
    )
  })
})

describe('constants of every form', () => {
  it('are read, those that only ONNX can hold as operators', async () => {
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', [2])],
        nodes: [
          node('Constant', [], ['a'], float('value_float', 1.5)),
          node('Constant', [], ['b'], attribute.floats('value_floats', [1, 2])),
          node('Constant', [], ['c'], ints('value_ints', [2])),
          node('ConstantOfShape', ['c'], ['d'], attribute.tensor('value', tensor('', 'float32', [1], [7]))),
          node('Constant', [], ['t'], string('value_string', 'text')),
          node('Sum', ['x', 'a', 'b', 'd'], ['y']),
          node('Identity', ['t'], ['s']),
        ],
        outputs: ['y', 's'],
      }),
    )
    assert.deepEqual(result.after.get('s')!.data, ['text'])
    assert.deepEqual([...result.after.get('y')!.data], [...result.before.get('y')!.data])
    assert.equal(result.kinds.filter((kind) => kind === 'Opaque Constant').length, 1)
  })
})
