import type { Graph, Node } from '../../src/graph/types.ts'
import { neverClipped } from '../../src/quantize/never-clipped.ts'
import { ScaleClasses } from '../../src/quantize/scale-classes.ts'
import { joinFloatIslands } from '../float-islands.ts'
import type { Basis, Decision, TargetOptions } from '../target.ts'
import { brokenConstraint } from './constraints.ts'
import { type Signature, signatureOf } from './numerics.ts'

/** Which operators compute on integers, and which values share a scale: everything that needs no ranges. */
export interface Plan {
  readonly placements: ReadonlyMap<Node, PlannedNode>
  /** Activation by the value it clips: `producer → activation` became one operator, which makes the activation's output. */
  readonly fused: ReadonlyMap<string, FusedOutput>
  readonly classes: ScaleClasses
  /** Values that decide a class's range, by representative. */
  readonly sources: ReadonlyMap<string, readonly string[]>
  /** Values that graph outputs are made of: never clipped. */
  readonly unclipped: ReadonlySet<string>
  readonly decisions: readonly Decision[]
}

export interface PlannedNode {
  /** `fused`: done by the saturation of its producer's output type. */
  readonly how: 'int8' | 'float' | 'fused'
  readonly signature: Signature
  readonly reason: string
  readonly remedy: string | null
  readonly basis: Basis | null
}

export interface FusedOutput {
  /** The value that the producer makes in the typed graph. */
  readonly output: string
  readonly min: number
  readonly max: number
}

export function planGraph(graph: Graph, options: TargetOptions): Plan {
  const context = new Context(graph)
  const placements = new Map<Node, PlannedNode>()
  const decisions: Decision[] = []
  for (const node of graph.nodes) placements.set(node, capability(node, graph, options))
  joinIslands(graph, placements, options)
  const fused = fuseActivations(context, placements)
  leaveTailInFloat(context, placements, fused, options)
  dropPointlessRegions(context, placements, decisions)
  const classes = new ScaleClasses()
  const mixedConcats = uniteScales(context, placements, fused, classes)
  const sources = classSources(context, placements, fused, classes, mixedConcats, options)
  return { placements, fused, classes, sources, unclipped: neverClipped(graph), decisions }
}

/** What convolutions and products with a bias read: the means of their channels correct it. */
export function weightedInputs(graph: Graph, { placements }: Plan): string[] {
  return graph.nodes
    .filter(({ op, inputs }) => (op.kind === 'Conv' || op.kind === 'Gemm') && inputs[2])
    .filter((node) => placements.get(node)!.how === 'int8')
    .map(({ inputs }) => inputs[0]!)
    .filter((name) => graph.values.get(name)!.constant === null)
}

/** Who makes and who reads each value; the editor's own search is linear. */
class Context {
  readonly graph: Graph
  readonly producers = new Map<string, Node>()
  readonly consumers = new Map<string, Node[]>()
  readonly outputs: ReadonlySet<string>

  constructor(graph: Graph) {
    this.graph = graph
    this.outputs = new Set(graph.outputs)
    for (const node of graph.nodes) {
      for (const output of node.outputs) this.producers.set(output, node)
      const captures = node.op.kind === 'Opaque' ? node.op.captures : []
      for (const name of [...node.inputs, ...captures]) {
        if (name === null) continue
        const list = this.consumers.get(name)
        if (list) list.push(node)
        else this.consumers.set(name, [node])
      }
    }
  }

  readersOf(name: string): readonly Node[] {
    return this.consumers.get(name) ?? []
  }

  isConstant(name: string): boolean {
    return this.graph.values.get(name)?.constant != null
  }

  /** Operands that carry activations: for weighted operators not the constants. */
  activations(node: Node): string[] {
    const names = node.op.kind === 'Gather' ? node.inputs.slice(0, 1) : node.inputs
    return names.filter((name): name is string => name !== null && !this.isConstant(name))
  }
}

