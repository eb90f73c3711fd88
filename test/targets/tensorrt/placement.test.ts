import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeModel, encodeModel, type OnnxGraph } from '../../../src/formats/onnx/proto.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { onnxruntime } from '../../../targets/onnxruntime/index.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import { randomFeeds } from '../onnxruntime-run.ts'
import { concatAndPools, residualBlocks, transformerBlock } from './networks.ts'
import { checkRules } from './rules.ts'
import { compile, type Feeds, fidelity, openGraph, options, prepareFor } from './run.ts'

const feeds = (graph: Graph, count = 4): Feeds[] =>
  Array.from({ length: count }, (_, i) => randomFeeds(graph, i + 1))

type Expected = Readonly<Record<string, number>>

/** What reads quantized activations, counted on paper. */
const networks: [string, () => Graph | Promise<Graph>, Expected, string | false][] = [
  ['residual blocks', residualBlocks, { Conv: 6, Add: 2, GlobalAveragePool: 1 }, false],
  ['concatenations and pools', concatAndPools, { Conv: 6, GlobalAveragePool: 1 }, false],
  ['a transformer block', transformerBlock, { MatMul: 6 }, false],
  [
    'ResNet8',
    () => openGraph(fixture('mlperf-tiny/ic_resnet8_float.tflite')),
    { Conv: 9, Add: 3, AveragePool: 1 },
    fixturesMissing,
  ],
  [
    'MobileNetV1',
    () => openGraph(fixture('imagenet/mobilenet_v1_0.25_224_float.tflite')),
    { Conv: 28, AveragePool: 1 },
    fixturesMissing,
  ],
  [
    'visual wake words',
    () => openGraph(fixture('mlperf-tiny/vww_float.tflite')),
    { Conv: 27, AveragePool: 1 },
    fixturesMissing,
  ],
  [
    'keyword spotting',
    () => openGraph(fixture('mlperf-tiny/kws_dscnn_float.onnx')),
    // its first kernel is 10×4 over one channel: float16
    { Conv: 8, AveragePool: 1 },
    fixturesMissing,
  ],
  [
    'ShuffleNet',
    () => openGraph(fixture('onnx/light/light_shufflenet.onnx')),
    { Conv: 48, AveragePool: 4, Add: 13 },
    fixturesMissing,
  ],
]

for (const [name, load, expected, skip] of networks)
  test(`${name}: both files hold to every documented rule of placement, and run`, { skip }, async () => {
    const graph = await load()
    const { bytes, typed } = await compile(graph, feeds(graph))
    const plain = await checkRules(bytes)
    assert.deepEqual(plain.violations, [])
    assert.deepEqual(plain.int8, expected)
    // what the ONNX parsers of TensorRT 8.2 and later read
    assert.ok(
      plain.opset >= 13 && plain.opset <= (name === 'a transformer block' ? 17 : 13),
      `${plain.opset}`,
    )
    assert.ok(plain.irVersion <= 8)
    const half = await checkRules(typed!, 'float16')
    assert.deepEqual(half.violations, [])
    assert.deepEqual(half.int8, expected)
    assert.equal(half.opset, 19)
    const [reference, other] = [
      await fidelity(graph, bytes, feeds(graph)),
      await fidelity(graph, typed!, feeds(graph)),
    ]
    // noise as input: a wrong scale would leave less than 5 dB
    assert.ok(reference > 12 && other > 12, `${reference} dB, ${other} dB in float16`)
  })

test('the branch that ends in a convolution stays real, wherever it stands; the other is quantized', async () => {
  const graph = residualBlocks()
  const { nodes, quantized } = await checkRules((await compile(graph, feeds(graph))).bytes)
  const operands = (name: string) => nodes.find((node) => node.name === name)!.input
  assert.match(operands('add1')[0]!, /^a2_out$/)
  assert.match(operands('add1')[1]!, /^stem_relu_out_quantized_real/)
  // of two convolutions the longer branch is the main one
  assert.match(operands('add2')[1]!, /^b2_out$/)
  assert.match(operands('add2')[0]!, /^down_out_quantized_real/)
  // one pair serves the convolution and the addition
  assert.equal(quantized.filter((value) => value === 'stem_relu_out').length, 1)
})

