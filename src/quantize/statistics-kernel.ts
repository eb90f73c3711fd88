import { binsPerSide, type TensorSummary } from './histogram.ts'
import { statisticsWasm } from './statistics-wasm.ts'

/** Functions of statistics.wat; addresses and sizes as it says them. */
interface Exports {
  scan(at: number, count: number, into: number): void
  bounds(at: number, count: number, into: number): void
  addPlanes(at: number, planes: number, inner: number, channels: number, into: number): void
  addRows(at: number, count: number, channels: number, into: number): void
  count(at: number, count: number, perUnit: number, zero: number): void
}

interface Memory {
  readonly buffer: ArrayBuffer
}

/** Node's types leave out what the DOM's have of it. */
const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly

interface WebAssemblyApi {
  validate(bytes: Uint8Array): boolean
  readonly Memory: new (size: { readonly initial: number }) => Memory
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: { readonly calibration: { readonly memory: Memory } },
  ) => { readonly exports: unknown }
}

/** What has to stand in a kernel's memory for one tensor. */
export interface TensorNeeds {
  readonly elements: number
  /** Counts for a histogram. */
  readonly counts: boolean
  /** 0 without channel statistics. */
  readonly channels: number
}

/** A tensor's places in a kernel's memory. */
export interface TensorRoom {
  /** To be filled with each sample's elements. */
  readonly elements: Float32Array
  /** Of bins −8192 to 8191; empty where none were asked for. */
  readonly counts: Int32Array
  /** Four doubles a channel, as ChannelStatistics has them. */
  readonly channels: Float64Array
}

export interface TensorBounds {
  readonly min: number
  readonly max: number
  readonly finite: boolean
}

/** More than this is not laid out beside what a runtime holds already. */
const limitBytes = 2 ** 30

/** SIMD kernels over one WebAssembly memory in which tensors, their counts and sums stand: nothing is copied. */
export class StatisticsKernel {
  readonly rooms: readonly TensorRoom[]
  readonly #exports: Exports
  readonly #summary: Float64Array

  private constructor(memory: Memory, rooms: readonly TensorRoom[], summary: Float64Array) {
    this.rooms = rooms
    this.#summary = summary
    const module = new webAssembly.Module(statisticsWasm)
    this.#exports = new webAssembly.Instance(module, { calibration: { memory } }).exports as Exports
  }

  /** Null where the tensors are too large for it or for this computer, or the processor has no SIMD. */
  static for(needs: readonly TensorNeeds[]): StatisticsKernel | null {
    let bytes = 0
    const take = (size: number) => {
      const at = bytes
      bytes += Math.ceil(size / 64) * 64
      return at
    }
    const summaryAt = take(32)
    const places = needs.map(({ elements, counts, channels }) => ({
      elements: take(4 * elements),
      counts: take(counts ? 8 * binsPerSide : 0),
      channels: take(32 * channels),
    }))
    if (bytes > limitBytes || !webAssembly.validate(statisticsWasm)) return null
    const memory = memoryOf(Math.ceil(bytes / 65536))
    if (!memory) return null
    const rooms = needs.map(({ elements, counts, channels }, i) => ({
      elements: new Float32Array(memory.buffer, places[i]!.elements, elements),
      counts: new Int32Array(memory.buffer, places[i]!.counts, counts ? 2 * binsPerSide : 0),
      channels: new Float64Array(memory.buffer, places[i]!.channels, 4 * channels),
    }))
    return new StatisticsKernel(memory, rooms, new Float64Array(memory.buffer, summaryAt, 4))
  }

  /** As `summarize` of histogram.ts. */
  summarize({ elements }: TensorRoom): TensorSummary {
    this.#exports.scan(elements.byteOffset, elements.length, this.#summary.byteOffset)
    const [sum, sumOfSquares, min, max] = this.#summary as unknown as [number, number, number, number]
    // + 0 makes −0 a plain 0
    return { sum, sumOfSquares, min: min + 0, max: max + 0 }
  }

  /** Min and max alone, in a third of the time. Where an element is not finite they may be anything. */
  bounds({ elements }: TensorRoom): TensorBounds {
    this.#exports.bounds(elements.byteOffset, elements.length, this.#summary.byteOffset)
    const [min, max, none] = this.#summary as unknown as [number, number, number]
    // + 0 makes −0 a plain 0
    return { min: min + 0, max: max + 0, finite: !Number.isNaN(none) }
  }

  /** Adds to the counts; every magnitude must be below R = 8192 / perUnit. */
  count({ elements, counts }: TensorRoom, perUnit: number): void {
    this.#exports.count(elements.byteOffset, elements.length, perUnit, counts.byteOffset + 4 * binsPerSide)
  }

  /** Adds to the sums of channels, of which each has `inner` elements in a row. */
  addChannels({ elements, channels }: TensorRoom, inner: number): void {
    const { byteOffset, length } = elements
    const count = channels.length / 4
    if (inner === 1) this.#exports.addRows(byteOffset, length, count, channels.byteOffset)
    else this.#exports.addPlanes(byteOffset, length / inner, inner, count, channels.byteOffset)
  }
}

/** Null where the system has no such piece of addresses left. */
function memoryOf(pages: number): Memory | null {
  try {
    return new webAssembly.Memory({ initial: pages })
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}
