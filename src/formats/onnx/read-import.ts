import { EdgewrightError } from '../../error.ts'
import type { Graph, TensorType } from '../../graph/types.ts'
import { readTable } from './ops-read/index.ts'
import { encodeNode, type OnnxGraph, type OnnxNode } from './proto.ts'
import type { FlatNode } from './read-functions.ts'
import { GraphInReading } from './read-graph.ts'
import type { BoundInputs } from '../bind-inputs.ts'
import { capturedNames, hasDataDependentShape } from './read-opaque.ts'
import { describeNode, NotExpressible, OnnxOperator } from './read-operator.ts'
import { namesOf } from './read-prepare.ts'
import { constantOfTensor, type ExternalFolder } from './read-tensor.ts'

/** One file and the shapes that it is read for. */
export interface ImportTask {
  readonly graph: OnnxGraph
  readonly nodes: readonly FlatNode[]
  readonly bound: BoundInputs
  readonly folder: ExternalFolder
  /** Types that the file states. */
  readonly declared: ReadonlyMap<string, TensorType>
}

export interface Imported {
  /** Null where types are missing that only a run can tell. */
  readonly read: Graph | null
  readonly warnings: readonly string[]
  /** Values of unknown type with a description of the operator that makes each. */
  readonly unknown: ReadonlyMap<string, string>
}

/** Integers that something reads as they are travel back one operator a pass. */
const mostPasses = 32

/** Reads the operators in order. `known` are types that a run of the model has told. */
export function importGraph(task: ImportTask, known: ReadonlyMap<string, TensorType>): Imported {
  const raw = new Set<string>()
  for (let pass = 0; pass < mostPasses; pass++) {
    const imported = importOnce(task, known, raw)
    if (imported.rawDemanded.size === 0) return imported
    for (const name of imported.rawDemanded) raw.add(name)
  }
  throw new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    'The model uses quantized values as plain integers in too long a chain.',
    { where: task.graph.name },
  )
}

function importOnce(
  task: ImportTask,
  known: ReadonlyMap<string, TensorType>,
  raw: ReadonlySet<string>,
): Imported & { rawDemanded: ReadonlySet<string> } {
  const graph = new GraphInReading(
    task.graph.name || 'main',
    namesOf(task.graph, task.nodes),
    task.folder,
    task.bound.batch,
    raw,
  )
  const state: State = {
    task,
    known,
    graph,
    unknown: new Map(),
    blocked: new Set(),
    dynamic: new Set(),
    warnings: [],
  }
  for (const [name, type] of task.bound.types) graph.addInput(name, type)
  for (const tensor of task.graph.initializer)
    if (tensor.dataType !== 8)
      graph.define(
        tensor.name,
        constantOfTensor(tensor, `initializer ${JSON.stringify(tensor.name)}`, task.folder),
      )
  for (const [index, flat] of task.nodes.entries()) readNode(state, flat, index)
  const { rawDemanded } = graph
  if (state.unknown.size > 0 || rawDemanded.size > 0)
    return { read: null, warnings: [], unknown: state.unknown, rawDemanded }
  const outputs = task.graph.output.map(({ name }) => name)
  if (outputs.length === 0) throw new EdgewrightError('MODEL_BROKEN', 'The model has no outputs.')
  if (new Set(outputs).size < outputs.length)
    throw new EdgewrightError('MODEL_BROKEN', 'Two outputs of the model have the same name.')
  return { read: graph.finish(outputs), warnings: state.warnings, unknown: state.unknown, rawDemanded }
}

interface State {
  readonly task: ImportTask
  readonly known: ReadonlyMap<string, TensorType>
  readonly graph: GraphInReading
  readonly unknown: Map<string, string>
  /** Values that cannot be read in this pass, for something before them is unknown. */
  readonly blocked: Set<string>
  /** Values whose shape depends on the data. */
  readonly dynamic: Set<string>
  readonly warnings: string[]
}

