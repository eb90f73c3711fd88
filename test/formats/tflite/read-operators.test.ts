import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLitertEvaluator } from '../../../src/execute/litert.ts'
import { randomTensor } from '../../../src/execute/random.ts'
import { operatorName } from '../../../src/formats/tflite/operators.ts'
import { decodeModel } from '../../../src/formats/tflite/schema.ts'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { writeTflite } from '../../../src/formats/tflite/write.ts'
import { constantOfNumbers } from '../../../src/graph/encode.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { bytesOf } from '../../../src/tensor.ts'
import { fed, floats, int32, int32s, type RawOperator, rawModel } from './raw-model.ts'

const slice = (values: Readonly<Record<string, unknown>>) =>
  ({ name: 'StridedSliceOptions', values }) as const

/** Forms that no file of the fixtures has: [what it is, the operator, the kinds it is read as]. */
const cases: readonly (readonly [string, RawOperator, readonly string[]])[] = [
  [
    'a slice that drops an axis and keeps the rest with an ellipsis',
    {
      opType: 'STRIDED_SLICE',
      version: 6,
      options: slice({ ellipsisMask: 2, shrinkAxisMask: 1 }),
      operands: [fed(3, 4, 5), int32s(1, 0, 1), int32s(2, 0, 4), int32s(1, 1, 2)],
      results: [fed(4, 2)],
    },
    ['Slice', 'Reshape'],
  ],
  [
    'a slice with an axis put in and open ends',
    {
      opType: 'STRIDED_SLICE',
      version: 6,
      options: slice({ newAxisMask: 1, beginMask: 2, endMask: 2 }),
      operands: [fed(3, 4), int32s(0, 2), int32s(0, 1), int32s(1, 2)],
      results: [fed(1, 2, 4)],
    },
    ['Slice', 'Reshape'],
  ],
  [
    'a slice that runs backwards to the first element',
    {
      opType: 'STRIDED_SLICE',
      options: slice({ endMask: 1 }),
      operands: [fed(5, 2), int32s(-2, 0), int32s(0, 2), int32s(-1, 1)],
      results: [fed(4, 2)],
    },
    ['Slice'],
  ],
  [
    'a product with both sides transposed',
    {
      opType: 'BATCH_MATMUL',
      options: { name: 'BatchMatMulOptions', values: { adjX: true, adjY: true } },
      operands: [fed(2, 4, 3), fed(2, 5, 4)],
      results: [fed(2, 3, 5)],
    },
    ['Transpose', 'Transpose', 'MatMul'],
  ],
  [
    'a choice of rows by a condition of one dimension',
    {
      opType: 'SELECT',
      operands: [{ dtype: 'bool', shape: [3] }, fed(3, 2), fed(3, 2)],
      results: [fed(3, 2)],
    },
    ['Reshape', 'Where'],
  ],
  [
    'a split into sizes one of which is open',
    {
      opType: 'SPLIT_V',
      options: { name: 'SplitVOptions', values: { numSplits: 3 } },
      operands: [fed(2, 7), int32s(1, -1, 2), int32(-1)],
      results: [fed(2, 1), fed(2, 4), fed(2, 2)],
    },
    ['Split'],
  ],
  [
    'a transposed convolution with SAME padding',
    {
      opType: 'TRANSPOSE_CONV',
      options: { name: 'TransposeConvOptions', values: { padding: 0, strideH: 2, strideW: 2 } },
      operands: [int32s(1, 7, 8, 3), floats(3, 3, 3, 2), fed(1, 4, 4, 2)],
      results: [fed(1, 7, 8, 3)],
    },
    ['ConvTranspose'],
  ],
  [
    'a dilated depthwise convolution with several outputs a channel',
    {
      opType: 'DEPTHWISE_CONV_2D',
      version: 2,
      options: {
        name: 'DepthwiseConv2DOptions',
        values: {
          padding: 0,
          strideH: 1,
          strideW: 1,
          dilationH: 2,
          dilationW: 2,
          depthMultiplier: 2,
          activation: 3,
        },
      },
      operands: [fed(1, 6, 5, 3), floats(1, 3, 3, 6), floats(6)],
      results: [fed(1, 6, 5, 6)],
    },
    ['Conv', 'Clip'],
  ],
  [
    'a convolution in groups',
    {
      opType: 'CONV_2D',
      version: 6,
      options: { name: 'Conv2DOptions', values: { padding: 1, strideH: 2, strideW: 1 } },
      operands: [fed(1, 6, 5, 4), floats(6, 3, 2, 2), floats(6)],
      results: [fed(1, 2, 4, 6)],
    },
    ['Conv'],
  ],
  [
    'a reduction along axes counted from the end, twice',
    {
      opType: 'REDUCE_PROD',
      options: { name: 'ReducerOptions', values: { keepDims: true } },
      operands: [fed(2, 3, 4), int32s(-1, 2)],
      results: [fed(2, 3, 1)],
    },
    ['Reduce'],
  ],
  [
    'indices of 32 bits',
    {
      opType: 'ARG_MIN',
      options: { name: 'ArgMinOptions', values: { outputType: 2 } },
      operands: [fed(2, 3, 4), int32(1)],
      results: [{ dtype: 'int32', shape: [2, 4] }],
    },
    ['ArgMin', 'Cast'],
  ],
  [
    'blocks put side by side',
    {
      opType: 'DEPTH_TO_SPACE',
      options: { name: 'DepthToSpaceOptions', values: { blockSize: 2 } },
      operands: [fed(1, 2, 3, 8)],
      results: [fed(1, 4, 6, 2)],
    },
    ['DepthToSpace'],
  ],
  [
    'a softmax that is sharper than ours, verbatim',
    {
      opType: 'SOFTMAX',
      options: { name: 'SoftmaxOptions', values: { beta: 2 } },
      operands: [fed(2, 5)],
      results: [fed(2, 5)],
    },
    ['Opaque'],
  ],
  [
    'an operator that is not ours, verbatim',
    { opType: 'REVERSE_V2', operands: [fed(2, 3, 4), int32s(1)], results: [fed(2, 3, 4)] },
    ['Opaque'],
  ],
  [
    'pixels that are repeated, from their corners and from their centres',
    {
      opType: 'RESIZE_NEAREST_NEIGHBOR',
      version: 3,
      options: { name: 'ResizeNearestNeighborOptions', values: { halfPixelCenters: true } },
      operands: [fed(1, 3, 4, 2), int32s(5, 9)],
      results: [fed(1, 5, 9, 2)],
    },
    ['Resize'],
  ],
]

