import { float32Constant } from '../graph/constant.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Graph, Node } from '../graph/types.ts'
import { biasOf, type Linear, linearOf, padsWithZeros, takesBias } from './weights.ts'

/** A layer whose biases others may take over. */
export interface BiasHandover {
  readonly maker: Linear
  /** The value that the others read. */
  readonly read: string
  /** The upper bound of the ReLU between them, Infinity for a plain one; null where nothing stands there. */
  readonly activation: { readonly max: number } | null
  readonly readers: readonly Linear[]
}

/**
 * Layers whose result, at most a ReLU later, goes to nothing but layers with biases that see no zero padding: a constant
 * that is taken from the one can be given back by the others.
 */
export function biasHandovers(graph: Graph): BiasHandover[] {
  const editor = new GraphEditor(graph)
  return graph.nodes.flatMap((node) => {
    const maker = withBias(editor, node)
    const { read, activation } = activationAfter(editor, node.outputs[0]!)
    if (!maker || editor.isOutput(read)) return []
    const readers: Linear[] = []
    for (const reader of editor.consumers(read)) {
      const linear = withBias(editor, reader)
      const fits = linear?.inputChannels === maker.outputChannels && linear.inputAxis === maker.outputAxis
      if (!linear || !fits || padsWithZeros(reader)) return []
      readers.push(linear)
    }
    return readers.length > 0 ? [{ maker, read, activation, readers }] : []
  })
}

/** Takes constants from the biases of makers, and gives what they come to in their readers back to those. */
export function handOverBiases(
  graph: Graph,
  handovers: readonly { readonly handover: BiasHandover; readonly constants: ArrayLike<number> }[],
): Graph {
  const editor = new GraphEditor(graph)
  const layers = new Map<Node, { readonly linear: Linear; readonly bias: number[] }>()
  const biasFor = (linear: Linear) => {
    const known = layers.get(linear.node) ?? { linear, bias: [...biasOf(editor, linear)!] }
    layers.set(linear.node, known)
    return known.bias
  }
  for (const { handover, constants } of handovers) {
    const given = biasFor(handover.maker)
    given.forEach((b, channel) => {
      given[channel] = b - constants[channel]!
    })
    for (const reader of handover.readers) {
      const taken = biasFor(reader)
      reader.numbers.forEach((w, element) => {
        taken[reader.outputChannelOf(element)]! += w * constants[reader.inputChannelOf(element)]!
      })
    }
  }
  for (const { linear, bias } of layers.values()) {
    const [x, weights, before] = linear.node.inputs
    const name = `${before ?? `${linear.node.outputs[0]}_bias`}_handed_over`
    const after = editor.addConstant(name, float32Constant([bias.length], bias))
    editor.updateNode(linear.node, { inputs: [x!, weights!, after] })
  }
  return editor.finish()
}

/** The node as a linear one with a bias for each output channel; null where it is none. */
function withBias(editor: GraphEditor, node: Node): Linear | null {
  const linear = linearOf(editor, node)
  return typeof linear !== 'string' && takesBias(node) && biasOf(editor, linear) ? linear : null
}

function activationAfter(editor: GraphEditor, value: string): Pick<BiasHandover, 'read' | 'activation'> {
  const [reader, ...others] = editor.consumers(value)
  if (!reader || others.length > 0 || editor.isOutput(value)) return { read: value, activation: null }
  const { op, outputs } = reader
  if (op.kind === 'Relu') return { read: outputs[0]!, activation: { max: Number.POSITIVE_INFINITY } }
  if (op.kind === 'Clip' && op.min === 0) return { read: outputs[0]!, activation: { max: op.max } }
  return { read: value, activation: null }
}
