import { throwIfAborted } from '../progress.ts'
import { EdgewrightError } from '../error.ts'
import type { Dataset, Sample } from './types.ts'

export interface IterateOptions {
  /** Samples being decoded ahead of the consumer: memory is bounded by this many and one. Default 3. */
  readonly prefetch?: number
  readonly signal?: AbortSignal
}

/**
 * Samples in the order of `indices`, a few decoded ahead so that the network does not wait for files.
 * Stops with INTERRUPTED when the signal fires; leaves nothing running behind when the consumer stops early.
 */
export async function* iterate(
  dataset: Pick<Dataset, 'sample'>,
  indices: Iterable<number>,
  { prefetch = 3, signal }: IterateOptions = {},
): AsyncGenerator<Sample, void, undefined> {
  throwIfAborted(signal)
  const ahead: Promise<Sample>[] = []
  const remaining = indices[Symbol.iterator]()
  const fill = () => {
    while (ahead.length < Math.max(1, prefetch)) {
      const { value, done } = remaining.next()
      if (done) return
      const sample = dataset.sample(value)
      // Awaited in order later; until then a failure must not count as unhandled.
      sample.catch(() => undefined)
      ahead.push(sample)
    }
  }
  try {
    for (fill(); ahead.length > 0; fill()) {
      const sample = await orAborted(ahead[0]!, signal)
      ahead.shift()
      fill()
      yield sample
      throwIfAborted(signal)
    }
  } finally {
    await orAborted(Promise.allSettled(ahead), signal).catch(() => undefined)
  }
}

/** Waits, but not past the signal. One listener a wait: racing one long-lived promise would keep every sample alive. */
function orAborted<T>(wait: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return wait
  return new Promise<T>((fulfil, reject) => {
    const onAbort = () => reject(new EdgewrightError('INTERRUPTED', 'Interrupted.'))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    wait.then(fulfil, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
