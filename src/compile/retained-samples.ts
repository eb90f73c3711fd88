import type { Sample } from '../data/types.ts'
import { throwIfAborted } from '../progress.ts'
import { type SamplePart, samplesOf } from './samples.ts'

/** Decoded samples are kept up to this: what does not fit is decoded again each time. */
const mostRetainedBytes = 192 * 2 ** 20

/** Samples that are gone through many times, decoded once where memory allows. Memory is bounded for any number. */
export class RetainedSamples {
  readonly length: number
  readonly #part: SamplePart
  readonly #signal: AbortSignal
  readonly #kept: Sample[] = []
  #bytes = 0
  #full = false

  /** @param limit the first so many of the part */
  constructor(part: SamplePart, signal: AbortSignal, limit = part.indices.length) {
    this.#part = { dataset: part.dataset, indices: part.indices.slice(0, limit) }
    this.#signal = signal
    this.length = this.#part.indices.length
  }

  /** In order, always the same. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Sample, void, undefined> {
    const known = this.#kept.length
    for (const sample of this.#kept.slice(0, known)) {
      throwIfAborted(this.#signal)
      yield sample
    }
    if (known === this.length) return
    const rest = { dataset: this.#part.dataset, indices: this.#part.indices.slice(known) }
    let at = known
    for await (const sample of samplesOf(rest, this.#signal)) {
      this.#retain(sample, at++)
      yield sample
    }
  }

  #retain(sample: Sample, at: number): void {
    // another pass, or an earlier sample that did not fit: only a prefix is kept
    if (this.#full || at !== this.#kept.length) return
    for (const { data } of sample.inputs.values()) this.#bytes += data.byteLength
    if (this.#bytes > mostRetainedBytes) this.#full = true
    else this.#kept.push(sample)
  }
}
