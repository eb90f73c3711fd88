import { EdgewrightError } from '../../error.ts'
import { sortTopologically } from '../../graph/edit.ts'
import type { Node } from '../../graph/types.ts'
import { attributeTypes, decodeNode, encodeNode, type OnnxGraph, type OnnxNode } from './proto.ts'
import { copy, type FlatNode } from './read-functions.ts'
import { capturedNames, subgraphsOf } from './read-opaque.ts'
import type { NameUse } from './read-graph.ts'

/**
 * The operators in an order in which each comes after what it reads, every output that stands before a used one
 * named, and constants that only ONNX can say (strings, sparse) as operators.
 * @throws GRAPH_INVALID for a cycle, MODEL_BROKEN for a name made twice
 */
export function prepareNodes(graph: OnnxGraph, flat: readonly FlatNode[]): FlatNode[] {
  for (const { node } of flat) requireFewNames(node)
  const taken = new Set(allNames(graph, flat))
  const made = new Set<string>()
  const opsets = flat[0]?.opsets ?? new Map()
  const nodes = [...constantNodes(graph).map((node) => ({ node, opsets })), ...flat].map(
    ({ node, opsets }) => ({ node: nameOutputs(node, taken), opsets }),
  )
  for (const { node } of nodes)
    for (const output of node.output) {
      if (made.has(output))
        throw new EdgewrightError('MODEL_BROKEN', `Two operators make the value ${JSON.stringify(output)}.`, {
          where: graph.name,
        })
      made.add(output)
    }
  return sorted(nodes, graph.name)
}

/** More than any operator of a network joins; what is not bounded here would have to be everywhere. */
const mostNames = 10_000

function requireFewNames(node: OnnxNode): void {
  if (node.input.length <= mostNames && node.output.length <= mostNames && node.attribute.length <= mostNames)
    return
  throw new EdgewrightError(
    'MODEL_TOO_LARGE',
    `An operator of the model has more than ${mostNames} inputs, outputs or attributes.`,
    {
      where: `${node.opType} ${JSON.stringify(node.name)}`,
      saw: `${node.input.length} inputs, ${node.output.length} outputs, ${node.attribute.length} attributes`,
    },
  )
}

/** Optional outputs at the end are dropped, those in between get a name, so that positions stay. */
function nameOutputs(node: OnnxNode, taken: Set<string>): OnnxNode {
  let count = node.output.length
  while (count > 0 && node.output[count - 1] === '') count--
  if (count === node.output.length && !node.output.includes('')) return node
  const output = node.output.slice(0, count).map((name, i) => {
    if (name !== '') return name
    for (let attempt = 0; ; attempt++) {
      const fresh = `${node.name || node.opType}/unused${i}${attempt === 0 ? '' : `_${attempt}`}`
      if (taken.has(fresh)) continue
      taken.add(fresh)
      return fresh
    }
  })
  return copy(node, { output })
}

function constantNodes(graph: OnnxGraph): OnnxNode[] {
  const strings = graph.initializer
    .filter(({ dataType }) => dataType === 8)
    .map((tensor) => ({
      opType: 'Constant',
      output: [tensor.name],
      attribute: [{ name: 'value', type: attributeTypes.tensor, t: tensor }],
    }))
  const sparse = graph.sparseInitializer.map((tensor) => ({
    opType: 'Constant',
    output: [tensor.values?.name ?? ''],
    attribute: [{ name: 'sparse_value', type: attributeTypes.sparseTensor, sparseTensor: tensor }],
  }))
  return [...strings, ...sparse].map((node) => decodeNode(encodeNode(node)))
}

function sorted(nodes: readonly FlatNode[], where: string): FlatNode[] {
  const byStandIn = new Map<Node, FlatNode>()
  for (const flat of nodes) {
    const { input, output, name } = flat.node
    byStandIn.set(
      {
        name: name || output[0] || flat.node.opType,
        op: { kind: 'Identity' },
        inputs: [...input, ...capturedNames(flat.node)],
        outputs: output,
        source: null,
      },
      flat,
    )
  }
  return sortTopologically([...byStandIn.keys()], where).map((standIn) => byStandIn.get(standIn)!)
}

/** What the names of a graph are used for. */
export function namesOf(graph: OnnxGraph, nodes: readonly FlatNode[]): NameUse {
  const used = new Set(graph.output.map(({ name }) => name))
  const captured = new Set<string>()
  for (const { node } of nodes) {
    for (const name of node.input) used.add(name)
    for (const name of capturedNames(node)) captured.add(name)
  }
  for (const name of captured) used.add(name)
  return { taken: new Set(allNames(graph, nodes)), used, captured }
}

function* allNames(graph: OnnxGraph, nodes: readonly FlatNode[]): Generator<string> {
  for (const { name } of [...graph.input, ...graph.output, ...graph.initializer]) yield name
  for (const { node } of nodes) {
    yield* node.input
    yield* node.output
    for (const subgraph of subgraphsOf(node))
      yield* allNames(
        subgraph,
        subgraph.node.map((inner) => ({ node: inner, opsets: new Map() })),
      )
  }
}
