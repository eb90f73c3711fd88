import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { InferenceSession } from 'onnxruntime-node'
import { EdgewrightError } from '../../../src/error.ts'
import { decodeModel, encodeNode, attributeTypes } from '../../../src/formats/onnx/proto.ts'
import { writeOnnx, type WriteOptions } from '../../../src/formats/onnx/write.ts'
import { constantOfNumbers } from '../../../src/graph/encode.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph, Node, Quantization, TensorType, Value } from '../../../src/graph/types.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { type DType, elementCount } from '../../../src/tensor.ts'
import { oneOp, pseudoRandom, runGraph, runOp } from '../../graph/one-op.ts'
import { operatorCases, plain2 } from '../../graph/operator-cases.ts'

const tensor = (
  dtype: DType,
  shape: readonly number[],
  quantization: Quantization | null = null,
): TensorType => ({ dtype, shape, quantization })
const q = (scale: number, zeroPoint = 0): Quantization => ({
  scales: [scale],
  zeroPoints: [zeroPoint],
  axis: null,
})
const relu: Op = { kind: 'Relu' }
const conv: Op = {
  kind: 'Conv',
  group: 1,
  layout: 'channels-first',
  ...plain2,
  padsBegin: [1, 1],
  padsEnd: [1, 1],
}

/** Reads like the graph it makes: values with their types, then nodes. */
function graphOf(
  inputs: string[],
  outputs: string[],
  values: Record<string, TensorType | [TensorType, ArrayLike<number>]>,
  nodes: [Op, (string | null)[], string[]][],
): Graph {
  const entries = Object.entries(values).map(([name, given]): [string, Value] => {
    if (!Array.isArray(given)) return [name, { name, type: given as TensorType, constant: null }]
    const [type, numbers] = given as [TensorType, ArrayLike<number>]
    return [name, { name, type, constant: constantOfNumbers(type.dtype, type.shape, numbers) }]
  })
  const list = nodes.map(
    ([op, ins, outs], i): Node => ({ name: `node${i}`, op, inputs: ins, outputs: outs, source: null }),
  )
  return { name: 'net', inputs, outputs, values: new Map(entries), nodes: list }
}

/** An int8 network as the onnxruntime target makes it: conv, pool, conv, add, reshape, fully connected. */
function int8Network(input: TensorType = tensor('int8', [1, 3, 8, 8], q(0.02, 3))): Graph {
  const weights = (shape: number[], axis: number, seed: number): [TensorType, number[]] => {
    const scales = pseudoRandom(shape[axis]!, seed).map((x) => 0.01 + 0.004 * x)
    const type = tensor('int8', shape, { scales, zeroPoints: scales.map(() => 0), axis })
    return [type, pseudoRandom(elementCount(shape), seed + 1).map((x) => Math.trunc(x * 127))]
  }
  const bias = (
    ofWeights: [TensorType, number[]],
    inputScale: number,
    seed: number,
  ): [TensorType, number[]] => {
    const { scales } = ofWeights[0].quantization!
    const type = tensor('int32', [scales.length], {
      scales: scales.map((s) => s * inputScale),
      zeroPoints: scales.map(() => 0),
      axis: 0,
    })
    return [type, pseudoRandom(scales.length, seed).map((x) => Math.trunc(x * 2000))]
  }
  const w1 = weights([8, 3, 3, 3], 0, 1)
  const w2 = weights([8, 8, 3, 3], 0, 2)
  const w3 = weights([5, 128], 0, 3)
  const pool: Op = {
    kind: 'MaxPool',
    kernel: [2, 2],
    ceilMode: false,
    layout: 'channels-first',
    strides: [2, 2],
    dilations: [1, 1],
    padsBegin: [0, 0],
    padsEnd: [0, 0],
  }
  return graphOf(
    ['x'],
    ['logits'],
    {
      x: input,
      xq: tensor('int8', [1, 3, 8, 8], q(0.02, 3)),
      'a_much_longer_name/of/weights': w1,
      w2,
      w3,
      b1: bias(w1, 0.02, 4),
      b2: bias(w2, 0.05, 5),
      b3: bias(w3, 0.08, 6),
      c1: tensor('int8', [1, 8, 8, 8], q(0.05, -10)),
      p1: tensor('int8', [1, 8, 4, 4], q(0.05, -10)),
      c2: tensor('int8', [1, 8, 4, 4], q(0.06, 4)),
      sum: tensor('int8', [1, 8, 4, 4], q(0.08, 1)),
      flat: tensor('int8', [1, 128], q(0.08, 1)),
      y: tensor('int8', [1, 5], q(0.3, 2)),
      logits: tensor('float32', [1, 5]),
    },
    [
      ...(input.quantization
        ? [[{ kind: 'Identity' }, ['x'], ['xq']] as [Op, string[], string[]]]
        : [[{ kind: 'Convert' }, ['x'], ['xq']] as [Op, string[], string[]]]),
      [conv, ['xq', 'a_much_longer_name/of/weights', 'b1'], ['c1']],
      [pool, ['c1'], ['p1']],
      [conv, ['p1', 'w2', 'b2'], ['c2']],
      [{ kind: 'Binary', fn: 'Add' }, ['p1', 'c2'], ['sum']],
      [{ kind: 'Reshape', shape: [1, 128] }, ['sum'], ['flat']],
      [{ kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }, ['flat', 'w3', 'b3'], ['y']],
      [{ kind: 'Convert' }, ['y'], ['logits']],
    ],
  )
}

