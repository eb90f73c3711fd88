import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../../src/graph/ops.ts'
import { predict, statusTable } from '../../../targets/edgetpu/predict.ts'
import { FileGraph, opaque, resize } from './file-graph.ts'

const convert: Op = { kind: 'Convert' }
const add: Op = { kind: 'Binary', fn: 'Add' }
const fileTypes = { assumeInt8: false }

test('float inputs and outputs leave QUANTIZE and DEQUANTIZE on the CPU and lose nothing between (f0cal/google-coral#20)', () => {
  const file = new FileGraph()
  const [x] = file.operator('QUANTIZE', convert, [file.input('image', [1, 8, 8, 3], 'float32')], {
    shape: [1, 8, 8, 3],
  })
  const sum = file.operator('ADD', add, [file.conv(x!, 4), file.conv(x!, 4)], { shape: [1, 8, 8, 4] })[0]!
  const [out] = file.operator('DEQUANTIZE', convert, [sum], { shape: [1, 8, 8, 4], dtype: 'float32' })
  const prediction = predict(file.finish(out!), fileTypes)
  assert.equal(
    statusTable(prediction),
    [
      'Operator                       Count      Status',
      '',
      'QUANTIZE                       1          Operation is otherwise supported, but not mapped due to some unspecified limitation',
      'CONV_2D                        2          Mapped to Edge TPU',
      'ADD                            1          Mapped to Edge TPU',
      'DEQUANTIZE                     1          Operation is working on an unsupported data type',
    ].join('\n'),
  )
  assert.equal(prediction.subgraphs, 1)
  assert.deepEqual(
    prediction.deviceInputs.map(({ name }) => name),
    [x],
  )
  assert.deepEqual(
    prediction.cutPoints.map(({ operator, lost }) => [operator.type, lost.length]),
    [['DEQUANTIZE', 0]],
  )
})

test('a detector keeps its two DEQUANTIZE and its post-processing on the CPU, and maps the rest (AxisCommunications/acap3-examples#47)', () => {
  const file = new FileGraph()
  const features = file.conv(file.input('image', [1, 8, 8, 3], 'uint8'), 12)
  const boxes = file.operator('RESHAPE', { kind: 'Reshape', shape: [1, 64, 4] }, [file.conv(features, 4)], {
    shape: [1, 64, 4],
  })[0]!
  const classes = file.operator('RESHAPE', { kind: 'Reshape', shape: [1, 64, 2] }, [file.conv(features, 2)], {
    shape: [1, 64, 2],
  })[0]!
  const scores = file.operator('LOGISTIC', { kind: 'Sigmoid' }, [classes], { shape: [1, 64, 2] })[0]!
  const real = [boxes, scores].map(
    (name, i) =>
      file.operator('DEQUANTIZE', convert, [name], { shape: [1, 64, i ? 2 : 4], dtype: 'float32' })[0]!,
  )
  const found = file.operator(
    'TFLite_Detection_PostProcess',
    opaque('TFLite_Detection_PostProcess'),
    [...real, file.constant([64, 4], 'float32')],
    { shape: [1, 10, 4], dtype: 'float32' },
  )
  const prediction = predict(file.finish(...found), fileTypes)
  assert.deepEqual(
    prediction.operators.filter(({ mapped }) => !mapped).map(({ operator }) => operator.type),
    ['DEQUANTIZE', 'DEQUANTIZE', 'TFLite_Detection_PostProcess'],
  )
  assert.match(
    statusTable(prediction),
    /^CUSTOM {25}1 {10}Operation is working on an unsupported data type$/m,
  )
  assert.equal(prediction.mappedCount, 6)
  assert.deepEqual(
    prediction.deviceOutputs.map(({ name }) => name),
    [boxes, scores],
  )
})

