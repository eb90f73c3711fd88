import { cleanRun } from '../../deploy/run.ts'
import { remoteScript } from '../../deploy/remote-script.ts'
import type { Device } from '../../deploy/types.ts'
import { EdgewrightError } from '../../error.ts'
import {
  buildCommand,
  chooseTyping,
  type EngineBuild,
  type EngineSource,
  type Precision,
} from '../../measure/trtexec/commands.ts'
import { engineFailed, failureOf } from '../../measure/trtexec/failures.ts'
import { createLogReader } from '../../measure/trtexec/log.ts'
import { formatVersion } from '../../measure/trtexec/version.ts'
import type { Progress } from '../../progress.ts'
import type { OpenedBoard } from '../open-device.ts'
import { runJob, runProgramFunction } from './board-job.ts'
import { engineKey } from './engine-key.ts'
import type { BoardTensorRt } from './find.ts'

/** A network as it stands on a board, and what an engine of it is to be. */
export interface EngineWish {
  readonly precision: Precision
  /** Files on the board: absolute paths. */
  readonly source: EngineSource
  /** By path: digests of the files in `source`. */
  readonly sha256: ReadonlyMap<string, string>
  readonly dla: EngineBuild['dla']
}

export interface BuiltEngine {
  readonly wish: EngineWish
  /** Absolute on the board: `<root>/engines/<key>`. */
  readonly path: string
  readonly bytes: number
  /** It stood there already. */
  readonly cached: boolean
  /** Seconds that the builder said it took; null where cached or unsaid. */
  readonly buildSeconds: number | null
  /** As on the board, for the report. */
  readonly command: readonly string[]
}

/** A Nano takes half an hour for a large network; nothing sensible takes four. */
const buildDeadlineMs = 4 * 3600_000
const keptEngines = 24

/**
 * Gives the engine of a network: from the board's cache, or built there by its own trtexec.
 *
 * @param afresh builds it again where it stands in the cache
 * @throws EdgewrightError ENGINE_FAILED, DEVICE_UNSUPPORTED, DEVICE_DISK_FULL with what the log says
 */
export async function provideEngine(
  board: OpenedBoard,
  tensorRt: BoardTensorRt,
  wish: EngineWish,
  progress: Progress,
  afresh = false,
): Promise<BuiltEngine> {
  const { device } = board
  refuse(device, tensorRt, wish)
  const { model, typing } = chooseTyping(tensorRt.trtexec.version, wish.source)
  const digest = wish.sha256.get(model)
  if (digest === undefined) throw new Error(`no digest of ${model}`)
  const commandFor = (engine: string, timingCache: string, file: string) =>
    buildCommand(tensorRt.trtexec, {
      model: file,
      engine,
      timingCache,
      typing,
      dla: wish.dla,
      workspaceMiB: null,
      sparseTensorCores: Number(tensorRt.jetson?.computeCapability ?? 0) >= 8,
    })
  const key = engineKey(digest, tensorRt, commandFor('ENGINE', 'TIMINGS', 'MODEL'))
  const path = `${device.root}/engines/${key}`
  const known = afresh ? null : await engineBytes(device, path)
  const told = { wish, path, command: commandFor(path, 'TIMINGS', model) }
  if (known !== null) return { ...told, bytes: known, cached: true, buildSeconds: null }
  progress.stage(
    'build',
    `${wish.precision} engine by TensorRT ${formatVersion(tensorRt.trtexec.version)} on ${device.name}`,
  )
  const buildSeconds = await build(board, tensorRt, wish, key, commandFor, model, afresh, progress)
  const bytes = await engineBytes(board.device, path)
  if (bytes === null)
    throw new EdgewrightError('ENGINE_FAILED', `The ${wish.precision} engine is not where it was built.`, {
      where: `${device.name}: ${path}`,
      hint: 'Another program removed it; run again.',
    })
  return { ...told, bytes, cached: false, buildSeconds }
}

/** What is known to be impossible needs no half hour of building to be found out. */
function refuse(device: Device, { jetson, trtexec }: BoardTensorRt, { precision, dla }: EngineWish): void {
  if (precision === 'int8' && jetson && !jetson.int8)
    throw new EdgewrightError('DEVICE_UNSUPPORTED', 'The GPU of this board does not compute in int8.', {
      where: device.name,
      saw: `${jetson.soc}, compute capability ${jetson.computeCapability}`,
      hint: 'Use --scheme float16: it is the fastest that this GPU has.',
    })
  if (dla && jetson && jetson.dla <= dla.core)
    throw new EdgewrightError('DEVICE_UNSUPPORTED', `This board has no DLA core ${dla.core}.`, {
      where: device.name,
      saw: `${device.facts.model ?? jetson.soc}: ${jetson.dla === 0 ? 'no DLA' : `cores 0 to ${jetson.dla - 1}`}, TensorRT ${formatVersion(trtexec.version)}`,
      hint: 'Compile without a DLA. Xavier, AGX Orin and Orin NX have one; Nano, TX2, Orin Nano and Thor have none.',
    })
}

