import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { numbersOf } from '../../../src/graph/constant.ts'
import { attribute, input, modelOf, node, tensor } from './model.ts'
import { assertSame, roundTrip } from './round-trip.ts'

const { int, ints } = attribute

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