function opTypes(bytes: Uint8Array): string[] {
  return decodeModel(bytes).graph!.node.map(({ opType }) => opType)
}

function versions(bytes: Uint8Array): [opset: number, ir: number] {
  const model = decodeModel(bytes)
  return [Number(model.opsetImport.find(({ domain }) => domain === '')!.version), Number(model.irVersion)]
}

function refuses(code: string, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof EdgewrightError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  }
}

for (const [op, operands, , outputCount, declared] of operatorCases) {
  const name = `${op.kind}${'fn' in op ? `.${op.fn}` : ''} of ${operands.map((given) => `[${given?.shape}]`).join(' ')}`
  test(`${name} computes the same at the lowest operator set and at 18 and 21`, async () => {
    const { seen } = await runOp(op, operands, outputCount, {}, declared)
    for (const opset of [18, 21]) {
      const later = await runOp(op, operands, outputCount, { opsets: { '': opset } }, declared)
      assert.deepEqual(later.seen, seen)
      assert.deepEqual(
        versions(writeOnnx(later.graph, { opsets: { '': opset } }))[0],
        Math.max(opset, versions(writeOnnx(later.graph))[0]),
      )
    }
  })
}

test('a convolution of asymmetric padding and dilation computes what its definition says', async () => {
  const op: Op = {
    kind: 'Conv',
    group: 1,
    layout: 'channels-first',
    strides: [2],
    dilations: [2],
    padsBegin: [1],
    padsEnd: [2],
  }
  const { seen } = await runOp(op, [
    { shape: [1, 1, 6], numbers: [1, 2, 3, 4, 5, 6] },
    { shape: [1, 1, 3], numbers: [1, 10, 100] },
    { shape: [1], numbers: [0.5] },
  ])
  // taps at o·2 − 1 + {0, 2, 4}: the padded row is 0 1 2 3 4 5 6 0 0
  assert.deepEqual(seen[0]!.numbers, [420.5, 642.5, 64.5])
})

