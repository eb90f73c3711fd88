import type { Op } from '../../../graph/ops.ts'
import { activate } from './activations.ts'
import type { LayerCall, LayerTable } from './layer.ts'
import { kernelConstant } from './quantized.ts'
import { EdgewrightError } from '../../../error.ts'

export const denseLayers: LayerTable = {
  Dense: readDense,
  TimeDistributed: readTimeDistributed,
  Embedding: ({ graph, config, inputs, weights }) => {
    const table = weights.take('embeddings', [config.integer('input_dim'), config.integer('output_dim')])
    const [indices] = inputs as [string]
    const type = graph.type(indices)
    const whole =
      type.dtype === 'int32' || type.dtype === 'int64'
        ? indices
        : graph.node({ kind: 'Cast' }, [indices], { ...type, dtype: 'int32' })
    return [graph.node({ kind: 'Gather', axis: 0 }, [graph.constant('embeddings', table), whole])]
  },
}

/** Over the last axis, whatever stands before it. */
function readDense(call: LayerCall): string[] {
  const { graph, config, inputs, weights } = call
  const [x] = inputs as [string]
  const shape = graph.shape(x)
  const units = config.integer('units')
  const kernel = kernelConstant(call, 'kernel', weights.take('kernel', [shape.at(-1)!, units]), 1)
  const bias = config.flag('use_bias', true) ? graph.constant('bias', weights.take('bias', [units])) : null
  if (shape.length === 2) {
    const op: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }
    return [activate(call, graph.node(op, [x, kernel, bias]))]
  }
  const product = graph.node({ kind: 'MatMul' }, [x, kernel])
  return [activate(call, bias ? graph.node({ kind: 'Binary', fn: 'Add' }, [product, bias]) : product)]
}

/** The steps become a part of the batch. */
function readTimeDistributed(call: LayerCall): string[] {
  const { graph, inputs, className, name, config } = call
  const inner = call.inner(config.raw('layer'), 'layer')
  const [batch, steps, ...rest] = graph.shape(inputs[0]!) as [number, number, ...number[]]
  if (rest.length === 0)
    throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'TimeDistributed needs steps and features.', {
      where: `${className} ${name}`,
    })
  const merged = graph.node({ kind: 'Reshape', shape: [batch * steps, ...rest] }, inputs)
  return inner
    .spell([merged])
    .map((y) => graph.node({ kind: 'Reshape', shape: [batch, steps, ...graph.shape(y).slice(1)] }, [y]))
}
