import { EdgewrightError } from '../error.ts'
import { binsPerSide, Histogram, notFinite } from './histogram.ts'
import type { ChannelStatistics } from './channel-statistics.ts'
import type { TensorRange } from './ranges.ts'
import type { StatisticsKernel, TensorRoom } from './statistics-kernel.ts'

/** What is gathered of one value. */
export interface Observed {
  readonly name: string
  /** False where min and max are enough. */
  readonly histogram: boolean
  readonly channels: ChannelStatistics | undefined
}

export interface TensorObserver {
  /** Adds one sample's elements. Throws MODEL_NAN_WEIGHTS naming the tensor where one is not finite. */
  observe(elements: Float32Array): void
  result(): TensorRange
}

/** In JavaScript, for tensors that stand anywhere. */
export class PlainObserver implements TensorObserver {
  readonly #observed: Observed
  readonly #histogram: Histogram

  constructor(observed: Observed) {
    this.#observed = observed
    this.#histogram = new Histogram(observed.name)
  }

  observe(elements: Float32Array): void {
    this.#histogram.observe(elements)
    this.#observed.channels?.observe(elements)
  }

  result(): TensorRange {
    return rangeOf(this.#observed, this.#histogram)
  }
}

/** Counts are 32 bits wide until they are taken over. */
const mostIn32Bits = 2 ** 31 - 1

/** By the kernel, for a tensor that stands in its room there. Gives what PlainObserver gives, bit for bit. */
export class KernelObserver implements TensorObserver {
  readonly #observed: Observed
  readonly #histogram: Histogram
  readonly #kernel: StatisticsKernel
  readonly #room: TensorRoom
  readonly #mostCounted: number
  #counted = 0
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY

  constructor(observed: Observed, kernel: StatisticsKernel, room: TensorRoom, mostCounted = mostIn32Bits) {
    this.#observed = observed
    this.#histogram = new Histogram(observed.name)
    this.#kernel = kernel
    this.#room = room
    this.#mostCounted = mostCounted
    observed.channels?.keepIn(room.channels)
  }

  observe(elements: Float32Array): void {
    const room = this.#room
    if (elements.length !== room.elements.length)
      throw new EdgewrightError(
        'DATA_SHAPE',
        'A tensor of a sample has another size than the network says.',
        {
          where: this.#observed.name,
          saw: `${elements.length} elements, not ${room.elements.length}`,
        },
      )
    if (elements.length === 0) return
    if (elements !== room.elements) room.elements.set(elements)
    if (this.#observed.histogram) this.#addToHistogram(elements.length)
    else this.#addToBounds()
    const { channels } = this.#observed
    if (!channels) return
    this.#kernel.addChannels(room, channels.inner)
    channels.observed(elements.length)
  }

  result(): TensorRange {
    if (!this.#observed.histogram) return rangeOf(this.#observed, { min: this.#min, max: this.#max })
    this.#takeCounts()
    return rangeOf(this.#observed, this.#histogram)
  }

  #addToHistogram(count: number): void {
    const room = this.#room
    const summary = this.#kernel.summarize(room)
    const grows = Math.max(-summary.min, summary.max) >= this.#histogram.reach
    if (grows || this.#counted + count > this.#mostCounted) this.#takeCounts()
    this.#histogram.admit(summary, room.elements)
    this.#kernel.count(room, binsPerSide / this.#histogram.reach)
    this.#counted += count
  }

  #addToBounds(): void {
    const { min, max, finite } = this.#kernel.bounds(this.#room)
    if (!finite) throw notFinite(this.#observed.name, this.#room.elements)
    this.#min = Math.min(this.#min, min)
    this.#max = Math.max(this.#max, max)
  }

  #takeCounts(): void {
    if (this.#counted === 0) return
    this.#histogram.addCounts(this.#room.counts)
    this.#room.counts.fill(0)
    this.#counted = 0
  }
}

function rangeOf(
  { histogram: wanted, channels }: Observed,
  found: Histogram | { readonly min: number; readonly max: number },
): TensorRange {
  const { min, max } = found
  const seen = channels?.result()
  return {
    min,
    max,
    ...(wanted && found instanceof Histogram ? { histogram: found } : {}),
    ...(seen
      ? {
          channelMeans: seen.mean,
          channelMeanSquares: seen.meanOfSquares,
          channelMin: seen.min,
          channelMax: seen.max,
        }
      : {}),
  }
}
