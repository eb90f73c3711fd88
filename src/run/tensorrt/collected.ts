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
  const { turns, sensors } = measured
  const steps = turns.map((turn, index) => stepOf(turn, index, artifactId(ids[turn.engine]!, 1)))
  const artifacts = new Map<string, CollectedArtifact>()
  for (const [engine, name] of ids.entries()) {
    const id = artifactId(name, 1)
    const latencyNs = Float64Array.from(timesOf(measured, engine), (time) => time.latencyNs)
    artifacts.set(id, { id, loaded: null, firstNs: null, warmupNs: new Float64Array(), latencyNs })
  }
  return {
    measuredBy: 'runner',
    runner: null,
    artifacts,
    steps,
    sensors,
    meters: [],
    operators: [],
    memory: [],
    peakRssBytes: null,
    complaints: [],
    end: { state: 'complete' },
  }
}

/**
 * A turn as a step; every inference is a batch of its own, for trtexec says when each began. Its clock starts when it
 * begins to time, after the engine was loaded: the last inference is taken to have ended when the process did.
 */
function stepOf({ startNs, endNs, times }: Turn, index: number, id: string): CollectedStep {
  const last = times.at(-1)
  const originNs = last ? endNs - (last.startNs + last.latencyNs) : startNs
  return {
    index,
    do: 'measure',
    startNs,
    elapsedNs: endNs - startNs,
    count: times.length,
    inferred: 0,
    latencyNs: new Map([[id, Float64Array.from(times, (time) => time.latencyNs)]]),
    batches: new Map([[id, times.map((time, from) => ({ atNs: originNs + time.startNs, from }))]]),
  }
}

export function timesOf({ turns }: MeasuredEngines, engine: number): InferenceTime[] {
  return turns.filter((turn) => turn.engine === engine).flatMap((turn) => [...turn.times])
}
