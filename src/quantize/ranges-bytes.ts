import { binsPerSide, Histogram } from './histogram.ts'
import type { Ranges, TensorRange } from './ranges.ts'

const channelKeys = ['channelMeans', 'channelMeanSquares', 'channelMin', 'channelMax'] as const

/**
 * Ranges as bytes, exactly. Numbers are little-endian doubles; a count is a varint, and a 0 is followed by how many more
 * zeros come: an ordinary histogram takes a tenth of its size in memory.
 */
export function encodeRanges(ranges: Ranges): Uint8Array {
  const writer = new Writer()
  writer.varint(ranges.size)
  for (const [name, range] of ranges) {
    const text = Buffer.from(name)
    writer.varint(text.length)
    writer.bytes(text)
    writer.double(range.min)
    writer.double(range.max)
    for (const key of channelKeys) {
      const channels = range[key]
      writer.varint(channels ? channels.length + 1 : 0)
      for (let i = 0; channels && i < channels.length; i++) writer.double(channels[i]!)
    }
    const { histogram } = range
    writer.varint(histogram ? (histogram.negative ? 2 : 1) : 0)
    if (!histogram) continue
    for (const number of [
      histogram.exponent,
      histogram.count,
      histogram.min,
      histogram.max,
      histogram.sum,
      histogram.sumOfSquares,
    ])
      writer.double(number)
    writer.counts(histogram.positive)
    if (histogram.negative) writer.counts(histogram.negative)
  }
  return writer.finish()
}

/** What `encodeRanges` was given; null for bytes that it cannot have made. */
export function decodeRanges(bytes: Uint8Array): Ranges | null {
  try {
    const reader = new Reader(bytes)
    const ranges = new Map<string, TensorRange>()
    for (let left = reader.size(); left > 0; left--) {
      const name = reader.text()
      ranges.set(name, decodeRange(reader, name))
    }
    return reader.ended ? ranges : null
  } catch (error) {
    if (error instanceof NotRanges) return null
    throw error
  }
}

function decodeRange(reader: Reader, name: string): TensorRange {
  const min = reader.double()
  const max = reader.double()
  const channels: Partial<Record<(typeof channelKeys)[number], Float64Array>> = {}
  for (const key of channelKeys) {
    const length = reader.size()
    if (length > 0) channels[key] = reader.doubles(length - 1)
  }
  const sides = reader.size()
  if (sides > 2) throw new NotRanges()
  return { min, max, ...(sides > 0 ? { histogram: decodeHistogram(reader, name, sides) } : {}), ...channels }
}

function decodeHistogram(reader: Reader, name: string, sides: number): Histogram {
  const histogram = new Histogram(name)
  histogram.exponent = reader.double()
  histogram.count = reader.double()
  histogram.min = reader.double()
  histogram.max = reader.double()
  histogram.sum = reader.double()
  histogram.sumOfSquares = reader.double()
  histogram.positive = reader.counts()
  if (sides === 2) histogram.negative = reader.counts()
  const { positive, negative } = histogram
  const counted = positive.reduce((sum, count) => sum + count, negative?.reduce((a, b) => a + b, 0) ?? 0)
  if (counted !== histogram.count || !Number.isInteger(histogram.exponent)) throw new NotRanges()
  if (Math.abs(histogram.exponent) > 200) throw new NotRanges()
  return histogram
}

class NotRanges extends Error {}

class Writer {
  #bytes = new Uint8Array(65536)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  double(number: number): void {
    this.#reserve(8)
    this.#view.setFloat64(this.#length, number, true)
    this.#length += 8
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  varint(number: number): void {
    this.#reserve(8)
    let rest = number
    // beyond 32 bits: no bit operations
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 128
    this.#bytes[this.#length++] = rest
  }

  counts(counts: Float64Array): void {
    for (let i = 0; i < counts.length; ) {
      this.varint(counts[i]!)
      const zeros = i
      while (i < counts.length && counts[i] === 0) i++
      if (i > zeros) this.varint(i - zeros - 1)
      else i++
    }
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    larger.set(this.#bytes)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length
  }

  double(): number {
    this.#require(8)
    this.#at += 8
    return this.#view.getFloat64(this.#at - 8, true)
  }

  doubles(length: number): Float64Array {
    this.#require(8 * length)
    return Float64Array.from({ length }, () => this.double())
  }

  text(): string {
    const length = this.size()
    this.#at += length
    return Buffer.from(this.#bytes.subarray(this.#at - length, this.#at)).toString()
  }

  /** Of something of which each takes at least a byte: never more than there is left. */
  size(): number {
    const size = this.#varint()
    this.#require(size)
    return size
  }

  counts(): Float64Array {
    const counts = new Float64Array(binsPerSide)
    for (let i = 0; i < binsPerSide; i++) {
      const count = this.#varint()
      if (count > 0) counts[i] = count
      else i += this.#varint()
      if (i >= binsPerSide) throw new NotRanges()
    }
    return counts
  }

  #varint(): number {
    let number = 0
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      this.#require(1)
      const byte = this.#bytes[this.#at++]!
      number += (byte & 127) * factor
      if (byte < 128) {
        if (number > Number.MAX_SAFE_INTEGER) throw new NotRanges()
        return number
      }
    }
    throw new NotRanges()
  }

  #require(bytes: number): void {
    if (this.#at + bytes > this.#bytes.length) throw new NotRanges()
  }
}
