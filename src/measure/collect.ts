import { EdgewrightError } from '../error.ts'
import type { PlanStep, RunnerEvent } from './plan.ts'
import { createSamples, type Samples } from './samples.ts'

type EventOf<T extends RunnerEvent['type']> = Extract<RunnerEvent, { type: T }>

/** How a run ended. */
export type RunEnd =
  | { readonly state: 'complete' }
  | { readonly state: 'interrupted'; readonly message: string }
  | { readonly state: 'failed'; readonly code: string; readonly message: string }
  /** No last word: still running, killed, or cut off. */
  | { readonly state: 'unfinished' }

export interface CollectedArtifact {
  readonly id: string
  readonly loaded: Omit<EventOf<'loaded'>, 'seq' | 't' | 'type' | 'artifact'> | null
  readonly firstNs: number | null
  /** Raw latencies in order, by what they were taken for; an interleaved step counts as measured. */
  readonly warmupNs: Float64Array
  readonly latencyNs: Float64Array
}

export interface CollectedStep {
  readonly index: number
  readonly do: PlanStep['do']
  /** CLOCK_MONOTONIC nanoseconds at its start. */
  readonly startNs: number
  /** Null where the step did not finish. */
  readonly elapsedNs: number | null
  readonly count: number
  readonly inferred: number
  readonly latencyNs: ReadonlyMap<string, Float64Array>
  /** When each batch of latencies began, by artifact: the time of its first inference and its index among the artifact's. */
  readonly batches: ReadonlyMap<string, readonly { readonly atNs: number; readonly from: number }[]>
}

/** One sample of a meter on the board: numbers of its files, or what its command printed. */
export interface MeterSample {
  readonly step: number
  readonly name: string
  /** CLOCK_MONOTONIC at its beginning, and how long it took. */
  readonly atNs: number
  readonly spentNs: number
  /** Null where a file held no number; empty for a command. */
  readonly values: readonly (number | null)[]
  readonly text: string | null
}

/** A run as its events tell it: raw samples, nothing derived. Complete as far as the run came. */
export interface Collected {
  /** Where the clock was read: by the runner, or in this process (then with the binding's overhead in each sample). */
  readonly measuredBy: 'runner' | 'process'
  readonly runner: { readonly version: string; readonly pid: number } | null
  readonly artifacts: ReadonlyMap<string, CollectedArtifact>
  readonly steps: readonly CollectedStep[]
  readonly sensors: readonly { readonly name: string; readonly tNs: number; readonly value: number }[]
  readonly meters: readonly MeterSample[]
  readonly operators: readonly { readonly artifact: string; readonly file: string }[]
  readonly memory: readonly {
    readonly tNs: number
    readonly peakRssBytes: number
    readonly rssBytes: number
  }[]
  /** Highest resident memory of the runner's process; null where it was not told. */
  readonly peakRssBytes: number | null
  /** Trouble that did not end the run, e.g. a sensor thread that could not start. */
  readonly complaints: readonly { readonly code: string; readonly message: string }[]
  readonly end: RunEnd
}

/** More than ten minutes of the fastest models; beyond it the answer is not believed. */
const maxSamples = 50_000_000
const maxOthers = 2_000_000
/** Of names, messages and what commands printed: hours of a Raspberry Pi's PMIC are a tenth of it. */
const maxCharacters = 128 * 2 ** 20

/** Codes after which the runner goes on. */
const harmless = new Set(['SENSORS', 'METERS'])

interface OpenArtifact {
  loaded: CollectedArtifact['loaded']
  firstNs: number | null
}

interface OpenStep {
  index: number
  do: PlanStep['do']
  startNs: number
  elapsedNs: number | null
  count: number
  inferred: number
  latency: Map<string, Samples>
  batches: Map<string, { atNs: number; from: number }[]>
}

export interface Collector {
  add(event: RunnerEvent): void
  /** What has been collected so far; may be asked at any time. */
  result(measuredBy?: Collected['measuredBy']): Collected
}

/**
 * Gathers events into a result, one by one.
 *
 * `add` throws EdgewrightError DEVICE_ANSWER_INVALID where events contradict each other or are more than a run can be.
 */