test('a backward slice, a crop and a resize by scales keep their attributes', async () => {
  const row = { shape: [5], numbers: [1, 2, 3, 4, 5] }
  const slice = await runOp({ kind: 'Slice', axes: [0], starts: [-1], ends: [-(2 ** 63)], steps: [-2] }, [
    row,
  ])
  assert.deepEqual(slice.seen[0]!.numbers, [5, 3, 1])
  const pad = await runOp({ kind: 'Pad', mode: 'constant', padsBegin: [-1], padsEnd: [2], value: 9 }, [row])
  assert.deepEqual(pad.seen[0]!.numbers, [2, 3, 4, 5, 9, 9])
  const clip = await runOp({ kind: 'Clip', min: -Infinity, max: 3.5 }, [row])
  assert.deepEqual(clip.seen[0]!.numbers, [1, 2, 3, 3.5, 3.5])
})

test('the operator set is the lowest that has what is used, with its IR version', () => {
  const x = [{ shape: [2, 4] }]
  assert.deepEqual(versions(writeOnnx(oneOp(relu, x))), [13, 7])
  assert.deepEqual(versions(writeOnnx(oneOp({ kind: 'HardSwish' }, x))), [14, 7])
  assert.deepEqual(
    versions(
      writeOnnx(oneOp({ kind: 'LayerNormalization', axis: 1, epsilon: 1e-5 }, [...x, { shape: [4] }])),
    ),
    [17, 8],
  )
  assert.deepEqual(versions(writeOnnx(oneOp({ kind: 'Gelu', approximate: 'none' }, x))), [20, 9])
  assert.deepEqual(
    versions(
      writeOnnx(oneOp({ kind: 'Pad', mode: 'wrap', padsBegin: [0, 1], padsEnd: [0, 0], value: 0 }, x)),
    ),
    [19, 9],
  )
  const int16 = graphOf(['x'], ['y'], { x: tensor('float32', [4]), y: tensor('int16', [4], q(0.001)) }, [
    [{ kind: 'Convert' }, ['x'], ['y']],
  ])
  assert.deepEqual(versions(writeOnnx(int16)), [21, 10])
  assert.deepEqual(versions(writeOnnx(oneOp(relu, x), { opsets: { '': 16 } })), [16, 8])
  assert.throws(
    () => writeOnnx(oneOp(relu, x), { opsets: { '': 23 } }),
    refuses('MODEL_OPSET_UNSUPPORTED', /23/),
  )
})

test('an integer convolution written as Q/DQ gives the integers that its types say', async () => {
  const perChannel = { scales: [0.5, 0.25], zeroPoints: [0, 0], axis: 0 }
  const graph = graphOf(
    ['x'],
    ['y'],
    {
      x: tensor('int8', [1, 2, 1, 2], q(0.5, -3)),
      w: [tensor('int8', [2, 2, 1, 1], perChannel), [3, -2, 7, 1]],
      b: [tensor('int32', [2], { scales: [0.25, 0.125], zeroPoints: [0, 0], axis: 0 }), [11, -20]],
      y: tensor('int8', [1, 2, 1, 2], q(2, 5)),
    },
    [[{ ...conv, padsBegin: [0, 0], padsEnd: [0, 0] }, ['x', 'w', 'b'], ['y']]],
  )
  verifyGraph(graph)
  const stored = [-3, 27, 40, -128]
  const seen = await runGraph(graph, { x: { dtype: 'int8', shape: [1, 2, 1, 2], numbers: stored } })
  const expected = [0, 1].flatMap((channel) =>
    [0, 1].map((position) => {
      const [w0, w1] = [
        [3, -2],
        [7, 1],
      ][channel]!
      const sum = (stored[position]! + 3) * w0! + (stored[2 + position]! + 3) * w1! + [11, -20][channel]!
      // every product here is exact in float32, no tie occurs
      return Math.max(-128, Math.min(127, Math.round((sum * 0.5 * perChannel.scales[channel]!) / 2) + 5))
    }),
  )
  assert.deepEqual(seen.y, { dtype: 'int8', shape: [1, 2, 1, 2], numbers: expected })
})

