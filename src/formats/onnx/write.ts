import { EdgewrightError } from '../../error.ts'
import type { Graph, Node, TensorType, Value } from '../../graph/types.ts'
import { encodeModel, type OnnxNode, onnxDataTypes } from './proto.ts'
import { GraphWriter, opsetNeededBy } from './write-graph.ts'
import { shorten } from './write-names.ts'
import {
  chooseOpset,
  decodePayload,
  irVersionOf,
  mostOpset,
  opaqueNeeds,
  subgraphsOf,
} from './write-opset.ts'

export interface WriteOptions {
  /** The graph's name in the file; its own by default. */
  readonly name?: string
  /**
   * Operator sets by domain, as `Model.opsets` has them: the default domain's is the least to be used, another
   * domain's the one that is stated for it.
   */
  readonly opsets?: Readonly<Record<string, number>>
  /** Inner values to be outputs as well, after the graph's own. */
  readonly extraOutputs?: readonly string[]
  /** Inner values get the shortest names, nodes none, equal constants are written once: for small files. */
  readonly shortNames?: boolean
  readonly doc?: string
  /**
   * Matrix products of real activations with int8 weights quantize the activations as they run (DynamicQuantizeLinear
   * and MatMulInteger); else the weights are dequantized.
   */
  readonly hybridProducts?: boolean
  /** Of Q/DQ, and of the reals on their other side; `float16` needs operator set 19. Default `float32`. */
  readonly scaleType?: 'float16' | 'float32'
}

/** protobuf cannot say more in one message; a little is left for everything but tensors. */
const mostTensorBytes = 2 ** 31 - 2 ** 24

/**
 * Writes a graph as an ONNX model of the lowest operator set from 13 that can say it. Values whose types are quantized
 * become Q/DQ around the float operators; quantized graph inputs and outputs are plain integer tensors. Same graph and
 * options, same bytes.
 * @throws GRAPH_INVALID for what ONNX has no form for (channels-last operators, a Convert between floats);
 * OPERATOR_UNSUPPORTED where a verbatim operator cannot keep its meaning; MODEL_TOO_LARGE over 2 GB
 */
export function writeOnnx(graph: Graph, options: WriteOptions = {}): Uint8Array {
  const payloads = decodePayloads(graph)
  const needs = opaqueNeeds(graph, payloads, options.opsets ?? {})
  const needed = graph.nodes.reduce(
    (most, node) => Math.max(most, opsetNeededBy(node, graph, mostOpset)),
    options.opsets?.[''] ?? 0,
  )
  const opset = chooseOpset(needed, needs)

  const outputs = [...new Set([...graph.outputs, ...(options.extraOutputs ?? [])])]
  const kept = new Set([...graph.inputs, ...outputs, ...namesInSubgraphs(graph, payloads)])
  const writer = new GraphWriter(graph, opset, kept, {
    shareConstants: options.shortNames ?? false,
    hybridProducts: options.hybridProducts ?? false,
    scaleType: options.scaleType ?? 'float32',
  })
  requireRealCaptures(graph)
  for (const node of graph.nodes) {
    if (node.op.kind === 'Opaque') for (const name of node.op.captures) writer.reference(name)
    writer.addNode(node, payloads.get(node))
  }
  // an output that is a constant still needs its initializer
  for (const name of outputs) writer.reference(name)
  requireOneFile(writer)

  const { nodes, initializers } = options.shortNames
    ? shorten(writer.nodes, writer.initializers, kept)
    : writer
  return encodeModel({
    irVersion: irVersionOf(opset),
    producerName: 'edgewright',
    ...(options.doc !== undefined && { docString: options.doc }),
    opsetImport: [
      { domain: '', version: opset },
      ...[...needs.domains].map(([domain, version]) => ({ domain, version })),
    ],
    graph: {
      name: options.name ?? graph.name,
      node: nodes,
      initializer: initializers,
      input: graph.inputs.map((name) => valueInfo(namedValue(graph, name))),
      output: outputs.map((name) => valueInfo(namedValue(graph, name))),
    },
  })
}

function decodePayloads(graph: Graph): Map<Node, OnnxNode> {
  const payloads = new Map<Node, OnnxNode>()
  for (const node of graph.nodes)
    if (node.op.kind === 'Opaque') payloads.set(node, decodePayload(node.op, node.name))
  return payloads
}

/** Captured names must stay; names defined inside a subgraph must not be given to an outer value. */
function namesInSubgraphs(graph: Graph, payloads: ReadonlyMap<Node, OnnxNode>): Set<string> {
  const names = new Set<string>()
  for (const { op } of graph.nodes) if (op.kind === 'Opaque') for (const name of op.captures) names.add(name)
  for (const payload of payloads.values()) {
    for (const { node, input, output, initializer } of subgraphsOf(payload)) {
      for (const { name } of [...input, ...output, ...initializer]) names.add(name)
      for (const inner of node) for (const name of [...inner.input, ...inner.output]) names.add(name)
    }
  }
  return names
}

/** A subgraph reads outer values as the reals that the source model had. */
function requireRealCaptures(graph: Graph): void {
  for (const { op, name } of graph.nodes)
    for (const captured of op.kind === 'Opaque' ? op.captures : [])
      if (namedValue(graph, captured).type.quantization)
        throw new EdgewrightError(
          'GRAPH_INVALID',
          `The subgraph of ${name} captures ${JSON.stringify(captured)}, which is quantized.`,
          {
            where: name,
            hint: 'Convert it to float under that name first.',
          },
        )
}

function requireOneFile({ initializers }: GraphWriter): void {
  const bytes = initializers.reduce((sum, { rawData }) => sum + (rawData?.byteLength ?? 0), 0)
  if (bytes > mostTensorBytes)
    throw new EdgewrightError(
      'MODEL_TOO_LARGE',
      'The constants of the graph do not fit into one ONNX file of 2 GB.',
      {
        saw: `${bytes} bytes`,
        hint: 'No board of ours holds such a network: use a smaller one.',
      },
    )
}

function valueInfo({ name, type }: Value) {
  return { name, type: { tensorType: { elemType: onnxDataTypes[type.dtype], shape: shapeOf(type) } } }
}

function shapeOf({ shape }: TensorType) {
  return { dim: shape.map((dimValue) => ({ dimValue })) }
}

function namedValue(graph: Graph, name: string): Value {
  const value = graph.values.get(name)
  if (!value)
    throw new EdgewrightError('GRAPH_INVALID', `No value is named ${JSON.stringify(name)}.`, {
      where: graph.name,
    })
  return value
}
