import { EdgewrightError } from '../../../error.ts'
import type { OpKind, OpOf } from '../../../graph/ops.ts'
import type { Graph, Node } from '../../../graph/types.ts'
import { activationCode, type Fusion, type Fusions } from '../fuse.ts'
import { carriedOperator } from '../opaque.ts'
import { type NetworkInWriting, options } from '../write-graph.ts'
import { writeClip, writeElu, writeHardSigmoid, writeSoftmax } from './activation.ts'
import { type NodeInWriting, Writing } from './context.ts'
import { writeConv, writeConvTranspose } from './convolution.ts'
import { writeBinary, writeComparison, writeUnary, writeWhere } from './elementwise.ts'
import { writeGemm, writeKeepingDimensions, writeMatMul } from './matrix.ts'
import {
  writeCast,
  writeConcat,
  writeConvert,
  writeDepthToSpace,
  writeGather,
  writePad,
  writeReshape,
  writeResize,
  writeSlice,
  writeSplit,
} from './movement.ts'
import {
  writeBatchNormalization,
  writeInstanceNormalization,
  writeLayerNormalization,
} from './normalization.ts'
import { writeGlobalPool, writePool } from './pool.ts'
import { writeArg, writeReduce } from './reduction.ts'

/** @throws GRAPH_INVALID naming the first operator that is channels first */
export function requireChannelsLast(graph: Graph): void {
  for (const { op, name } of graph.nodes)
    if ('layout' in op && op.layout === 'channels-first')
      throw new EdgewrightError(
        'GRAPH_INVALID',
        'TensorFlow Lite takes channels last: the layout pass must run before a graph is written.',
        { where: name, saw: `${op.kind}, channels first` },
      )
}

/** Writes one node, or the several that stand behind it. */
export function writeNode(node: Node, network: NetworkInWriting, fusions: Fusions): void {
  const fusion = fusions.byNode.get(node)
  if (fusion) writeFused(node, network, fusion)
  else if (node.op.kind === 'Identity') writeIdentity(node, network)
  else if (node.op.kind === 'Opaque') network.addCarried(carriedOperator(node.op, node.name), node)
  else write(node, network, fusions.activations.get(node))
}

/** The format has none: two names of one tensor, but runtimes do not hand out an input or a constant as an output. */
function writeIdentity({ inputs, outputs }: Node, network: NetworkInWriting): void {
  const [input, output] = [inputs[0]!, outputs[0]!]
  const { type, constant } = network.value(input)
  const plain = !constant && !network.graph.inputs.includes(input)
  if (plain || !network.graph.outputs.includes(output)) {
    network.alias(output, network.tensor(input))
    return
  }
  const shape = network.integers(type.shape, `${output}/shape`)
  const values = options('ReshapeOptions', { newShape: type.shape })
  network.add('RESHAPE', [network.tensor(input), shape], [network.tensor(output)], values)
}

type Writers = { readonly [K in Exclude<OpKind, 'Identity' | 'Opaque'>]: (node: NodeInWriting<K>) => void }

const plain = (opType: string) => (node: NodeInWriting) => node.write(opType, node.inputs)

