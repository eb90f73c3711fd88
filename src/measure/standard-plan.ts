import type { Backend, Bounds, Plan, PlanArtifact, PlanDelegate, PlanStep } from './plan.ts'
import { type Preset, type PresetBounds, presets } from './presets.ts'

export { type Preset, presets } from './presets.ts'

/** A model to be measured; paths are absolute on the board. */
export interface Subject {
  /** A plain word, e.g. `float` or `int8`. */
  readonly id: string
  /** Default `onnxruntime`. */
  readonly backend?: Backend
  readonly library: string
  readonly delegate?: PlanDelegate
  readonly model: string
  /** Tensor files by input position; none: seeded random inputs. */
  readonly inputs?: readonly string[]
  readonly shapes?: readonly (readonly number[])[]
}

export interface StandardPlanRequest {
  /** Measured side by side: two are interleaved, so that both meet the same temperature, clock and neighbours. */
  readonly subjects: readonly Subject[]
  readonly threads: readonly number[]
  readonly preset: Preset
  readonly affinity?: readonly number[]
  readonly seed?: number
  /** Also measure each at this fixed rate; 0 or absent: flat out only. */
  readonly rateHz?: number
  /** Also take operator times, in sessions of their own. */
  readonly operators?: boolean
  readonly sensors?: Plan['sensors']
  readonly sensorPeriodMs?: number
  /** Done before anything is measured, e.g. `infer` steps; artifacts are named by `artifactId`. */
  readonly before?: readonly PlanStep[]
}

/** How the plan names a subject at a thread count. */
export function artifactId(subject: string, threads: number): string {
  return `${subject}-t${threads}`
}

/** How the plan names a subject's profiled session. */
export function profileId(subject: string, threads: number): string {
  return `${subject}-t${threads}-operators`
}

/**
 * The plan behind `bench` and `run`: for each thread count, warm every subject up, measure them side by side, then at the
 * fixed rate, then by operator. Peak memory is not to be read off it (several sessions share its process): see memoryPlan.
 */
export function standardPlan(request: StandardPlanRequest): Plan {
  const { subjects, preset, rateHz = 0, operators = false } = request
  const bounds: PresetBounds = presets[preset]
  const { minCount } = bounds.measure
  const measured = bounds.shared ? { ...shareOf(bounds.measure, subjects.length), minCount } : bounds.measure
  const artifacts: PlanArtifact[] = []
  const steps: PlanStep[] = [...(request.before ?? [])]
  for (const threads of request.threads) {
    const ids = subjects.map((subject) => artifactId(subject.id, threads))
    for (const subject of subjects) artifacts.push(planArtifact(request, subject, threads, false))
    for (const artifact of ids) steps.push({ do: 'warmup', artifact, ...bounds.warmup })
    for (let window = 0; window < bounds.windows; window++) steps.push(...sideBySide(ids, threads, measured))
    if (rateHz > 0)
      for (let window = 0; window < bounds.windows; window++)
        for (const artifact of ids) steps.push({ do: 'measure', artifact, rateHz, ...measured })
    if (!operators) continue
    for (const subject of subjects) {
      artifacts.push(planArtifact(request, subject, threads, true))
      steps.push({ do: 'measure', artifact: profileId(subject.id, threads), rateHz: 0, ...bounds.profile })
    }
  }
  return {
    schema: 1,
    artifacts,
    steps,
    sensors: request.sensors ?? [],
    sensorPeriodMs: request.sensorPeriodMs ?? 1000,
  }
}

/** Pause after which the idle workers of a session have stopped turning: measured at 35 ms on x64 (ONNX Runtime 1.30). */
export const settleSeconds = 0.15

/**
 * Palindromic turns (A B B A) cancel a linear drift of the clock or temperature. One thread: fine-grained, in one step.
 * Several: the workers of a session go on turning for a while after its last inference and would take the next
 * session's CPUs away, so turns are long and a pause stands between them.
 */
function sideBySide(ids: readonly string[], threads: number, bounds: Bounds): PlanStep[] {
  if (ids.length === 1) return [{ do: 'measure', artifact: ids[0]!, rateHz: 0, ...bounds }]
  const turns = [...ids, ...ids.toReversed()]
  if (threads === 1) return [{ do: 'interleave', artifacts: turns, block: 5, ...bounds }]
  const half = shareOf(bounds, 2)
  return turns.flatMap((artifact): PlanStep[] => [
    { do: 'idle', seconds: settleSeconds },
    { do: 'measure', artifact, rateHz: 0, ...half },
  ])
}

/** The plan that keeps a board busy as a standard plan would, for some seconds: what warms it up. */
export function busyPlan(request: StandardPlanRequest, seconds: number): Plan {
  const threads = request.threads.at(-1)!
  const ids = request.subjects.map((subject) => artifactId(subject.id, threads))
  const each = seconds / ids.length
  const bounds = { minCount: 1, minSeconds: each, maxCount: 1_000_000, maxSeconds: each }
  return {
    schema: 1,
    artifacts: request.subjects.map((subject) => planArtifact(request, subject, threads, false)),
    steps: sideBySide(ids, threads, bounds),
    sensors: request.sensors ?? [],
    sensorPeriodMs: request.sensorPeriodMs ?? 1000,
  }
}

function shareOf(bounds: Bounds, shares: number): Bounds {
  return {
    minCount: Math.ceil(bounds.minCount / shares),
    minSeconds: bounds.minSeconds / shares,
    maxCount: Math.ceil(bounds.maxCount / shares),
    maxSeconds: bounds.maxSeconds / shares,
  }
}

/** One subject alone in its process, a few inferences: its peak resident memory is the run's. */
export function memoryPlan(
  request: Pick<StandardPlanRequest, 'affinity' | 'seed'>,
  subject: Subject,
  threads: number,
): Plan {
  return {
    schema: 1,
    artifacts: [planArtifact(request, subject, threads, false)],
    steps: [
      {
        do: 'warmup',
        artifact: artifactId(subject.id, threads),
        minCount: 4,
        minSeconds: 0,
        maxCount: 4,
        maxSeconds: 60,
      },
    ],
    sensors: [],
    sensorPeriodMs: 1000,
  }
}

export function planArtifact(
  { affinity = [], seed = 0 }: Pick<StandardPlanRequest, 'affinity' | 'seed'>,
  { id, backend = 'onnxruntime', library, delegate, model, inputs = [], shapes }: Subject,
  threads: number,
  profile: boolean,
): PlanArtifact {
  return {
    id: profile ? profileId(id, threads) : artifactId(id, threads),
    backend,
    library,
    ...(delegate === undefined ? {} : { delegate }),
    model,
    threads,
    affinity,
    profile,
    inputs,
    ...(shapes === undefined ? {} : { shapes }),
    seed,
  }
}
