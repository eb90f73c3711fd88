import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { EdgewrightError } from '../../../src/error.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { encodeModel, type OnnxModel, type Partially } from '../../../src/formats/onnx/proto.ts'
import { readOnnx, type ReadOnnxOptions } from '../../../src/formats/onnx/read.ts'
import { input, modelOf, node, tensor } from './model.ts'

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
