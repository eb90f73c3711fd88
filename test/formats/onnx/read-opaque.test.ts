import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { EdgewrightError } from '../../../src/error.ts'
import type { Opaque } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { encodeModel, type OnnxModel, type Partially } from '../../../src/formats/onnx/proto.ts'
import { readOnnx, type ReadOnnxOptions } from '../../../src/formats/onnx/read.ts'
import { attribute, input, modelOf, node, tensor } from './model.ts'
import { inferOpaque } from './ort.ts'
import { assertSame, roundTrip } from './round-trip.ts'

const { int, graph: graphAttribute } = attribute

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
      {
        inferOpaque: (bytes, names) => {
          runs++
          return inferOpaque(bytes, names)
        },
      },
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
