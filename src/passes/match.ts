import { numbersOf } from '../graph/constant.ts'
import { type GraphEditor, usedNames } from '../graph/edit.ts'
import type { Constant, Graph, Node } from '../graph/types.ts'

/** For passes that would move a rounding: why they leave a graph alone that carries quantized types. */
export function requiresFloat(graph: Graph): string | null {
  for (const value of graph.values.values())
    if (value.type.quantization)
      return `${value.name} is quantized already: moving arithmetic across it would change its numbers`
  return null
}

/** The one node that reads a value, or why there is none. A graph output is read by the outside too. */
export function onlyReader(editor: GraphEditor, name: string): Node | string {
  if (editor.isOutput(name)) return 'it is an output of the graph'
  const readers = editor.consumers(name)
  if (readers.length !== 1) return `${readers.length} operators read it`
  const [reader] = readers as [Node]
  if (usedNames(reader).filter((used) => used === name).length > 1) return 'one operator reads it twice'
  return reader
}

export function constantOperand(editor: GraphEditor, node: Node, index: number): Constant | null {
  const name = node.inputs[index]
  return name ? editor.value(name).constant : null
}

/** A float32 constant operand as numbers; null where it is not one. */
export function floatOperand(editor: GraphEditor, node: Node, index: number): number[] | null {
  const constant = constantOperand(editor, node, index)
  return constant?.dtype === 'float32' ? numbersOf(constant) : null
}

/** The operand of a two-operand node that is constant, and the one that is not; null where both or neither are. */
export function constantSide(
  editor: GraphEditor,
  node: Node,
): { constant: Constant; other: string; index: 0 | 1 } | null {
  const [a, b] = node.inputs as [string, string]
  const constantA = editor.value(a).constant
  const constantB = editor.value(b).constant
  if (constantB && !constantA) return { constant: constantB, other: a, index: 1 }
  if (constantA && !constantB) return { constant: constantA, other: b, index: 0 }
  return null
}

/**
 * A constant that is the same for all positions, as one number a channel: a scalar, or of a shape that broadcasts
 * against `shape` with its only extent on `channelAxis`. Null where it is not.
 */
export function perChannelNumbers(
  constant: Constant,
  shape: readonly number[],
  channelAxis: number,
): number[] | null {
  if (constant.dtype !== 'float32') return null
  const channels = shape[channelAxis]!
  const numbers = numbersOf(constant)
  if (numbers.length === 1 && constant.shape.length <= shape.length)
    return new Array<number>(channels).fill(numbers[0]!)
  const offset = shape.length - constant.shape.length
  if (offset < 0 || numbers.length !== channels) return null
  const extent = constant.shape.findIndex((dimension) => dimension !== 1)
  return extent + offset === channelAxis ? numbers : null
}

/**
 * Makes `node` disappear: readers of its output read `replacement` instead. Where the output is an output of the
 * graph, the replacement's producer takes over its name. Returns why that is not possible, or null when done.
 */
export function bypass(editor: GraphEditor, node: Node, replacement: string): string | null {
  const output = node.outputs[0]!
  const capturedBy = (name: string) =>
    editor.consumers(name).some((reader) => reader.op.kind === 'Opaque' && reader.op.captures.includes(name))
  if (capturedBy(output)) return 'a subgraph uses the value by name'
  if (!editor.isOutput(output)) {
    editor.removeNode(node)
    editor.redirect(output, replacement)
    return null
  }
  const producer = editor.producer(replacement)
  if (!producer) return 'it gives an input or a constant directly to an output'
  if (editor.isOutput(replacement)) return 'both its input and its result are outputs'
  if (capturedBy(replacement)) return 'a subgraph uses the value by name'
  editor.removeNode(node)
  editor.redirect(replacement, output)
  const renamed = editor.producer(replacement)!
  editor.updateNode(renamed, {
    outputs: renamed.outputs.map((name) => (name === replacement ? output : name)),
  })
  editor.retype(output, editor.type(replacement))
  return null
}

/** Loops a rewrite over the nodes until none applies; every rewrite must make the graph smaller or simpler. */
export function rewriteAll(editor: GraphEditor, rewrite: (node: Node) => boolean): number {
  let changed = 0
  for (let again = true; again; ) {
    again = false
    for (const node of editor.nodes) {
      // an earlier rewrite of this round may have replaced it
      if (!editor.has(node) || !rewrite(node)) continue
      changed++
      again = true
    }
  }
  return changed
}
