import { elementCount } from '../../src/tensor.ts'
import { type Operand, type Operator, nodeOf } from './operators.ts'
import type { Prediction } from './predict.ts'

/** An estimate of what the parameters of the mapped part take on the chip. */
export interface MemoryEstimate {
  /** Parameters as the Edge TPU keeps them, padded. */
  readonly parameterBytes: number
  /** What is left for them beside the executable and its scratch: between these, by the logs at hand. */
  readonly capacityBytes: { readonly low: number; readonly high: number }
  readonly cachedBytes: number
  /** Sent again at every inference; 0 where they fit even the low capacity. */
  readonly streamedBytes: number
  readonly verdict: 'fits' | 'may stream' | 'streams'
  readonly sentence: string
}

const mebibyte = 2 ** 20

/**
 * Of the 8 MiB on the chip, logs of the compiler show 6.1 to 7.9 MiB for parameters (used + remaining): resnet18 6.15
 * (PINTO0309/openvino2tensorflow#28), yolov5s 6.89 (edgetpu#512), yolox 7.24 (motokimura/yolox-ti-lite_tflite#2), a
 * pose network 7.63 (eehoeskrap/PaperReview#15), an MNIST network 7.86 (edgetpu#322).
 */
const capacity = { low: Math.round(6.1 * mebibyte), high: Math.round(7.9 * mebibyte) }

/**
 * Padding, fitted to the parameter blocks of three compiled convolutional networks of the 2021 compiler (within 0.5 %):
 * output channels come in eights, each with 24 bytes of bias and scales; a depthwise weight takes four bytes.
 */
const fit = { channelStep: 8, bytesPerChannel: 24, depthwiseBytesPerWeight: 4, depthwiseBytesPerChannel: 4 }
/** One compiled LSTM: 34.6 kB for 3.84 kB of weights. */
const lstmFactor = 9

/** Estimates on-chip parameter memory for what is predicted to be mapped. */
export function estimateMemory(prediction: Prediction): MemoryEstimate {
  const parameterBytes = prediction.operators
    .filter(({ mapped }) => mapped)
    .reduce((total, { operator }) => total + parameterBytesOf(operator), 0)
  const cachedBytes = Math.min(parameterBytes, capacity.low)
  const verdict =
    parameterBytes <= capacity.low ? 'fits' : parameterBytes <= capacity.high ? 'may stream' : 'streams'
  return {
    parameterBytes,
    capacityBytes: capacity,
    cachedBytes,
    streamedBytes: parameterBytes - cachedBytes,
    verdict,
    sentence: sentenceOf(verdict, parameterBytes),
  }
}

function sentenceOf(verdict: MemoryEstimate['verdict'], bytes: number): string {
  const size = `An estimated ${(bytes / mebibyte).toFixed(2)} MiB of parameters`
  const room = `${(capacity.low / mebibyte).toFixed(1)} to ${(capacity.high / mebibyte).toFixed(1)} MiB`
  if (verdict === 'fits') return `${size} fit on the chip (logs show room for ${room}).`
  if (verdict === 'may stream')
    return `${size} may not fit on the chip (logs show room for ${room}); the rest is sent at every inference.`
  return `${size} do not fit on the chip (logs show room for ${room}); at least ${((bytes - capacity.high) / mebibyte).toFixed(2)} MiB are sent at every inference.`
}

function parameterBytesOf(operator: Operator): number {
  const parameters = operator.inputs.filter(({ constant }) => constant)
  const weights = parameters.find(({ type }) => type.dtype !== 'int32')
  if (!weights) return 0
  if (operator.type === 'LSTM' || operator.type === 'UNIDIRECTIONAL_SEQUENCE_LSTM')
    return (
      lstmFactor *
      parameters
        .filter(({ type }) => type.shape.length === 2)
        .reduce((sum, { type }) => sum + elementCount(type.shape), 0)
    )
  if (operator.type === 'DEPTHWISE_CONV_2D') return depthwiseBytes(weights)
  if (nodeOf(operator, 'Conv') || nodeOf(operator, 'ConvTranspose') || operator.type === 'FULLY_CONNECTED')
    return layerBytes(operator, weights)
  return elementCount(weights.type.shape)
}

function depthwiseBytes({ type }: Operand): number {
  const [channels = 1, ...kernel] = type.shape
  return channels * (fit.depthwiseBytesPerWeight * elementCount(kernel) + fit.depthwiseBytesPerChannel)
}

function layerBytes(operator: Operator, { type }: Operand): number {
  const outputs = operator.outputs[0]!.type.shape.at(-1)!
  const padded = Math.ceil(outputs / fit.channelStep) * fit.channelStep
  return padded * (elementCount(type.shape) / outputs + fit.bytesPerChannel)
}
