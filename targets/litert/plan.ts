import { GraphEditor } from '../../src/graph/edit.ts'
import type { Graph, Node } from '../../src/graph/types.ts'
import { joinFloatIslands } from '../float-islands.ts'
import type { Basis, Decision, TargetOptions } from '../target.ts'
import { brokenConstraint, fileConstraints, kernelConstraints } from './constraints.ts'
import {
  type ActivationType,
  isFusedClip,
  type Signature,
  signatureOf,
  takesFusedActivation,
} from './numerics.ts'

/** Which operators compute on integers: everything that needs no ranges. */
export interface Plan {
  readonly graph: Graph
  /** Who makes and who reads each value. */
  readonly index: GraphEditor
  readonly activation: ActivationType
  readonly placements: ReadonlyMap<Node, PlannedNode>
  /** By the value that a clip follows. */
  readonly fused: ReadonlyMap<string, FusedClip>
  readonly decisions: readonly Decision[]
}

export interface PlannedNode {
  /** `fused`: done by the operator before it. */
  readonly how: 'integer' | 'float' | 'fused' | 'unsupported'
  readonly signature: Signature
  readonly reason: string
  readonly remedy: string | null
  readonly basis: Basis | null
}

/** `producer → Relu or Clip` as one operator, which makes the clip's output. */
export interface FusedClip {
  readonly output: string
  readonly min: number
  readonly max: number
  /** The clip, where the producer can carry it as its fused activation; else only saturation can do it. */
  readonly attribute: Node | null
}

/** @param activation element type of integer activations */
export function planGraph(graph: Graph, options: TargetOptions, activation: ActivationType): Plan {
  const index = new GraphEditor(graph)
  const placements = new Map<Node, PlannedNode>()
  const decisions: Decision[] = []
  for (const node of graph.nodes) placements.set(node, capability(node, graph, options))
  if (!options.preferIntegers) joinIslands(graph, placements, options)
  const fused = fuseClips(graph, index, placements, activation)
  leaveTailInFloat(graph, index, placements, options)
  dropLonelyRegions(graph, index, placements, decisions)
  for (const node of graph.nodes) {
    const { how, reason } = placements.get(node)!
    if (how === 'float' && isReal(graph, node))
      decisions.push({ where: node.name, reason: `float: ${reason}` })
  }
  return { graph, index, activation, placements, fused, decisions }
}

/** Values whose range decides a scale. */
export function rangedValues({ graph, index, placements, fused }: Plan, options: TargetOptions): string[] {
  const wanted = new Set<string>()
  const made = (name: string) => {
    const producer = index.producer(name)
    return producer !== null && isInteger(placements.get(producer)!)
  }
  for (const node of graph.nodes) {
    const planned = placements.get(node)!
    if (planned.how !== 'integer') continue
    for (const name of activationsOf(graph, node)) if (!made(name)) wanted.add(name)
    const { role } = planned.signature
    const joins = role === 'same' && (activationsOf(graph, node).length > 1 || node.inputs.length > 1)
    if (role === 'weighted' || role === 'rescale' || role === 'saturate' || joins)
      for (const output of node.outputs) wanted.add(fused.get(output)?.output ?? output)
  }
  if (options.io !== 'float')
    for (const name of [...graph.inputs, ...graph.outputs]) {
      const { type, constant } = graph.values.get(name)!
      if (type.dtype === 'float32' && !constant && !made(name)) wanted.add(name)
    }
  return [...wanted]
}

/** What convolutions and products read: the means of their channels correct biases. */
export function weightedInputs({ graph, placements }: Plan): string[] {
  const weighted = graph.nodes.filter((node) => {
    const { how, signature } = placements.get(node)!
    return how === 'integer' && signature.role === 'weighted'
  })
  return weighted.map(({ inputs }) => inputs[0]!).filter((name) => graph.values.get(name)!.constant === null)
}

/** Operands that carry real activations. */
export function activationsOf(graph: Graph, node: Node): string[] {
  return node.inputs.filter((name): name is string => {
    const value = name === null ? undefined : graph.values.get(name)
    return value?.type.dtype === 'float32' && value.constant === null
  })
}

export function isInteger({ how }: PlannedNode): boolean {
  return how === 'integer' || how === 'fused'
}

function isReal(graph: Graph, node: Node): boolean {
  return [...node.inputs, ...node.outputs].some(
    (name) => name && graph.values.get(name)!.type.dtype === 'float32',
  )
}

function capability(node: Node, graph: Graph, options: TargetOptions): PlannedNode {
  const signature = signatureOf(node.op)
  const missing = brokenConstraint(fileConstraints, node, graph, options)
  if (missing) {
    const { constraint, saw } = missing
    const { sentence, remedy = null, basis } = constraint
    return { how: 'unsupported', signature, reason: `${sentence} Saw: ${saw}.`, remedy, basis }
  }
  const refused = options.constraints.find(({ kind }) => kind === 'no-int8')
  if (refused) return inFloat(signature, refused.sentence, null, 'documented')
  const names = [node.name, ...node.outputs, ...(node.source ? [node.source.name] : [])]
  if (names.some((name) => name !== '' && options.keepFloat.includes(name)))
    return inFloat(signature, 'The recipe or its accuracy limit keeps it in float.', null, null)
  const broken = brokenConstraint(kernelConstraints, node, graph, options)
  if (!broken) return { how: 'integer', signature, reason: '', remedy: null, basis: null }
  const own = signature.role === 'float' ? signature.remedy : undefined
  return inFloat(
    signature,
    `${broken.constraint.sentence} Saw: ${broken.saw}.`,
    own ?? broken.constraint.remedy ?? null,
    broken.constraint.basis,
  )
}

