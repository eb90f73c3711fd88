import { EdgewrightError } from '../error.ts'
import type { Evaluator } from '../execute/evaluator.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Graph } from '../graph/types.ts'
import { type Progress, silentProgress, throwIfAborted } from '../progress.ts'
import type { Tensor } from '../tensor.ts'
import { type ChannelStatistics, channelStatisticsOf } from './channel-statistics.ts'
import { Histogram } from './histogram.ts'
import type { Ranges, TensorRange } from './ranges.ts'

/** Makes a float graph runnable; the graph's outputs are what is wanted of it. */
export type EvaluatorFactory = (graph: Graph) => Promise<Evaluator>

export interface CalibrateOptions {
  progress?: Progress
  /** Number of samples, for the progress view; 0 where unknown. */
  total?: number
  /**
   * Values with min, max and mean of each channel besides those that a weighted layer reads. One that is not wanted
   * gets no histogram; one whose channels cannot be told gets min and max of the whole.
   */
  channelStatistics?: ReadonlySet<string>
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
  { progress = silentProgress(), total = 0, channelStatistics = new Set() }: CalibrateOptions = {},
): Promise<Ranges> {
  const observers = observersOf(graph, wanted, channelStatistics)
  const fromRun = [...observers.keys()].filter((name) => !graph.inputs.includes(name))
  const evaluator = fromRun.length > 0 ? await makeEvaluator(observedGraph(graph, fromRun)) : null
  let done = 0
  try {
    for await (const feeds of samples) {
      throwIfAborted(progress.signal)
      const outputs = evaluator ? await evaluator.run(feeds, fromRun) : feeds
      for (const [name, observer] of observers) observe(observer, outputs.get(name) ?? feeds.get(name))
      done++
      progress.tick(done, total, 'samples')
    }
  } finally {
    await evaluator?.close()
  }
  if (done === 0)
    throw new EdgewrightError('DATA_EMPTY', 'Calibration had no sample to look at.', {
      hint: 'Give at least one sample, or none at all to calibrate on seeded random inputs.',
    })
  return new Map([...observers].map(([name, observer]) => [name, rangeOf(observer)]))
}

/** What is gathered of one value. */
interface Observer {
  readonly histogram: Histogram
  /** False where the histogram only serves for min and max. */
  readonly wanted: boolean
  readonly channels: ChannelStatistics | undefined
}

function observersOf(
  graph: Graph,
  wanted: readonly string[],
  extra: ReadonlySet<string>,
): Map<string, Observer> {
  const channels = channelStatisticsOf(graph, wanted, extra)
  const observers = new Map<string, Observer>()
  for (const name of new Set([...wanted, ...extra])) {
    if (graph.values.get(name)?.constant)
      throw new EdgewrightError('INTERNAL', 'Internal error: a constant needs no calibration.', {
        where: name,
      })
    observers.set(name, {
      histogram: new Histogram(name),
      wanted: wanted.includes(name),
      channels: channels.get(name),
    })
  }
  return observers
}

/** The graph with the wanted values as its only outputs. */
function observedGraph(graph: Graph, wanted: readonly string[]): Graph {
  const editor = new GraphEditor(graph)
  editor.outputs = [...wanted]
  return editor.finish()
}

function observe({ histogram, channels }: Observer, tensor: Tensor | undefined): void {
  if (!tensor)
    throw new EdgewrightError('DATA_SHAPE', 'A sample lacks an input of the network.', {
      where: histogram.name,
    })
  const { data } = tensor
  const reals =
    data instanceof Float32Array ? data : Float32Array.from(data as Iterable<number | bigint>, Number)
  histogram.observe(reals)
  channels?.observe(reals)
}

function rangeOf({ histogram, wanted, channels }: Observer): TensorRange {
  const { min, max } = histogram
  const seen = channels?.result()
  return {
    min,
    max,
    ...(wanted ? { histogram } : {}),
    ...(seen
      ? {
          channelMeans: seen.mean,
          channelMeanSquares: seen.meanOfSquares,
          channelMin: seen.min,
          channelMax: seen.max,
        }
      : {}),
  }
}