test('a node that is called like the value that it ends in does not meet the DequantizeLinear before that value', async () => {
  const stored = tensor('int8', [4], q(0.5))
  const graph = graphOf(['x'], ['y'], { x: stored, y_quantized: stored, y: tensor('float32', [4]) }, [
    [relu, ['x'], ['y_quantized']],
    [{ kind: 'Convert' }, ['y_quantized'], ['y']],
  ])
  const nodes = graph.nodes.map((node, i) => ({ ...node, name: ['y', 'convert'][i]! }))
  const bytes = writeOnnx({ ...graph, nodes })
  const names = decodeModel(bytes).graph!.node.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  assert.equal(names.filter((name) => name === 'y').length, 1)
  await (await InferenceSession.create(bytes)).release()
})

test('every use of a quantized value has a DequantizeLinear of its own, every making ends in a QuantizeLinear', () => {
  const { node } = decodeModel(writeOnnx(int8Network())).graph!
  const producers = new Map(node.flatMap((entry) => entry.output.map((name) => [name, entry] as const)))
  const uses = new Map<string, number>()
  for (const { input } of node) for (const name of input) uses.set(name, (uses.get(name) ?? 0) + 1)
  for (const { opType, input, output } of node) {
    if (opType === 'DequantizeLinear')
      assert.ok((uses.get(output[0]!) ?? 0) <= 1, `${output[0]} is used once`)
    if (!['Conv', 'Gemm', 'Add', 'MaxPool'].includes(opType)) continue
    for (const name of input)
      assert.equal(producers.get(name)?.opType, 'DequantizeLinear', `${opType} takes ${name}`)
    assert.equal(
      node.find((entry) => entry.input[0] === output[0])?.opType,
      'QuantizeLinear',
      `${opType} makes ${output[0]}`,
    )
  }
  assert.equal(node.filter(({ opType }) => opType === 'QuantizeLinear').length, 6)
})

