import type { Graph, Node } from '../../src/graph/types.ts'
import { neverClipped } from '../../src/quantize/never-clipped.ts'
import { ScaleClasses } from '../../src/quantize/scale-classes.ts'
import type { Basis, TargetOptions } from '../target.ts'
import { brokenConstraint, constraints } from './constraints.ts'
import { GraphIndex } from './graph-index.ts'
import { roleOf } from './numerics.ts'
import { residualAdd } from './residual.ts'

/** Which operands are quantized, and which of these share a scale: everything that needs no ranges. */
export interface Plan {
  readonly placements: ReadonlyMap<Node, PlannedNode>
  /** Activations with a Q/DQ pair. */
  readonly quantized: ReadonlySet<string>
  readonly classes: ScaleClasses
  /** Quantized values by class: the range of a class is that of all its members. */
  readonly sources: ReadonlyMap<string, readonly string[]>
  /** Values that graph outputs are made of: never clipped. */
  readonly unclipped: ReadonlySet<string>
}

export interface PlannedNode {
  /** `int8`: reads quantized operands; `follows`: runs in int8 or is fused between those that do, without Q/DQ of its own. */
  readonly how: 'int8' | 'follows' | 'float'
  /** Positions of operands that get a Q/DQ pair: activations only. */
  readonly operands: readonly number[]
  readonly reason: string
  readonly remedy: string | null
  readonly basis: Basis | null
}

export function planGraph(graph: Graph, options: TargetOptions): Plan {
  const index = new GraphIndex(graph)
  const placements = new Map<Node, PlannedNode>()
  for (const node of graph.nodes) placements.set(node, weightedPlacement(node, graph, options))
  const isInteger = (node: Node) => placements.get(node)!.how === 'int8'
  for (const node of graph.nodes) {
    if (!mayFollow(placements.get(node)!)) continue
    const residual = residualAdd(node, index, isInteger)
    if (residual) placements.set(node, quantizedAt([residual.residual]))
    else if (roleOf(node.op) === 'pool' && comesFromInteger(node.inputs[0]!, index, placements))
      placements.set(node, quantizedAt([0]))
  }
  const quantized = quantizedValues(graph, placements)
  follow(index, placements, quantized)
  const classes = scaleClasses(graph, placements, options)
  return {
    placements,
    quantized,
    classes,
    sources: sourcesOf(quantized, classes),
    unclipped: neverClipped(graph),
  }
}

const waiting = 'It does not stand between operators in int8, so nothing would be gained.'

/** What has weights, and what cannot be in int8 whatever stands beside it; the rest waits. */
function weightedPlacement(node: Node, graph: Graph, options: TargetOptions): PlannedNode {
  const refused = options.constraints.find((constraint) => constraint.kind === 'no-int8')
  if (refused) return inFloat(refused.sentence, null, 'documented')
  if ([node.name, ...node.outputs].some((name) => options.keepFloat.includes(name)))
    return inFloat('The recipe or its accuracy limit keeps it in float.', null, null)
  const broken = brokenConstraint(constraints, node, graph, options)
  if (broken)
    return inFloat(
      `${broken.constraint.sentence} Saw: ${broken.saw}.`,
      broken.constraint.remedy ?? null,
      broken.constraint.basis,
    )
  return roleOf(node.op) === 'weighted' ? quantizedAt([0]) : inFloat(waiting, null, null)
}

function quantizedAt(operands: readonly number[]): PlannedNode {
  return { how: 'int8', operands, reason: '', remedy: null, basis: null }
}

function inFloat(reason: string, remedy: string | null, basis: Basis | null): PlannedNode {
  return { how: 'float', operands: [], reason, remedy, basis }
}

function mayFollow({ how, reason }: PlannedNode): boolean {
  return how === 'float' && reason === waiting
}

/** True where an integer kernel makes a value, or what is fused into one or moves its result. */
function comesFromInteger(
  name: string,
  index: GraphIndex,
  placements: ReadonlyMap<Node, PlannedNode>,
): boolean {
  const maker = index.maker(name)
  if (!maker) return false
  const planned = placements.get(maker)!
  if (planned.how === 'int8') return true
  if (!mayFollow(planned)) return false
  const role = roleOf(maker.op)
  if (role !== 'clip' && role !== 'commutes') return false
  return index.activations(maker).every((input) => comesFromInteger(input, index, placements))
}

function quantizedValues(graph: Graph, placements: ReadonlyMap<Node, PlannedNode>): Set<string> {
  const quantized = new Set<string>()
  for (const node of graph.nodes)
    for (const position of placements.get(node)!.operands) quantized.add(node.inputs[position]!)
  return quantized
}

/** Marks what the builder runs in int8 without Q/DQ of its own: between an integer kernel and quantized operands. */
function follow(index: GraphIndex, placements: Map<Node, PlannedNode>, quantized: ReadonlySet<string>): void {
  const inInt8 = (name: string): boolean =>
    !index.isOutput(name) &&
    index.readers(name).length > 0 &&
    index.readers(name).every((reader) => {
      const planned = placements.get(reader)!
      if (planned.how === 'follows') return true
      return planned.how === 'int8' && quantized.has(name)
    })
  // from the outputs on: what reads a value is known before what makes it
  for (const node of [...index.graph.nodes].reverse()) {
    if (!mayFollow(placements.get(node)!)) continue
    const role = roleOf(node.op)
    const fused = role === 'clip' && comesFromInteger(node.inputs[0]!, index, placements)
    const moved = role === 'commutes' && node.outputs.every(inInt8)
    if (fused || moved)
      placements.set(node, { how: 'follows', operands: [], reason: '', remedy: null, basis: null })
  }
}

/**
 * Values that one conversion serves: what only moves or compares passes it on, so two scales on its two sides would be
 * a requantization between. The branches of a concatenation share the scale of their union.
 */
function scaleClasses(
  graph: Graph,
  placements: ReadonlyMap<Node, PlannedNode>,
  { keepFloat }: TargetOptions,
): ScaleClasses {
  const classes = new ScaleClasses()
  for (const node of graph.nodes) {
    const kept = [node.name, ...node.outputs].some((name) => keepFloat.includes(name))
    if (roleOf(node.op) !== 'commutes' || kept || placements.get(node)!.basis !== null) continue
    const operands = node.op.kind === 'Gather' ? node.inputs.slice(0, 1) : node.inputs
    const moved = [...node.outputs, ...operands].filter((name) => name && !graph.values.get(name)!.constant)
    for (const name of moved) classes.unite(moved[0]!, name!)
  }
  return classes
}

function sourcesOf(quantized: ReadonlySet<string>, classes: ScaleClasses): Map<string, string[]> {
  const sources = new Map<string, string[]>()
  for (const name of quantized) {
    const representative = classes.find(name)
    sources.set(representative, [...(sources.get(representative) ?? []), name])
  }
  return sources
}
