import { EdgewrightError } from '../../../error.ts'
import { usedNames } from '../../../graph/edit.ts'
import type { Graph, Node } from '../../../graph/types.ts'
import { ChannelUnion } from '../../../passes/equalization/channel-union.ts'
import { labelRules } from './label-rules.ts'
import {
  type AxisLabels,
  type ChannelRead,
  type LabelledCut,
  Labelling,
  type LabelRule,
  pinned,
} from './labelling.ts'

/** For each axis of a tensor, the group of each index along it; null where the axis keeps all it has. */
export type GroupAxes = readonly (Int32Array | null)[]

/** The group of what stays whatever is removed. */
export const staysGroup = 0

/** A constant operand, and of which groups the indices along its axes are. */
export interface Cut {
  readonly node: Node
  readonly input: number
  readonly axes: GroupAxes
}

/** Which channels of a graph go together, everywhere. Groups are numbered from 1 in the order of the graph. */
export interface ChannelStructure {
  readonly groupCount: number
  /** Values that nodes make; those without a channel that may go are not listed. */
  readonly values: ReadonlyMap<string, GroupAxes>
  /** Constant operands that shrink. */
  readonly cuts: readonly Cut[]
  /** Where channels are summed over: what is removed counts as zeros there. */
  readonly reads: readonly ChannelRead[]
}

/**
 * Follows channels from the layers that make them through the whole graph. Channels that an operator combines index by
 * index are united, so that a class of the union can be removed at all its places and leaves a valid graph, with as many
 * channels wherever operands meet. What the graph gives out, and what no rule can follow, stays.
 * @throws MODEL_FORMAT_UNSUPPORTED for a quantized network
 */
export function channelStructure(graph: Graph): ChannelStructure {
  requireFloat(graph)
  const union = new ChannelUnion()
  const known = new Map<string, AxisLabels>()
  const cuts: LabelledCut[] = []
  const reads: ChannelRead[] = []
  const pinAll = (name: string) => {
    for (const labels of known.get(name) ?? []) if (labels) union.pin(labels)
  }
  for (const node of graph.nodes) {
    const labelling = new Labelling(graph, node, union, known)
    // the table is keyed by kind, which the compiler cannot follow through a union
    const rule = labelRules[node.op.kind] as LabelRule | null
    const made = rule?.(node.op, labelling) ?? null
    if (!made) {
      for (const name of usedNames(node)) pinAll(name)
      continue
    }
    made.forEach((labels, output) => {
      if (labels.some((along) => along !== null)) known.set(node.outputs[output]!, labels)
    })
    cuts.push(...labelling.cuts.values())
    reads.push(...labelling.reads)
  }
  for (const name of graph.outputs) pinAll(name)
  tieSharedKernels(graph, cuts, union)
  pinLastOnes([...known.values(), ...cuts.map(({ axes }) => axes)], union)
  return numbered({ known, cuts, reads, union })
}

/** A kernel that several layers share is one kernel afterwards too. */
function tieSharedKernels(graph: Graph, cuts: readonly LabelledCut[], union: ChannelUnion): void {
  const uses = new Map<string, (readonly (Int32Array | null)[] | null)[]>()
  const cutOf = new Map(cuts.map((cut) => [`${cut.input} of ${cut.node.outputs[0]}`, cut.axes]))
  for (const { op, inputs, outputs } of graph.nodes) {
    if (op.kind !== 'Conv' && op.kind !== 'ConvTranspose' && op.kind !== 'Gemm' && op.kind !== 'MatMul')
      continue
    inputs.slice(0, 2).forEach((name, input) => {
      if (name === null || !graph.values.get(name)!.constant) return
      uses.set(name, [...(uses.get(name) ?? []), cutOf.get(`${input} of ${outputs[0]}`) ?? null])
    })
  }
  for (const [name, all] of uses) {
    if (all.length < 2) continue
    graph.values.get(name)!.type.shape.forEach((_, axis) => {
      const labelled = all.flatMap((axes) => axes?.[axis] ?? [])
      for (const labels of labelled) {
        union.uniteAll(labelled[0]!, labels)
        if (labelled.length < all.length) union.pin(labels)
      }
    })
  }
}

/** Nothing may lose its last channel: where all are one class, they stay. */
function pinLastOnes(all: readonly AxisLabels[], union: ChannelUnion): void {
  for (const axes of all)
    for (const labels of axes) {
      if (!labels || labels.length === 0) continue
      const first = union.find(labels[0]!)
      if (labels.every((label) => union.find(label) === first)) union.pin(labels)
    }
}

interface Labelled {
  readonly known: ReadonlyMap<string, AxisLabels>
  readonly cuts: readonly LabelledCut[]
  readonly reads: readonly ChannelRead[]
  readonly union: ChannelUnion
}

function numbered({ known, cuts, reads, union }: Labelled): ChannelStructure {
  const numbers = new Map([[pinned, staysGroup]])
  const groupsOf = (axes: AxisLabels): GroupAxes =>
    axes.map((labels) => {
      const groups = labels?.map((label) => {
        const root = union.find(label)
        if (!numbers.has(root)) numbers.set(root, numbers.size)
        return numbers.get(root)!
      })
      return groups?.some((group) => group !== staysGroup) ? groups : null
    })
  const some = (axes: GroupAxes) => axes.some((groups) => groups !== null)
  const values = new Map(
    [...known].map(([name, axes]) => [name, groupsOf(axes)] as const).filter(([, axes]) => some(axes)),
  )
  const numberedCuts = cuts
    .map((cut) => ({ ...cut, axes: groupsOf(cut.axes) }))
    .filter(({ axes }) => some(axes))
  return {
    groupCount: numbers.size - 1,
    values,
    cuts: numberedCuts,
    reads: reads.filter(({ node, input, axis }) => values.get(node.inputs[input]!)?.[axis]),
  }
}

function requireFloat(graph: Graph): void {
  const quantized = [...graph.values.values()].find(({ type }) => type.quantization !== null)
  if (!quantized) return
  throw new EdgewrightError('MODEL_FORMAT_UNSUPPORTED', 'Channels are removed from float networks only.', {
    where: quantized.name,
    saw: `${quantized.type.dtype}, quantized`,
    hint: 'Give the float file that it was made from.',
  })
}
