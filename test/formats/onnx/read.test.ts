import { strict as assert } from 'node:assert'
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { EdgewrightError } from '../../../src/error.ts'
import { numbersOf } from '../../../src/graph/constant.ts'
import type { Opaque } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { decodeTensor, encodeModel, type OnnxModel, type Partially } from '../../../src/formats/onnx/proto.ts'
import { readOnnx, type ReadOnnxOptions } from '../../../src/formats/onnx/read.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import { attribute, input, modelOf, node, tensor } from './model.ts'
import { inferOpaque, runModel, testTensor } from './ort.ts'
import { assertSame, roundTrip } from './round-trip.ts'

const { int, ints, float, string, graph: graphAttribute } = attribute

async function graphOf(spec: Partially<OnnxModel>, options: ReadOnnxOptions = {}): Promise<Graph> {
  const model = await readOnnx({ bytes: encodeModel(spec) }, options)
  return [...model.graphs.values()][0]!
}

async function errorOf(reading: Promise<unknown>): Promise<EdgewrightError> {
  return reading.then(
    () => assert.fail('it was read'),
    (error) => error as EdgewrightError,
  )
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

describe('shapes are bound when the file is read', () => {
  const open = (dims: (number | string | null)[]) =>
    modelOf({ inputs: [input('x', 'float32', dims)], nodes: [node('Relu', ['x'], ['y'])], outputs: ['y'] })
  const shapeOf = async (dims: (number | string | null)[], options: ReadOnnxOptions = {}) =>
    (await graphOf(open(dims), options)).values.get('y')!.type.shape

  it('an open leading dimension is the batch', async () => {
    assert.deepEqual(await shapeOf(['N', 3]), [1, 3])
    assert.deepEqual(await shapeOf([null, 3], { batch: 8 }), [8, 3])
    assert.deepEqual(await shapeOf([2, 3], { batch: 8 }), [2, 3])
  })

  it('another open dimension is asked for by name', async () => {
    const error = await errorOf(graphOf(open(['N', 3, 'height', null])))
    assert.equal(error.code, 'MODEL_SHAPE_MISSING')
    assert.match(error.message, /dimension 2 \("height"\) of input "x"/)
    assert.equal(error.hint, 'Say its shape: --shape x=1,3,224,224')
  })

  it('what the user says fills open dimensions and is kept apart from what the file says', async () => {
    const model = await readOnnx(
      { bytes: encodeModel(open(['N', 3, 'height', null])) },
      { shapes: { x: [2, 3, 5, 7] } },
    )
    assert.deepEqual([...model.graphs.values()][0]!.values.get('y')!.type.shape, [2, 3, 5, 7])
    assert.deepEqual(model.inputSignatures, [{ name: 'x', dimensions: ['N', 3, 'height', null] }])
  })

  it('what the user says must fit what the file fixes', async () => {
    for (const shape of [
      [1, 4, 5, 7],
      [1, 3, 5],
      [1, 3, -5, 7],
    ])
      assert.equal(
        (await errorOf(graphOf(open(['N', 3, 'h', null]), { shapes: { x: shape } }))).code,
        'MODEL_SHAPE_INVALID',
      )
    assert.equal((await errorOf(graphOf(open([1]), { shapes: { other: [1] } }))).code, 'MODEL_SHAPE_INVALID')
  })

  it('one symbol is one size', async () => {
    const two = modelOf({
      inputs: [input('a', 'float32', ['N', 'L']), input('b', 'float32', ['N', 'L'])],
      nodes: [node('Add', ['a', 'b'], ['y'])],
      outputs: ['y'],
    })
    assert.deepEqual((await graphOf(two, { shapes: { b: [4, 6] } })).values.get('y')!.type.shape, [4, 6])
    assert.equal(
      (await errorOf(graphOf(two, { shapes: { a: [4, 6], b: [4, 7] } }))).code,
      'MODEL_SHAPE_INVALID',
    )
  })

  it('a batch of 1 that the file wrote into a Reshape is refused for a larger batch', async () => {
    const flat = modelOf({
      inputs: [input('x', 'float32', ['N', 2, 3])],
      nodes: [node('Reshape', ['x', 's'], ['y'])],
      outputs: ['y'],
      initializers: [tensor('s', 'int64', [2], [1, -1])],
    })
    assert.deepEqual((await graphOf(flat)).values.get('y')!.type.shape, [1, 6])
    const error = await errorOf(graphOf(flat, { batch: 4 }))
    assert.equal(error.code, 'MODEL_SHAPE_INVALID')
    assert.match(error.message, /fixed batch of 1/)
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

describe('an operator that is not known is carried verbatim', () => {
  it('several in a chain, whose shapes one run tells', async () => {
    let runs = 0
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', ['N', 8])],
        nodes: [
          node('Relu', ['x'], ['a']),
          node('TopK', ['a', 'k'], ['v', 'i']),
          node('Tan', ['v'], ['t']),
          node('Sinh', ['t'], ['s']),
          node('Add', ['s', 's'], ['y']),
        ],
        outputs: ['y', 'i'],
        initializers: [tensor('k', 'int64', [1], [3])],
      }),
      { inferOpaque: (bytes, names) => (runs++, inferOpaque(bytes, names)) },
    )
    assertSame(result)
    assert.deepEqual(result.kinds, ['Relu', 'Opaque TopK', 'Opaque Tan', 'Opaque Sinh', 'Binary'])
    assert.equal(runs, 1)
    assert.deepEqual(result.graph.values.get('i')!.type, {
      dtype: 'int64',
      shape: [1, 3],
      quantization: null,
    })
  })

  it('with types that the file declares needs no run', async () => {
    const spec = modelOf({
      inputs: [input('x', 'float32', [1, 8])],
      nodes: [node('Tan', ['x'], ['t']), node('Relu', ['t'], ['y'])],
      outputs: ['y'],
      valueInfo: [input('t', 'float32', [1, 8])],
    })
    assert.deepEqual(kindsOf(await graphOf(spec)), ['Opaque Tan', 'Relu'])
  })

  it('without a run or a declaration is refused by name', async () => {
    const spec = modelOf({
      inputs: [input('x', 'float32', [1, 8])],
      nodes: [node('Tan', ['x'], ['t']), node('Relu', ['t'], ['y'])],
      outputs: ['y'],
    })
    const error = await errorOf(graphOf(spec))
    assert.deepEqual([error.code, error.where], ['OPERATOR_UNSUPPORTED', 'Tan "Tan_t"'])
  })

  it('of another domain', async () => {
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', [1, 8])],
        nodes: [node('QuickGelu', ['x'], ['t'], { domain: 'com.microsoft' }), node('Relu', ['t'], ['y'])],
        outputs: ['y'],
        domains: { 'com.microsoft': 1 },
      }),
    )
    assertSame(result)
    assert.deepEqual(result.kinds, ['Opaque QuickGelu', 'Relu'])
  })

  it('an LSTM whose first output is left out', async () => {
    const numbers = (count: number) => Array.from({ length: count }, (_, i) => ((i % 7) - 3) / 4)
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', [3, 1, 2])],
        nodes: [node('LSTM', ['x', 'w', 'r'], ['', 'h'], int('hidden_size', 2)), node('Relu', ['h'], ['y'])],
        outputs: ['y'],
        initializers: [
          tensor('w', 'float32', [1, 8, 2], numbers(16)),
          tensor('r', 'float32', [1, 8, 2], numbers(16)),
        ],
      }),
    )
    assertSame(result)
    assert.deepEqual(result.kinds, ['Opaque LSTM', 'Relu'])
  })

  it('If with branches that read outer values, one of them through an Identity', async () => {
    const branch = (name: string, nodes: ReturnType<typeof node>[]) =>
      graphAttribute(name, { name, node: nodes, output: [{ ...input(`${name}_out`, 'float32', [2]) }] })
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', [2])],
        nodes: [
          node('Identity', ['x'], ['alias']),
          node('Relu', ['x'], ['a']),
          node('ReduceSum', ['x'], ['sum'], int('keepdims', 0)),
          node('Greater', ['sum', 'zero'], ['cond']),
          node(
            'If',
            ['cond'],
            ['i'],
            branch('then_branch', [node('Add', ['a', 'w'], ['then_branch_out'])]),
            branch('else_branch', [node('Mul', ['alias', 'w'], ['else_branch_out'])]),
          ),
          node('Neg', ['i'], ['y']),
        ],
        outputs: [input('y', 'float32', [2])],
        initializers: [tensor('w', 'float32', [2], [3, 4]), tensor('zero', 'float32', [], [0])],
        valueInfo: [input('i', 'float32', [2])],
      }),
    )
    assertSame(result)
    const carried = result.graph.nodes.find(({ op }) => op.kind === 'Opaque')!
    assert.deepEqual([...(carried.op as Opaque).captures].sort(), ['a', 'alias', 'w'])
    // declared by the file: what follows is our own
    assert.ok(result.kinds.includes('Unary'), result.kinds.join())
  })

  it('NonMaxSuppression, and what follows it, whose shapes depend on the data', async () => {
    const result = await roundTrip(
      modelOf({
        inputs: [input('boxes', 'float32', [1, 6, 4]), input('scores', 'float32', [1, 1, 6])],
        nodes: [
          node('Relu', ['scores'], ['s']),
          node('NonMaxSuppression', ['boxes', 's', 'most', 'iou', 'least'], ['n']),
          node('Gather', ['n', 'two'], ['g'], int('axis', 1)),
          node('Cast', ['g'], ['y'], int('to', 6)),
        ],
        outputs: ['y'],
        initializers: [
          tensor('most', 'int64', [], [3]),
          tensor('iou', 'float32', [], [0.5]),
          tensor('least', 'float32', [], [0.01]),
          tensor('two', 'int64', [], [2]),
        ],
      }),
    )
    assertSame(result)
    assert.deepEqual(result.kinds, ['Relu', 'Opaque NonMaxSuppression', 'Opaque Gather', 'Opaque Cast'])
    assert.match(result.model.metadata.warnings ?? '', /NonMaxSuppression.*depends on the data/)
  })

  it('a Reshape to a shape that is computed from the data', async () => {
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', [2, 3]), input('s', 'int32', [1])],
        nodes: [
          node('Mul', ['s', 'zero'], ['z']),
          node('Add', ['z', 'six'], ['n']),
          node('Cast', ['n'], ['m'], int('to', 7)),
          node('Reshape', ['x', 'm'], ['y']),
        ],
        outputs: ['y'],
        initializers: [tensor('zero', 'int32', [1], [0]), tensor('six', 'int32', [1], [6])],
      }),
    )
    assertSame(result)
    assert.equal(result.kinds.at(-1), 'Opaque Reshape')
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