function readNode(state: State, { node, opsets }: FlatNode, index: number): void {
  const { graph } = state
  const reads = [...node.input.filter((name) => name !== ''), ...capturedNames(node)]
  const read = node.domain === '' || node.domain === 'ai.onnx' ? readTable.get(node.opType) : undefined
  if (reads.some((name) => state.blocked.has(name))) {
    block(state, node, index, read === undefined)
    return
  }
  const dynamic = reads.some((name) => state.dynamic.has(name))
  const strings = reads.some((name) => graph.editor.type(graph.resolve(name)).dtype === 'string')
  let types: readonly TensorType[] | undefined
  if (read && !dynamic && !strings) {
    try {
      read(new OnnxOperator(node, index, opsets.get('')!, graph))
      return
    } catch (error) {
      if (!(error instanceof NotExpressible)) throw error
      types = error.types
    }
  }
  for (const name of reads) graph.demandRaw(graph.resolve(name))
  carry(state, { node, opsets }, index, { afterDynamic: dynamic, types })
}

function block(state: State, node: OnnxNode, index: number, opaque: boolean): void {
  for (const output of node.output) {
    state.blocked.add(output)
    if (opaque && !state.known.has(output)) state.unknown.set(output, describeNode(node, index))
  }
}

interface Carried {
  /** Whether something before has a shape that depends on the data. */
  readonly afterDynamic: boolean
  /** Types of the results where the operator's reader knows them. */
  readonly types: readonly TensorType[] | undefined
}

/** Carries an operator verbatim. */
function carry(
  state: State,
  { node, opsets }: FlatNode,
  index: number,
  { afterDynamic, types: stated }: Carried,
): void {
  const { graph } = state
  const isConstant = (name: string) => graph.editor.value(graph.resolve(name)).constant !== null
  const declared = state.task.declared
  const branches = node.opType === 'If' || node.opType === 'Loop'
  const fixed = branches && node.output.every((name) => declared.has(name))
  const dynamic = afterDynamic || (!fixed && hasDataDependentShape(node, isConstant))
  const types = node.output.map(
    (name, i) =>
      stated?.[i] ??
      state.known.get(name) ??
      constantType(node) ??
      (dynamic && !branches ? undefined : declared.get(name)),
  )
  if (types.includes(undefined)) {
    for (const [i, output] of node.output.entries()) {
      state.blocked.add(output)
      if (!types[i]) state.unknown.set(output, describeNode(node, index))
    }
    return
  }
  if (dynamic && !afterDynamic)
    state.warnings.push(
      `The shape of ${describeNode(node, index)} depends on the data; what follows it is carried verbatim, in float.`,
    )
  if (dynamic) for (const output of node.output) state.dynamic.add(output)
  graph.emit(
    {
      kind: 'Opaque',
      format: 'onnx',
      domain: node.domain === 'ai.onnx' ? '' : node.domain,
      opType: node.opType,
      opset: opsets.get(node.domain === 'ai.onnx' ? '' : node.domain) ?? 1,
      payload: encodeNode(node),
      captures: capturedNames(node),
    },
    node.input.map((name) => (name === '' ? null : graph.resolve(name))),
    node.output,
    node.name || `${node.opType}_${index}`,
    { opType: node.opType, name: node.name, index },
    types as TensorType[],
  )
}

/** A constant that our pool cannot hold says its own type. */
function constantType(node: OnnxNode): TensorType | undefined {
  if (node.opType !== 'Constant') return undefined
  const attribute = (name: string) => node.attribute.find((found) => found.name === name)
  const text = attribute('value')?.t
  if (text?.dataType === 8) return { dtype: 'string', shape: text.dims.map(Number), quantization: null }
  const texts = attribute('value_strings')?.strings
  if (texts) return { dtype: 'string', shape: [texts.length], quantization: null }
  if (attribute('value_string')) return { dtype: 'string', shape: [], quantization: null }
  return undefined
}
