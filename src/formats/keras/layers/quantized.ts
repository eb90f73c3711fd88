import { EdgewrightError } from '../../../error.ts'
import { numbersOf } from '../../../graph/constant.ts'
import { constantOfNumbers } from '../../../graph/encode.ts'
import type { Constant, Quantization } from '../../../graph/types.ts'
import type { LayerGraph } from '../builder.ts'
import { isRecord } from '../config.ts'
import type { LayerWeights } from '../weights.ts'
import type { LayerCall, LayerTable } from './layer.ts'

/**
 * Layers that the TensorFlow Model Optimization Toolkit wraps for quantization-aware training. Their learned ranges
 * become Converts to int8 and back, as a file with explicit quantization has them.
 */
export const quantizedLayers: LayerTable = {
  QuantizeLayer: (call) => {
    const quantizer = call.config.raw('quantizer')
    const settings = isRecord(quantizer) && isRecord(quantizer.config) ? quantizer.config : {}
    requireEightBits(call, settings.num_bits)
    return [quantizeActivation(call.graph, call.inputs[0]!, rangeOf(call.weights, 'quantize_layer'))]
  },
  QuantizeWrapperV2: readWrapper,
  QuantizeWrapper: readWrapper,
}

/** Smallest and largest value, one for each channel or one for all. */
export interface Range {
  readonly min: readonly number[]
  readonly max: readonly number[]
}

/** Ranges that a wrapper learned for the layer inside. */
export interface LayerRanges {
  get(name: string): Range | null
}

function readWrapper(call: LayerCall): string[] {
  const { config, weights, graph, inputs } = call
  const quantizeConfig = config.raw('quantize_config')
  const className = isRecord(quantizeConfig) ? String(quantizeConfig.class_name) : ''
  if (
    !/^(Default8Bit|DefaultNBit|NoOp|Output)\w*QuantizeConfig$|^NoOpQuantizeConfig$|^OutputQuantizeConfig$/.test(
      className,
    )
  )
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      'A layer is quantized by a configuration of the model’s own.',
      {
        where: call.name,
        saw: className,
        hint: 'Strip the wrappers (tfmot.quantization.keras.quantize_scope) and let Edgewright quantize the float model.',
      },
    )
  if (isRecord(quantizeConfig) && isRecord(quantizeConfig.config))
    for (const bits of ['num_bits_weight', 'num_bits_activation'])
      requireEightBits(call, quantizeConfig.config[bits])
  const inner = call.inner(config.raw('layer'), 'layer', { get: (name) => rangeOf(weights, name) })
  const outputs = inner.spell(inputs)
  return outputs.map((output) => quantizeActivation(graph, output, rangeOf(weights, 'output')))
}

/** A kernel as the layer's operator takes it; `axis` is where Keras's last axis has gone. */
export function kernelConstant(
  { graph, ranges }: LayerCall,
  name: string,
  kernel: Constant,
  axis: number,
): string {
  const range = ranges?.get(name)
  if (!range) return graph.constant(name, kernel)
  const count = range.min.length
  const perAxis = count > 1
  if (perAxis && count !== kernel.shape[axis])
    throw new EdgewrightError('MODEL_BROKEN', 'A kernel has another number of ranges than of channels.', {
      where: name,
      saw: `${count} for [${kernel.shape}]`,
    })
  const parameters = range.min.map((min, i) => nudge(min, range.max[i]!, true))
  // a channel that never had a range has no scale
  if (parameters.some((entry) => entry === null)) return graph.constant(name, kernel)
  const scales = parameters.map((entry) => entry!.scale)
  const zeroPoints = parameters.map((entry) => entry!.zeroPoint)
  const inner = kernel.shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const integers = numbersOf(kernel).map((number, i) => {
    const channel = perAxis ? Math.floor(i / inner) % count : 0
    const level = Math.round(Math.fround(number / scales[channel]!)) + zeroPoints[channel]!
    return Math.min(127, Math.max(-127, level))
  })
  const quantization: Quantization = { scales, zeroPoints, axis: perAxis ? axis : null }
  const stored = graph.constant(
    `${name}/quantized`,
    constantOfNumbers('int8', kernel.shape, integers),
    quantization,
  )
  return graph.node({ kind: 'Convert' }, [stored], {
    dtype: 'float32',
    shape: kernel.shape,
    quantization: null,
  })
}

/** To int8 and back; the value as it is where no range was learned. */
export function quantizeActivation(graph: LayerGraph, x: string, range: Range | null): string {
  const parameters = range && nudge(range.min[0]!, range.max[0]!, false)
  if (!parameters) return x
  const { shape } = graph.type(x)
  const quantization: Quantization = {
    scales: [parameters.scale],
    zeroPoints: [parameters.zeroPoint],
    axis: null,
  }
  const stored = graph.node({ kind: 'Convert' }, [x], { dtype: 'int8', shape, quantization })
  return graph.node({ kind: 'Convert' }, [stored], { dtype: 'float32', shape, quantization: null })
}

/** TensorFlow's FakeQuantWithMinMaxVars: the zero point is rounded so that 0 is exact. In int8, where theirs is uint8. */
function nudge(min: number, max: number, narrow: boolean): { scale: number; zeroPoint: number } | null {
  const lowest = narrow ? 1 : 0
  const scale = Math.fround((max - min) / (255 - lowest))
  if (!(scale > 0 && scale < Infinity)) return null
  const zero = Math.min(255, Math.max(lowest, Math.round(lowest - min / scale)))
  return { scale, zeroPoint: zero - 128 }
}

function rangeOf(weights: LayerWeights, name: string): Range | null {
  if (!weights.has(`${name}_min`) || !weights.has(`${name}_max`)) return null
  return { min: weights.list(`${name}_min`), max: weights.list(`${name}_max`) }
}

function requireEightBits({ name, className }: LayerCall, bits: unknown): void {
  if (bits === undefined || bits === null || bits === 8) return
  throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'A layer is trained for other than 8 bits.', {
    where: `${className} ${name}`,
    saw: String(bits),
    hint: 'Strip the wrappers and let Edgewright quantize the float model.',
  })
}
