import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { float32Constant } from '../../src/graph/constant.ts'
import { constantOfNumbers } from '../../src/graph/encode.ts'
import { printGraph } from '../../src/graph/print.ts'
import type { Graph, Node, Quantization, TensorType, Value } from '../../src/graph/types.ts'
import { verifyGraph } from '../../src/graph/verify.ts'
import type { DType } from '../../src/tensor.ts'

const tensor = (dtype: DType, shape: number[], quantization: Quantization | null = null): TensorType => ({
  dtype,
  shape,
  quantization,
})
const perTensor = (scale: number, zeroPoint = 0): Quantization => ({
  scales: [scale],
  zeroPoints: [zeroPoint],
  axis: null,
})

/** x → quantize → Conv with per-channel weights and int32 bias → y, all int8. */
function int8Conv(): Graph {
  const perChannel = (scales: number[]): Quantization => ({
    scales,
    zeroPoints: scales.map(() => 0),
    axis: 0,
  })
  const weights = constantOfNumbers('int8', [2, 1, 1, 1], [3, -4])
  const bias = constantOfNumbers('int32', [2], [10, 20])
  const values: Value[] = [
    { name: 'x', type: tensor('float32', [1, 1, 2, 2]), constant: null },
    { name: 'xq', type: tensor('int8', [1, 1, 2, 2], perTensor(0.5, 3)), constant: null },
    { name: 'w', type: tensor('int8', [2, 1, 1, 1], perChannel([0.1, 0.2])), constant: weights },
    { name: 'b', type: tensor('int32', [2], perChannel([0.05, 0.1])), constant: bias },
    { name: 'y', type: tensor('int8', [1, 2, 2, 2], perTensor(0.25, -1)), constant: null },
  ]
  const none = { source: null }
  const nodes: Node[] = [
    { name: 'quantize', op: { kind: 'Convert' }, inputs: ['x'], outputs: ['xq'], ...none },
    {
      name: 'conv',
      inputs: ['xq', 'w', 'b'],
      outputs: ['y'],
      ...none,
      op: {
        kind: 'Conv',
        group: 1,
        layout: 'channels-first',
        strides: [1, 1],
        dilations: [1, 1],
        padsBegin: [0, 0],
        padsEnd: [0, 0],
      },
    },
  ]
  return {
    name: 'int8',
    inputs: ['x'],
    outputs: ['y'],
    values: new Map(values.map((value) => [value.name, value])),
    nodes,
  }
}

function changed(
  change: (graph: { -readonly [K in keyof Graph]: Graph[K] } & { values: Map<string, Value> }) => void,
): Graph {
  const graph = int8Conv()
  const copy = { ...graph, values: new Map(graph.values) }
  change(copy)
  return copy
}

function retyped(name: string, type: Partial<TensorType>): Graph {
  return changed(({ values }) => {
    const value = values.get(name)!
    values.set(name, { ...value, type: { ...value.type, ...type } })
  })
}

test('a typed int8 convolution holds together', () => verifyGraph(int8Conv()))

