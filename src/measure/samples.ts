/** A growing row of numbers, eight bytes each. */
export interface Samples {
  push(values: readonly number[]): void
  readonly length: number
  array(): Float64Array
}

export function createSamples(): Samples {
  let held = new Float64Array(1024)
  let length = 0
  return {
    push(values) {
      if (length + values.length > held.length) {
        const grown = new Float64Array(Math.max(held.length * 2, length + values.length))
        grown.set(held.subarray(0, length))
        held = grown
      }
      held.set(values, length)
      length += values.length
    },
    get length() {
      return length
    },
    array: () => held.slice(0, length),
  }
}
