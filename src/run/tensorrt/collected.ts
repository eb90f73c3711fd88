import type { Collected, CollectedArtifact, CollectedStep } from '../../measure/collect.ts'
import { artifactId } from '../../measure/standard-plan.ts'
import type { InferenceTime } from '../../measure/trtexec/times.ts'
import type { MeasuredEngines, Turn } from './measure.ts'

/**
 * The samples of trtexec in the form of the runner's, so that the same statistics are made of them. Latency is trtexec's own "Latency": copy
 * to the device, compute, copy back; it holds no time in the queue.
 *
 * @param ids names of the engines, in their order
 */
export function collectedOf(measured: MeasuredEngines, ids: readonly string[]): Collected {
  const { turns } = measured
  const artifacts = new Map<string, CollectedArtifact>()
  const latencyNs = new Map<string, Float64Array>()
  const batches = new Map<string, readonly { readonly atNs: number; readonly from: number }[]>()
  for (const [index, name] of ids.entries()) {
    const id = artifactId(name, 1)
    const own = turns.filter(({ engine }) => engine === index)
    const samples = Float64Array.from(own.flatMap(({ times }) => times.map((time) => time.latencyNs)))
    artifacts.set(id, {
      id,
      loaded: null,
      firstNs: null,
      warmupNs: new Float64Array(),
      latencyNs: samples,
    })
    latencyNs.set(id, samples)
    batches.set(id, batchesOf(own))
  }
  const count = [...latencyNs.values()].reduce((sum, samples) => sum + samples.length, 0)
  const step: CollectedStep = {
    index: 0,
    do: ids.length > 1 ? 'interleave' : 'measure',
    startNs: turns[0]?.startNs ?? 0,
    elapsedNs: (turns.at(-1)?.endNs ?? 0) - (turns[0]?.startNs ?? 0),
    count,
    inferred: 0,
    latencyNs,
    batches,
  }
  return {
    measuredBy: 'runner',
    runner: null,
    artifacts,
    steps: [step],
    sensors: measured.sensors,
    meters: [],
    operators: [],
    memory: [],
    peakRssBytes: null,
    complaints: [],
    end: { state: 'complete' },
  }
}

/**
 * Every inference is a batch of its own: trtexec says when each began. Its clock starts when it starts to time, which is
 * after it loaded the engine: the last inference is taken to have ended when the process did.
 */
function batchesOf(turns: readonly Turn[]): { atNs: number; from: number }[] {
  const batches: { atNs: number; from: number }[] = []
  for (const { endNs, times } of turns) {
    const last = times.at(-1)
    if (!last) continue
    const originNs = endNs - (last.startNs + last.latencyNs)
    for (const time of times) batches.push({ atNs: originNs + time.startNs, from: batches.length })
  }
  return batches
}

/** What the latency is made of, medians in nanoseconds. */
export interface LatencyParts {
  readonly computeNs: number
  readonly toDeviceNs: number
  readonly fromDeviceNs: number
  readonly enqueueNs: number
}

export function timesOf({ turns }: MeasuredEngines, engine: number): InferenceTime[] {
  return turns.filter((turn) => turn.engine === engine).flatMap((turn) => [...turn.times])
}
