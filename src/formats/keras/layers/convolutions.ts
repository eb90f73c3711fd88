import { permuteConstant, reshapeConstant } from '../../../graph/rearrange.ts'
import type { Constant } from '../../../graph/types.ts'
import type { ConvTranspose, Layout, Window } from '../../../graph/ops.ts'
import { activate } from './activations.ts'
import { type LayerCall, type LayerTable, layoutOf, spatialSizes } from './layer.ts'
import { kernelPads, transposePads } from './padding.ts'
import { kernelConstant } from './quantized.ts'

export const convolutionLayers: LayerTable = {
  Conv1D: (call) => readConv(call, 1),
  Conv2D: (call) => readConv(call, 2),
  DepthwiseConv1D: (call) => readDepthwise(call, 1),
  DepthwiseConv2D: (call) => readDepthwise(call, 2),
  SeparableConv1D: (call) => readSeparable(call, 1),
  SeparableConv2D: (call) => readSeparable(call, 2),
  Conv1DTranspose: (call) => readTransposed(call, 1),
  Conv2DTranspose: (call) => readTransposed(call, 2),
}

function readConv(call: LayerCall, rank: number): string[] {
  const { graph, config, inputs, weights } = call
  const [x] = inputs as [string]
  const layout = layoutOf(call)
  const { channels } = spatialSizes(graph.shape(x), layout)
  const group = config.integer('groups', 1)
  const [kernel, filters] = [config.perAxis('kernel_size', rank), config.integer('filters')]
  const stored = weights.take('kernel', [...kernel, channels / group, filters])
  const bias = readBias(call, filters)
  const op = { kind: 'Conv' as const, group, layout, ...window(call, x, kernel, layout) }
  const y = graph.node(op, [x, kernelConstant(call, 'kernel', kernelFirst(stored), 0), bias])
  return [activate(call, y)]
}

function readDepthwise(call: LayerCall, rank: number): string[] {
  const y = depthwise(call, rank, layoutOf(call), true)
  return [activate(call, y)]
}

/** Kernels [...kernel, in, multiplier]; output channel c · multiplier + m is of input channel c. */
function depthwise(call: LayerCall, rank: number, layout: Layout, ownBias: boolean): string {
  const { graph, config, inputs, weights } = call
  const [x] = inputs as [string]
  const { channels } = spatialSizes(graph.shape(x), layout)
  const kernel = config.perAxis('kernel_size', rank)
  const multiplier = config.integer('depth_multiplier', 1)
  const stored = weights.take(['depthwise_kernel', 'kernel'], [...kernel, channels, multiplier])
  const filters = channels * multiplier
  const bias = ownBias ? readBias(call, filters) : null
  const spatial = kernel.map((_, i) => i)
  const w = reshapeConstant(permuteConstant(stored, [rank, rank + 1, ...spatial]), [filters, 1, ...kernel])
  const op = { kind: 'Conv' as const, group: channels, layout, ...window(call, x, kernel, layout) }
  return graph.node(op, [x, kernelConstant(call, 'depthwise_kernel', w, 0), bias])
}

function readSeparable(call: LayerCall, rank: number): string[] {
  const { graph, config, weights } = call
  const layout = layoutOf(call)
  const between = depthwise(call, rank, layout, false)
  const { channels } = spatialSizes(graph.shape(between), layout)
  const filters = config.integer('filters')
  const ones = new Array<number>(rank).fill(1)
  const zeros = new Array<number>(rank).fill(0)
  const stored = weights.take('pointwise_kernel', [...ones, channels, filters])
  const bias = readBias(call, filters)
  const plain: Window = { strides: ones, dilations: ones, padsBegin: zeros, padsEnd: zeros }
  const w = kernelConstant(call, 'pointwise_kernel', kernelFirst(stored), 0)
  return [activate(call, graph.node({ kind: 'Conv', group: 1, layout, ...plain }, [between, w, bias]))]
}

/** Kernels [...kernel, out, in]. */
function readTransposed(call: LayerCall, rank: number): string[] {
  const { graph, config, inputs, weights } = call
  const [x] = inputs as [string]
  const layout = layoutOf(call)
  const { channels } = spatialSizes(graph.shape(x), layout)
  const [kernel, filters] = [config.perAxis('kernel_size', rank), config.integer('filters')]
  const [strides, dilations] = [config.perAxis('strides', rank, 1), config.perAxis('dilation_rate', rank, 1)]
  const stored = weights.take('kernel', [...kernel, filters, channels])
  const bias = readBias(call, filters)
  const extra = config.has('output_padding') ? config.perAxis('output_padding', rank) : null
  const pads = transposePads(config.text('padding', 'valid'), kernel, strides, dilations, extra)
  const op: ConvTranspose = { kind: 'ConvTranspose', group: 1, layout, strides, dilations, ...pads }
  const y = graph.node(op, [x, kernelConstant(call, 'kernel', kernelFirst(stored), 0), bias])
  return [activate(call, y)]
}

function readBias({ graph, config, weights }: LayerCall, channels: number): string | null {
  return config.flag('use_bias', true) ? graph.constant('bias', weights.take('bias', [channels])) : null
}

/** From [...kernel, a, b] to [b, a, ...kernel]. */
function kernelFirst(stored: Constant): Constant {
  const rank = stored.shape.length - 2
  return permuteConstant(stored, [rank + 1, rank, ...Array.from({ length: rank }, (_, i) => i)])
}

function window({ graph, config }: LayerCall, x: string, kernel: readonly number[], layout: Layout): Window {
  const strides = config.perAxis('strides', kernel.length, 1)
  const dilations = config.perAxis('dilation_rate', kernel.length, 1)
  const { size } = spatialSizes(graph.shape(x), layout)
  const pads = kernelPads(config.text('padding', 'valid'), config.where, size, kernel, strides, dilations)
  return { strides, dilations, ...pads }
}
