import { readFileSync } from 'node:fs'
import { mcnemarTest } from '../../src/data/significance.ts'
import { npyInMemory } from '../../src/data/npy.ts'
import { argMax, SqnrMeter } from '../../src/quantize/fidelity.ts'

/** One output a sample. */
export type Outputs = readonly Float32Array[]

export async function readOutputs(path: string): Promise<Outputs> {
  const array = npyInMemory(readFileSync(path), path)
  return Promise.all(
    Array.from({ length: array.shape[0]! }, async (_, index) => {
      const { buffer, byteOffset, byteLength } = await array.record(index)
      return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer)
    }),
  )
}

/** Largest difference, in parts of the largest value. */
export function largestDifference(a: Outputs, b: Outputs): number {
  let most = 0
  let difference = 0
  for (const [sample, values] of a.entries())
    for (const [i, value] of values.entries()) {
      most = Math.max(most, Math.abs(value))
      difference = Math.max(difference, Math.abs(value - b[sample]![i]!))
    }
  return difference / most
}

/** How a quantized network's outputs compare with the float network's. */
export interface Quality {
  readonly sqnrDb: number
  /** Samples with the same class; null where outputs are no classes. */
  readonly agree: number | null
  /** By labelled sample. */
  readonly right: readonly boolean[]
  /** Mean |reconstruction error − float's|; null where outputs are classes. */
  readonly scoreError: number | null
}

export function qualityOf(
  outputs: Outputs,
  float: Outputs,
  labels: readonly (number | null)[],
  samples: Outputs | null,
): Quality {
  const meter = new SqnrMeter()
  float.forEach((expected, i) => {
    meter.add(expected, outputs[i]!)
  })
  return {
    sqnrDb: meter.db,
    agree: samples ? null : float.filter((expected, i) => argMax(expected) === argMax(outputs[i]!)).length,
    right: outputs.flatMap((y, i) => (labels[i] === null ? [] : [argMax(y) === labels[i]])),
    scoreError: samples
      ? samples.reduce((sum, x, i) => sum + Math.abs(distance(outputs[i]!, x) - distance(float[i]!, x)), 0) /
        samples.length
      : null,
  }
}

/** Two-sided p of the paired difference in accuracy. */
export function significance(first: Quality, second: Quality): number {
  return mcnemarTest(first.right, second.right).pValue
}

/** Mean squared error: the anomaly score of an autoencoder. */
function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2
  return sum / a.length
}
