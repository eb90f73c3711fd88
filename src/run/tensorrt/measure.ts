import { quoteCommand, quoteWord } from '../../deploy/quote.ts'
import type { RunAftermath } from '../../deploy/pins.ts'
import { EdgewrightError } from '../../error.ts'
import { profileCommand, runCommand } from '../../measure/trtexec/commands.ts'
import { engineFailed, failureOf, isStale } from '../../measure/trtexec/failures.ts'
import { type LayerTime, parseLayers } from '../../measure/trtexec/layers.ts'
import { createLogReader } from '../../measure/trtexec/log.ts'
import { type InferenceTime, parseTimes } from '../../measure/trtexec/times.ts'
import type { TurnPlan } from '../../measure/trtexec/turns.ts'
import type { Plan } from '../../measure/plan.ts'
import type { Progress } from '../../progress.ts'
import type { OpenedBoard } from '../open-device.ts'
import { runJob, runProgramFunction } from './board-job.ts'
import type { BuiltEngine } from './engine.ts'
import type { BoardTensorRt } from './find.ts'
import { type Marker, parseMarker } from './markers.ts'

/** One process of trtexec, with its samples. */
export interface Turn {
  /** Index into the engines. */
  readonly engine: number
  /** Uptime of the board when it began and ended, nanoseconds. */
  readonly startNs: number
  readonly endNs: number
  readonly times: readonly InferenceTime[]
}

export interface MeasuredEngines {
  readonly turns: readonly Turn[]
  /** By engine; empty where not asked for. */
  readonly layers: readonly (readonly LayerTime[])[]
  readonly sensors: readonly { readonly name: string; readonly tNs: number; readonly value: number }[]
  readonly aftermath: RunAftermath
}

export interface MeasureRequest {
  readonly engines: readonly BuiltEngine[]
  readonly turns: TurnPlan
  /** Also the time of each layer, in processes of their own. */
  readonly layers: boolean
  readonly transfers: boolean
  readonly cudaGraph: boolean
  /** Read about once a second, which costs the CPU less than a millisecond. */
  readonly sensors: Plan['sensors']
}

/** Thrown where an engine of the cache does not load on this board any more. */
export class StaleEngine extends EdgewrightError {
  readonly engine: number

  constructor(engine: number, error: EdgewrightError) {
    super(error.code, error.message, { where: error.where, saw: error.saw, hint: error.hint })
    this.engine = engine
  }
}

/**
 * Measures engines in turns, one process at a time, all within one run of the board's.
 *
 * @throws StaleEngine where one of them has to be built again, EdgewrightError ENGINE_FAILED and others
 */
export async function measureEngines(
  board: OpenedBoard,
  tensorRt: BoardTensorRt,
  request: MeasureRequest,
  progress: Progress,
): Promise<MeasuredEngines> {
  const markers: Marker[] = []
  const log = createLogReader((line) => {
    const marker = parseMarker(line)
    if (!marker || markers.length >= maxMarkers) return
    markers.push(marker)
    if (marker.kind === 'end') progress.tick(marker.turn + 1, request.turns.order.length, 'turns')
  })
  const seconds = request.turns.order.length * (request.turns.secondsPerTurn + request.turns.warmUpMs / 1000)
  const job = await runJob(
    board,
    {
      what: 'measuring the engines',
      script: (folder) => turnsScript(tensorRt, request, folder),
      args: () => [],
      onOutput: (chunk) => log.push(chunk),
      pins: tensorRt.pins,
      // loading an engine may take a minute on a slow card
      deadlineMs:
        300_000 + seconds * 10_000 + (request.turns.order.length + request.engines.length) * 120_000,
      whenLost: 'The measurement goes on there and ends by itself: run again, its engines are kept.',
    },
    progress,
  )
  for (const warning of log.warnings()) progress.warn(warning)
  const { exitCode, ended } = job.outcome
  if (exitCode !== 0) {
    await job.clean().catch(() => {})
    throw whatFailed(board, tensorRt, request, markers, log.text(), ended === 'exited' ? exitCode : null)
  }
  const files = await job.collect([
    ...request.turns.order.map((_, turn) => timesFile(turn)),
    ...(request.layers ? request.engines.map((_, engine) => layersFile(engine)) : []),
  ])
  await job.clean()
  const text = (name: string) => Buffer.from(files.get(name) ?? []).toString('utf8')
  return {
    turns: request.turns.order.map((engine, turn) => ({
      engine,
      startNs: uptimeNs(markers, 'begin', turn),
      endNs: uptimeNs(markers, 'end', turn),
      times: parseTimes(text(timesFile(turn)), request.turns.warmUpMs),
    })),
    layers: request.layers ? request.engines.map((_, engine) => parseLayers(text(layersFile(engine)))) : [],
    aftermath: job.aftermath,
    sensors: markers.flatMap((marker) =>
      marker.kind === 'sensor' ? [{ name: marker.name, tNs: marker.uptimeNs, value: marker.value }] : [],
    ),
  }
}