test('ONNX Runtime fuses the Q/DQ of an int8 network into integer operators', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-fused-'))
  try {
    // uint8 activations are the ones that its x86 kernels fuse
    const graph = withUint8Activations(int8Network())
    verifyGraph(graph)
    for (const shortNames of [false, true]) {
      const fused = join(folder, 'fused.onnx')
      const session = await InferenceSession.create(writeOnnx(graph, { shortNames }), {
        logSeverityLevel: 3,
        graphOptimizationLevel: 'extended',
        optimizedModelFilePath: fused,
      })
      await session.release()
      const kinds = opTypes(readFileSync(fused))
      assert.equal(kinds.filter((kind) => kind === 'QLinearConv').length, 2, kinds.join(' '))
      for (const kind of ['QLinearAdd', 'MaxPool', 'QGemm'])
        assert.ok(kinds.includes(kind), `${kind} in ${kinds.join(' ')}`)
      for (const kind of ['Conv', 'Gemm', 'Add', 'QuantizeLinear'])
        assert.ok(!kinds.includes(kind), `no ${kind} in ${kinds.join(' ')}`)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

function withUint8Activations(graph: Graph): Graph {
  const values = new Map(
    [...graph.values].map(([name, value]): [string, Value] => {
      const { dtype, quantization, shape } = value.type
      if (dtype !== 'int8' || value.constant) return [name, value]
      const shifted = { ...quantization!, zeroPoints: quantization!.zeroPoints.map((zero) => zero + 128) }
      return [name, { ...value, type: { dtype: 'uint8', shape, quantization: shifted } }]
    }),
  )
  return { ...graph, values }
}

test('requantization, and a conversion at the input, are Q/DQ pairs', async () => {
  const graph = graphOf(
    ['x'],
    ['z'],
    { x: tensor('float32', [4]), y: tensor('int8', [4], q(0.5)), z: tensor('uint8', [4], q(0.25, 100)) },
    [
      [{ kind: 'Convert' }, ['x'], ['y']],
      [{ kind: 'Convert' }, ['y'], ['z']],
    ],
  )
  assert.deepEqual(opTypes(writeOnnx(graph)), ['QuantizeLinear', 'DequantizeLinear', 'QuantizeLinear'])
  const { z } = await runGraph(graph, { x: { shape: [4], numbers: [-1, 0.6, 3.3, 1000] } })
  assert.deepEqual(z!.numbers, [96, 102, 114, 255])
  assert.deepEqual(opTypes(writeOnnx(int8Network(tensor('float32', [1, 3, 8, 8]))))[0], 'QuantizeLinear')
})

test('short names shrink a file, leave inputs and outputs alone and change no number', async () => {
  const graph = int8Network(tensor('float32', [1, 3, 8, 8]))
  const long = writeOnnx(graph)
  const short = writeOnnx(graph, { shortNames: true })
  assert.ok(short.byteLength < 0.75 * long.byteLength, `${short.byteLength} of ${long.byteLength} bytes`)
  const names = decodeModel(short).graph!
  assert.deepEqual([names.input[0]!.name, names.output[0]!.name], ['x', 'logits'])
  const inner = new Set(names.node.flatMap(({ input, output }) => [...input, ...output]))
  for (const name of inner) assert.ok(name.length <= 2 || name === 'logits', name)
  const feeds = { x: { shape: [1, 3, 8, 8] } }
  assert.deepEqual(await runGraph(graph, feeds, { shortNames: true }), await runGraph(graph, feeds))
})

test('what the Q/DQ form adds to the tensors of a small network stays under 100 bytes a node of the file', () => {
  const { node, initializer } = decodeModel(writeOnnx(int8Network(), { shortNames: true })).graph!
  const tensorBytes = initializer.reduce((sum, { rawData }) => sum + rawData.byteLength, 0)
  const overhead = writeOnnx(int8Network(), { shortNames: true }).byteLength - tensorBytes
  assert.ok(overhead / node.length < 100, `${overhead} bytes beside tensors for ${node.length} nodes`)
})

test('equal scales and zero points are written once', () => {
  const { initializer } = decodeModel(writeOnnx(int8Network(), { shortNames: true })).graph!
  const contents = initializer.map(
    ({ dims, dataType, rawData }) => `${dims}:${dataType}:${Buffer.from(rawData).toString('hex')}`,
  )
  assert.equal(new Set(contents).size, contents.length)
})

test('the same graph and options give the same bytes', () => {
  for (const options of [{}, { shortNames: true }] satisfies WriteOptions[])
    assert.deepEqual(writeOnnx(int8Network(), options), writeOnnx(int8Network(), options))
})

test('inner values can be outputs, and an input or a constant can be one directly', async () => {
  const graph = graphOf(
    ['x'],
    ['y'],
    {
      x: tensor('float32', [2]),
      k: [tensor('float32', [2]), [5, 6]],
      h: tensor('float32', [2]),
      y: tensor('float32', [2]),
    },
    [
      [relu, ['x'], ['h']],
      [{ kind: 'Binary', fn: 'Add' }, ['h', 'k'], ['y']],
    ],
  )
  const seen = await runGraph(
    graph,
    { x: { shape: [2], numbers: [-1, 2] } },
    { extraOutputs: ['h', 'k', 'y'], shortNames: true },
  )
  assert.deepEqual(Object.fromEntries(Object.entries(seen).map(([name, { numbers }]) => [name, numbers])), {
    y: [5, 8],
    h: [0, 2],
    k: [5, 6],
  })
  assert.throws(() => writeOnnx(graph, { extraOutputs: ['nowhere'] }), refuses('GRAPH_INVALID', /nowhere/))
})

test('a name of the file may be anything, two values never get one', async () => {
  const names = ['__proto__', 'constructor', 'y_scale', 'a\u0000b ü']
  const values = Object.fromEntries(names.slice(1).map((name) => [name, tensor('float32', [1])]))
  const graph = graphOf(['constructor'], ['a\u0000b ü'], values, [
    [relu, ['constructor'], ['y_scale']],
    [relu, ['y_scale'], ['a\u0000b ü']],
  ])
  for (const options of [{}, { shortNames: true }])
    assert.equal(decodeModel(writeOnnx(graph, options)).graph!.output[0]!.name, 'a\u0000b ü')
})

test('what ONNX has no form for is refused by name', () => {
  const nhwc: Op = { kind: 'GlobalAveragePool', layout: 'channels-last' }
  assert.throws(
    () => writeOnnx(oneOp(nhwc, [{ shape: [1, 4, 4, 3] }])),
    refuses('GRAPH_INVALID', /channels-last GlobalAveragePool/),
  )
  const none = graphOf(['x'], ['y'], { x: tensor('float32', [1]), y: tensor('float32', [1]) }, [
    [{ kind: 'Convert' }, ['x'], ['y']],
  ])
  assert.throws(() => writeOnnx(none), refuses('GRAPH_INVALID', /not quantized/))
  const accumulator = graphOf(['x'], ['y'], { x: tensor('float32', [1]), y: tensor('int32', [1], q(1)) }, [
    [relu, ['x'], ['y']],
  ])
  assert.throws(() => writeOnnx(accumulator), refuses('GRAPH_INVALID', /cannot make int32/))
})

// -- operators carried verbatim --

function opaque(
  opType: string,
  opset: number,
  more: Partial<Extract<Op, { kind: 'Opaque' }>> = {},
  attribute: object[] = [],
): Op {
  const payload = encodeNode({
    opType,
    domain: more.domain ?? '',
    attribute,
    input: ['ignored'],
    output: ['ignored'],
  })
  return { kind: 'Opaque', format: 'onnx', domain: '', opType, opset, captures: [], ...more, payload }
}

test('a verbatim operator keeps its attributes and is wired as the graph says', async () => {
  const topK = opaque('TopK', 11, {}, [{ name: 'largest', i: 0, type: attributeTypes.int }])
  const graph = graphOf(
    ['x'],
    ['indices'],
    {
      x: tensor('float32', [5]),
      k: [tensor('int64', [1]), [2]],
      h: tensor('float32', [5]),
      values: tensor('float32', [2]),
      indices: tensor('int64', [2]),
    },
    [
      [relu, ['x'], ['h']],
      [topK, ['h', 'k'], ['values', 'indices']],
    ],
  )
  for (const shortNames of [false, true]) {
    const { indices } = await runGraph(
      graph,
      { x: { shape: [5], numbers: [3, 1, 4, 0.5, 5] } },
      { shortNames },
    )
    assert.deepEqual(indices!.numbers, [3n, 1n])
  }
})

test('names that a subgraph captures or defines survive short names', async () => {
  const branch = (name: string, opType: string) => ({
    name,
    type: attributeTypes.graph,
    g: {
      name,
      node: [{ opType, input: ['outer/value'], output: ['a'] }],
      output: [{ name: 'a', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 2 }] } } } }],
    },
  })
  const choice = opaque('If', 13, { captures: ['outer/value'] }, [
    branch('then_branch', 'Neg'),
    branch('else_branch', 'Abs'),
  ])
  const graph = graphOf(
    ['x', 'c'],
    ['y'],
    {
      x: tensor('float32', [2]),
      c: tensor('bool', []),
      inner: tensor('float32', [2]),
      'outer/value': tensor('float32', [2]),
      y: tensor('float32', [2]),
      z: tensor('float32', [2]),
    },
    [
      [{ kind: 'Unary', fn: 'Neg' }, ['x'], ['inner']],
      [{ kind: 'Unary', fn: 'Neg' }, ['inner'], ['outer/value']],
      [choice, ['c'], ['z']],
      [relu, ['z'], ['y']],
    ],
  )
  const bytes = writeOnnx(graph, { shortNames: true })
  const outer = decodeModel(bytes).graph!.node.flatMap(({ output }) => output)
  assert.ok(outer.includes('outer/value') && !outer.includes('a'), outer.join(' '))
  const feeds = (c: number) => ({
    x: { shape: [2], numbers: [-3, 2] },
    c: { dtype: 'bool' as const, shape: [], numbers: [c] },
  })
  assert.deepEqual((await runGraph(graph, feeds(1), { shortNames: true })).y!.numbers, [3, 0])
  assert.deepEqual((await runGraph(graph, feeds(0), { shortNames: true })).y!.numbers, [3, 2])
})

