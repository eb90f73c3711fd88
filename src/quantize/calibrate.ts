import { EdgewrightError } from '../error.ts'
import type { Evaluator } from '../execute/evaluator.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Graph } from '../graph/types.ts'
import { type Progress, silentProgress, throwIfAborted } from '../progress.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import { type ChannelStatistics, channelStatisticsOf } from './channel-statistics.ts'
import type { Ranges } from './ranges.ts'
import { StatisticsKernel } from './statistics-kernel.ts'
import { KernelObserver, type Observed, PlainObserver, type TensorObserver } from './tensor-observer.ts'

/** Makes a float graph runnable; the graph's outputs are what is wanted of it. */
export type EvaluatorFactory = (graph: Graph) => Promise<Evaluator>

export interface CalibrateOptions {
  progress?: Progress
  /** Number of samples, for the progress view; 0 where unknown. */
  total?: number
  /**
   * Values with min, max and mean of each channel besides those that a weighted layer reads. One that is not wanted
   * gets no histogram; one whose channels cannot be told gets min and max of the whole. `none`: of no value at all.
   */
  channelStatistics?: ReadonlySet<string> | 'none'
  /** False: min and max only, which is all that min-max ranges need. Default true. */
  histograms?: boolean
}

/**
 * Runs a float graph over samples once and keeps, of every wanted value, a histogram with exact min and max. Tensors
 * are dropped as soon as they are counted: memory does not grow with the number of samples.
 *
 * @param samples feeds by input name; a feed is no longer needed when the next is asked for
 * @param wanted names of float values of `graph`
 * @throws DATA_EMPTY without a sample, MODEL_NAN_WEIGHTS naming the tensor that is not finite
 */
export async function calibrate(
  graph: Graph,
  makeEvaluator: EvaluatorFactory,
  samples: AsyncIterable<ReadonlyMap<string, Tensor>> | Iterable<ReadonlyMap<string, Tensor>>,
  wanted: readonly string[],
  options: CalibrateOptions = {},
): Promise<Ranges> {
  const { progress = silentProgress(), total = 0 } = options
  const observed = observedOf(graph, wanted, options)
  const inner = [...observed.keys()].filter((name) => !graph.inputs.includes(name))
  const evaluator = inner.length > 0 ? await makeEvaluator(observedGraph(graph, inner)) : null
  let done = 0
  try {
    const { observers, run } = arrange(graph, observed, inner, evaluator)
    for await (const feeds of samples) {
      throwIfAborted(progress.signal)
      const outputs = await run(feeds)
      for (const [name, observer] of observers)
        observer.observe(realsOf(name, outputs.get(name) ?? feeds.get(name)))
      done++
      progress.tick(done, total, 'samples')
    }
    if (done === 0)
      throw new EdgewrightError('DATA_EMPTY', 'Calibration had no sample to look at.', {
        hint: 'Give at least one sample, or none at all to calibrate on seeded random inputs.',
      })
    return new Map([...observers].map(([name, observer]) => [name, observer.result()]))
  } finally {
    await evaluator?.close()
  }
}

function observedOf(
  graph: Graph,
  wanted: readonly string[],
  { channelStatistics = new Set(), histograms = true }: CalibrateOptions,
): Map<string, Observed> {
  const extra = channelStatistics === 'none' ? new Set<string>() : channelStatistics
  const channels =
    channelStatistics === 'none'
      ? new Map<string, ChannelStatistics>()
      : channelStatisticsOf(graph, wanted, extra)
  const needHistogram = new Set(histograms ? wanted : [])
  const observed = new Map<string, Observed>()
  for (const name of new Set([...wanted, ...extra])) {
    if (graph.values.get(name)?.constant)
      throw new EdgewrightError('INTERNAL', 'Internal error: a constant needs no calibration.', {
        where: name,
      })
    observed.set(name, { name, histogram: needHistogram.has(name), channels: channels.get(name) })
  }
  return observed
}

interface Arrangement {
  readonly observers: ReadonlyMap<string, TensorObserver>
  run(feeds: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, Tensor>>
}

/** Where the runtime can write into memory that is given to it, it writes into that of the kernel. */
function arrange(
  graph: Graph,
  observed: ReadonlyMap<string, Observed>,
  inner: readonly string[],
  evaluator: Evaluator | null,
): Arrangement {
  const all = [...observed.values()]
  const shapes = all.map(({ name }) => graph.values.get(name)?.type.shape ?? [])
  const kernel =
    !evaluator || canRunInto(graph, evaluator)
      ? StatisticsKernel.for(
          all.map(({ histogram, channels }, i) => ({
            elements: elementCount(shapes[i]!),
            counts: histogram,
            channels: channels?.channels ?? 0,
          })),
        )
      : null
  if (!kernel)
    return {
      observers: new Map(all.map((one) => [one.name, new PlainObserver(one)])),
      run: async (feeds) => (evaluator ? evaluator.run(feeds, inner) : feeds),
    }
  const outputs = new Map<string, Tensor>()
  for (const [i, { name }] of all.entries())
    if (inner.includes(name))
      outputs.set(name, { dtype: 'float32', shape: shapes[i]!, data: kernel.rooms[i]!.elements })
  return {
    observers: new Map(all.map((one, i) => [one.name, new KernelObserver(one, kernel, kernel.rooms[i]!)])),
    async run(feeds) {
      if (evaluator) await evaluator.runInto!(feeds, outputs)
      return outputs
    },
  }
}

/** Only where the runtime knows every shape beforehand, and it is the one that the graph states. */
function canRunInto(graph: Graph, { runInto, outputs }: Evaluator): boolean {
  return (
    runInto !== undefined &&
    outputs.every(({ name, dtype, shape }) => {
      const stated = graph.values.get(name)?.type.shape
      return (
        dtype === 'float32' &&
        stated?.length === shape.length &&
        shape.every((size, axis) => size > 0 && size === stated[axis])
      )
    })
  )
}

/** The graph with the wanted values as its only outputs. */
function observedGraph(graph: Graph, wanted: readonly string[]): Graph {
  const editor = new GraphEditor(graph)
  editor.outputs = [...wanted]
  return editor.finish()
}

function realsOf(name: string, tensor: Tensor | undefined): Float32Array {
  if (!tensor)
    throw new EdgewrightError('DATA_SHAPE', 'A sample lacks an input of the network.', { where: name })
  const { data } = tensor
  return data instanceof Float32Array ? data : Float32Array.from(data as Iterable<number | bigint>, Number)
}