test('an addition whose sum nothing but reals make stays real, as do branches that others read', async () => {
  const graph = transformerBlock()
  const { int8 } = await checkRules((await compile(graph, feeds(graph))).bytes)
  assert.equal(int8.Add, undefined)
})

test('all that a Concat joins has the scale of its union, also where it is read elsewhere', async () => {
  const graph = concatAndPools()
  const { scales } = await checkRules((await compile(graph, feeds(graph))).bytes)
  assert.ok(scales.has('concat_out') && scales.has('right_relu_out'), [...scales.keys()].join())
  assert.equal(scales.get('concat_out'), scales.get('right_relu_out'))
  // a pool passes conversions on: before and behind it the scale is one
  assert.equal(scales.get('stem_relu_out'), scales.get('right_pool_out'))
})

test('the checker is none of ours: what another target writes breaks its rules', async () => {
  const graph = residualBlocks()
  const { prepared } = await prepareFor(onnxruntime, graph, feeds(graph), options)
  const { violations } = await checkRules(onnxruntime.emit(prepared.graph, options).files.get('model.onnx')!)
  for (const expected of [
    /zero point/,
    /the bias of .* is quantized/,
    /no QuantizeLinear made/,
    /both operands/,
  ])
    assert.ok(
      violations.some((violation) => expected.test(violation)),
      `${expected} in ${violations.slice(0, 8).join('; ')}`,
    )
})

const breaks: [string, (graph: OnnxGraph) => void, RegExp][] = [
  [
    'a zero point other than 0',
    ({ initializer }) => {
      const zero = initializer.find(({ name, dims }) => name.endsWith('_zero_point') && dims.length === 0)!
      zero.rawData = Uint8Array.of(1)
    },
    /zero point/,
  ],
  [
    'Q/DQ between a convolution and its Relu',
    ({ node }) => {
      const pair = node.find(
        ({ opType, name }) => opType === 'QuantizeLinear' && name.startsWith('stem_relu'),
      )!
      pair.input[0] = 'stem_out'
    },
    /between Conv and what is fused/,
  ],
  [
    'a residual branch left real',
    ({ node }) => {
      node.find(({ name }) => name === 'add1')!.input[1] = 'stem_relu_out'
    },
    /add1 could be taken in/,
  ],
  [
    'weights with a scale along the wrong axis',
    ({ node }) => {
      const axis = node.find(({ opType, attribute }) => opType === 'QuantizeLinear' && attribute.length > 0)!
      axis.attribute[0]!.i = 1n as never
    },
    /axis/,
  ],
  [
    'a convolution with real weights',
    ({ node }) => {
      const conv = node.find(({ name }) => name === 'a1')!
      const weights = node.find(({ output }) => output[0] === conv.input[1])!
      const quantize = node.find(({ output }) => output[0] === weights.input[0])!
      conv.input[1] = quantize.input[0]!
    },
    /one side only/,
  ],
  [
    'an integer kernel of ONNX Runtime',
    ({ node }) => {
      node.find(({ name }) => name === 'a1')!.opType = 'QLinearConv'
    },
    /QLinearConv/,
  ],
]

for (const [name, damage, expected] of breaks)
  test(`the checker sees ${name}`, async () => {
    const graph = residualBlocks()
    const model = decodeModel((await compile(graph, feeds(graph, 1))).bytes)
    damage(model.graph!)
    // shapes are not asked for: a damaged file need not be readable
    const { violations } = await checkRules(encodeModel(model), 'float32', false)
    assert.ok(
      violations.some((violation) => expected.test(violation)),
      violations.join('; '),
    )
  })
