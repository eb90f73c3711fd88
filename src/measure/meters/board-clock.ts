import type { Connection } from '../../deploy/types.ts'
import { EdgewrightError } from '../../error.ts'
import { monotonicNs } from './types.ts'

/** Within which the board's clock stands above this computer's, ns. */
export interface ClockOffset {
  readonly lowNs: number
  readonly highNs: number
}

/** A time that the board told, between a question and its answer. */
export interface ClockReading {
  readonly sentNs: number
  readonly stampNs: number
  readonly receivedNs: number
}

/** Each has a delay that is known in whole only; the shortest of many bounds it. */
const questions = 5
const uptimeReads = 50
const questionDeadlineMs = 10_000
/** /proc/uptime has hundredths of a second, cut off. */
const uptimeStepNs = 10e6
/** Uptime goes on while a board is suspended, its monotonic clock does not; nothing sleeps for less than this. */
const leastSuspendNs = 0.4e9

/**
 * How the board's monotonic clock stands above this computer's. Its runner tells the clock itself, but starts with a
 * login shell; the kernel's uptime is read over the connection that is open already, and bounds it ten times closer.
 * Null where no offset fits all answers: a clock was stopped meanwhile.
 */
export async function boardClockOffset(
  connection: Connection,
  runner: string,
  signal: AbortSignal,
): Promise<ClockOffset | null> {
  const clock = intersectOffsets(await readBoardClock(connection, runner, signal))
  const uptime = intersectOffsets(await readUptime(connection, signal).catch(() => []))
  if (clock === null || uptime === null) return clock
  const apart = Math.max(uptime.lowNs - clock.highNs, clock.lowNs - uptime.highNs)
  // asleep for a while, or a container's own uptime: not the same clock
  if (
    apart > 0 ||
    uptime.highNs - uptime.lowNs > leastSuspendNs ||
    clock.highNs - clock.lowNs > 2 * leastSuspendNs
  )
    return clock
  return { lowNs: Math.max(clock.lowNs, uptime.lowNs), highNs: Math.min(clock.highNs, uptime.highNs) }
}

/** Reads /proc/uptime over and over; its cut-off digits fall differently each time. */
async function readUptime(connection: Connection, signal: AbortSignal): Promise<ClockReading[]> {
  const readings: ClockReading[] = []
  for (let i = 0; i < uptimeReads && !signal.aborted; i++) {
    const sentNs = monotonicNs()
    const text = Buffer.from(await connection.readFrom('/proc/uptime', 0, 64, questionDeadlineMs)).toString(
      'latin1',
    )
    const receivedNs = monotonicNs()
    const seconds = /^(\d{1,9}\.\d\d) /.exec(text)?.[1]
    if (seconds === undefined) return []
    // somewhere in the step that was cut off: its end for the one bound, its beginning for the other
    const stampNs = Number(seconds) * 1e9
    readings.push({ sentNs: sentNs - uptimeStepNs, stampNs, receivedNs })
  }
  return readings
}

/** Asks the board's clock through its runner. */
export async function readBoardClock(
  connection: Connection,
  runner: string,
  signal: AbortSignal,
): Promise<ClockReading[]> {
  const readings: ClockReading[] = []
  for (let i = 0; i < questions; i++) {
    const sentNs = monotonicNs()
    const { exitCode, stdout } = await connection.exec([runner, '--clock', '1'], {
      deadlineMs: questionDeadlineMs,
      signal,
      maxOutputBytes: 256,
    })
    const receivedNs = monotonicNs()
    const stampNs = /^\d{1,18}$/.test(stdout.trim()) ? Number(stdout.trim()) : Number.NaN
    if (exitCode !== 0 || Number.isNaN(stampNs))
      throw new EdgewrightError('DEVICE_ANSWER_INVALID', 'The board does not tell its clock.', {
        where: connection.label,
        saw: `status ${exitCode}`,
      })
    readings.push({ sentNs, stampNs, receivedNs })
  }
  return readings
}

/**
 * Each stamp was taken after its question was sent and before the answer came: what all of them allow is the offset
 * (the intersection of intervals, as Marzullo 1984).
 *
 * Null where no offset fits them all: a clock was set, or the board was suspended.
 */
export function intersectOffsets(readings: readonly ClockReading[]): ClockOffset | null {
  if (readings.length === 0) return null
  const lowNs = Math.max(...readings.map(({ stampNs, receivedNs }) => stampNs - receivedNs))
  const highNs = Math.min(...readings.map(({ stampNs, sentNs }) => stampNs - sentNs))
  return lowNs <= highNs ? { lowNs, highNs } : null
}

/** What holds for the whole time between two offsets: clocks drift steadily, by some millionths. */
export function spanOffsets(before: ClockOffset, after: ClockOffset): ClockOffset {
  return { lowNs: Math.min(before.lowNs, after.lowNs), highNs: Math.max(before.highNs, after.highNs) }
}
