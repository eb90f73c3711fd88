import { randomBytes } from 'node:crypto'
import { encodePins, type Pin, pinFile, type RunAftermath, runAftermath } from '../../deploy/pins.ts'
import {
  abortRun,
  cleanRun,
  collectRun,
  followRun,
  type RunOutcome,
  runFolder,
  startRun,
} from '../../deploy/run.ts'
import { EdgewrightError, toEdgewrightError } from '../../error.ts'
import type { Progress } from '../../progress.ts'
import { notPinned } from '../execute.ts'
import { holderName, type OpenedBoard } from '../open-device.ts'

/** A shell script of ours to be run on a board as a run: detached, one at a time, its output a log. */
export interface BoardJob {
  /** In words, for messages: `building the int8 engine`. */
  readonly what: string
  /** Constant but for words that went through `quoteWord`. */
  script(folder: string): string
  readonly args: (folder: string) => readonly string[]
  readonly onOutput: (chunk: Uint8Array) => void
  /** Set on the board for the time of the job. */
  readonly pins: readonly Pin[]
  readonly deadlineMs: number
  /** What the user can do where the connection is lost for good; the job goes on there. */
  readonly whenLost: string
}

export interface JobOutcome {
  readonly id: string
  readonly outcome: RunOutcome
  readonly aftermath: RunAftermath
  /** Files of the job's folder by name. */
  collect(names: readonly string[]): Promise<Map<string, Uint8Array>>
  /** Takes the job's folder away. */
  clean(): Promise<void>
}

/**
 * Runs a job to its end. A lost connection is taken up again; Ctrl-C and the deadline end the job and leave nothing of it.
 *
 * @throws EdgewrightError DEVICE_BUSY, DEVICE_LOST, DEVICE_TIMEOUT, INTERRUPTED
 */
export async function runJob(board: OpenedBoard, job: BoardJob, progress: Progress): Promise<JobOutcome> {
  const id = `${new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)}-${randomBytes(3).toString('hex')}`
  const folder = runFolder(board.device, id)
  const endAt = Date.now() + job.deadlineMs
  await startRun(
    board.device,
    {
      id,
      files: new Map<string, Uint8Array>([
        ['job.sh', Buffer.from(job.script(folder))],
        ...(job.pins.length > 0 ? [[pinFile, encodePins(job.pins)] as const] : []),
      ]),
      command: ['sh', `${folder}/job.sh`, ...job.args(folder)],
      holder: holderName(),
    },
    { progress },
  )
  try {
    const outcome = await followRun(board.device, id, job.onOutput, {
      progress,
      reconnect: board.reconnect,
      deadlineMs: endAt - Date.now(),
    })
    const aftermath = await runAftermath(board.device, id)
    const refused = notPinned(aftermath, board.device.name)
    if (refused) {
      await cleanRun(board.device, id).catch(() => {})
      throw refused
    }
    return {
      id,
      outcome,
      aftermath,
      collect: (names) => collectRun(board.device, id, names),
      clean: () => cleanRun(board.device, id),
    }
  } catch (thrown) {
    const error = toEdgewrightError(thrown)
    if (progress.signal.aborted || Date.now() >= endAt) {
      await abortRun(board.device, id)
      await cleanRun(board.device, id)
      if (progress.signal.aborted) throw error
      throw new EdgewrightError(
        'DEVICE_TIMEOUT',
        `${board.device.name}: ${job.what} took too long and was ended.`,
        {
          where: board.device.name,
          saw: `more than ${Math.round(job.deadlineMs / 60_000)} minutes`,
          hint: 'A smaller network or a higher power mode builds faster.',
          cause: error,
        },
      )
    }
    if (error.code !== 'DEVICE_LOST' && error.code !== 'DEVICE_TIMEOUT') throw error
    throw new EdgewrightError('DEVICE_LOST', error.message, {
      where: error.where,
      saw: error.saw,
      hint: job.whenLost,
      cause: error,
    })
  }
}

/** Runs one program, its errors among its output, and ends it where the job is ended. */
export const runProgramFunction = `
child='' stopped=''
trap 'stopped=1; [ -n "$child" ] && kill -TERM "$child" 2>/dev/null' TERM INT HUP
run_program() {
  [ -z "$stopped" ] || exit 143
  "$@" </dev/null 2>&1 &
  child=$!
  while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  child=''
  [ -z "$stopped" ] || exit 143
  return "$code"
}
`
