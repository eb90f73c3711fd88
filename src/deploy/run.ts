import { EdgewrightError } from '../error.ts'
import { type Progress, silentProgress } from '../progress.ts'
import { acquireLock, type BoardLock, type LockHolder } from './lock.ts'
import { checkName } from './names.ts'
import { remoteScript } from './remote-script.ts'
import { noSuchRun, parseState, type RunState, runFolder } from './run-state.ts'
import { abortScript, cleanScript, launchScript, supervisorScript } from './supervisor.ts'
import type { Device } from './types.ts'

export { type RunState, runFolder, runState } from './run-state.ts'
export { followRun, type FollowOptions, type RunOutcome } from './follow-run.ts'

export interface RunRequest {
  /** Letters, digits, dot, dash, underscore; new on this board. */
  readonly id: string
  /** Put into the run's folder beforehand, by name. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** argv on the board; its standard output goes to the run's events.jsonl. */
  readonly command: readonly string[]
  /** Who to name to others that want the board meanwhile. */
  readonly holder: string
}

export interface StartOptions {
  readonly progress?: Progress
  /** A lock that the caller holds already; without one the run takes the board for as long as it lives. */
  readonly lock?: BoardLock
  /** How long to wait for a board that another holds; default 10 minutes, 0 fails at once with DEVICE_BUSY. */
  readonly waitMs?: number
  readonly onWaiting?: (holder: LockHolder) => void
}

/**
 * Starts a command on the board that outlives this connection, in a session of its own, one at a time per board, and
 * returns at once. Results are files in the run's folder. DEVICE_BUSY names who holds the board.
 */
export async function startRun(
  device: Device,
  request: RunRequest,
  options: StartOptions = {},
): Promise<void> {
  const progress = options.progress ?? silentProgress()
  const folder = runFolder(device, request.id)
  for (const name of request.files.keys()) checkName(name, 'a file of a run')
  const lock =
    options.lock ??
    (await acquireLock(device, {
      holder: request.holder,
      ttlSeconds: 60,
      waitMs: options.waitMs ?? 600_000,
      signal: progress.signal,
      onWaiting:
        options.onWaiting ?? ((other) => progress.stage('wait', `${device.name} is held by ${other.holder}`)),
    }))
  let made = false
  try {
    await remoteScript(device, 'making the run', makeScript, [device.root, request.id], {
      signal: progress.signal,
    })
    made = true
    for (const [name, bytes] of request.files) await device.connection.uploadBytes(bytes, `${folder}/${name}`)
    const own = options.lock === undefined ? 'own' : 'lent'
    const args = [device.root, request.id, lock.token, own, supervisorScript, ...request.command]
    const lines = await remoteScript(device, 'starting the run', launchScript, args, {
      signal: progress.signal,
    })
    if (lines.at(-1)?.[1] === 'nohup')
      progress.warn({
        code: 'NO_SETSID',
        message: `${device.name} has no setsid; the run was started with nohup.`,
        hint: 'Install util-linux or busybox setsid if runs end when the connection does.',
      })
  } catch (error) {
    // cut in this moment it may have started all the same: a board that is free must be at rest
    if (made) {
      await abortRun(device, request.id).catch(() => {})
      await cleanRun(device, request.id).catch(() => {})
    }
    if (options.lock === undefined) await lock.release().catch(() => {})
    throw error
  }
}

const makeScript = `
mkdir -p "$1/runs" "$1/lock" || exit 70
mkdir "$1/runs/$2"`

/** Ends a run: TERM to its processes, KILL after the grace; a pid that another process has by now is left alone. */
export async function abortRun(device: Device, id: string, graceMs = 5000): Promise<RunState> {
  const lines = await remoteScript(
    device,
    'ending the run',
    abortScript,
    [runFolder(device, id), String(Math.ceil(graceMs / 100))],
    { deadlineMs: graceMs * 10 + 30_000 },
  )
  const state = parseState(device, lines.at(-1))
  if (state.state === 'absent') throw noSuchRun(device, id)
  return state
}

/** Fetches files of a run by name; each at most `maxBytes`. */
export async function collectRun(
  device: Device,
  id: string,
  names: readonly string[],
  maxBytes = 512 * 2 ** 20,
): Promise<Map<string, Uint8Array>> {
  const folder = runFolder(device, id)
  const files = new Map<string, Uint8Array>()
  for (const name of names)
    files.set(
      name,
      await device.connection.readFrom(
        `${folder}/${checkName(name, 'a file of a run')}`,
        0,
        maxBytes,
        600_000,
      ),
    )
  return files
}

/** Removes a run's folder; one that lives is left alone and refused. */
export async function cleanRun(device: Device, id: string): Promise<void> {
  const lines = await remoteScript(device, 'removing the run', cleanScript, [runFolder(device, id)])
  if (lines.at(-1)?.[0] === 'lives')
    throw new EdgewrightError('DEVICE_BUSY', `The run ${id} is still going on.`, {
      where: device.name,
      hint: 'Abort it first, or wait for its end.',
    })
}
