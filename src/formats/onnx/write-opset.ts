import { EdgewrightError } from '../../error.ts'
import type { OpOf } from '../../graph/ops.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { decodeNode, type OnnxGraph, type OnnxNode } from './proto.ts'

/** Operator sets that the writer speaks. */
export const leastOpset = 13
export const mostOpset = 21

/** The IR version that came with each operator set; readers refuse a newer one than they know. */
export function irVersionOf(opset: number): number {
  if (opset >= 21) return 10
  if (opset >= 19) return 9
  return opset >= 15 ? 8 : 7
}

/**
 * Operators whose older nodes stop being valid or change their meaning at the versions listed, after ONNX's
 * changelog up to operator set 21. Versions that only add types, attributes or inputs are not listed. An operator that
 * is missing here is written at its own operator set only.
 */
const breaks: Readonly<Record<string, readonly number[]>> = {
  ...unbroken(
    'Abs Acos Acosh And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BitShift BitwiseAnd BitwiseNot BitwiseOr',
    'BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad Col2Im Compress Concat ConcatFromSequence Constant',
    'ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace DequantizeLinear Det',
    'DynamicQuantizeLinear Einsum Elu Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu',
    'GlobalAveragePool GlobalLpPool GlobalMaxPool GreaterOrEqual HammingWindow HannWindow HardSigmoid HardSwish',
    'Identity If InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu LessOrEqual Log Loop LpNormalization',
    'LRN MatMul MatMulInteger MaxPool MaxRoiPool MaxUnpool MeanVarianceNormalization MelWeightMatrix Mish Mod',
    'Multinomial Neg NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement Or',
    'QLinearConv QLinearMatMul QuantizeLinear RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range',
    'Reciprocal Relu ReverseSequence Round ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty',
    'SequenceErase SequenceInsert SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size Softplus Softsign',
    'SpaceToDepth SplitToSequence Sqrt STFT StringNormalizer Tan Tanh TfIdfVectorizer ThresholdedRelu Transpose Trilu',
    'Unique Where Xor',
  ),
  ...Object.fromEntries(
    ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Equal', 'Greater', 'Less', 'PRelu', 'Gemm'].map((op) => [op, [7]]),
  ),
  ...Object.fromEntries(['GRU', 'LSTM', 'RNN'].map((op) => [op, [7]])),
  ...Object.fromEntries(['Max', 'Min', 'Sum', 'Mean'].map((op) => [op, [8]])),
  ...Object.fromEntries(
    ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'SumSquare'].map((fn) => [
      `Reduce${fn}`,
      [18],
    ]),
  ),
  BatchNormalization: [7, 9, 14],
  Clip: [11],
  DFT: [20],
  Dropout: [7, 10, 12],
  GridSample: [20],
  GroupNormalization: [21],
  Hardmax: [13],
  LogSoftmax: [13],
  LpPool: [2],
  Pad: [11],
  ReduceSum: [13],
  Reshape: [5],
  Resize: [11],
  RoiAlign: [16],
  Scan: [9],
  Scatter: [11],
  Slice: [10],
  Softmax: [13],
  Split: [13, 18],
  Squeeze: [13],
  Tile: [6],
  TopK: [10],
  Unsqueeze: [13],
  Upsample: [9, 10],
}

function unbroken(...lists: string[]): Record<string, readonly number[]> {
  return Object.fromEntries(
    lists
      .join(' ')
      .split(' ')
      .map((name) => [name, []]),
  )
}

/** What the verbatim operators of a graph ask of the operator sets, and the names that their subgraphs use. */
export interface OpaqueNeeds {
  /** Operator sets of the default domain at which every verbatim node means what it meant. */
  readonly least: number
  readonly most: number
  /** The operator that sets `most`, for the error where nothing is left. */
  readonly narrowest: string
  /** Versions of the other domains. */
  readonly domains: ReadonlyMap<string, number>
}

/** @throws OPERATOR_UNSUPPORTED where one domain is needed at two versions. */
export function opaqueNeeds(
  graph: Graph,
  payloads: ReadonlyMap<Node, OnnxNode>,
  given: Readonly<Record<string, number>>,
): OpaqueNeeds {
  let least = 0
  let most = Infinity
  let narrowest = ''
  const domains = new Map<string, number>()
  for (const node of graph.nodes) {
    const payload = payloads.get(node)
    if (!payload || node.op.kind !== 'Opaque') continue
    const own = domainOf(node.op.domain)
    for (const inner of [payload, ...[...subgraphsOf(payload)].flatMap((graph) => graph.node)]) {
      const domain = domainOf(inner.domain)
      if (domain !== '') {
        const version = domain === own ? node.op.opset : (given[domain] ?? domains.get(domain) ?? 1)
        requireOneVersion(domains, domain, version, node.name)
      } else {
        const source = own === '' ? node.op.opset : (given[''] ?? leastOpset)
        const newest = lastCompatible(inner.opType, source)
        least = Math.max(least, source)
        if (newest < most) {
          most = newest
          narrowest = `${inner.opType} of operator set ${source}`
        }
      }
    }
  }
  return { least, most, narrowest, domains }
}

/**
 * The lowest operator set from 13 that says everything, and at which verbatim operators mean what they meant.
 * @throws OPERATOR_UNSUPPORTED naming the verbatim operator that has no place there.
 */
export function chooseOpset(needed: number, { least, most, narrowest }: OpaqueNeeds): number {
  const opset = Math.max(leastOpset, needed, least)
  if (opset > most)
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      `The operator ${narrowest} cannot be written at operator set ${opset}, which the graph needs.`,
      {
        saw: `its meaning changed after operator set ${most}`,
        hint: 'Export the model again at operator set 13 or later, or convert it with the onnx version converter.',
      },
    )
  if (opset > mostOpset)
    throw new EdgewrightError(
      'MODEL_OPSET_UNSUPPORTED',
      `The graph needs operator set ${opset}; the newest that is written is ${mostOpset}.`,
    )
  return opset
}

export function decodePayload(op: OpOf<'Opaque'>, where: string): OnnxNode {
  if (op.format === 'onnx') return decodeNode(op.payload, where)
  throw new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    `The ${op.format} operator ${op.opType} cannot be written to ONNX.`,
    { where },
  )
}

/** Every subgraph in a node's attributes, at any depth. */
export function* subgraphsOf({ attribute }: OnnxNode): Generator<OnnxGraph> {
  for (const { g, graphs } of attribute) {
    for (const graph of g ? [g, ...graphs] : graphs) {
      yield graph
      for (const node of graph.node) yield* subgraphsOf(node)
    }
  }
}

function lastCompatible(opType: string, opset: number): number {
  if (!Object.hasOwn(breaks, opType)) return opset
  const versions = breaks[opType]!
  return (versions.find((version) => version > opset) ?? Infinity) - 1
}

function requireOneVersion(
  domains: Map<string, number>,
  domain: string,
  version: number,
  where: string,
): void {
  const other = domains.get(domain)
  if (other !== undefined && other !== version)
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      `The operator domain ${domain} is needed at versions ${other} and ${version}.`,
      { where },
    )
  domains.set(domain, version)
}

function domainOf(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain
}