test('a verbatim operator is never written at an operator set where it means something else', () => {
  const around = (op: Op, own: Op) =>
    graphOf(
      ['x'],
      ['z'],
      {
        x: tensor('float32', [1, 2, 4, 4]),
        y: tensor('float32', [1, 2, 4, 4]),
        z: tensor('float32', [1, 2, 4, 4]),
      },
      [
        [op, ['x'], ['y']],
        [own, ['y'], ['z']],
      ],
    )
  const gelu: Op = { kind: 'Gelu', approximate: 'none' }
  assert.equal(versions(writeOnnx(around(opaque('Mish', 18), relu)))[0], 18)
  assert.equal(versions(writeOnnx(around(opaque('GridSample', 16), relu)))[0], 16)
  assert.throws(
    () => writeOnnx(around(opaque('GridSample', 16), gelu)),
    refuses('OPERATOR_UNSUPPORTED', /GridSample of operator set 16 .* 20/),
  )
  assert.throws(
    () => writeOnnx(around(opaque('Upsample', 9), relu)),
    refuses('OPERATOR_UNSUPPORTED', /Upsample/),
  )
  assert.throws(
    () => writeOnnx(around(opaque('Unheard', 12), relu)),
    refuses('OPERATOR_UNSUPPORTED', /Unheard/),
  )
  assert.throws(
    () => writeOnnx(around(opaque('constructor', 12), relu)),
    refuses('OPERATOR_UNSUPPORTED', /constructor/),
  )
  // inside a subgraph too: Squeeze took its axes as an attribute until 12
  const loop = opaque('Loop', 11, {}, [
    { name: 'body', type: attributeTypes.graph, g: { node: [{ opType: 'Squeeze' }] } },
  ])
  assert.throws(
    () => writeOnnx(around(loop, relu)),
    refuses('OPERATOR_UNSUPPORTED', /Squeeze of operator set 11/),
  )
  const custom = around(opaque('FusedThing', 1, { domain: 'com.example' }), relu)
  assert.deepEqual(
    decodeModel(writeOnnx(custom)).opsetImport.map(({ domain, version }) => [domain, Number(version)]),
    [
      ['', 13],
      ['com.example', 1],
    ],
  )
  const lite = { ...opaque('CUSTOM', 1), format: 'tflite' } as Op
  assert.throws(
    () => writeOnnx(around(lite, relu)),
    refuses('OPERATOR_UNSUPPORTED', /tflite operator CUSTOM/),
  )
})

const checker = spawnSync('/usr/bin/python3', ['-c', 'import onnx'], { stdio: 'ignore' }).status === 0
test("the ONNX project's own checker accepts what is written", {
  skip: checker ? false : 'needs python3 with the onnx package (Debian: python3-onnx)',
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-checked-'))
  try {
    const written = [
      writeOnnx(int8Network()),
      writeOnnx(int8Network(), { shortNames: true }),
      // Debian's checker knows operator sets to 17
      ...operatorCases
        .map(([op, operands, , outputCount, declared]) =>
          writeOnnx(oneOp(op, operands, outputCount, declared)),
        )
        .filter((bytes) => versions(bytes)[0] <= 17),
    ]
    const files = written.map((bytes, i) => {
      const file = join(folder, `${i}.onnx`)
      writeFileSync(file, bytes)
      return file
    })
    const script =
      'import onnx, sys\nfor f in sys.argv[1:]: onnx.checker.check_model(onnx.load(f), full_check=True)\nprint(len(sys.argv) - 1)'
    const checked = execFileSync('/usr/bin/python3', ['-c', script, ...files], { encoding: 'utf8' })
    assert.equal(Number(checked), files.length)
    assert.ok(files.length > 45, `${files.length} models checked`)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
