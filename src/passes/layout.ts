import type { Layout } from '../graph/ops.ts'
import type { Graph } from '../graph/types.ts'
import { elementCount } from '../tensor.ts'
import { LayoutConverter } from './layout/converter.ts'
import { identity, isIdentity, samePermutation, towards } from './layout/permutation.ts'
import { layoutOf, preferences } from './layout/preferences.ts'
import { convertNode } from './layout/rules.ts'
import type { Pass } from './pass.ts'

export interface LayoutOptions {
  /** `convert` gives inputs that lead to spatial operators the new layout; kept by default. */
  readonly inputs?: 'keep' | 'convert'
  /** `convert` gives outputs that come from spatial operators the new layout; kept by default. */
  readonly outputs?: 'keep' | 'convert'
}

/**
 * Rewrites a graph so that its spatial operators compute in one layout. Axes, constants, per-axis quantization and the
 * rows of matrix weights behind a flatten follow; the graph's own Transposes dissolve where what reads them allows.
 * What is left: at most one Transpose at an input or output that keeps another layout, and those around operators that
 * are tied to the order of their axes. Values that are stored in another order keep their names, except outputs.
 * @returns the same graph where nothing would change
 */
export function convertLayout(graph: Graph, to: Layout, options: LayoutOptions = {}): Graph {
  const converted = convert(graph, to, options)
  const settled = graph.nodes.every(({ op }) => !('layout' in op) || op.layout === to)
  // a graph in this layout already is left alone unless it gets shorter
  const asked = options.inputs === 'convert' || options.outputs === 'convert'
  return settled && !asked && movement(converted) >= movement(graph) ? graph : converted
}

/** `convertLayout` as a pass; the layouts of inputs and outputs are kept. */
export function layoutPass(to: Layout): Pass {
  return {
    name: `layout-${to}`,
    run(graph) {
      const converted = convertLayout(graph, to)
      return { graph: converted, changed: converted === graph ? 0 : 1, notes: [] }
    },
    ensures(graph) {
      const other = graph.nodes.find(({ op }) => 'layout' in op && op.layout !== to)
      return other ? `${other.name} is not ${to}.` : null
    },
  }
}

function convert(graph: Graph, to: Layout, { inputs, outputs }: LayoutOptions): Graph {
  const converter = new LayoutConverter(graph, to)
  const wanted = preferences(graph, to)
  for (const name of graph.inputs) {
    const own = identity(converter.shape(name).length)
    const moves = inputs === 'convert' && !converter.isCaptured(name) && !graph.outputs.includes(name)
    converter.addInput(name, moves ? (wanted.get(name) ?? own) : own)
  }
  for (const node of graph.nodes) convertNode({ converter, wanted }, node)
  for (const name of graph.outputs) {
    const perm = converter.perm(name)
    const moves =
      outputs === 'convert' && samePermutation(perm, towards(to, perm.length)) && !isIdentity(perm)
    const own = converter.at(name)?.name ?? name
    if (moves && !converter.isCaptured(name) && !graph.inputs.includes(own)) converter.publishAsStored(name)
    else converter.publish(name)
  }
  return converter.finish()
}

/** Elements that Transposes move, and how many Transposes there are. */
function movement(graph: Graph): number {
  return graph.nodes
    .filter(({ op }) => op.kind === 'Transpose' && layoutOf(op) === null)
    .reduce((sum, { outputs }) => sum + 1 + elementCount(graph.values.get(outputs[0]!)!.type.shape), 0)
}
