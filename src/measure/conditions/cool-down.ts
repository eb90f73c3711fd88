import { pause } from '../../deploy/deadline.ts'
import type { Device } from '../../deploy/types.ts'
import { EdgewrightError } from '../../error.ts'
import type { Progress } from '../../progress.ts'
import { celsius } from './stability.ts'

/** What to wait for before measuring. */
export interface CoolTo {
  readonly milliC: number
  readonly deadlineMs: number
  /** Where it stays too warm: give up, or say so and measure. */
  readonly otherwise: 'error' | 'warn'
}

export interface Cooled {
  readonly waitedSeconds: number
  /** Null where the board says nothing of its temperature. */
  readonly milliC: number | null
  readonly reached: boolean
}

const readEveryMs = 2000

const readScript = `for f in "$@"; do t=''; { read -r t <"$f"; } 2>/dev/null; echo "at $t"; done`

/**
 * Waits until the hottest of the files says no more than `milliC`. Errors: DEVICE_NOT_READY where it stays too warm and the
 * option says so; else a warning of that code.
 */
export async function coolDown(
  device: Device,
  paths: readonly string[],
  to: CoolTo,
  progress: Progress,
): Promise<Cooled> {
  const startedAt = Date.now()
  const seconds = () => (Date.now() - startedAt) / 1000
  let milliC = await hottest(device, paths, progress.signal)
  const begunAt = milliC
  if (milliC === null) {
    give(`${device.name} tells no temperature to wait for.`, 'no thermal zone', 'Leave --cool-to out.')
    return { waitedSeconds: 0, milliC, reached: false }
  }
  while (milliC !== null && milliC > to.milliC) {
    if (Date.now() - startedAt >= to.deadlineMs) {
      give(
        `${device.name} did not come down to ${celsius(to.milliC)} within ${Math.round(to.deadlineMs / 1000)} s.`,
        `${celsius(milliC)}, ${celsius(begunAt!)} when the wait began`,
        'Cool it better, let it rest, or ask for less: --cool-to 60C. Adding ,warn measures all the same.',
      )
      return { waitedSeconds: seconds(), milliC, reached: false }
    }
    progress.stage('cool', `${device.name}: ${celsius(milliC)}, waiting for ${celsius(to.milliC)}`)
    await pause(
      Math.min(readEveryMs, Math.max(50, to.deadlineMs - (Date.now() - startedAt))),
      progress.signal,
    )
    milliC = await hottest(device, paths, progress.signal)
  }
  return { waitedSeconds: seconds(), milliC, reached: true }

  function give(message: string, saw: string, hint: string): void {
    if (to.otherwise === 'error')
      throw new EdgewrightError('DEVICE_NOT_READY', message, { where: device.name, saw, hint })
    progress.warn({ code: 'DEVICE_NOT_READY', message: `${message} (${saw})`, hint })
  }
}

async function hottest(
  device: Device,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<number | null> {
  if (paths.length === 0) return null
  const { stdout } = await device.connection.script(readScript, paths, {
    signal,
    deadlineMs: 15_000,
    maxOutputBytes: 16 * 1024,
  })
  const read = stdout.split('\n').flatMap((line) => {
    const match = /^at (-?\d{1,7})$/.exec(line)
    return match ? [Number(match[1])] : []
  })
  return read.length === 0 ? null : Math.max(...read)
}
