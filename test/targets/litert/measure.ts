import { readFileSync } from 'node:fs'
import { openModel } from '../../../src/formats/index.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { floatPasses, runPasses } from '../../../src/passes/index.ts'
import { argMax, SqnrMeter } from '../../../src/quantize/fidelity.ts'
import type { Tensor } from '../../../src/tensor.ts'
import type { TargetOptions } from '../../../targets/target.ts'
import { compile, evaluatorOf, openReals, operatorsOf, options } from './run.ts'
import type { Task } from './tasks.ts'

/** Our int8 file and the reference beside the float network, on the same samples. */
export interface Measured {
  readonly graph: Graph
  readonly bytes: Uint8Array
  readonly given: TargetOptions
  readonly operators: readonly string[]
  readonly meters: { readonly ours: SqnrMeter; readonly reference: SqnrMeter }
  /** By sample: the same largest output as float's. */
  readonly agree: { readonly ours: boolean[]; readonly reference: boolean[] }
  /** By labelled sample. */
  readonly right: { readonly float: boolean[]; readonly ours: boolean[]; readonly reference: boolean[] }
  /** Σ |anomaly score − float's|, for autoencoders. */
  readonly scoreErrors: { ours: number; reference: number }
}

/** Compiles a task for LiteRT on its calibration samples and runs float, ours and the reference on its test samples. */
export async function measure(task: Task): Promise<Measured> {
  const [original] = (await openModel(task.float)).graphs.values()
  const graph = await runPasses(original!, floatPasses(evaluatorOf))
  const [input] = graph.inputs
  const { shape } = graph.values.get(input!)!.type
  const feed = (data: Float32Array) => new Map<string, Tensor>([[input!, { dtype: 'float32', shape, data }]])
  // integer inputs and outputs, as the reference has them
  const given = { ...options, io: 'int8' as const }
  const { bytes } = await compile(graph, task.calibration.map(feed), given)
  const twin = await evaluatorOf(original!)
  const files = { ours: await openReals(bytes), reference: await openReals(readFileSync(task.reference)) }
  const meters = { ours: new SqnrMeter(), reference: new SqnrMeter() }
  const agree = { ours: [] as boolean[], reference: [] as boolean[] }
  const right = { float: [] as boolean[], ours: [] as boolean[], reference: [] as boolean[] }
  const scoreErrors = { ours: 0, reference: 0 }
  let count = 0
  for await (const sample of task.test) {
    const [result] = (await twin.run(feed(sample))).values()
    const expected = result!.data as Float32Array
    const label = task.labels?.[count++]
    if (label !== undefined) right.float.push(argMax(expected) === label)
    for (const name of ['ours', 'reference'] as const) {
      const y = await files[name].run(sample)
      meters[name].add(expected, y)
      agree[name].push(argMax(y) === argMax(expected))
      if (label !== undefined) right[name].push(argMax(y) === label)
      scoreErrors[name] += Math.abs(distance(y, sample) - distance(expected, sample))
    }
  }
  for (const open of [twin, files.ours, files.reference]) await open.close()
  return { graph, bytes, given, meters, agree, right, scoreErrors, operators: await operatorsOf(bytes) }
}

export function countOf(hits: readonly boolean[]): number {
  return hits.filter(Boolean).length
}

/** Mean squared error: the anomaly score of an autoencoder. */
function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2
  return sum / a.length
}
