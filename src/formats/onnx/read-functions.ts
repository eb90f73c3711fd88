import { EdgewrightError } from '../../error.ts'
import type { OnnxAttribute, OnnxFunction, OnnxGraph, OnnxModel, OnnxNode } from './proto.ts'

/** One operator of the flat graph with the operator-set versions that it is read by. */
export interface FlatNode {
  readonly node: OnnxNode
  readonly opsets: ReadonlyMap<string, number>
}

/** Far more operators than any network has; a file that calls functions of functions asks for more. */
export const mostNodes = 100_000
const deepestCall = 32

/** The graph's operators with every call of a function of the model replaced by its body. @throws MODEL_BROKEN, MODEL_TOO_LARGE */
export function inlineFunctions(
  model: OnnxModel,
  graph: OnnxGraph,
  opsets: ReadonlyMap<string, number>,
): FlatNode[] {
  const functions = new Map(model.functions.map((made) => [key(made.domain, made.name, made.overload), made]))
  const inlining: Inlining = { functions, count: 0, calls: 0 }
  return inlining.functions.size === 0 ? plain(graph, opsets) : expand(graph.node, opsets, inlining, 0)
}

interface Inlining {
  readonly functions: ReadonlyMap<string, OnnxFunction>
  /** Operators made so far. */
  count: number
  /** Calls so far: each gets names of its own. */
  calls: number
}

function plain(graph: OnnxGraph, opsets: ReadonlyMap<string, number>): FlatNode[] {
  requireFew(graph.node.length)
  return graph.node.map((node) => ({ node, opsets }))
}

function expand(
  nodes: readonly OnnxNode[],
  opsets: ReadonlyMap<string, number>,
  inlining: Inlining,
  depth: number,
): FlatNode[] {
  return nodes.flatMap((node) => {
    const called = inlining.functions.get(key(node.domain, node.opType, node.overload))
    if (!called) {
      requireFew(++inlining.count)
      return [
        { node: withSubgraphs(node, (graph) => expandSubgraph(graph, opsets, inlining, depth + 1)), opsets },
      ]
    }
    if (depth >= deepestCall)
      throw new EdgewrightError(
        'MODEL_BROKEN',
        'A function of the model calls itself, or functions call each other too deeply.',
        { where: `${node.domain}.${node.opType}` },
      )
    const own = new Map(
      called.opsetImport.map(({ domain, version }) => [domain === 'ai.onnx' ? '' : domain, Number(version)]),
    )
    return expand(
      bodyFor(node, called, `${node.name || node.opType}/call${inlining.calls++}/`),
      new Map([...opsets, ...own]),
      inlining,
      depth + 1,
    )
  })
}

function expandSubgraph(
  graph: OnnxGraph,
  opsets: ReadonlyMap<string, number>,
  inlining: Inlining,
  depth: number,
): OnnxGraph {
  return copy(graph, { node: expand(graph.node, opsets, inlining, depth).map(({ node }) => node) })
}

/** The function's operators with the call's operands, results and attributes in place of the formal ones. */
function bodyFor(call: OnnxNode, called: OnnxFunction, prefix: string): OnnxNode[] {
  const names = new Map<string, string>([['', '']])
  for (const [i, formal] of called.input.entries()) names.set(formal, call.input[i] ?? '')
  for (const [i, formal] of called.output.entries()) names.set(formal, call.output[i] || `${prefix}${formal}`)
  const attributes = new Map(called.attributeProto.map((attribute) => [attribute.name, attribute]))
  for (const attribute of call.attribute) attributes.set(attribute.name, attribute)
  return called.node.map((node) => instantiate(node, { names, attributes, prefix }))
}

interface Instance {
  readonly names: ReadonlyMap<string, string>
  readonly attributes: ReadonlyMap<string, OnnxAttribute>
  readonly prefix: string
}

function instantiate(node: OnnxNode, instance: Instance): OnnxNode {
  const rename = (name: string) => instance.names.get(name) ?? `${instance.prefix}${name}`
  const attribute = node.attribute.flatMap((own) => {
    if (!own.refAttrName) return [own]
    const given = instance.attributes.get(own.refAttrName)
    // an attribute that the caller leaves out is left out inside
    return given ? [copy(given, { name: own.name })] : []
  })
  const bound = copy(node, {
    input: node.input.map(rename),
    output: node.output.map(rename),
    name: node.name && `${instance.prefix}${node.name}`,
    attribute,
  })
  return withSubgraphs(bound, (graph) => instantiateGraph(graph, instance))
}

function instantiateGraph(graph: OnnxGraph, instance: Instance): OnnxGraph {
  const rename = (name: string) => instance.names.get(name) ?? `${instance.prefix}${name}`
  const named = <T extends { name: string }>(items: readonly T[]) =>
    items.map((item) => copy(item, { name: rename(item.name) } as Partial<T>))
  return copy(graph, {
    node: graph.node.map((node) => instantiate(node, instance)),
    input: named(graph.input),
    output: named(graph.output),
    valueInfo: named(graph.valueInfo),
    initializer: named(graph.initializer),
  })
}

function withSubgraphs(node: OnnxNode, change: (graph: OnnxGraph) => OnnxGraph): OnnxNode {
  if (!node.attribute.some(({ g, graphs }) => g || graphs.length > 0)) return node
  return copy(node, {
    attribute: node.attribute.map((attribute) =>
      copy(attribute, { g: attribute.g && change(attribute.g), graphs: attribute.graphs.map(change) }),
    ),
  })
}

/** A changed copy of a message: absent fields live on its prototype, which a spread would lose. */
export function copy<T extends object>(message: T, change: Partial<T>): T {
  const made = Object.assign(Object.create(Object.getPrototypeOf(message)), message, change) as T
  // null is not "absent" to the encoder
  for (const name of Object.keys(change) as (keyof T)[]) if (made[name] === null) delete made[name]
  return made
}

function key(domain: string, name: string, overload: string): string {
  return JSON.stringify([domain === 'ai.onnx' ? '' : domain, name, overload])
}

function requireFew(count: number): void {
  if (count > mostNodes)
    throw new EdgewrightError('MODEL_TOO_LARGE', `The model has more than ${mostNodes} operators.`, {
      saw: `${count} operators`,
    })
}
