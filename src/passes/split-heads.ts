import { GraphEditor } from '../graph/edit.ts'
import { inferTypes } from '../graph/infer.ts'
import type { Graph, Node } from '../graph/types.ts'
import type { PassNote } from './pass.ts'

/** A concatenation that ends the network, and which of its inputs go together. */
export interface SplitHead {
  /** Name of the concatenation. */
  readonly node: string
  /** Indices of its inputs, in order, by the output that they are to have in common. */
  readonly groups: readonly (readonly number[])[]
}

export interface SplitHeads {
  readonly graph: Graph
  /** By output that is gone: those that are in its place, in the order of the concatenation. */
  readonly replaced: ReadonlyMap<string, readonly string[]>
  /** Why a head was left as it was. */
  readonly notes: readonly Omit<PassNote, 'pass'>[]
}

/**
 * Gives each group of a final concatenation's inputs an output of its own, so that integer outputs need no common
 * scale. Transposes between the concatenation and the output are done to each. It changes the network's interface, so
 * only where the user allows it; concatenating the new outputs gives the old one.
 */
export function splitHeads(graph: Graph, heads: readonly SplitHead[]): SplitHeads {
  const editor = new GraphEditor(graph)
  const replaced = new Map<string, readonly string[]>()
  const notes: Omit<PassNote, 'pass'>[] = []
  for (const { node, groups } of heads) {
    const tail = tailOf(editor, node)
    if (typeof tail === 'string') {
      notes.push({ where: node, reason: `kept: ${tail}` })
      continue
    }
    const last = tail.at(-1)!.outputs[0]!
    const outputs = groups.map((group, index) => branch(editor, tail, group, `${last}_${index}`))
    editor.outputs = editor.outputs.flatMap((name) => (name === last ? outputs : [name]))
    replaced.set(last, outputs)
  }
  return { graph: replaced.size === 0 ? graph : editor.finish(), replaced, notes }
}

/** The concatenations that `splitHeads` could split. */
export function endsInConcat(graph: Graph): Node[] {
  const editor = new GraphEditor(graph)
  return graph.nodes.filter(
    ({ op, name }) => op.kind === 'Concat' && typeof tailOf(editor, name) !== 'string',
  )
}

/** The concatenation and the transposes that make an output of it, or why there is no such chain. */
function tailOf(editor: GraphEditor, head: string): Node[] | string {
  const [concat, ...others] = editor.nodes.filter(({ op, name }) => op.kind === 'Concat' && name === head)
  if (!concat || others.length > 0)
    return `${concat ? 'several concatenations have' : 'no concatenation has'} this name`
  const tail = [concat]
  for (let name = concat.outputs[0]!; ; ) {
    const readers = editor.consumers(name)
    if (editor.isOutput(name)) return readers.length === 0 ? tail : 'other operators read the output'
    const [reader] = readers
    if (readers.length !== 1 || !reader) return `${readers.length} operators read it`
    if (reader.op.kind !== 'Transpose') return `${reader.op.kind} stands between it and the output`
    tail.push(reader)
    name = reader.outputs[0]!
  }
}

/** A copy of the chain for some of the concatenation's inputs; the name of its last value. */
function branch(
  editor: GraphEditor,
  [concat, ...transposes]: readonly Node[],
  group: readonly number[],
  wanted: string,
): string {
  const inputs = group.map((index) => concat!.inputs[index]!)
  const alone = inputs.length === 1 ? inputs[0]! : null
  const chain = alone === null ? [concat!, ...transposes] : transposes
  let names = inputs
  for (const [position, node] of chain.entries()) {
    const made = editor.freshName(position === chain.length - 1 ? wanted : `${wanted}_part`)
    const [type] = inferTypes(
      node.op,
      names.map((name) => editor.value(name)),
      1,
    )
    editor.addNode({ ...node, name: made, inputs: names, outputs: [{ name: made, type: type! }] })
    names = [made]
  }
  if (chain.length > 0) return names[0]!
  if (editor.producer(alone!) && !editor.isOutput(alone!)) return alone!
  const made = editor.freshName(wanted)
  const { type } = editor.value(alone!)
  editor.addNode({ name: made, op: { kind: 'Identity' }, inputs: [alone!], outputs: [{ name: made, type }] })
  return made
}
