import { GraphEditor, usedNames } from '../../graph/edit.ts'
import type { OpOf } from '../../graph/ops.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { biasOf, type Linear, linearOf } from '../weights.ts'
import { carry, type CarryContext } from './carry.ts'
import { ChannelUnion, type ScaledAxis, unscaled } from './channel-union.ts'

/** A weighted layer: by channel of what it reads and of what it gives, the group whose scale divides it. */
export interface GroupedLayer {
  readonly linear: Linear
  readonly bias: readonly number[]
  readonly inputs: Int32Array
  readonly outputs: Int32Array
}

/** A clip with a bound that scales would move: ReLU6. */
export interface GroupedClip {
  readonly node: Node
  readonly op: OpOf<'Clip'>
  readonly output: string
  readonly groups: Int32Array
}

/**
 * Channels that are scaled alike or the function changes: by value, layer and clip the group of each channel. Group 0
 * stays as it is.
 */
export interface EqualizationGroups {
  /** With group 0. */
  readonly count: number
  readonly layers: readonly GroupedLayer[]
  readonly clips: readonly GroupedClip[]
  /** Values with at least one channel that may be scaled. */
  readonly values: ReadonlyMap<string, ScaledAxis>
}

/**
 * Finds the channels that cross-layer equalization (Nagel et al. 2019, section 4.1) may scale: those that go from the
 * outputs of weighted layers to the inputs of others through operators that keep positive scales, over any number of
 * branches, sums and concatenations. What an output of the graph or any other operator sees stays as it is.
 */
export function equalizationGroups(graph: Graph): EqualizationGroups {
  const editor = new GraphEditor(graph)
  const union = new ChannelUnion()
  const scaled = new Map<string, ScaledAxis>()
  const layers: GroupedLayer[] = []
  const clips: { readonly node: Node; readonly op: OpOf<'Clip'>; readonly channels: Int32Array }[] = []
  const context: CarryContext = { graph, scaled, union, axisOfReaders: readerAxes(editor) }
  for (const node of graph.nodes) {
    const layer = layerOf(editor, node, scaled)
    if (layer) {
      const outputs = union.fresh(layer.linear.outputChannels)
      scaled.set(node.outputs[0]!, { axis: layer.linear.outputAxis, channels: outputs })
      layers.push({ ...layer, outputs })
      continue
    }
    const results = carry(node, context)
    if (!results) for (const name of usedNames(node)) pin(name)
    results?.forEach((result, index) => {
      if (result) scaled.set(node.outputs[index]!, result)
    })
    if (results && node.op.kind === 'Clip' && isBounded(node.op))
      clips.push({ node, op: node.op, channels: results[0]!.channels })
  }
  for (const name of graph.outputs) pin(name)
  return numbered()

  function pin(name: string): void {
    const axis = scaled.get(name)
    if (axis) union.pin(axis.channels)
  }

  function numbered(): EqualizationGroups {
    const numbers = new Map([[unscaled, 0]])
    const groupsOf = (channels: Int32Array) =>
      channels.map((channel) => {
        const root = union.find(channel)
        if (!numbers.has(root)) numbers.set(root, numbers.size)
        return numbers.get(root)!
      })
    return {
      layers: layers.map((layer) => ({
        ...layer,
        inputs: groupsOf(layer.inputs),
        outputs: groupsOf(layer.outputs),
      })),
      clips: clips.map(({ node, op, channels }) => ({
        node,
        op,
        output: node.outputs[0]!,
        groups: groupsOf(channels),
      })),
      values: new Map(
        [...scaled]
          .map(([name, { axis, channels }]) => [name, { axis, channels: groupsOf(channels) }] as const)
          .filter(([, { channels }]) => channels.some((group) => group !== unscaled)),
      ),
      count: numbers.size,
    }
  }
}

/** A node with weights of its own, seen as linear; null where it is not, or reads scales along another axis. */
function layerOf(
  editor: GraphEditor,
  node: Node,
  scaled: ReadonlyMap<string, ScaledAxis>,
): Omit<GroupedLayer, 'outputs'> | null {
  const linear = linearOf(editor, node)
  if (typeof linear === 'string') return null
  const bias = biasOf(editor, linear)
  const read = scaled.get(node.inputs[0]!)
  if (!bias || (read && read.axis !== linear.inputAxis)) return null
  // layers that share weights would no longer
  if (editor.consumers(node.inputs[1]!).length > 1) return null
  return { linear, bias, inputs: read?.channels ?? new Int32Array(linear.inputChannels) }
}

function readerAxes(editor: GraphEditor): (name: string) => number | undefined {
  return (name) => {
    for (const reader of editor.consumers(name)) {
      const linear = linearOf(editor, reader)
      if (typeof linear !== 'string' && reader.inputs[0] === name) return linear.inputAxis
    }
    return undefined
  }
}

function isBounded({ min, max }: OpOf<'Clip'>): boolean {
  return (Number.isFinite(min) && min !== 0) || (Number.isFinite(max) && max !== 0)
}
