import { EdgewrightError } from '../error.ts'

/** What is waited for, how long at most, and who may end it earlier. */
export interface Wait {
  readonly what: string
  readonly where: string
  readonly deadlineMs: number
  readonly signal?: AbortSignal
}

/**
 * Waits for `work`, never past the deadline: DEVICE_TIMEOUT says what it was waiting for, INTERRUPTED follows the signal.
 * `giveUp` is called once when the wait ends early, so that the work can be stopped; what it does later is ignored.
 */
export function withDeadline<T>(wait: Wait, work: Promise<T>, giveUp: () => void = () => {}): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const end = (error: EdgewrightError) => {
      settle()
      giveUp()
      reject(error)
    }
    const onAbort = () => end(interrupted(wait))
    const timer = setTimeout(() => end(timeout(wait)), wait.deadlineMs)
    const settle = () => {
      clearTimeout(timer)
      wait.signal?.removeEventListener('abort', onAbort)
    }
    work.then(
      (value) => {
        settle()
        resolve(value)
      },
      (error) => {
        settle()
        reject(error)
      },
    )
    if (wait.signal?.aborted) onAbort()
    else wait.signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Sleeps, or ends at once with INTERRUPTED. */
export function pause(durationMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer)
      reject(new EdgewrightError('INTERRUPTED', 'Interrupted.'))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, durationMs)
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
  })
}

function timeout(wait: Wait): EdgewrightError {
  return new EdgewrightError('DEVICE_TIMEOUT', `No end of ${wait.what} within ${seconds(wait.deadlineMs)}.`, {
    where: wait.where,
    hint: 'The board may be overloaded or the link too slow; try again, or give more time.',
  })
}

function interrupted(wait: Wait): EdgewrightError {
  return new EdgewrightError('INTERRUPTED', `Interrupted during ${wait.what}.`, { where: wait.where })
}

function seconds(durationMs: number): string {
  return durationMs < 1000 ? `${durationMs} ms` : `${Math.round(durationMs / 100) / 10} s`
}
