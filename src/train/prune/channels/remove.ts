import { EdgewrightError } from '../../../error.ts'
import { constantOf, numbersOf, tensorOf } from '../../../graph/constant.ts'
import { constantOfNumbers } from '../../../graph/encode.ts'
import { sourceIndices, strides } from '../../../graph/fold-index.ts'
import { declaredDtypeKinds, inferTypes } from '../../../graph/infer.ts'
import type { Constant, Graph, Node, Value } from '../../../graph/types.ts'
import { verifyGraph } from '../../../graph/verify.ts'
import { elementCount, type TensorData } from '../../../tensor.ts'
import { type ChannelStructure, channelStructure, type GroupAxes } from './structure.ts'
import { Removal, shrinkOperator } from './shrink-operator.ts'

/**
 * The network without some of its channels: constants are cut, operators that state sizes state the new ones, all types
 * are inferred again. It computes what the given network would with those channels as zeros wherever they are summed over.
 * Constants keep their names; one that layers cut differently becomes several.
 *
 * @param removed ids of `channelGroups(graph)`
 * @returns a verified graph; its groups are numbered anew
 * @throws USAGE for an id that is no group, or where a tensor would lose all channels
 */
export function removeChannels(graph: Graph, removed: ReadonlySet<number>): Graph {
  const structure = channelStructure(graph)
  for (const id of removed)
    if (!Number.isInteger(id) || id < 1 || id > structure.groupCount)
      throw new EdgewrightError('USAGE', 'No group of channels has this number.', {
        where: graph.name,
        saw: `${id} of ${structure.groupCount}`,
      })
  if (removed.size === 0) return graph
  const removal = new Removal(graph, structure, removed)
  requireSomeLeft(structure, removal)
  const shrunk = rebuild(graph, structure, removal)
  verifyGraph(shrunk)
  return shrunk
}

function requireSomeLeft({ values, cuts }: ChannelStructure, removal: Removal): void {
  const check = (where: string, axes: GroupAxes) => {
    for (const groups of axes)
      if (groups && removal.kept(groups).length === 0)
        throw new EdgewrightError('USAGE', 'A layer would lose all its channels.', {
          where,
          saw: `${groups.length} of ${groups.length} removed`,
          hint: 'Leave at least one.',
        })
  }
  for (const [name, axes] of values) check(name, axes)
  for (const { node, axes } of cuts) check(node.name, axes)
}

function rebuild(graph: Graph, structure: ChannelStructure, removal: Removal): Graph {
  const operands = cutConstants(graph, structure, removal)
  const values = new Map<string, Value>()
  for (const name of graph.inputs) values.set(name, graph.values.get(name)!)
  for (const name of graph.outputs)
    if (graph.values.get(name)!.constant) values.set(name, graph.values.get(name)!)
  const nodes = graph.nodes.map((node) => {
    const inputs = node.inputs.map((name, input) => {
      if (name === null) return null
      const operand = operands.get(node)?.get(input) ?? graph.values.get(name)!
      if (operand.constant) values.set(operand.name, operand)
      return operand.name
    })
    if (node.op.kind === 'Opaque')
      for (const name of node.op.captures) if (!values.has(name)) values.set(name, graph.values.get(name)!)
    const changed: Node = {
      ...node,
      inputs,
      op: shrinkOperator(
        node,
        removal,
        inputs.map((name) => values.get(name ?? '')?.type.shape ?? []),
      ),
    }
    for (const value of madeValues(graph, changed, values)) values.set(value.name, value)
    return changed
  })
  return { ...graph, values, nodes }
}

function madeValues(graph: Graph, node: Node, values: ReadonlyMap<string, Value>): Value[] {
  const before = node.outputs.map((name) => graph.values.get(name)!)
  if (node.op.kind === 'Opaque') return before
  const operands = node.inputs.map((name) => (name === null ? null : values.get(name)!))
  const types = inferTypes(node.op, operands, before.length, node.name)
  return before.map((value, index) => {
    const { shape, dtype } = types[index]!
    const declared = declaredDtypeKinds.has(node.op.kind) ? value.type.dtype : dtype
    return { ...value, type: { dtype: declared, shape, quantization: null } }
  })
}

/** Constant operands that change, by node and operand. */
function cutConstants(
  graph: Graph,
  { cuts }: ChannelStructure,
  removal: Removal,
): ReadonlyMap<Node, ReadonlyMap<number, Value>> {
  const axesOf = new Map<Node, Map<number, GroupAxes>>()
  for (const { node, input, axes } of cuts) axesOf.set(node, (axesOf.get(node) ?? new Map()).set(input, axes))
  const made = new Map<Node, Map<number, Value>>()
  // by constant, what was made of it by how it was cut
  const forms = new Map<string, Map<string, Value>>()
  const taken = new Set(graph.values.keys())
  // what is used by name keeps it as it is
  const captured = graph.nodes.flatMap(({ op }) => (op.kind === 'Opaque' ? op.captures : []))
  for (const name of [...graph.outputs, ...captured])
    forms.set(name, new Map([['', graph.values.get(name)!]]))
  for (const node of graph.nodes)
    node.inputs.forEach((name, input) => {
      const value = name === null ? null : graph.values.get(name)!
      if (!value?.constant) return
      const kept =
        axesOf
          .get(node)
          ?.get(input)
          ?.map((groups) => (groups ? removal.kept(groups) : null)) ?? null
      const constant = cutConstant(value.constant, kept, input === 1 ? removal.renumbered(node) : null)
      const known = forms.get(value.name) ?? new Map<string, Value>()
      forms.set(value.name, known)
      const form = constant === value.constant ? '' : `${constant.shape.join()} ${constant.digest}`
      const cut = known.get(form) ?? {
        name: known.size === 0 ? value.name : freshName(value.name, taken),
        type: { ...value.type, shape: constant.shape },
        constant,
      }
      known.set(form, cut)
      made.set(node, (made.get(node) ?? new Map()).set(input, cut))
    })
  return made
}

function cutConstant(
  constant: Constant,
  kept: readonly (readonly number[] | null)[] | null,
  indices: readonly number[] | null,
): Constant {
  if (indices) {
    const shape = constant.shape.length === 0 ? [] : [indices.length]
    return constantOfNumbers(constant.dtype, shape, indices)
  }
  const loses = kept?.some((along, axis) => along && along.length < constant.shape[axis]!) ?? false
  return loses ? keepIndices(constant, kept!) : constant
}

/** A constant with only some of the indices along its axes. */
export function keepIndices(constant: Constant, kept: readonly (readonly number[] | null)[]): Constant {
  const shape = constant.shape.map((size, axis) => kept[axis]?.length ?? size)
  const steps = strides(constant.shape)
  const from = sourceIndices(
    constant.shape.map((size, axis) =>
      (kept[axis] ?? Array.from({ length: size }, (_, index) => index)).map((index) => index * steps[axis]!),
    ),
  )
  if (constant.dtype === 'int4' || constant.dtype === 'uint4') {
    const numbers = numbersOf(constant)
    return constantOfNumbers(
      constant.dtype,
      shape,
      Array.from(from, (at) => numbers[at]!),
    )
  }
  const { data } = tensorOf(constant)
  const taken = data.slice(0, elementCount(shape)) as TensorData
  from.forEach((at, index) => {
    taken[index] = data[at] as never
  })
  return constantOf(constant.dtype, shape, taken)
}

function freshName(wanted: string, taken: Set<string>): string {
  let name = wanted
  for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`
  taken.add(name)
  return name
}