const maxMarkers = 1_000_000
const timesFile = (turn: number) => `times-${turn}.json`
const layersFile = (engine: number) => `layers-${engine}.json`

/** Words of commands are quoted one by one; the rest is ours. */
function turnsScript(tensorRt: BoardTensorRt, request: MeasureRequest, folder: string): string {
  const { trtexec } = tensorRt
  const { turns, engines } = request
  const dla = (engine: BuiltEngine) => (engine.wish.dla ? { core: engine.wish.dla.core } : null)
  const lines = turns.order.map((index, turn) => {
    const engine = engines[index]!
    const command = runCommand(trtexec, {
      engine: engine.path,
      dla: dla(engine),
      warmUpMs: turns.warmUpMs,
      seconds: turns.secondsPerTurn,
      iterations: turns.iterationsPerTurn,
      transfers: request.transfers,
      cudaGraph: request.cudaGraph,
      times: `${folder}/${timesFile(turn)}`,
    })
    return `turn ${turn} ${index} ${quoteCommand(command)}`
  })
  const layers = request.layers
    ? engines.map((engine, index) => {
        const profile = `${folder}/${layersFile(index)}`
        const options = { engine: engine.path, dla: dla(engine), warmUpMs: turns.warmUpMs, profile }
        return `layers ${index} ${quoteCommand(profileCommand(trtexec, options))}`
      })
    : []
  const sense = request.sensors.map(({ name, path }) => `  sensor ${quoteWord(name)} ${quoteWord(path)}`)
  return `${runProgramFunction}${turnFunctions}
sense() {
${[...sense, '  :'].join('\n')}
}
sense
${[...lines, ...layers].join('\n')}
`
}

const turnFunctions = `
mark() { printf '\\nedgewright: %s\\n' "$*"; }
uptime() { read -r up _ </proc/uptime; }
sensor() { { read -r value <"$2"; } 2>/dev/null && uptime && mark "sensor $1 $up $value"; }
# ends with the shell that started it, however that ends
watch_sensors() { while sleep 1 && kill -0 $$ 2>/dev/null; do sense; done; }
turn() {
  n=$1 engine=$2
  shift 2
  uptime
  mark "begin $n $engine $up"
  watch_sensors &
  watcher=$!
  run_program "$@"
  code=$?
  uptime
  mark "end $n $engine $up"
  kill "$watcher" 2>/dev/null
  wait "$watcher" 2>/dev/null
  sense
  [ "$code" -eq 0 ] || exit "$code"
}
layers() {
  engine=$1
  shift
  mark "layers $engine"
  run_program "$@" || exit
}
`

function uptimeNs(markers: readonly Marker[], kind: 'begin' | 'end', turn: number): number {
  const found = markers.find((marker) => marker.kind === kind && marker.turn === turn)
  if (found?.kind === kind) return found.uptimeNs
  throw new EdgewrightError('DEVICE_ANSWER_INVALID', 'The board did not say when a turn began or ended.', {
    where: `turn ${turn}`,
  })
}

function whatFailed(
  board: OpenedBoard,
  tensorRt: BoardTensorRt,
  request: MeasureRequest,
  markers: readonly Marker[],
  log: string,
  exitCode: number | null,
): EdgewrightError {
  const failure = failureOf(log, exitCode)
  const last = markers.findLast((marker) => marker.kind === 'begin' || marker.kind === 'layers')
  const index = last && 'engine' in last ? last.engine : 0
  const precision = request.engines[index]?.wish.precision ?? ''
  const where = `${board.device.name}: ${tensorRt.trtexec.path}`
  const error = engineFailed(failure, where, `The ${precision} engine could not be measured`)
  return isStale(failure) && request.engines[index] ? new StaleEngine(index, error) : error
}
