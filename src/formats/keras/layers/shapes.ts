import type { Op } from '../../../graph/ops.ts'
import { elementCount } from '../../../tensor.ts'
import { brokenModel } from '../config.ts'
import { axisOf, type LayerCall, type LayerTable, layoutOf, overAxes, spatialSizes } from './layer.ts'
import { resizeLayers } from './resize.ts'

/** Layers that only move elements. */
export const shapeLayers: LayerTable = {
  ...resizeLayers,
  Flatten: readFlatten,
  Reshape: readReshape,
  Permute: ({ graph, config, inputs }) => {
    const dims = config.integers('dims')
    return [graph.node({ kind: 'Transpose', perm: [0, ...dims] }, inputs)]
  },
  RepeatVector: ({ graph, config, inputs }) => {
    const [batch, features] = graph.shape(inputs[0]!) as [number, number]
    const column = graph.node({ kind: 'Reshape', shape: [batch, 1, features] }, inputs)
    return [graph.node({ kind: 'Tile', repeats: [1, config.integer('n'), 1] }, [column])]
  },
  ZeroPadding1D: (call) => readPadding(call, 1, 1, 'padding'),
  ZeroPadding2D: (call) => readPadding(call, 2, 1, 'padding'),
  Cropping1D: (call) => readPadding(call, 1, -1, 'cropping'),
  Cropping2D: (call) => readPadding(call, 2, -1, 'cropping'),
  Concatenate: ({ graph, config, inputs }) => {
    const axis = axisOf(config.integer('axis', -1), graph.shape(inputs[0]!).length)
    return [inputs.length === 1 ? inputs[0]! : graph.node({ kind: 'Concat', axis }, inputs)]
  },
}

function readFlatten(call: LayerCall): string[] {
  const { graph, inputs, config } = call
  const [x] = inputs as [string]
  const shape = graph.shape(x)
  const [batch, ...rest] = shape as [number, ...number[]]
  // Keras flattens as if channels were last
  const first = config.text('data_format', 'channels_last') === 'channels_first' && shape.length > 2
  const perm = [0, ...shape.map((_, axis) => axis).slice(2), 1]
  const last = first ? graph.node({ kind: 'Transpose', perm }, [x]) : x
  return [graph.node({ kind: 'Reshape', shape: [batch, elementCount(rest)] }, [last])]
}

function readReshape({ graph, config, inputs }: LayerCall): string[] {
  const [batch, ...rest] = graph.shape(inputs[0]!) as [number, ...number[]]
  const target = config.integers('target_shape')
  const known = target.filter((size) => size !== -1).reduce((a, b) => a * b, 1)
  const unknown = elementCount(rest) / known
  if (target.includes(-1) && !Number.isSafeInteger(unknown))
    throw brokenModel('A Reshape does not fit what it reads.', config.where, { target, from: rest })
  return [
    graph.node(
      { kind: 'Reshape', shape: [batch, ...target.map((size) => (size === -1 ? unknown : size))] },
      inputs,
    ),
  ]
}

function readPadding(call: LayerCall, rank: number, sign: 1 | -1, setting: string): string[] {
  const { graph, config, inputs } = call
  const layout = layoutOf(call)
  const { size } = spatialSizes(graph.shape(inputs[0]!), layout)
  const pairs = config.has(setting) ? config.pairs(setting, rank) : size.map((): [number, number] => [1, 1])
  if (pairs.flat().some((amount) => amount < 0 || amount > 1 << 20))
    throw brokenModel('A padding is out of range.', config.where, pairs)
  if (sign < 0) {
    const axes = size.map((_, i) => (layout === 'channels-last' ? i + 1 : i + 2))
    const ends = size.map((length, i) => length - pairs[i]![1])
    const op: Op = {
      kind: 'Slice',
      axes,
      starts: pairs.map(([begin]) => begin),
      ends,
      steps: axes.map(() => 1),
    }
    return [graph.node(op, inputs)]
  }
  const sides = overAxes(pairs, [0, 0] as [number, number], layout)
  const op: Op = {
    kind: 'Pad',
    mode: 'constant',
    padsBegin: sides.map(([begin]) => begin),
    padsEnd: sides.map(([, end]) => end),
    value: 0,
  }
  return [graph.node(op, inputs)]
}
