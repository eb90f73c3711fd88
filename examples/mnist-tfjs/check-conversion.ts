import type * as tf from '@tensorflow/tfjs'
import { executeGraph, fromTfjs } from '../../src/index.ts'
import { accuracyOf, type Digits, pixelsOf, side } from './digits.ts'
import { logitsOf } from './train.ts'

export interface ConversionCheck {
  /** Largest difference between two logits, as a share of the largest logit. */
  readonly largestDifference: number
  /** Share of the digits that each gets right. */
  readonly tfjsAccuracy: number
  readonly accuracy: number
}

/** Takes the network over from the memory of TensorFlow.js and compares what both make of the same digits. */
export async function checkConversion(network: tf.LayersModel, digits: Digits): Promise<ConversionCheck> {
  const model = await fromTfjs(network, { batch: digits.count })
  const [graph] = [...model.graphs.values()]
  const evaluator = await executeGraph(graph!)
  try {
    const shape = [digits.count, side, side, 1]
    const feeds = new Map([[graph!.inputs[0]!, { dtype: 'float32' as const, shape, data: pixelsOf(digits) }]])
    const outputs = await evaluator.run(feeds)
    const actual = outputs.get(graph!.outputs[0]!)!.data as Float32Array
    const expected = logitsOf(network, digits)
    return {
      largestDifference: largest(expected.map((value, index) => value - actual[index]!)) / largest(expected),
      tfjsAccuracy: accuracyOf(expected, digits),
      accuracy: accuracyOf(actual, digits),
    }
  } finally {
    await evaluator.close()
  }
}

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}
