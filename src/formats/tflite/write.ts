import type { Graph, ModelExtras } from '../../graph/types.ts'
import { requireChannelsLast, writeNode } from './ops-write/index.ts'
import { findFusions } from './fuse.ts'
import { minimumRuntimeVersion } from './runtime-versions.ts'
import { encodeModel, type TfliteModel, type TfliteSignatureDef } from './schema.ts'
import { NetworkInWriting } from './write-graph.ts'

export interface WriteTfliteOptions {
  /** Who made the file; `edgewright` where not given. */
  readonly description?: string
  /** Metadata records by name, as bytes. `min_runtime_version` is always our own. */
  readonly records?: ReadonlyMap<string, Uint8Array>
  /**
   * Names of the signature and of its inputs and outputs, by value name; those that are left out, and by default all,
   * are the graph's own. Null writes none.
   */
  readonly signature?: ModelExtras['signature']
}

/** The record that says which runtime is needed has room for this many characters. */
const versionBytes = 16

/** Records that list tensors by number, which are others in a file that we write. */
const positional: ReadonlySet<string> = new Set(['min_runtime_version', 'OfflineMemoryAllocation'])

/**
 * Writes a graph as a TensorFlow Lite file: spatial operators channels last, weights and their axes in the file's
 * order, quantization as tensor parameters, operators in the lowest version that takes their types. Same graph and
 * options, same bytes.
 * @throws GRAPH_INVALID for channels-first operators; OPERATOR_UNSUPPORTED for what the format has no operator for;
 * MODEL_TOO_LARGE over 2 GB
 */
export function writeTflite(graph: Graph, options: WriteTfliteOptions = {}): Uint8Array {
  requireChannelsLast(graph)
  const network = new NetworkInWriting(graph)
  const inputs = graph.inputs.map((name) => network.tensor(name))
  const fusions = findFusions(graph)
  for (const node of graph.nodes) if (!fusions.skipped.has(node)) writeNode(node, network, fusions)
  const outputs = graph.outputs.map((name) => network.tensor(name))
  const operators = network.finishOperators()
  const metadata = recordsOf(network, options.records ?? new Map())
  const { signature } = options
  return encodeModel({
    operatorCodes: network.codes,
    subgraphs: [{ tensors: network.tensors, inputs, outputs, operators, name: graph.name }],
    description: options.description ?? 'edgewright',
    buffers: network.buffers,
    metadata,
    signatureDefs: signature === null ? null : [signatureOf(graph, inputs, outputs, signature)],
  })
}

function recordsOf(
  network: NetworkInWriting,
  records: ReadonlyMap<string, Uint8Array>,
): NonNullable<TfliteModel['metadata']> {
  const version = new Uint8Array(versionBytes)
  version.set(Buffer.from(minimumRuntimeVersion(network.versions), 'latin1'))
  return [
    { name: 'min_runtime_version', buffer: network.addBuffer(version) },
    ...[...records]
      .filter(([name]) => !positional.has(name))
      .map(([name, bytes]) => ({ name, buffer: network.addBuffer(bytes) })),
  ]
}

function signatureOf(
  graph: Graph,
  inputs: readonly number[],
  outputs: readonly number[],
  given: NonNullable<ModelExtras['signature']> | undefined,
): TfliteSignatureDef {
  const maps = (
    names: readonly string[],
    tensors: readonly number[],
    aliases: Readonly<Record<string, string>>,
  ) => names.map((name, i) => ({ name: aliases[name] ?? name, tensorIndex: tensors[i]! }))
  return {
    inputs: maps(graph.inputs, inputs, given?.inputs ?? {}),
    outputs: maps(graph.outputs, outputs, given?.outputs ?? {}),
    signatureKey: given?.name ?? 'serving_default',
    subgraphIndex: 0,
  }
}
