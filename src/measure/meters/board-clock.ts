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

/** One short question is the best: each has the same half-known delay, the shortest of many bounds it. */
const questions = 15
const questionDeadlineMs = 10_000

/** Asks the board's clock through its runner, over and over. */
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
  const lowNs = Math.max(...readings.map(({ stampNs, receivedNs }) => stampNs - receivedNs))
  const highNs = Math.min(...readings.map(({ stampNs, sentNs }) => stampNs - sentNs))
  return lowNs <= highNs ? { lowNs, highNs } : null
}

/** What holds for the whole time between two offsets: clocks drift steadily, by some millionths. */
export function spanOffsets(before: ClockOffset, after: ClockOffset): ClockOffset {
  return { lowNs: Math.min(before.lowNs, after.lowNs), highNs: Math.max(before.highNs, after.highNs) }
}
