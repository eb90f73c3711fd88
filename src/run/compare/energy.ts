import { artifactId } from '../../measure/standard-plan.ts'
import { median } from '../../measure/statistics.ts'
import type { Progress } from '../../progress.ts'
import type { Energy } from '../../store/document.ts'
import { measureEnergies, noEnergy } from '../energy.ts'
import type { OpenedBoard } from '../open-device.ts'
import type { ReadyBoard } from '../ready-board.ts'
import { type Arm, type Arms, type MeasuredPass, subjectOf } from './pass.ts'
import type { CompareRequest } from './request.ts'

export interface PassEnergies {
  readonly a: Energy
  readonly b: Energy
}

/** Energy of both in one phase, in turns, where the board has a sensor or a meter stands beside it. */
export async function energiesOfPass(
  board: OpenedBoard,
  arms: Arms,
  measured: MeasuredPass,
  request: CompareRequest,
  { sensors, pins }: Pick<ReadyBoard, 'sensors' | 'pins'>,
  progress: Progress,
): Promise<PassEnergies> {
  const subjects = [...(arms.a ? [subjectOf('a', arms.a)] : []), subjectOf('b', arms.b)]
  const phases = await measureEnergies(
    board,
    arms.b.tools,
    request.energy,
    {
      subjects,
      threads: [request.threads],
      affinity: request.affinity,
      rateHz: 0,
      preset: request.preset,
      sensors,
      pins,
    },
    (id, threads) => {
      const latencyNs = measured.collected.artifacts.get(artifactId(id, threads))?.latencyNs
      return latencyNs && latencyNs.length > 0 ? median(latencyNs) : null
    },
    progress,
  )
  const of = (arm: Arm) =>
    phases.get(request.threads)?.bySubject.get(arm) ?? noEnergy('not-asked', 'Not measured.')
  return { a: of('a'), b: of('b') }
}
