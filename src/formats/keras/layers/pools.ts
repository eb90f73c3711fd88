import type { Op } from '../../../graph/ops.ts'
import { type LayerCall, type LayerTable, layoutOf, spatialSizes } from './layer.ts'
import { kernelPads } from './padding.ts'

export const poolLayers: LayerTable = {
  MaxPooling1D: (call) => readPool(call, 1, 'MaxPool'),
  MaxPooling2D: (call) => readPool(call, 2, 'MaxPool'),
  AveragePooling1D: (call) => readPool(call, 1, 'AveragePool'),
  AveragePooling2D: (call) => readPool(call, 2, 'AveragePool'),
  GlobalMaxPooling1D: (call) => readGlobal(call, 'Max'),
  GlobalMaxPooling2D: (call) => readGlobal(call, 'Max'),
  GlobalAveragePooling1D: (call) => readGlobal(call, 'Mean'),
  GlobalAveragePooling2D: (call) => readGlobal(call, 'Mean'),
}

function readPool(call: LayerCall, rank: number, kind: 'MaxPool' | 'AveragePool'): string[] {
  const { graph, config, inputs } = call
  const layout = layoutOf(call)
  const { size } = spatialSizes(graph.shape(inputs[0]!), layout)
  const kernel = config.perAxis('pool_size', rank, 2)
  const strides = config.has('strides') ? config.perAxis('strides', rank) : kernel
  const pads = kernelPads(config.text('padding', 'valid'), config.where, size, kernel, strides)
  const window = { kernel, strides, dilations: kernel.map(() => 1), ...pads, ceilMode: false, layout }
  const op: Op = kind === 'MaxPool' ? { kind, ...window } : { kind, ...window, countIncludePad: false }
  return [graph.node(op, inputs)]
}

/** Written as a reduction, so that what keeps its axes and what drops them are one form. */
function readGlobal(call: LayerCall, fn: 'Max' | 'Mean'): string[] {
  const { graph, config, inputs } = call
  const layout = layoutOf(call)
  const { size } = spatialSizes(graph.shape(inputs[0]!), layout)
  const axes = size.map((_, i) => (layout === 'channels-last' ? i + 1 : i + 2))
  return [graph.node({ kind: 'Reduce', fn, axes, keepDims: config.flag('keepdims', false) }, inputs)]
}