describe('quantization that a file already has is kept exactly', () => {
  const scale = (name: string, value: number) => tensor(name, 'float32', [], [value])
  const zero = (name: string, dtype: 'uint8' | 'int8' | 'int32', value: number) =>
    tensor(name, dtype, [], [value])

  it('Q/DQ around a convolution with weights per channel', async () => {
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', [1, 2, 3, 3])],
        nodes: [
          node('QuantizeLinear', ['x', 'xs', 'xz'], ['xq']),
          node('DequantizeLinear', ['xq', 'xs', 'xz'], ['xd']),
          node('DequantizeLinear', ['w', 'ws', 'wz'], ['wd'], int('axis', 0)),
          node('Conv', ['xd', 'wd'], ['c']),
          node('QuantizeLinear', ['c', 'xs', 'xz'], ['cq']),
          node('MaxPool', ['cq'], ['m'], ints('kernel_shape', [2, 2])),
          node('DequantizeLinear', ['m', 'xs', 'xz'], ['y']),
        ],
        outputs: ['y'],
        initializers: [
          scale('xs', 0.0234375),
          zero('xz', 'uint8', 117),
          tensor('w', 'int8', [2, 2, 1, 1], [1, -128, 127, 3]),
          tensor('ws', 'float32', [2], [0.1, 0.3]),
          tensor('wz', 'int8', [2], [0, 0]),
        ],
      }),
    )
    assertSame(result)
    assert.deepEqual(result.kinds, ['Convert', 'Convert', 'Convert', 'Conv', 'Convert', 'MaxPool', 'Convert'])
    const { graph } = result
    assert.deepEqual(graph.values.get('xq')!.type.quantization, {
      scales: [0.0234375],
      zeroPoints: [117],
      axis: null,
    })
    assert.deepEqual(graph.values.get('m')!.type, {
      dtype: 'uint8',
      shape: [1, 2, 2, 2],
      quantization: { scales: [0.0234375], zeroPoints: [117], axis: null },
    })
    const weights = [...graph.values.values()].find(({ constant }) => constant?.dtype === 'int8')!
    assert.deepEqual(numbersOf(weights.constant!), [1, -128, 127, 3])
    assert.deepEqual(weights.type.quantization, {
      scales: [Math.fround(0.1), Math.fround(0.3)],
      zeroPoints: [0, 0],
      axis: 0,
    })
  })

  it('integers at the graph’s input and output', async () => {
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'int8', [2, 3])],
        nodes: [
          node('DequantizeLinear', ['x', 's', 'z'], ['d']),
          node('Relu', ['d'], ['r']),
          node('QuantizeLinear', ['r', 's', 'z'], ['y']),
        ],
        outputs: ['y'],
        initializers: [scale('s', 0.5), zero('z', 'int8', -1)],
      }),
    )
    assertSame(result)
    assert.deepEqual(result.graph.values.get('x')!.type.quantization, {
      scales: [0.5],
      zeroPoints: [-1],
      axis: null,
    })
  })

  it('integers that something else reads as they are stay plain', async () => {
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', [1, 2, 4, 4])],
        nodes: [
          node('QuantizeLinear', ['x', 's', 'z'], ['q']),
          node('MaxPool', ['q'], ['m'], ints('kernel_shape', [2, 2])),
          node('QLinearConv', ['m', 's', 'z', 'w', 's', 'z', 's', 'z'], ['c']),
          node('DequantizeLinear', ['c', 's', 'z'], ['y']),
          node('DequantizeLinear', ['m', 's', 'z'], ['v']),
          node('Cast', ['m'], ['raw'], int('to', 6)),
        ],
        outputs: ['y', 'v', 'raw'],
        initializers: [
          scale('s', 0.125),
          zero('z', 'uint8', 128),
          tensor('w', 'uint8', [1, 2, 1, 1], [120, 140]),
        ],
      }),
    )
    assertSame(result)
    assert.deepEqual(
      result.kinds.filter((kind) => kind === 'Opaque QLinearConv'),
      ['Opaque QLinearConv'],
    )
  })

  it('a scale that is computed while the model runs is carried verbatim', async () => {
    const result = await roundTrip(
      modelOf({
        inputs: [input('x', 'float32', [2, 3])],
        nodes: [
          node('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
          node('DequantizeLinear', ['q', 's', 'z'], ['y']),
        ],
        outputs: ['y'],
      }),
    )
    assertSame(result)
    assert.deepEqual(result.kinds, ['Opaque DynamicQuantizeLinear', 'Opaque DequantizeLinear'])
  })
})

