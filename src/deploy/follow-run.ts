import { EdgewrightError } from '../error.ts'
import { type Progress, silentProgress } from '../progress.ts'
import { startTimeOf } from './board-process.ts'
import { pause } from './deadline.ts'
import { noSuchRun, runFolder, runState } from './run-state.ts'
import type { Connection, Device } from './types.ts'

export interface FollowOptions {
  readonly progress?: Progress
  /** Called for a new connection after a drop; without it a drop ends the following (never the run). */
  readonly reconnect?: () => Promise<Device>
  /** How long to try to reach the board again after a drop. Default 120 s. */
  readonly reconnectMs?: number
  /** For the whole run; default 6 hours. */
  readonly deadlineMs?: number
  /** Where to go on: bytes of events.jsonl that are known already. */
  readonly offset?: number
}

export interface RunOutcome {
  /** The command's exit code (128 + n for signal n, as a shell says it); null where the run ended without a word. */
  readonly exitCode: number | null
  readonly ended: 'exited' | 'killed' | 'vanished'
  /** Bytes of events.jsonl, all of them given to `onBytes` once and in order. */
  readonly bytes: number
  readonly reconnects: number
  /** The last of the standard error, for messages. */
  readonly stderr: string
  /** The device as it is connected now. */
  readonly device: Device
}

const chunkBytes = 1024 * 1024
/** Rare enough not to disturb what is measured, often enough to look alive. */
const pollMs = { first: 100, last: 1000 }
const livenessEveryMs = 2000

/**
 * Follows a run by the byte offset of its events.jsonl until its status is there. After a drop it connects again and
 * goes on from the offset: no byte is lost, none comes twice. Works as well for a run of an earlier process.
 * Errors: RUN_NOT_FOUND, DEVICE_LOST (no way back), DEVICE_TIMEOUT, INTERRUPTED; the run itself goes on in each case.
 */
export async function followRun(
  device: Device,
  id: string,
  onBytes: (chunk: Uint8Array) => void,
  options: FollowOptions = {},
): Promise<RunOutcome> {
  const progress = options.progress ?? silentProgress()
  const endAt = Date.now() + (options.deadlineMs ?? 6 * 3600_000)
  const folder = runFolder(device, id)
  let at = device
  let known = false
  let offset = options.offset ?? 0
  let reconnects = 0
  let waitMs = pollMs.first
  let nextLiveness = Date.now() + livenessEveryMs
  for (;;) {
    try {
      // the link may be lost at the very first question too
      if (!known && (await runState(at, id)).state === 'absent') throw noSuchRun(at, id)
      known = true
      // The status is looked for first: once it is there, all events are.
      let status = await readStatus(at.connection, folder)
      if (status === null && Date.now() >= nextLiveness) {
        nextLiveness = Date.now() + livenessEveryMs
        if (!(await lives(at.connection, folder)))
          status = (await readStatus(at.connection, folder)) ?? { ended: 'vanished', exitCode: null }
      }
      const before = offset
      for (;;) {
        const chunk = await at.connection.readFrom(`${folder}/events.jsonl`, offset, chunkBytes)
        if (chunk.length > 0) onBytes(chunk)
        offset += chunk.length
        if (chunk.length < chunkBytes) break
        // a board that writes faster than it is read is not read for ever
        if (progress.signal.aborted || Date.now() >= endAt) {
          status = null
          break
        }
      }
      if (status !== null)
        return {
          ...status,
          bytes: offset,
          reconnects,
          stderr: await readEnd(at.connection, folder),
          device: at,
        }
      waitMs = offset > before ? pollMs.first : Math.min(waitMs * 1.5, pollMs.last)
    } catch (error) {
      if (!isLoss(error) || options.reconnect === undefined) throw error
      progress.stage('reconnect', device.name)
      at = await comeBack(
        options.reconnect,
        error,
        Math.min(endAt, Date.now() + (options.reconnectMs ?? 120_000)),
        progress,
      )
      reconnects++
      continue
    }
    if (Date.now() >= endAt)
      throw new EdgewrightError('DEVICE_TIMEOUT', `The run ${id} did not end in time; it goes on.`, {
        where: device.name,
        hint: 'Collect it later, or abort it.',
      })
    await pause(waitMs, progress.signal)
  }
}

type Status = Pick<RunOutcome, 'ended' | 'exitCode'>

async function readStatus(connection: Connection, folder: string): Promise<Status | null> {
  const text = await readSmall(connection, `${folder}/status`)
  if (text === null || text === '') return null
  const exited = /^exited (\d{1,3})\n/.exec(text)
  if (exited !== null) return { ended: 'exited', exitCode: Number(exited[1]) }
  return { ended: 'killed', exitCode: null }
}

/**
 * Whether the supervisor that recorded itself is there still, or the command that outlived it: read as files, which
 * starts no process on the board.
 */
async function lives(connection: Connection, folder: string): Promise<boolean> {
  for (const file of ['pid', 'child']) {
    const [pid, startTime] = ((await readSmall(connection, `${folder}/${file}`)) ?? '').trim().split(' ')
    if (pid === undefined || !/^\d{1,10}$/.test(pid)) continue
    const stat = await readSmall(connection, `/proc/${pid}/stat`)
    if (stat !== null && startTimeOf(stat) === startTime) return true
  }
  return false
}

async function readEnd(connection: Connection, folder: string): Promise<string> {
  const text = (await readSmall(connection, `${folder}/stderr.txt`, 64 * 1024)) ?? ''
  return text.slice(-4000)
}

/** Null where the file is not there. */
async function readSmall(connection: Connection, path: string, maxBytes = 1024): Promise<string | null> {
  try {
    return Buffer.from(await connection.readFrom(path, 0, maxBytes)).toString('utf8')
  } catch (error) {
    if (error instanceof EdgewrightError && error.code === 'DEVICE_COMMAND_FAILED') return null
    throw error
  }
}

async function comeBack(
  reconnect: () => Promise<Device>,
  lost: unknown,
  giveUpAt: number,
  progress: Progress,
): Promise<Device> {
  for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 10_000)) {
    try {
      return await reconnect()
    } catch (error) {
      if (!isLoss(error)) throw error
      if (Date.now() + waitMs >= giveUpAt) throw lost
    }
    await pause(waitMs, progress.signal)
  }
}

function isLoss(error: unknown): boolean {
  return (
    error instanceof EdgewrightError &&
    (error.code === 'DEVICE_LOST' || error.code === 'DEVICE_UNREACHABLE' || error.code === 'DEVICE_TIMEOUT')
  )
}