describe('an operator of a file', () => {
  for (const [what, operator, kinds] of cases)
    it(`means the same when it is written again: ${what}`, async () => {
      const bytes = rawModel(operator)
      const [graph] = (await readTflite({ bytes })).graphs.values()
      verifyGraph(graph!)
      assert.deepEqual(
        graph!.nodes.map(({ op }) => op.kind),
        kinds,
      )
      const [original, written] = [
        await createLitertEvaluator(bytes),
        await createLitertEvaluator(writeTflite(graph!)),
      ]
      const feeds = new Map(original.inputs.map((input) => [input.name, randomTensor(input)]))
      const [expected, actual] = [await original.run(feeds), await written.run(feeds)]
      assert.deepEqual([...actual.keys()], [...expected.keys()])
      for (const [name, { data }] of expected)
        assert.deepEqual(bytesOf(actual.get(name)!.data), bytesOf(data), name)
    })

  it('that unpacks weights of 16-bit floats keeps them so', async () => {
    const constant = constantOfNumbers('float16', [3], [0.5, -1.25, 3])
    const operands = [{ dtype: 'float16', shape: [3], constant } as const]
    const bytes = rawModel({ opType: 'DEQUANTIZE', version: 3, operands, results: [fed(3)] })
    const [graph] = (await readTflite({ bytes })).graphs.values()
    verifyGraph(graph!)
    assert.deepEqual(
      graph!.nodes.map(({ op }) => op.kind),
      ['Cast'],
    )
    const written = decodeModel(writeTflite(graph!), 'the file')
    assert.deepEqual(
      written.operatorCodes!.map(({ builtinCode, version }) => [operatorName(builtinCode), version]),
      [['DEQUANTIZE', 3]],
    )
    assert.deepEqual(written.buffers![1]!.data, constant.bytes())
  })
})
