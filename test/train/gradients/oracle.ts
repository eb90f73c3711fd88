import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { seededGenerator } from '../../../src/data/generator.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { elementCount, type Tensor } from '../../../src/tensor.ts'
import { GraphBuilder } from '../../../src/train/builder.ts'
import { gradientsOf } from '../../../src/train/differentiate.ts'

/** An operator under test, with the same thing in TensorFlow.js where that has it. */
export interface GradientCase {
  readonly shapes: readonly (readonly number[])[]
  /** Inputs are named in the order of the shapes. @returns the output */
  build(b: GraphBuilder, ...inputs: string[]): string
  tfjs?(...inputs: tf.Tensor[]): tf.Tensor
  /** Changes inputs to where the function is smooth: away from kinks, above zero. */
  readonly domain?: (value: number, index: number) => number
}

/** Relative to the largest gradient. */
export const tolerance = 1e-3

/**
 * Gradients of Σ output · w, w random and fixed, by every input: ours by ONNX Runtime, held against central differences
 * of what ONNX Runtime computes and against TensorFlow.js's own gradients (its pure JavaScript backend).
 */
export async function checkGradients(one: GradientCase): Promise<void> {
  const random = seededGenerator(11)
  const { domain = (value) => value } = one
  const inputs = one.shapes.map((shape): Tensor => {
    const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => domain(random.normal(), i))
    return { dtype: 'float32', shape, data }
  })
  const b = GraphBuilder.empty('case')
  const names = one.shapes.map((shape, index) => b.input(`input_${index}`, shape))
  const output = one.build(b, ...names)
  const weights = Float32Array.from({ length: elementCount(b.shape(output)) }, () => random.normal())
  const loss = b.reduceAll('Sum', b.mul(output, b.floats(weights, b.shape(output))))
  const gradients = gradientsOf(b, loss, names)
  const outputs = names.map((name) => gradients.get(name)!)
  const outputShape = b.shape(output)
  const evaluator = await createOnnxEvaluator(writeOnnx(b.finish([loss, output, ...outputs])))
  try {
    const feeds = new Map(names.map((name, index) => [name, inputs[index]!]))
    const results = await evaluator.run(feeds)
    const ours = outputs.map((name) => results.get(name)!.data as Float32Array)
    for (const [index, gradient] of ours.entries())
      assert.equal(gradient.length, inputs[index]!.data.length, 'a gradient has the shape of its input')
    await checkDifferences(
      async (changed, at) => {
        const run = await evaluator.run(new Map([...feeds, [names[at]!, changed]]), [output])
        const data = run.get(output)!.data as Float32Array
        // added up in doubles: the differences are small
        return data.reduce((sum, value, i) => sum + value * weights[i]!, 0)
      },
      inputs,
      ours,
    )
    if (one.tfjs) await checkTfjs(one.tfjs, inputs, weights, outputShape, ours)
  } finally {
    await evaluator.close()
  }
}

/** Along random directions: a gradient that is wrong anywhere is wrong along most of them. */
async function checkDifferences(
  lossOf: (changed: Tensor, at: number) => Promise<number>,
  inputs: readonly Tensor[],
  ours: readonly Float32Array[],
): Promise<void> {
  const random = seededGenerator(5)
  for (const [at, input] of inputs.entries()) {
    const norm = Math.hypot(...ours[at]!)
    for (let trial = 0; trial < 3; trial++) {
      const direction = Float32Array.from(ours[at]!, (g) => random.normal() + g / (norm || 1))
      const length = Math.hypot(...direction)
      const expected = ours[at]!.reduce((sum, g, i) => sum + (g * direction[i]!) / length, 0)
      const differences = []
      for (const step of [3e-2, 1e-2, 3e-3]) {
        const moved = (by: number) =>
          ({
            ...input,
            data: (input.data as Float32Array).map((x, i) => x + (by * direction[i]!) / length),
          }) satisfies Tensor
        const [ahead, behind] = [await lossOf(moved(step), at), await lossOf(moved(-step), at)]
        differences.push(Math.abs((ahead - behind) / (2 * step) - expected))
      }
      const allowed = tolerance * Math.max(norm, 1e-3)
      assert.ok(
        Math.min(...differences) <= allowed,
        `by input ${at} ${expected}, central differences are ${differences.join(', ')} away (${allowed} allowed)`,
      )
    }
  }
}

async function checkTfjs(
  compute: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: readonly Tensor[],
  weights: Float32Array,
  shape: readonly number[],
  ours: readonly Float32Array[],
): Promise<void> {
  await tf.setBackend('cpu')
  const theirs = tf.tidy(() => {
    const tensors = inputs.map(({ data, shape: own }) => tf.tensor(data as Float32Array, [...own]))
    const factor = tf.tensor(weights, [...shape])
    const gradients = tf.grads((...given: tf.Tensor[]) => {
      const output = compute(...given)
      assert.deepEqual(output.shape, [...shape])
      return output.mul(factor).sum()
    })(tensors)
    return gradients.map((gradient) => gradient.dataSync() as Float32Array)
  })
  for (const [index, gradient] of theirs.entries()) {
    const largest = gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 1e-6)
    gradient.forEach((g, i) => {
      assert.ok(
        Math.abs(g - ours[index]![i]!) <= tolerance * largest,
        `by input ${index} element ${i}: ${ours[index]![i]} instead of ${g}`,
      )
    })
  }
}

/** Channels first to last, as TensorFlow.js computes, and back. */
export function channelsLast<T extends tf.Tensor>(x: tf.Tensor): T {
  const rank = x.rank
  return x.transpose([0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1]) as T
}
export function channelsFirst<T extends tf.Tensor>(x: tf.Tensor): T {
  const rank = x.rank
  return x.transpose([0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)]) as T
}
