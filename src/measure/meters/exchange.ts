import { EdgewrightError } from '../../error.ts'
import type { SerialLink } from './serial-link.ts'
import { monotonicNs } from './types.ts'

/** An answer, and when it was asked for and complete. */
export interface Answer {
  readonly bytes: Uint8Array
  readonly sentNs: number
  readonly receivedNs: number
}

export interface Question {
  readonly command: Uint8Array
  /** How many bytes of what came are the answer; null: more is needed. */
  complete(received: Uint8Array): number | null
  /** More than this without an end is no answer. */
  readonly maxBytes: number
  readonly deadlineMs: number
}

/** Why a question had no answer; the port itself is still there. */
export type NoAnswer = 'timeout' | 'too-long'

/**
 * Asks and waits for the whole answer. What comes after its end is dropped: meters that are asked only speak when asked.
 *
 * @throws EdgewrightError METER_FAILED where the port is lost meanwhile
 */
export async function ask(link: SerialLink, question: Question): Promise<Answer | NoAnswer> {
  const held = new Uint8Array(question.maxBytes)
  let length = 0
  let finish = (_outcome: Answer | NoAnswer) => {}
  const outcome = new Promise<Answer | NoAnswer>((resolve) => {
    finish = resolve
  })
  const sentNs = monotonicNs()
  link.listen((chunk, receivedNs) => {
    if (length + chunk.length > held.length) return finish('too-long')
    held.set(chunk, length)
    length += chunk.length
    const end = question.complete(held.subarray(0, length))
    if (end !== null) finish({ bytes: held.slice(0, end), sentNs, receivedNs })
  })
  const timer = setTimeout(() => finish('timeout'), question.deadlineMs)
  try {
    await link.write(question.command)
    return await Promise.race([
      outcome,
      link.lost.then((reason): never => {
        throw lostWhileAsking(link.path, reason)
      }),
    ])
  } finally {
    clearTimeout(timer)
    link.listen(null)
  }
}

function lostWhileAsking(path: string, reason: string): EdgewrightError {
  return new EdgewrightError('METER_FAILED', 'The meter was lost.', {
    where: path,
    saw: reason,
    hint: 'Check the cable, and that the meter has power of its own.',
  })
}

/** Drops what comes until the line was silent for `silentMs`; false where it never is within `deadlineMs`. */
export function drain(link: SerialLink, silentMs: number, deadlineMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (silent: boolean) => {
      clearTimeout(silence)
      clearTimeout(end)
      link.listen(null)
      resolve(silent)
    }
    let silence = setTimeout(() => finish(true), silentMs)
    const end = setTimeout(() => finish(false), deadlineMs)
    link.listen(() => {
      clearTimeout(silence)
      silence = setTimeout(() => finish(true), silentMs)
    })
    void link.lost.then(() => finish(true))
  })
}