export function createCollector(): Collector {
  let runner: Collected['runner'] = null
  const artifacts = new Map<string, OpenArtifact>()
  const steps = new Map<number, OpenStep>()
  const sensors: { name: string; tNs: number; value: number }[] = []
  const meters: MeterSample[] = []
  const operators: { artifact: string; file: string }[] = []
  const memory: { tNs: number; peakRssBytes: number; rssBytes: number }[] = []
  const complaints: { code: string; message: string }[] = []
  let ended = false
  let samples = 0
  let others = 0
  let characters = 0

  function heed(...texts: readonly string[]): void {
    for (const text of texts) characters += text.length
    if (characters > maxCharacters) throw contradiction(`more than ${maxCharacters} characters of text`)
  }

  function artifact(id: string): OpenArtifact {
    const known = artifacts.get(id) ?? { loaded: null, firstNs: null }
    artifacts.set(id, known)
    return known
  }

  function step(index: number): OpenStep {
    const known = steps.get(index)
    if (known === undefined) throw contradiction(`an event of step ${index}, which has not begun`)
    return known
  }

  return {
    add(event) {
      if (ended) throw contradiction(`a line of type ${event.type} after the end`)
      if (++others > maxOthers) throw contradiction(`more than ${maxOthers} lines`)
      switch (event.type) {
        case 'hello':
          runner = { version: event.runner, pid: event.pid }
          return
        case 'loaded': {
          const { seq, t, type, artifact: id, ...loaded } = event
          artifact(id).loaded = loaded
          return
        }
        case 'step':
          if (steps.has(event.index)) throw contradiction(`step ${event.index} begins twice`)
          steps.set(event.index, {
            index: event.index,
            do: event.do,
            startNs: event.t,
            elapsedNs: null,
            count: 0,
            inferred: 0,
            latency: new Map(),
            batches: new Map(),
          })
          return
        case 'first':
          artifact(event.artifact).firstNs = event.ns
          return
        case 'latency': {
          samples += event.ns.length
          if (samples > maxSamples) throw contradiction(`more than ${maxSamples} latencies`)
          artifact(event.artifact)
          const { latency, batches } = step(event.step)
          const kept = latency.get(event.artifact) ?? createSamples()
          latency.set(event.artifact, kept)
          const begun = batches.get(event.artifact) ?? []
          batches.set(event.artifact, begun)
          begun.push({ atNs: event.at, from: kept.length })
          kept.push(event.ns)
          return
        }
        case 'meter': {
          const { name, at, spent, values } = event
          step(event.step)
          heed(name)
          samples += at.length
          if (samples > maxSamples) throw contradiction(`more than ${maxSamples} samples`)
          if (spent.length !== at.length || values.length !== at.length)
            throw contradiction(
              `${at.length} times, ${spent.length} durations and ${values.length} values of ${name}`,
            )
          for (const [i, atNs] of at.entries())
            meters.push({
              step: event.step,
              name,
              atNs,
              spentNs: spent[i]!,
              values: values[i]!,
              text: null,
            })
          return
        }
        case 'reading':
          step(event.step)
          heed(event.name, event.text)
          meters.push({
            step: event.step,
            name: event.name,
            atNs: event.at,
            spentNs: event.spent,
            values: [],
            text: event.exit === 0 ? event.text : null,
          })
          return
        case 'sensor':
          heed(event.name)
          sensors.push({ name: event.name, tNs: event.t, value: event.value })
          return
        case 'operators':
          heed(event.artifact, event.file)
          operators.push({ artifact: event.artifact, file: event.file })
          return
        case 'inferred':
          step(event.step).inferred = event.count
          return
        case 'done': {
          const done = step(event.step)
          done.elapsedNs = event.elapsedNs
          done.count = event.count
          return
        }
        case 'memory':
          memory.push({ tNs: event.t, peakRssBytes: event.peakRssBytes, rssBytes: event.rssBytes })
          return
        case 'error':
          heed(event.code, event.message)
          complaints.push({ code: event.code, message: event.message })
          return
        case 'end':
          ended = true
          return
      }
    },

    result(measuredBy = 'runner') {
      const finished = [...steps.values()].map(({ latency, ...step }) => ({
        ...step,
        latencyNs: new Map([...latency].map(([id, kept]) => [id, kept.array()])),
      }))
      const peaks = memory.map(({ peakRssBytes }) => peakRssBytes).filter((bytes) => bytes > 0)
      const last = ended ? undefined : complaints.findLast(({ code }) => !harmless.has(code))
      return {
        measuredBy,
        runner,
        artifacts: new Map(
          [...artifacts].map(([id, open]) => [
            id,
            {
              id,
              ...open,
              warmupNs: latencyOf(id, finished, ['warmup']),
              latencyNs: latencyOf(id, finished, ['measure', 'interleave']),
            },
          ]),
        ),
        steps: finished,
        sensors: [...sensors],
        meters: [...meters],
        operators: [...operators],
        memory: [...memory],
        peakRssBytes: peaks.length === 0 ? null : peaks.reduce((a, b) => Math.max(a, b)),
        complaints: complaints.filter((complaint) => complaint !== last),
        end: ended ? { state: 'complete' } : last === undefined ? { state: 'unfinished' } : endedBy(last),
      }
    },
  }
}

/** Gathers a whole run's events. */
export function collect(events: Iterable<RunnerEvent>): Collected {
  const collector = createCollector()
  for (const event of events) collector.add(event)
  return collector.result()
}

function endedBy({ code, message }: { code: string; message: string }): RunEnd {
  return code === 'INTERRUPTED' ? { state: 'interrupted', message } : { state: 'failed', code, message }
}

function latencyOf(
  id: string,
  steps: readonly CollectedStep[],
  kinds: readonly PlanStep['do'][],
): Float64Array {
  const parts = steps
    .filter((step) => kinds.includes(step.do))
    .flatMap((step) => step.latencyNs.get(id) ?? [])
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

function contradiction(saw: string): EdgewrightError {
  return new EdgewrightError('DEVICE_ANSWER_INVALID', 'The runner’s lines contradict each other.', { saw })
}