const writers: Writers = {
  Conv: writeConv,
  ConvTranspose: writeConvTranspose,
  Gemm: writeGemm,
  MatMul: (node) => writeMatMul(node, null),
  BatchNormalization: writeBatchNormalization,
  LayerNormalization: writeLayerNormalization,
  InstanceNormalization: writeInstanceNormalization,
  Relu: plain('RELU'),
  LeakyRelu: (node) =>
    node.write('LEAKY_RELU', node.inputs, options('LeakyReluOptions', { alpha: node.op.alpha })),
  PRelu: plain('PRELU'),
  Clip: writeClip,
  Sigmoid: plain('LOGISTIC'),
  HardSigmoid: writeHardSigmoid,
  HardSwish: plain('HARD_SWISH'),
  Tanh: plain('TANH'),
  Elu: writeElu,
  Gelu: (node) =>
    node.write('GELU', node.inputs, options('GeluOptions', { approximate: node.op.approximate === 'tanh' })),
  Softmax: writeSoftmax,
  LogSoftmax: writeSoftmax,
  Unary: writeUnary,
  Binary: writeBinary,
  Comparison: writeComparison,
  Where: writeWhere,
  MaxPool: writePool,
  AveragePool: writePool,
  GlobalAveragePool: writeGlobalPool,
  GlobalMaxPool: writeGlobalPool,
  Concat: writeConcat,
  Split: writeSplit,
  Slice: writeSlice,
  Gather: writeGather,
  Reshape: writeReshape,
  Transpose: (node) => node.write('TRANSPOSE', [node.input(0), node.integers(node.op.perm, 'permutation')]),
  Expand: (node) => node.write('BROADCAST_TO', [node.input(0), node.integers(node.op.shape, 'shape')]),
  Tile: (node) => node.write('TILE', [node.input(0), node.integers(node.op.repeats, 'multiples')]),
  Pad: writePad,
  Resize: writeResize,
  DepthToSpace: writeDepthToSpace,
  SpaceToDepth: (node) =>
    node.write(
      'SPACE_TO_DEPTH',
      node.inputs,
      options('SpaceToDepthOptions', { blockSize: node.op.blockSize }),
    ),
  Reduce: writeReduce,
  ArgMax: (node) => writeArg(node),
  ArgMin: (node) => writeArg(node),
  Cast: writeCast,
  Convert: writeConvert,
}

function write(node: Node, network: NetworkInWriting, activated?: { code: number; output: string }): void {
  // the table is keyed by kind, which the compiler cannot follow through a union
  const writer = writers[node.op.kind as keyof Writers] as (node: NodeInWriting) => void
  writer(new Writing(node, network, activated))
}

function writeFused(node: Node, network: NetworkInWriting, fusion: Fusion): void {
  const last = new Writing(node, network)
  switch (fusion.kind) {
    case 'reciprocalRoot':
      last.write('RSQRT', tensorsOf(fusion.root, network))
      return
    case 'squaredDifference':
      last.write('SQUARED_DIFFERENCE', tensorsOf(fusion.difference, network))
      return
    case 'notEqual':
      last.write('NOT_EQUAL', tensorsOf(fusion.equal, network))
      return
    case 'narrowIndices':
      writeArg(as<'ArgMax' | 'ArgMin'>(fusion.arg, network), { node: as<'Cast'>(node, network), fusion })
      return
    case 'pack':
      last.write(
        'PACK',
        fusion.parts.map((part) => network.tensor(part.inputs[0]!)),
        options('PackOptions', { valuesCount: fusion.parts.length, axis: fusion.axis }),
      )
      return
    case 'unpack':
      network.add(
        'UNPACK',
        tensorsOf(node, network),
        fusion.outputs.map((name) => network.tensor(name)),
        options('UnpackOptions', { num: fusion.outputs.length, axis: fusion.axis }),
      )
      return
    case 'transposed':
      writeMatMul(as<'MatMul'>(node, network), fusion)
      return
    case 'keepDimensions': {
      const { product, activation } = fusion
      const activated = activation
        ? { code: activationCode(activation.op)!, output: activation.outputs[0]! }
        : undefined
      writeKeepingDimensions(
        as<'Reshape'>(node, network),
        new Writing(product as Node & { op: OpOf<'Gemm'> }, network, activated),
        fusion,
      )
    }
  }
}

function as<K extends OpKind>(node: Node, network: NetworkInWriting): NodeInWriting<K> {
  return new Writing(node as Node & { op: OpOf<K> }, network)
}

function tensorsOf(node: Node, network: NetworkInWriting): number[] {
  return node.inputs.map((name) => network.tensor(name!))
}
