import type { Progress } from '../../progress.ts'
import { coefficientOfVariation, unstableAbove } from '../../measure/trtexec/turns.ts'
import type { OpenedBoard } from '../open-device.ts'
import { type BuiltEngine, type EngineWish, provideEngine } from './engine.ts'
import type { BoardTensorRt } from './find.ts'
import { type MeasuredEngines, measureEngines, type MeasureRequest, StaleEngine } from './measure.ts'

export interface EngineSession {
  readonly engines: readonly BuiltEngine[]
  readonly measured: MeasuredEngines
}

/**
 * Builds (or finds) an engine for each wish and measures them in turns. An engine of the cache that does not load any more is built
 * again, once, and that is said.
 */
export async function measureWishes(
  board: OpenedBoard,
  tensorRt: BoardTensorRt,
  wishes: readonly EngineWish[],
  how: Omit<MeasureRequest, 'engines'>,
  progress: Progress,
): Promise<EngineSession> {
  const engines: BuiltEngine[] = []
  for (const wish of wishes) engines.push(await provideEngine(board, tensorRt, wish, progress))
  const rebuilt = new Set<number>()
  for (;;) {
    try {
      progress.stage(
        'measure',
        `${engines.map(({ wish }) => wish.precision).join(', ')} in turns on ${board.device.name}`,
      )
      const measured = await measureEngines(board, tensorRt, { ...how, engines }, progress)
      warnOfUnrest(engines, measured, progress)
      return { engines, measured }
    } catch (error) {
      if (!(error instanceof StaleEngine) || rebuilt.has(error.engine)) throw error
      rebuilt.add(error.engine)
      const stale = engines[error.engine]!
      progress.warn({
        code: 'ENGINE_REBUILT',
        message: `The ${stale.wish.precision} engine kept on the board did not load any more; it is built again.`,
        hint: error.saw ?? 'TensorRT or the GPU driver of the board changed since.',
      })
      engines[error.engine] = await provideEngine(board, tensorRt, stale.wish, progress, true)
    }
  }
}

function warnOfUnrest(engines: readonly BuiltEngine[], { turns }: MeasuredEngines, progress: Progress): void {
  for (const [index, { wish }] of engines.entries()) {
    const computeNs = turns
      .filter(({ engine }) => engine === index)
      .flatMap(({ times }) => times.map((time) => time.computeNs))
    const variation = coefficientOfVariation(computeNs)
    if (variation > unstableAbove)
      progress.warn({
        code: 'GPU_UNSTABLE',
        message: `GPU compute time of the ${wish.precision} engine is unstable: it varies by ${(variation * 100).toFixed(1)} %.`,
        hint: 'Lock the clocks for the run (jetson_clocks), let the board cool, and end what else uses the GPU.',
      })
  }
}