async function engineBytes(device: Device, path: string): Promise<number | null> {
  const lines = await remoteScript(device, 'looking for the engine', lookScript, [path])
  const size = Number(lines[0]?.[1])
  return lines[0]?.[0] === 'engine' && Number.isSafeInteger(size) && size > 0 ? size : null
}

/** `touch`, so that what is in use is the last to be thrown away. */
const lookScript = `
[ -s "$1" ] && { touch "$1"; echo "engine $(wc -c <"$1")"; }
return 0`

async function build(
  board: OpenedBoard,
  tensorRt: BoardTensorRt,
  wish: EngineWish,
  key: string,
  commandFor: (engine: string, timingCache: string, file: string) => string[],
  model: string,
  afresh: boolean,
  progress: Progress,
): Promise<number | null> {
  const { root, name } = board.device
  const started = Date.now()
  let buildSeconds: number | null = null
  let before: string | null = null
  const log = createLogReader((line) => {
    const seconds = /Engine (?:built|generation completed) in ([\d.]{1,12}) sec/.exec(line)?.[1]
    if (seconds !== undefined) buildSeconds = Number(seconds)
    if (log.step !== before) {
      before = log.step
      if (before) progress.stage('build', `${wish.precision} engine: ${before}`)
    }
    progress.tick(Math.round((Date.now() - started) / 1000), 0, 's')
  })
  const timings = timingsName(tensorRt)
  const job = await runJob(
    board,
    {
      what: `building the ${wish.precision} engine`,
      script: () => buildScript,
      args: (folder) => [
        folder,
        `${root}/engines`,
        key,
        String(keptEngines),
        afresh ? 'afresh' : 'unless-there',
        timings,
        ...commandFor(`${folder}/engine`, `${folder}/timings`, model),
      ],
      onOutput: (chunk) => log.push(chunk),
      pins: tensorRt.pins,
      deadlineMs: buildDeadlineMs,
      whenLost: 'The build goes on there: run again, and the engine will be found where it was kept.',
    },
    progress,
  )
  await cleanRun(board.device, job.id).catch(() => {})
  for (const warning of log.warnings()) progress.warn(warning)
  const { exitCode, ended } = job.outcome
  if (exitCode === 0) return buildSeconds
  const text = `${log.text()}\n${job.outcome.stderr}`
  throw engineFailed(
    failureOf(text, ended === 'exited' ? exitCode : null),
    `${name}: ${tensorRt.trtexec.path}`,
    `The ${wish.precision} engine was not built`,
  )
}

/** Timings of tactics hold for one power mode only; TensorRT itself does not look at it. */
function timingsName({ trtexec, powerMode }: BoardTensorRt): string {
  const mode = (powerMode?.name ?? 'none').replace(/[^A-Za-z0-9_-]/g, '_')
  return `timings-${formatVersion(trtexec.version)}-${mode}`
}

/**
 * Arguments: run folder, folder of engines, key, how many to keep, `afresh` or `unless-there`, name of the cache of
 * timings, command…. The engine is written in the run's folder and renamed once it is whole and on the disk: one that is
 * half there, or whose build was ended, goes with that folder.
 */
const buildScript = `${runProgramFunction}
folder=$1 engines=$2 key=$3 keep=$4 mode=$5 timings=$6
shift 6
mkdir -p "$engines" || exit 70
if [ "$mode" != afresh ] && [ -s "$engines/$key" ]; then echo 'edgewright: there already'; exit 0; fi
[ ! -s "$engines/$timings" ] || cp "$engines/$timings" "$folder/timings" 2>/dev/null
run_program "$@"
code=$?
if [ "$code" -ne 0 ]; then
  df -Pk "$folder" | { read -r _; read -r _ _ _ free _; [ "$free" -gt 1024 ] || echo 'edgewright: No space left on device'; }
  exit "$code"
fi
[ -s "$folder/engine" ] || { echo 'edgewright: trtexec ended well and wrote no engine'; exit 74; }
{ sync "$folder/engine" 2>/dev/null || sync; } && mv -f "$folder/engine" "$engines/$key" || exit 75
sync "$engines" 2>/dev/null
[ ! -s "$folder/timings" ] || mv -f "$folder/timings" "$engines/$timings"
n=0
ls -t "$engines" | while IFS= read -r f; do
  case $f in *[!0-9a-f]*) continue ;; esac
  n=$((n + 1))
  [ "$n" -le "$keep" ] || rm -f "$engines/$f"
done
exit 0
`
