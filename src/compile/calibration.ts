import { cpus } from 'node:os'
import { edgewrightVersion } from '../artifact/version.ts'
import { sha256 } from '../digest.ts'
import { openEvaluator } from '../execute/open.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Graph } from '../graph/types.ts'
import type { Progress } from '../progress.ts'
import { convertLayout } from '../passes/layout.ts'
import { calibrate, type CalibrateOptions } from '../quantize/calibrate.ts'
import type { Ranges } from '../quantize/ranges.ts'
import { type CalibrationCacheOptions, cachedCalibration } from './calibration-cache.ts'
import { modelFileOf } from './execute-graph.ts'
import { type SamplePart, samplesOf } from './samples.ts'

export interface CalibrationRequest extends Pick<CalibrateOptions, 'channelStatistics' | 'histograms'> {
  readonly graph: Graph
  /** Float values of the graph. */
  readonly wanted: readonly string[]
  readonly samples: SamplePart
  /** Where results are kept; null: nowhere. Default the user's cache folder. */
  readonly cache?: CalibrationCacheOptions | null
}

/**
 * What calibration samples show of the wanted values: from the cache where the same was calibrated before, else by one
 * pass over the samples in ONNX Runtime with one thread, whose results do not depend on the machine's load.
 */
export async function calibrateSamples(request: CalibrationRequest, progress: Progress): Promise<Ranges> {
  const { wanted, samples, channelStatistics = new Set<string>(), histograms = true } = request
  const extra = channelStatistics === 'none' ? [] : channelStatistics
  const graph = observable(request.graph, new Set([...wanted, ...extra]))
  const file = graph.outputs.length === 0 ? new Uint8Array() : modelFileOf(graph)
  const total = samples.indices.length
  const run = () =>
    calibrate(graph, () => openEvaluator(file), feedsOf(samples, progress.signal), wanted, {
      channelStatistics,
      histograms,
      progress,
      total,
    })
  if (request.cache === null) return run()
  const key = {
    graph: sha256(file),
    wanted,
    channelStatistics: channelStatistics === 'none' ? channelStatistics : [...channelStatistics],
    histograms,
    samples: await samples.dataset.fingerprint(samples.indices),
    computedBy: [edgewrightVersion(), process.arch, cpus()[0]?.model ?? ''],
  }
  return cachedCalibration(key, run, {
    warn: (warning) => progress.warn(warning),
    onHit: () => progress.tick(total, total, 'samples'),
    ...request.cache,
  })
}

/**
 * The graph with the wanted values as its outputs, in the layout that the runtime computes in: ranges are those of any
 * layout, and turning every tensor round would cost more than running the network.
 */
function observable(graph: Graph, wanted: ReadonlySet<string>): Graph {
  const editor = new GraphEditor(graph)
  editor.outputs = [...wanted].filter((name) => !graph.inputs.includes(name))
  const observed = editor.finish()
  const convertible = observed.nodes.every(({ op }) => op.kind !== 'Opaque' || op.format !== 'tflite')
  const settled = observed.nodes.every(({ op }) => !('layout' in op) || op.layout === 'channels-first')
  return convertible && !settled
    ? convertLayout(observed, 'channels-first', { outputs: 'convert' })
    : observed
}

async function* feedsOf(samples: SamplePart, signal: AbortSignal) {
  for await (const sample of samplesOf(samples, signal)) yield sample.inputs
}