test('a branch that does not need the operator left out is mapped, wherever the file has it', () => {
  const file = new FileGraph()
  const x = file.conv(file.input('x', [1, 8, 8, 3]), 4)
  const [left] = file.operator('GELU', { kind: 'Gelu', approximate: 'none' }, [x], { shape: [1, 8, 8, 4] })
  const behind = file.conv(left!, 4)
  const beside = file.conv(x, 4)
  const [sum] = file.operator('ADD', add, [behind, beside], { shape: [1, 8, 8, 4] })
  const prediction = predict(file.finish(sum!), fileTypes)
  assert.deepEqual(
    prediction.operators.map(({ operator, mapped }) => [operator.type, mapped]),
    [
      ['CONV_2D', true],
      ['GELU', false],
      ['CONV_2D', false],
      ['CONV_2D', true],
      ['ADD', false],
    ],
  )
  assert.deepEqual(
    prediction.deviceOutputs.map(({ name }) => name),
    [x, beside],
  )
  const [cut] = prediction.cutPoints
  assert.deepEqual(
    cut!.lost.map(({ type }) => type),
    ['CONV_2D', 'ADD'],
  )
  assert.deepEqual(
    cut!.tensors.map(({ name }) => name),
    [x, beside],
  )
  assert.equal(prediction.possibleSubgraphs, 2)
  assert.match(prediction.operators[4]!.reason, /GELU \(operator 1\)/)
})

test('where the first operator that is ready cannot be mapped, the Edge TPU part begins behind it', () => {
  const file = new FileGraph()
  const x = file.input('x', [1, 8, 8, 4])
  const [gelu] = file.operator('GELU', { kind: 'Gelu', approximate: 'none' }, [x], { shape: [1, 8, 8, 4] })
  const first = file.conv(x, 4)
  const [sum] = file.operator('ADD', add, [first, gelu!], { shape: [1, 8, 8, 4] })
  const [end] = file.operator('ELU', { kind: 'Elu', alpha: 1 }, [sum!], { shape: [1, 8, 8, 4] })
  const prediction = predict(file.finish(end!), fileTypes)
  assert.deepEqual(
    prediction.operators.map(({ mapped }) => mapped),
    [false, true, true, false],
  )
  assert.deepEqual(prediction.deviceInputs.map(({ name }) => name).sort(), [gelu, x].sort())
  assert.deepEqual(
    prediction.cutPoints.map(({ operator }) => operator.type),
    ['ELU'],
  )
})

test('a batch that was bound to more than 1 maps nothing', () => {
  const file = new FileGraph()
  const prediction = predict(
    file.finish(file.conv(file.conv(file.input('x', [4, 8, 8, 3]), 4), 2)),
    fileTypes,
  )
  assert.equal(prediction.mappedCount, 0)
  assert.equal(prediction.subgraphs, 0)
  assert.equal(
    prediction.operators[0]!.status,
    'Tensor has unsupported rank (up to 3 innermost dimensions mapped)',
  )
})

test('several cuts each carry what is lost behind them, once', () => {
  const file = new FileGraph()
  const x = file.conv(file.input('x', [1, 4, 4, 3]), 4)
  const branches = [1, 2].map(() => {
    const [elu] = file.operator('ELU', { kind: 'Elu', alpha: 1 }, [x], { shape: [1, 4, 4, 4] })
    return file.conv(elu!, 4)
  })
  const [sum] = file.operator('ADD', add, branches, { shape: [1, 4, 4, 4] })
  const [big] = file.operator('RESIZE_BILINEAR', resize('linear', [1, 2048, 2048, 4]), [sum!], {
    shape: [1, 2048, 2048, 4],
  })
  const { cutPoints, cpuCount } = predict(file.finish(big!), fileTypes)
  assert.deepEqual(
    cutPoints.map(({ operator, lost }) => [operator.index, lost.map(({ index }) => index)]),
    [
      [1, [2, 5]],
      [3, [4]],
    ],
  )
  assert.equal(cpuCount, 6)
})

test('ten thousand operators in a row are placed in a moment', () => {
  const file = new FileGraph()
  let x = file.input('x', [1, 2, 2, 2])
  for (let i = 0; i < 10_000; i++) x = file.operator('ADD', add, [x, x], { shape: [1, 2, 2, 2] })[0]!
  const graph = file.finish(x)
  const started = performance.now()
  assert.equal(predict(graph, fileTypes).mappedCount, 10_000)
  assert.ok(performance.now() - started < 2000)
})