/** What stands beside operators that have to run on reals, where no more tensors are converted for it. */
function joinIslands(graph: Graph, placements: Map<Node, PlannedNode>, { io }: TargetOptions): void {
  const isFloat = (node: Node) => placements.get(node)!.how === 'float'
  const reason =
    'It stands beside operators that run on reals: no more conversions there, and fewer roundings.'
  for (const node of joinFloatIslands(graph, isFloat, io === 'float'))
    placements.set(node, inFloat(placements.get(node)!.signature, reason, null, 'observed'))
}

function inFloat(
  signature: Signature,
  reason: string,
  remedy: string | null,
  basis: Basis | null,
): PlannedNode {
  return { how: 'float', signature, reason, remedy, basis }
}

/** A Relu or Clip that alone reads an operator's result is done by that operator. */
function fuseClips(
  graph: Graph,
  index: GraphEditor,
  placements: Map<Node, PlannedNode>,
  activation: ActivationType,
): Map<string, FusedClip> {
  const fused = new Map<string, FusedClip>()
  for (const node of graph.nodes) {
    const planned = placements.get(node)!
    const { role } = planned.signature
    if (planned.how !== 'integer' || (role !== 'weighted' && role !== 'rescale')) continue
    const start = node.outputs[0]!
    const readers = index.consumers(start)
    const [clip] = readers
    if (readers.length !== 1 || !clip || index.isOutput(start)) continue
    const follower = placements.get(clip)!
    if (follower.how !== 'integer' || follower.signature.role !== 'saturate') continue
    const { min, max } = follower.signature
    const attribute = takesFusedActivation(node.op) && isFusedClip({ min, max }) ? clip : null
    // 0 must stay representable; a symmetric type never saturates at 0
    if (min > 0 || max <= 0 || (activation === 'int16' && !attribute)) continue
    placements.set(clip, { ...follower, how: 'fused', reason: 'Done by the operator before it.' })
    fused.set(start, { output: clip.outputs[0]!, min, max, attribute })
  }
  // what is left of clips under int16: there is a kernel for Relu and Relu6 only
  if (activation === 'int16')
    for (const node of graph.nodes) {
      const { how, signature } = placements.get(node)!
      if (how === 'integer' && signature.role === 'saturate' && !isFusedClip(signature))
        placements.set(
          node,
          inFloat(signature, 'A clip of int16 has a kernel for Relu and Relu6 only.', null, 'documented'),
        )
    }
  return fused
}

/** With float outputs, a function that ends the network gains nothing from integers and loses a rounding. */
function leaveTailInFloat(
  graph: Graph,
  index: GraphEditor,
  placements: Map<Node, PlannedNode>,
  options: TargetOptions,
): void {
  if (options.io !== 'float') return
  for (const node of [...graph.nodes].reverse()) {
    const planned = placements.get(node)!
    const readByFloatOnly = node.outputs.every((output) =>
      index.consumers(output).every((reader) => placements.get(reader)!.how === 'float'),
    )
    if (planned.how === 'integer' && planned.signature.role === 'fixed' && readByFloatOnly) {
      const reason = 'Only float outputs follow: float rounds less, and XNNPACK takes it whole.'
      placements.set(node, inFloat(planned.signature, reason, null, 'assumed'))
    }
  }
}

/** Integer operators among float ones, without a convolution or product, cost more in conversions than they save. */
function dropLonelyRegions(
  graph: Graph,
  index: GraphEditor,
  placements: Map<Node, PlannedNode>,
  decisions: Decision[],
): void {
  const seen = new Set<Node>()
  for (const start of graph.nodes) {
    if (seen.has(start) || !isInteger(placements.get(start)!)) continue
    const region: Node[] = []
    const pending = [start]
    let bordersFloat = false
    seen.add(start)
    for (let node = pending.pop(); node; node = pending.pop()) {
      region.push(node)
      for (const neighbour of neighbours(graph, index, node)) {
        if (!isInteger(placements.get(neighbour)!)) bordersFloat = true
        else if (!seen.has(neighbour)) {
          seen.add(neighbour)
          pending.push(neighbour)
        }
      }
    }
    const works = region.some(({ op }) => signatureOf(op).role === 'weighted' || op.kind === 'MatMul')
    if (works || !bordersFloat) continue
    const reason =
      'It stands among float operators without a convolution or product: converting would cost more than it saves.'
    for (const node of region)
      placements.set(node, inFloat(placements.get(node)!.signature, reason, null, 'assumed'))
    decisions.push({ where: region.map(({ name }) => name).join(', '), reason })
  }
}

function neighbours(graph: Graph, index: GraphEditor, node: Node): Node[] {
  const before = activationsOf(graph, node).map((name) => index.producer(name))
  const after = node.outputs.flatMap((output) => index.consumers(output))
  return [...before, ...after].filter((neighbour): neighbour is Node => neighbour !== null)
}