describe('external data are read from the model’s own folder only', () => {
  const root = mkdtempSync(join(tmpdir(), 'edgewright-external-'))
  after(() => rmSync(root, { recursive: true, force: true }))
  const folder = join(root, 'model')
  mkdirSync(join(folder, 'sub'), { recursive: true })
  writeFileSync(join(root, 'secret.bin'), new Uint8Array(64))
  writeFileSync(join(folder, 'sub', 'w.bin'), Buffer.from(Float32Array.of(9, 9, 1, 2, 3).buffer))
  symlinkSync(join(root, 'secret.bin'), join(folder, 'link.bin'))

  function read(entries: Record<string, string>) {
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }))
    const spec = modelOf({
      inputs: [input('x', 'float32', [3])],
      nodes: [node('Add', ['x', 'w'], ['y'])],
      outputs: ['y'],
      initializers: [{ name: 'w', dataType: 1, dims: [3], dataLocation: 1, externalData }],
    })
    writeFileSync(join(folder, 'model.onnx'), encodeModel(spec))
    return readOnnx({ path: join(folder, 'model.onnx') })
  }

  it('by offset and length', async () => {
    const model = await read({ location: 'sub/w.bin', offset: '8', length: '12' })
    assert.equal(model.externalData, true)
    const [graph] = model.graphs.values()
    assert.deepEqual(numbersOf(graph!.values.get('w')!.constant!), [1, 2, 3])
  })

  const refused: [string, Record<string, string>][] = [
    ['above the folder', { location: '../secret.bin', length: '12' }],
    ['above it by a detour', { location: 'sub/../../secret.bin', length: '12' }],
    ['by an absolute path', { location: join(root, 'secret.bin'), length: '12' }],
    ['through a link', { location: 'link.bin', length: '12' }],
    ['in a folder', { location: 'sub', length: '12' }],
    ['nowhere', { location: 'missing.bin', length: '12' }],
    ['without a name', { length: '12' }],
    ['beyond the end', { location: 'sub/w.bin', offset: '12', length: '12' }],
    ['from before the start', { location: 'sub/w.bin', offset: '-8', length: '12' }],
    ['of another length than the shape', { location: 'sub/w.bin', offset: '0', length: '16' }],
    ['of an absurd length', { location: 'sub/w.bin', offset: '0', length: '99999999999999999999' }],
  ]
  for (const [what, entries] of refused)
    it(`${what}: MODEL_EXTERNAL_DATA`, async () => {
      assert.equal((await errorOf(read(entries))).code, 'MODEL_EXTERNAL_DATA')
    })

  it('not at all where only bytes are given', async () => {
    await read({ location: 'sub/w.bin', offset: '8', length: '12' })
    assert.equal(
      (await errorOf(readOnnx({ bytes: readFileSync(join(folder, 'model.onnx')) }))).code,
      'MODEL_EXTERNAL_DATA',
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
