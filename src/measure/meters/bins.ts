/** A stream of samples at a fixed rate, kept as sums of neighbouring samples: memory does not grow with its length. */
export interface Bins {
  /** `index` counts sampling periods and never falls by more than a bin. */
  add(index: number, value: number, uncertainty: number): void
  readonly samplesPerBin: number
  result(): BinnedSamples
}

/** Bins that hold at least one sample, in order. */
export interface BinnedSamples {
  readonly samplesPerBin: number
  /** Number of each bin: it reaches from `bin · samplesPerBin` to the next. */
  readonly bin: Float64Array
  readonly sum: Float64Array
  readonly uncertaintySum: Float64Array
  readonly min: Float64Array
  readonly max: Float64Array
  readonly count: Uint32Array
}

interface Columns {
  sum: Float64Array
  uncertaintySum: Float64Array
  min: Float64Array
  max: Float64Array
  count: Uint32Array
}

/**
 * @param samplesPerBin to begin with; doubled, neighbours joined, whenever `maxBins` are full
 */
export function createBins(samplesPerBin: number, maxBins: number): Bins {
  let width = samplesPerBin
  let columns = emptyColumns(Math.min(1024, maxBins))
  let used = 0

  function make(bin: number): void {
    while (bin >= maxBins) {
      columns = joinNeighbours(columns, used, maxBins)
      used = Math.ceil(used / 2)
      width *= 2
      bin = Math.floor(bin / 2)
    }
    if (bin >= columns.sum.length) {
      const grown = emptyColumns(Math.min(maxBins, Math.max(columns.sum.length * 2, bin + 1)))
      for (const name of names) grown[name].set(columns[name])
      columns = grown
    }
    used = Math.max(used, bin + 1)
  }

  return {
    get samplesPerBin() {
      return width
    },
    add(index, value, uncertainty) {
      let bin = Math.floor(index / width)
      if (bin >= used) {
        make(bin)
        bin = Math.floor(index / width)
      }
      columns.sum[bin]! += value
      columns.uncertaintySum[bin]! += uncertainty
      if (value < columns.min[bin]!) columns.min[bin] = value
      if (value > columns.max[bin]!) columns.max[bin] = value
      columns.count[bin]!++
    },
    result() {
      const filled = [...columns.count.subarray(0, used).keys()].filter((bin) => columns.count[bin]! > 0)
      const pick = (column: Float64Array) => Float64Array.from(filled, (bin) => column[bin]!)
      return {
        samplesPerBin: width,
        bin: Float64Array.from(filled),
        sum: pick(columns.sum),
        uncertaintySum: pick(columns.uncertaintySum),
        min: pick(columns.min),
        max: pick(columns.max),
        count: Uint32Array.from(filled, (bin) => columns.count[bin]!),
      }
    },
  }
}

const names = ['sum', 'uncertaintySum', 'min', 'max', 'count'] as const

function emptyColumns(length: number): Columns {
  return {
    sum: new Float64Array(length),
    uncertaintySum: new Float64Array(length),
    min: new Float64Array(length).fill(Number.POSITIVE_INFINITY),
    max: new Float64Array(length).fill(Number.NEGATIVE_INFINITY),
    count: new Uint32Array(length),
  }
}

function joinNeighbours(from: Columns, used: number, length: number): Columns {
  const joined = emptyColumns(length)
  for (let bin = 0; bin < used; bin++) {
    const to = bin >> 1
    joined.sum[to]! += from.sum[bin]!
    joined.uncertaintySum[to]! += from.uncertaintySum[bin]!
    joined.min[to] = Math.min(joined.min[to]!, from.min[bin]!)
    joined.max[to] = Math.max(joined.max[to]!, from.max[bin]!)
    joined.count[to]! += from.count[bin]!
  }
  return joined
}
