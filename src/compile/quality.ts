import type { Evaluator } from '../execute/evaluator.ts'
import { dequantizeTensor, type IntegerType, quantizeTensor } from '../data/quantize-tensor.ts'
import { taskAgreement } from '../data/task-agreement.ts'
import type { Sample, Task } from '../data/types.ts'
import { isHit, type Metric, scoresOf } from '../data/metric.ts'
import { argMax, SqnrMeter } from '../quantize/fidelity.ts'
import type { Tensor } from '../tensor.ts'
import { type Progress, throwIfAborted } from '../progress.ts'

/** A network ready to run, with what its integers mean. */
export interface Runnable {
  readonly evaluator: Evaluator
  /** By input name, in the order of the float network's inputs; null where the input holds reals. */
  readonly inputs: readonly { readonly name: string; readonly stored: IntegerType | null }[]
  readonly outputs: readonly { readonly name: string; readonly stored: IntegerType | null }[]
  /** Results of samples that will come again; gone with the sample. */
  readonly remembered?: WeakMap<Sample, Tensor[]>
  /** What its outputs say, where they are no scores of classes: agreement is then measured as the task has it. */
  readonly task?: Task | undefined
}

/** The float network beside the compiled one over the same samples. */
export interface Quality {
  readonly samples: number
  /**
   * Over all elements of all samples; of several real outputs the mean of their figures, those that are zero in float
   * aside. Infinity where all are exact, −150 where nothing is left to compare: a result that is no number, or noise
   * where float gives zeros only. Never NaN.
   */
  readonly sqnrDb: number
  /**
   * Share of samples with the same largest score in the first output, or as the task has it (mAP against float's
   * detections, equal pixels); null where that has a single element or none is a score.
   */
  readonly agreement: number | null
  readonly metric: string
  /** The metric of each; null without labels. */
  readonly float: number | null
  readonly compiled: number | null
  /** Top-1 right or wrong by sample, for paired tests; empty for other metrics. */
  readonly floatRight: readonly boolean[]
  readonly compiledRight: readonly boolean[]
}

/** Runs both networks over samples, one at a time. */
export async function compareQuality(
  float: Runnable,
  compiled: Runnable,
  samples: AsyncIterable<Sample>,
  total: number,
  makeMetric: () => Promise<Metric>,
  progress: Progress,
): Promise<Quality> {
  const meters = float.outputs.map(() => new SqnrMeter())
  const metrics = { float: await makeMetric(), compiled: await makeMetric() }
  metrics.float.start()
  metrics.compiled.start()
  const right = { float: [] as boolean[], compiled: [] as boolean[] }
  let done = 0
  let same = 0
  let comparable = 0
  let labelled = 0
  const byTask = float.task ? taskAgreement(float.task) : null
  const isReal: boolean[] = []
  for await (const sample of samples) {
    throwIfAborted(progress.signal)
    const reference = await infer(float, sample)
    const candidate = await infer(compiled, sample)
    // an index that differs by one is wrong altogether: it has no noise to speak of
    for (const [position, { dtype }] of reference.entries())
      isReal[position] ??= dtype.includes('float') || reference.length === 1
    for (const [position, tensor] of reference.entries())
      meters[position]!.add(numbers(tensor), sameLength(tensor, candidate[position]!))
    byTask?.add(named(float, reference), named(float, candidate))
    const first = reference[0]
    if (!byTask && first && first.data.length > 1 && first.dtype.startsWith('float')) {
      comparable++
      if (argMax(numbers(first)) === argMax(numbers(candidate[0]!))) same++
    }
    if (sample.label !== null || !metrics.float.needsLabels) {
      labelled++
      const outputs = { float: named(float, reference), compiled: named(float, candidate) }
      await metrics.float.add(outputs.float, sample)
      await metrics.compiled.add(outputs.compiled, sample)
      if (metrics.float.name.startsWith('top-') && sample.label !== null) {
        right.float.push(isHit(scoresOf(outputs.float), sample.label, 1))
        right.compiled.push(isHit(scoresOf(outputs.compiled), sample.label, 1))
      }
    }
    progress.tick(++done, total, 'samples')
  }
  return {
    samples: done,
    sqnrDb: meanDb(meters.filter((_, position) => isReal[position])),
    agreement: byTask ? byTask.value : comparable === 0 ? null : same / comparable,
    metric: metrics.float.name,
    float: labelled === 0 ? null : await metrics.float.finish(),
    compiled: labelled === 0 ? null : await metrics.compiled.finish(),
    floatRight: right.float,
    compiledRight: right.compiled,
  }
}

/** Outputs of one scale must not drown those of another: boxes in pixels beside scores. */
function meanDb(meters: readonly SqnrMeter[]): number {
  // beside nothing but zeros any noise is infinitely much: others tell more
  const audible = meters.filter(({ silent }) => !silent)
  const figures = (audible.length > 0 ? audible : meters).map(({ db }) => db)
  if (figures.every((db) => db === Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY
  const bounded = figures.map((db) =>
    Number.isNaN(db) ? -exactDb : Math.max(-exactDb, Math.min(db, exactDb)),
  )
  return bounded.reduce((sum, db) => sum + db, 0) / bounded.length
}

/** Beyond the 24 bits of a float32: an output without error counts so much among others, one that is no number so little. */
const exactDb = 150

/** Output tensors as reals, in the order of `runnable.outputs`. */
export async function infer(runnable: Runnable, sample: Sample): Promise<Tensor[]> {
  const known = runnable.remembered?.get(sample)
  if (known) return known
  const results = await runnable.evaluator.run(feedsOf(runnable, sample))
  const outputs = runnable.outputs.map(({ name, stored }) => {
    const tensor = results.get(name)!
    return stored ? dequantizeTensor(tensor, stored) : tensor
  })
  runnable.remembered?.set(sample, outputs)
  return outputs
}

/** A sample as the network takes it: quantized where its inputs are integers and the sample holds reals. */
export function feedsOf(
  runnable: Pick<Runnable, 'inputs'>,
  sample: Pick<Sample, 'inputs'>,
): Map<string, Tensor> {
  const feeds = new Map<string, Tensor>()
  for (const { name, stored } of runnable.inputs) {
    const tensor = sample.inputs.get(name)!
    feeds.set(name, stored && tensor.dtype !== stored.dtype ? quantizeTensor(tensor, stored) : tensor)
  }
  return feeds
}

function named(runnable: Runnable, tensors: readonly Tensor[]): Map<string, Tensor> {
  return new Map(runnable.outputs.map((output, position) => [output.name, tensors[position]!]))
}

/** An output whose length depends on the data (boxes that were found) and differs is nothing but noise. */
function sameLength(reference: Tensor, candidate: Tensor): ArrayLike<number> {
  return candidate.data.length === reference.data.length
    ? numbers(candidate)
    : new Float32Array(reference.data.length)
}

function numbers(tensor: Tensor): ArrayLike<number> {
  const { data } = tensor
  return data instanceof BigInt64Array || data instanceof BigUint64Array ? Array.from(data, Number) : data
}
