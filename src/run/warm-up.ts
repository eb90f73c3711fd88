import type { Collected } from '../measure/collect.ts'
import { type PresetBounds, presets } from '../measure/presets.ts'
import { busyPlan, type StandardPlanRequest } from '../measure/standard-plan.ts'
import { warmedUp } from '../measure/warmed-up.ts'
import type { Progress } from '../progress.ts'
import type { Latency } from '../store/document.ts'
import { type Execution, execute } from './execute.ts'
import type { OpenedBoard } from './open-device.ts'
import type { Provisioned } from './provision.ts'

export interface WarmUp {
  readonly seconds: number
  readonly steady: boolean
}

/**
 * Keeps a board busy with what is about to be measured until latency and temperature hold their level, where the preset
 * asks for it. A board that never gets steady is measured all the same, with a warning.
 */
export async function warmUpUntilSteady(
  board: OpenedBoard,
  tools: Provisioned,
  request: StandardPlanRequest,
  pins: NonNullable<Execution['pins']>,
  progress: Progress,
): Promise<WarmUp | null> {
  const { untilSteady }: PresetBounds = presets[request.preset]
  if (untilSteady === null) return null
  const { pieceSeconds, maxSeconds } = untilSteady
  const pieces: Collected[] = []
  let seconds = 0
  while (seconds < maxSeconds) {
    progress.stage('warm up', `${board.device.name}, ${seconds} s so far, ${maxSeconds} s at most`)
    const { collected } = await execute(
      board,
      tools,
      { files: new Map(), fetch: [], plan: () => busyPlan(request, pieceSeconds), pins },
      progress,
    )
    // only the last two are judged: half an hour of a fast network is not kept
    pieces.splice(0, Math.max(0, pieces.length - 1))
    pieces.push(collected)
    seconds += pieceSeconds
    if (warmedUp(pieces)) return { seconds, steady: true }
  }
  progress.warn({
    code: 'NOT_STEADY',
    message: `${board.device.name} did not get steady in ${seconds} s of warm-up.`,
    hint: 'Cool the board, stop what else runs there, or measure at a fixed rate that it can hold: --rate 10/s.',
  })
  return { seconds, steady: false }
}

/** The latency with what came before it. */
export function withWarmUp<L extends Latency | null>(latency: L, warmUp: WarmUp | null): L {
  if (!latency?.warmup || warmUp === null) return latency
  return { ...latency, warmup: { ...latency.warmup, untilSteady: { ...warmUp } } }
}
