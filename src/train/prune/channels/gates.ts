import { float32Constant } from '../../../graph/constant.ts'
import { GraphEditor } from '../../../graph/edit.ts'
import type { Graph, Node } from '../../../graph/types.ts'
import { type ChannelStructure, channelStructure, type GroupAxes, staysGroup } from './structure.ts'

/** One number for each channel that a layer reads: 1 in the network as it is, 0 where the channel is removed. */
export interface Gate {
  /** Name of the constant that is multiplied on, and so of the parameter once the graph is open for training. */
  readonly name: string
  /** For each element of the constant, the group of channels that it stands for; 0 for what stays. */
  readonly groups: Int32Array
}

export interface GatedGraph {
  readonly graph: Graph
  readonly gates: readonly Gate[]
}

/**
 * The same function with gates of ones before everything that sums over channels that may be removed (Molchanov et al.
 * 2019, section 3.1). With the gates of some groups at 0 it computes what `removeChannels` leaves of it; the gradient of
 * the loss by a gate is, to first order, what the loss changes by when that channel goes.
 *
 * Open it with `openNetwork` to have gates as parameters: `gradientsOf` gives their gradients, `TaylorSums` takes them.
 */
export function gatedGraph(graph: Graph): GatedGraph {
  const structure = channelStructure(graph)
  const editor = new GraphEditor(graph)
  const places = new Map<string, Place>()
  for (const { node, input, axis } of structure.reads) {
    const place = gatePlace(editor, structure, { reader: node.outputs[0]!, input, axis })
    const key = `${place.axis} of ${place.value}`
    const known = places.get(key)
    if (known) known.readers.push(place.readers[0]!)
    else places.set(key, place)
  }
  const gates = [...places.values()].map(({ value, axis, readers }): Gate => {
    const groups = structure.values.get(value)![axis]!
    const { shape } = editor.type(value)
    const ones = float32Constant(
      shape.slice(axis).map((size, at) => (at === 0 ? size : 1)),
      new Float32Array(groups.length).fill(1),
    )
    const name = editor.addConstant(`${value}/gate`, ones)
    const output = editor.freshName(`${value}/gated`)
    editor.addNode({
      name: output,
      op: { kind: 'Binary', fn: 'Mul' },
      inputs: [value, name],
      outputs: [{ name: output, type: editor.type(value) }],
    })
    for (const { reader, input } of readers) {
      // a reader with two gated operands was changed already
      const node = editor.producer(reader)!
      editor.updateNode(node, { inputs: node.inputs.with(input, output) })
    }
    return { name, groups }
  })
  return { graph: editor.finish(), gates }
}

interface Place {
  readonly value: string
  readonly axis: number
  /** By their first output: nodes are replaced as their operands change. */
  readonly readers: { readonly reader: string; readonly input: number }[]
}

/**
 * Before flattenings and transposes that nobody else sees: there the gate is one number for each channel of a layer, which
 * training takes for a parameter.
 */
function gatePlace(
  editor: GraphEditor,
  structure: ChannelStructure,
  { reader, input, axis }: { readonly reader: string; readonly input: number; readonly axis: number },
): Place {
  const value = editor.producer(reader)!.inputs[input]!
  const here = { value, axis, readers: [{ reader, input }] }
  const moved = editor.producer(value)
  if (!moved || editor.consumers(value).length > 1) return here
  const from = placeBefore(moved, axis, structure)
  return from ? gatePlace(editor, structure, { reader: value, ...from }) : here
}

/** Where the operand of a movement has the channels of its result; null where it moves nothing. */
function placeBefore(
  { op, inputs, outputs }: Node,
  axis: number,
  { values }: ChannelStructure,
): { readonly input: number; readonly axis: number } | null {
  const groups = values.get(outputs[0]!)![axis]!
  const find = (input: number) => {
    const axes: GroupAxes = values.get(inputs[input]!) ?? []
    const found = axes.findIndex((own) => own && same(distinct(own), distinct(groups)))
    return found < 0 ? null : { input, axis: found }
  }
  switch (op.kind) {
    case 'Transpose':
      return { input: 0, axis: op.perm[axis]! }
    case 'Reshape':
      return find(0)
    case 'MatMul':
      // attention mixes rows: a column of its result is made of one column
      return axis === values.get(outputs[0]!)!.length - 1 ? find(1) : null
    default:
      return null
  }
}

function distinct(groups: Int32Array): ReadonlySet<number> {
  return new Set(groups.filter((group) => group !== staysGroup))
}

function same(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  return a.size === b.size && [...a].every((group) => b.has(group))
}
