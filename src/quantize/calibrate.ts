import { EdgewrightError } from '../error.ts'
import type { Evaluator } from '../execute/evaluator.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Graph } from '../graph/types.ts'
import { type Progress, silentProgress, throwIfAborted } from '../progress.ts'
import type { Tensor } from '../tensor.ts'
import { type ChannelMeans, channelMeansOf } from './channel-means.ts'
import { Histogram } from './histogram.ts'
import type { Ranges, TensorRange } from './ranges.ts'

/** Makes a float graph runnable; the graph's outputs are what is wanted of it. */
export type EvaluatorFactory = (graph: Graph) => Promise<Evaluator>

export interface CalibrateOptions {
  progress?: Progress
  /** Number of samples, for the progress view; 0 where unknown. */
  total?: number
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
  { progress = silentProgress(), total = 0 }: CalibrateOptions = {},
): Promise<Ranges> {
  const fromInputs = wanted.filter((name) => graph.inputs.includes(name))
  const fromRun = wanted.filter((name) => !graph.inputs.includes(name) && !graph.values.get(name)?.constant)
  const histograms = new Map(wanted.map((name) => [name, new Histogram(name)]))
  const means = channelMeansOf(graph, wanted)
  for (const name of wanted) {
    const constant = graph.values.get(name)?.constant
    if (constant)
      throw new EdgewrightError('INTERNAL', 'Internal error: a constant needs no calibration.', {
        where: name,
      })
  }
  const evaluator = fromRun.length > 0 ? await makeEvaluator(observedGraph(graph, fromRun)) : null
  let done = 0
  try {
    for await (const feeds of samples) {
      throwIfAborted(progress.signal)
      for (const name of fromInputs) count(histograms.get(name)!, means.get(name), feeds.get(name))
      if (evaluator) {
        const outputs = await evaluator.run(feeds, fromRun)
        for (const name of fromRun) count(histograms.get(name)!, means.get(name), outputs.get(name))
      }
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
  const ranges = new Map<string, TensorRange>()
  for (const [name, histogram] of histograms) {
    const channelMeans = means.get(name)?.result()
    ranges.set(name, {
      min: histogram.min,
      max: histogram.max,
      histogram,
      ...(channelMeans ? { channelMeans } : {}),
    })
  }
  return ranges
}

/** The graph with the wanted values as its only outputs. */
function observedGraph(graph: Graph, wanted: readonly string[]): Graph {
  const editor = new GraphEditor(graph)
  editor.outputs = [...wanted]
  return editor.finish()
}

function count(histogram: Histogram, means: ChannelMeans | undefined, tensor: Tensor | undefined): void {
  if (!tensor)
    throw new EdgewrightError('DATA_SHAPE', 'A sample lacks an input of the network.', {
      where: histogram.name,
    })
  const { data } = tensor
  const reals =
    data instanceof Float32Array ? data : Float32Array.from(data as Iterable<number | bigint>, Number)
  histogram.observe(reals)
  means?.observe(reals)
}
