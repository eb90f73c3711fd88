import type { Board } from '../../compile/board.ts'
import type { Compiled, Prepared } from '../../compile/compile.ts'
import type { Pin } from '../../deploy/pins.ts'
import type { Release } from '../../deploy/types.ts'
import { toEdgewrightError } from '../../error.ts'
import { formatVersion } from '../../measure/trtexec/version.ts'
import type { Progress, Warning } from '../../progress.ts'
import type { RunResult } from '../../store/document.ts'
import type { BoardSensors } from '../conditions.ts'
import { noEnergy } from '../energy.ts'
import type { Executed } from '../execute.ts'
import { latencyOf } from '../latency.ts'
import type { OpenedBoard } from '../open-device.ts'
import type { RunRequest } from '../request.ts'
import { collectedOf } from './collected.ts'
import { conditionsWith } from './conditions.ts'
import { type BuiltEngine, type EngineWish, provideEngine } from './engine.ts'
import { type BoardTensorRt, findTensorRt, holding } from './find.ts'
import { howToMeasure } from './how.ts'
import { type EngineRow, engineRow, fastestBaseline, layersOf, ranking } from './rows.ts'
import { measureWishes } from './session.ts'
import { artifactWish, baselineWishes, trtexecOf } from './wishes.ts'

export interface EnginesInput {
  readonly opened: OpenedBoard
  readonly board: Board
  readonly compiled: Compiled
  readonly prepared: Prepared
  readonly release: Release
  readonly request: RunRequest
  readonly survey: BoardSensors & { readonly pins?: readonly Pin[] }
}

/** What engines came to, in the words of a result: `float` is the faster of the float engines. */
export interface EnginesOutcome {
  readonly executed: Executed
  /** trtexec does not tell what a process took of the memory that CPU and GPU share. */
  readonly peakRssBytes: ReadonlyMap<string, null>
  readonly parity: RunResult['parity']
  readonly runtime: { readonly name: string; readonly version: string; readonly sha256: string | null }
  readonly startedAt: Date
  readonly endedAt: Date
  /** Laid over a result that was made of the samples. */
  finish(result: RunResult): RunResult
}

/**
 * Builds the artifact's engine and, beside it, float32 and float16 engines of the same network, and measures all of them
 * in turns. A float engine that cannot be built is left out and said; the artifact's must be.
 */
export async function runEngines(
  input: EnginesInput,
  progress: Progress & { readonly warnings: readonly Warning[] },
): Promise<EnginesOutcome> {
  const { opened, compiled, request } = input
  const trtexec = trtexecOf(compiled.manifest)
  if (!trtexec) throw new Error('an artifact without an engine')
  const tensorRt = holding(await findTensorRt(opened.device, progress.signal), input.survey.pins ?? [])
  const own = artifactWish(compiled.manifest, trtexec, input.release)
  const built = await provideEngine(opened, tensorRt, own, progress)
  const baselines = await buildable(input, tensorRt, own, progress)
  const wishes = [...baselines.map(({ wish }) => wish), built.wish]
  const how = howToMeasure(
    {
      engines: wishes.length,
      preset: request.preset,
      rateHz: request.rateHz,
      layers: true,
      sensors: input.survey.sensors,
    },
    progress,
  )
  const startedAt = new Date()
  const { engines, measured } = await measureWishes(opened, tensorRt, wishes, how, progress)
  const names = engines.map((_, index) => `engine-${index}`)
  const collected = collectedOf(measured, names)
  const last = engines.length - 1
  const rows = engines.map((engine, index) =>
    engineRow(
      // the first look for it tells whether it was built, the second finds it in the cache
      { ...engine, ...wasBuilt(index === last ? built : baselines[index]!) },
      index === last ? 'artifact' : 'baseline',
      latencyOf(collected, names[index]!, 1, 0, request.preset),
      measured,
      index,
    ),
  )
  const float = fastestBaseline(rows)
  return {
    executed: {
      collected: collectedOf(
        measured,
        names.map((name, index) => (index === last ? 'int8' : index === float ? 'float' : name)),
      ),
      files: new Map(),
      aftermath: measured.aftermath,
    },
    peakRssBytes: new Map(),
    parity: null,
    runtime: { name: 'tensorrt', version: formatVersion(tensorRt.trtexec.version), sha256: null },
    startedAt,
    endedAt: new Date(),
    finish: (result) => ({
      ...result,
      threads: null,
      energy: noEnergy(
        'not-asked',
        'The energy of engines that trtexec runs is not measured in this version.',
      ),
      engines: rows,
      operators: { float: float < 0 ? [] : layersOf(measured, float), int8: layersOf(measured, last) },
      conditions: result.conditions && conditionsWith(result.conditions, tensorRt, rows.length > 1),
      verdict: result.verdict && verdictWith(result.verdict, rows, result.conditions),
    }),
  }
}

/** Engines that are there after this, by precision. */
async function buildable(
  input: EnginesInput,
  tensorRt: BoardTensorRt,
  own: EngineWish,
  progress: Progress,
): Promise<BuiltEngine[]> {
  const { opened, prepared, board } = input
  const { version } = tensorRt.trtexec
  const built: BuiltEngine[] = []
  for (const wish of await baselineWishes(opened.device, prepared, board, version, own, progress)) {
    try {
      built.push(await provideEngine(opened, tensorRt, wish, progress))
    } catch (thrown) {
      const error = toEdgewrightError(thrown)
      if (progress.signal.aborted || (error.code !== 'ENGINE_FAILED' && error.code !== 'DEVICE_UNSUPPORTED'))
        throw error
      progress.warn({
        code: 'NO_BASELINE_ENGINE',
        message: `There is no ${wish.precision} engine to compare with: ${error.message}${error.saw ? ` (${error.saw})` : ''}`,
        hint: error.hint ?? '',
      })
    }
  }
  return built
}

function wasBuilt({ cached, buildSeconds }: BuiltEngine): Pick<BuiltEngine, 'cached' | 'buildSeconds'> {
  return { cached, buildSeconds }
}

/** The verdict compares with the faster float engine: it names all of them, since float16 is often the best. */
function verdictWith(
  verdict: NonNullable<RunResult['verdict']>,
  rows: readonly EngineRow[],
  conditions: RunResult['conditions'],
): NonNullable<RunResult['verdict']> {
  if (conditions?.emulated || rows.length < 2) return verdict
  return { ...verdict, sentence: `${verdict.sentence} Fastest first: ${ranking(rows)}.` }
}