function capability(node: Node, graph: Graph, options: TargetOptions): PlannedNode {
  const signature = signatureOf(node.op)
  const refused = options.constraints.find((constraint) => constraint.kind === 'no-int8')
  if (refused) return inFloat(signature, refused.sentence, null, 'documented')
  const kept = [node.name, ...node.outputs].find((name) => options.keepFloat.includes(name))
  if (kept !== undefined)
    return inFloat(signature, 'The recipe or its accuracy limit keeps it in float.', null, null)
  const broken = brokenConstraint(node, graph, options)
  if (broken) {
    const { constraint, saw } = broken
    const remedy = (signature.role === 'float' ? signature.remedy : undefined) ?? constraint.remedy ?? null
    return inFloat(signature, `${constraint.sentence} Saw: ${saw}.`, remedy, constraint.basis)
  }
  return { how: 'int8', signature, reason: '', remedy: null, basis: null }
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

const saturatesItsOutput = new Set<Signature['role']>(['weighted', 'arithmetic'])

/** Relu and Clip after an integer kernel cost nothing where nobody else reads the unclipped value. */
function fuseActivations(context: Context, placements: Map<Node, PlannedNode>): Map<string, FusedOutput> {
  const fused = new Map<string, FusedOutput>()
  for (const node of context.graph.nodes) {
    const planned = placements.get(node)!
    if (planned.how !== 'int8' || !saturatesItsOutput.has(planned.signature.role)) continue
    const start = node.outputs[0]!
    let output = start
    let min = Number.NEGATIVE_INFINITY
    let max = Number.POSITIVE_INFINITY
    for (;;) {
      const readers = context.readersOf(output)
      const [next] = readers
      if (readers.length !== 1 || !next || context.outputs.has(output)) break
      const follower = placements.get(next)!
      if (follower.how !== 'int8' || follower.signature.role !== 'saturate') break
      const clipped = {
        min: Math.max(min, follower.signature.min),
        max: Math.min(max, follower.signature.max),
      }
      // 0 must stay representable, and the range must not be empty
      if (clipped.min > 0 || clipped.max < 0 || clipped.min >= clipped.max) break
      ;({ min, max } = clipped)
      placements.set(next, {
        ...follower,
        how: 'fused',
        reason: 'Done by the saturation of the operator before it.',
      })
      output = next.outputs[0]!
    }
    if (output !== start) fused.set(start, { output, min, max })
  }
  return fused
}

/**
 * With float outputs, what stands between the last matrix product and the outputs gains nothing from integers and
 * loses a rounding: Softmax and the like, and then moves behind a Gemm, whose kernel gives float without rounding.
 */
function leaveTailInFloat(
  context: Context,
  placements: Map<Node, PlannedNode>,
  fused: ReadonlyMap<string, FusedOutput>,
  options: TargetOptions,
): void {
  if (options.io !== 'float') return
  const fusedOutputs = new Set([...fused.values()].map((value) => value.output))
  for (const node of [...context.graph.nodes].reverse()) {
    const planned = placements.get(node)!
    if (planned.how !== 'int8') continue
    const readByFloatOnly = node.outputs.every((output) =>
      context.readersOf(output).every((reader) => placements.get(reader)!.how === 'float'),
    )
    if (!readByFloatOnly) continue
    const { role } = planned.signature
    const afterFloatProduct =
      role === 'move' &&
      context.activations(node).every((name) => {
        const producer = context.producers.get(name)
        const signature = producer && placements.get(producer)?.signature
        return (
          signature?.role === 'weighted' &&
          signature.floatOutput &&
          !fusedOutputs.has(name) &&
          context.readersOf(name).length === 1
        )
      })
    if (role === 'fixed' || afterFloatProduct)
      placements.set(
        node,
        inFloat(
          planned.signature,
          'Only float outputs follow: float is as fast and rounds less.',
          null,
          'assumed',
        ),
      )
  }
}

/** A connected integer region without a convolution or matrix product costs more in conversions than it saves. */
function dropPointlessRegions(
  context: Context,
  placements: Map<Node, PlannedNode>,
  decisions: Decision[],
): void {
  const seen = new Set<Node>()
  for (const start of context.graph.nodes) {
    if (seen.has(start) || placements.get(start)!.how === 'float') continue
    const region: Node[] = []
    const pending = [start]
    seen.add(start)
    for (let node = pending.pop(); node; node = pending.pop()) {
      region.push(node)
      for (const neighbour of neighbours(context, node)) {
        if (seen.has(neighbour) || placements.get(neighbour)!.how === 'float') continue
        seen.add(neighbour)
        pending.push(neighbour)
      }
    }
    if (region.some((node) => placements.get(node)!.signature.role === 'weighted')) continue
    const reason =
      'Its integer region has no convolution or matrix product: converting in and out would cost more than it saves.'
    for (const node of region)
      placements.set(node, inFloat(placements.get(node)!.signature, reason, null, 'assumed'))
    decisions.push({ where: region.map((node) => node.name).join(', '), reason })
  }
}

function neighbours(context: Context, node: Node): Node[] {
  const before = context.activations(node).map((name) => context.producers.get(name))
  const after = node.outputs.flatMap((output) => context.readersOf(output))
  return [...before, ...after].filter((neighbour): neighbour is Node => neighbour !== undefined)
}

/**
 * Unites values that must have one scale. Returns the concats of which some input keeps a scale of its own.
 *
 * A class that does the clipping of a Relu or Clip must not be widened beyond the bounds, so a concat takes such an
 * input into its class only where all its inputs are clipped alike.
 */
function uniteScales(
  context: Context,
  placements: ReadonlyMap<Node, PlannedNode>,
  fused: ReadonlyMap<string, FusedOutput>,
  classes: ScaleClasses,
): ReadonlySet<Node> {
  const clips = new Map<string, string>()
  for (const { output, min, max } of fused.values()) clips.set(output, `${min} ${max}`)
  const clipOf = (name: string) => clips.get(classes.find(name)) ?? 'none'
  const mixed = new Set<Node>()
  // nodes are in topological order: an operand's class and clip are known before its readers'
  for (const node of context.graph.nodes) {
    const { how, signature } = placements.get(node)!
    if (how !== 'int8') continue
    const output = node.outputs[0]!
    if (signature.role === 'saturate') clips.set(output, `${signature.min} ${signature.max}`)
    if (signature.role === 'move') for (const moved of node.outputs) classes.unite(node.inputs[0]!, moved)
    if (signature.role !== 'concat') continue
    const inputs = node.inputs.filter((input): input is string => input !== null)
    const alike =
      new Set(inputs.map((input) => (context.isConstant(input) ? 'constant' : clipOf(input)))).size === 1
    const clip = clipOf(inputs[0]!)
    for (const input of inputs) {
      const producer = context.producers.get(input)
      const own = context.isConstant(input) || !producer || placements.get(producer)!.how === 'float'
      // an input that others read too keeps its finer scale; the kernel rescales it
      if (own || context.readersOf(input).length > 1 || !(alike || clipOf(input) === 'none')) mixed.add(node)
      else classes.unite(output, input)
    }
    if (alike && clip !== 'none') clips.set(classes.find(output), clip)
  }
  return mixed
}

function classSources(
  context: Context,
  placements: ReadonlyMap<Node, PlannedNode>,
  fused: ReadonlyMap<string, FusedOutput>,
  classes: ScaleClasses,
  mixedConcats: ReadonlySet<Node>,
  options: TargetOptions,
): Map<string, string[]> {
  const sources = new Map<string, string[]>()
  const add = (name: string) => {
    const representative = classes.find(name)
    const list = sources.get(representative)
    if (!list) sources.set(representative, [name])
    else if (!list.includes(name)) list.push(name)
  }
  for (const node of context.graph.nodes) {
    const planned = placements.get(node)!
    if (planned.how !== 'int8') continue
    const { role } = planned.signature
    for (const name of context.activations(node)) {
      const producer = context.producers.get(name)
      if (!producer || placements.get(producer)!.how === 'float') add(name)
    }
    if (role === 'move' || role === 'index' || (role === 'concat' && !mixedConcats.has(node))) continue
    const fusedOutput = fused.get(node.outputs[0]!)?.output
    const output = fusedOutput ?? node.outputs[0]!
    // a fused Relu or Clip is done by saturation, so its product gives integers even where only floats follow
    if (fusedOutput !== undefined || needsInt8(output, planned.signature, context, placements, options))
      add(output)
  }
  if (options.io !== 'float')
    for (const name of [...context.graph.inputs, ...context.graph.outputs])
      if (context.graph.values.get(name)!.type.dtype === 'float32' && !context.isConstant(name)) {
        const producer = context.producers.get(name)
        if (!producer || placements.get(producer)!.how === 'float') add(name)
      }
  return sources
}

/** False for a matrix product that only float operators or float outputs read: its kernel gives float itself. */
export function needsInt8(
  output: string,
  signature: Signature,
  context: Pick<Context, 'readersOf' | 'outputs'>,
  placements: ReadonlyMap<Node, PlannedNode>,
  options: TargetOptions,
): boolean {
  if (signature.role !== 'weighted' || !signature.floatOutput) return true
  if (options.io !== 'float' && context.outputs.has(output)) return true
  return context.readersOf(output).some((reader) => placements.get(reader)!.how !== 'float')
}