const hazards: [string, Graph, RegExp][] = [
  [
    'a name that is no value',
    changed((g) => g.values.delete('b')),
    /node "conv" uses "b", which is no value/,
  ],
  [
    'a use before its node',
    changed((g) => {
      g.nodes = g.nodes.toReversed()
    }),
    /node "conv" uses "xq", which nothing before it makes/,
  ],
  [
    'a value made twice',
    changed((g) => {
      g.nodes = [g.nodes[0]!, ...g.nodes]
    }),
    /"xq" is made twice/,
  ],
  [
    'a node that makes a constant',
    changed(({ values }) => {
      values.set('xq', {
        ...values.get('xq')!,
        constant: constantOfNumbers('int8', [1, 1, 2, 2], [1, 2, 3, 4]),
      })
    }),
    /node "quantize" makes "xq", which is a constant/,
  ],
  [
    'an output that nothing makes',
    changed((g) => {
      g.nodes = g.nodes.slice(0, 1)
    }),
    /the list of outputs uses "y"/,
  ],
  [
    'no output at all',
    changed((g) => {
      g.outputs = []
    }),
    /has no output/,
  ],
  [
    'another shape than inference gives',
    retyped('y', { shape: [1, 2, 2, 3] }),
    /makes "y" as float32\[1,2,2,2\]/,
  ],
  [
    'an element type that inference does not give',
    retyped('y', { dtype: 'int64', quantization: null }),
    /makes "y" as float32/,
  ],
  ['a constant of another type', retyped('w', { dtype: 'uint8' }), /constant "w" is not of its value's type/],
  ['a scale of zero', retyped('y', { quantization: perTensor(0) }), /scale of "y" is not a positive float32/],
  ['a scale that float32 cannot hold', retyped('y', { quantization: perTensor(1e-50) }), /scale of "y"/],
  ['an infinite scale', retyped('y', { quantization: perTensor(Infinity) }), /scale of "y"/],
  ['a NaN scale', retyped('y', { quantization: perTensor(Number.NaN) }), /scale of "y"/],
  [
    'a zero point outside its type',
    retyped('y', { quantization: perTensor(1, 128) }),
    /zero point of "y" is outside int8/,
  ],
  [
    'scales that do not match the axis',
    retyped('w', { quantization: { scales: [1, 1, 1], zeroPoints: [0, 0, 0], axis: 0 } }),
    /"w" needs 2 scales/,
  ],
  [
    'an axis outside the shape',
    retyped('w', { quantization: { scales: [1], zeroPoints: [0], axis: 4 } }),
    /axis 4 of "w" is outside/,
  ],
  ['quantized floats', retyped('xq', { dtype: 'float32' }), /quantized as float32/],
  [
    'an 8-bit bias',
    changed(({ values }) => {
      values.set('b', {
        name: 'b',
        type: tensor('int8', [2], perTensor(1)),
        constant: constantOfNumbers('int8', [2], [1, 2]),
      })
    }),
    /quantized bias "b" of node "conv" is not int32/,
  ],
  [
    'a conversion between floats',
    retyped('xq', { dtype: 'float32', quantization: null }),
    /converts between two values that are not quantized/,
  ],
]
for (const [hazard, graph, message] of hazards) {
  test(`finds ${hazard}`, () => {
    assert.throws(
      () => verifyGraph(graph),
      (error) => {
        assert.ok(error instanceof EdgewrightError && error.code === 'GRAPH_INVALID', String(error))
        assert.match(error.message, message)
        return true
      },
    )
  })
}

test('a graph prints one line a node, with shapes, element types and quantization', () => {
  assert.equal(
    printGraph(int8Conv()),
    [
      'graph int8(%x: float32[1,1,2,2]) {',
      '  %xq: int8[1,1,2,2] q(0.5, 3) = Convert(%x)',
      '  %y: int8[1,2,2,2] q(0.25, -1) = Conv(%xq, @w: int8[2,1,1,1] q(axis 0, 2 scales 0.1…0.2, 0), @b: int32[2] q(axis 0, 2 scales 0.05…0.1, 0)) {group: 1, strides: [1,1], dilations: [1,1], padsBegin: [0,0], padsEnd: [0,0]}',
      '  return %y',
      '}',
      '',
    ].join('\n'),
  )
})

test('no control character of a name reaches the printed text', () => {
  const name = 'a\u001b[2J\u202e\n\u009b"b'
  const graph: Graph = {
    name,
    inputs: [],
    outputs: [name],
    nodes: [],
    values: new Map([[name, { name, type: tensor('float32', [1]), constant: float32Constant([1], [0]) }]]),
  }
  const text = printGraph(graph)
  assert.match(text, /^[\x20-\x7e\n]*$/)
  assert.match(text, /return @"a\\u001b\[2J\\u202e\\n\\u009b\\"b"/)
})
