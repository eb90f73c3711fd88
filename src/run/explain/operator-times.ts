import type { AloneUnit } from '../../compile/explain/alone.ts'
import { type KernelOf, kernelFinder, type Unit } from '../../compile/explain/units.ts'
import { ensureBlobBytes } from '../../deploy/blobs.ts'
import type { Collected } from '../../measure/collect.ts'
import type { NodeTime } from '../../measure/operators.ts'
import type { PlanArtifact, PlanStep } from '../../measure/plan.ts'
import { median } from '../../measure/statistics.ts'
import type { Progress } from '../../progress.ts'
import { execute } from '../execute.ts'
import type { OpenedBoard } from '../open-device.ts'
import type { Provisioned } from '../provision.ts'

/** Where the time of one network goes. */
export interface OperatorTimes {
  /** `in place`: measured inside the network by the runtime; `alone`: each unit by itself, which flatters caches. */
  readonly how: 'in place' | 'alone'
  /** Nanoseconds an inference, by unit name; a unit that the runtime fused into another has none. */
  readonly float: ReadonlyMap<string, number>
  readonly int8: ReadonlyMap<string, number>
  /** Between integers and reals, in the compiled network; null where the runtime does not tell. */
  readonly conversionNs: number | null
  /** Layout changes and the like, of the runtime's own making. */
  readonly runtimeNs: { readonly float: number; readonly int8: number } | null
}

/** From ONNX Runtime's profiles of both networks. */
export function timesInPlace(
  units: readonly Unit[],
  float: readonly NodeTime[],
  int8: readonly NodeTime[],
): OperatorTimes {
  const find = kernelFinder(units)
  const spread = (nodes: readonly NodeTime[]) => {
    const byUnit = new Map<string, number>()
    const others: Record<Exclude<KernelOf['kind'], 'unit'>, number> = { conversion: 0, runtime: 0 }
    for (const { node, operator, medianUs } of nodes) {
      const whose = find(node, operator)
      if (whose.kind === 'unit')
        byUnit.set(whose.unit.name, (byUnit.get(whose.unit.name) ?? 0) + medianUs * 1000)
      else others[whose.kind] += medianUs * 1000
    }
    return { byUnit, others }
  }
  const [a, b] = [spread(float), spread(int8)]
  return {
    how: 'in place',
    float: a.byUnit,
    int8: b.byUnit,
    conversionNs: b.others.conversion,
    runtimeNs: { float: a.others.runtime, int8: b.others.runtime },
  }
}

/** Two artifacts a unit: half of what a plan holds, so that a board of 512 MB is not filled. */
const unitsAtATime = 16
const bounds = { minCount: 10, minSeconds: 0.1, maxCount: 20_000, maxSeconds: 5 }

/** Each unit by itself on the board, float beside int8 in turns within one process. */
export async function timesAlone(
  board: OpenedBoard,
  tools: Provisioned,
  units: readonly AloneUnit[],
  threads: number,
  progress: Progress,
): Promise<OperatorTimes> {
  const float = new Map<string, number>()
  const int8 = new Map<string, number>()
  for (let at = 0; at < units.length; at += unitsAtATime) {
    progress.stage(
      'operators',
      `${at + 1} to ${Math.min(units.length, at + unitsAtATime)} of ${units.length}`,
    )
    const batch = units.slice(at, at + unitsAtATime)
    const collected = await measureBatch(board, tools, batch, threads, progress)
    for (const [index, { unit }] of batch.entries()) {
      const [a, b] = [medianOf(collected, `float-${index}`), medianOf(collected, `int8-${index}`)]
      if (a !== null) float.set(unit.name, a)
      if (b !== null) int8.set(unit.name, b)
    }
  }
  return { how: 'alone', float, int8, conversionNs: null, runtimeNs: null }
}

async function measureBatch(
  board: OpenedBoard,
  tools: Provisioned,
  batch: readonly AloneUnit[],
  threads: number,
  progress: Progress,
): Promise<Collected> {
  const artifacts: PlanArtifact[] = []
  const steps: PlanStep[] = []
  for (const [index, { float, int8 }] of batch.entries()) {
    const ids = [`float-${index}`, `int8-${index}`] as const
    for (const [position, model] of [float, int8].entries())
      artifacts.push({
        id: ids[position]!,
        backend: tools.backend,
        library: tools.library,
        model: (await ensureBlobBytes(board.device, model, { progress })).path,
        threads,
        affinity: [],
        profile: false,
        inputs: [],
        seed: 0,
      })
    for (const artifact of ids)
      steps.push({ do: 'warmup', artifact, minCount: 3, minSeconds: 0.02, maxCount: 1000, maxSeconds: 5 })
    steps.push({ do: 'interleave', artifacts: [...ids, ...ids.toReversed()], block: 5, ...bounds })
  }
  const plan = () => ({ schema: 1 as const, artifacts, steps, sensors: [], sensorPeriodMs: 1000 })
  const { collected } = await execute(board, tools, { files: new Map(), fetch: [], plan }, progress)
  return collected
}

function medianOf(collected: Collected, artifact: string): number | null {
  const taken = collected.steps.flatMap(({ latencyNs }) => [...(latencyNs.get(artifact) ?? [])])
  return taken.length === 0 ? null : median(Float64Array.from(taken))
}
