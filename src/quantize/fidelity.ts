/**
 * Signal-to-quantization-noise ratio in dB over all elements: 10·log10(Σ reference² / Σ (reference − candidate)²).
 * Infinity where they are equal; NaN where the reference is all zero and the candidate is not.
 */
export function sqnrDb(reference: ArrayLike<number>, candidate: ArrayLike<number>): number {
  const meter = new SqnrMeter()
  meter.add(reference, candidate)
  return meter.db
}

/** The same over tensors that come one after the other. */
export class SqnrMeter {
  #signal = 0
  #noise = 0

  add(reference: ArrayLike<number>, candidate: ArrayLike<number>): void {
    if (reference.length !== candidate.length)
      throw new RangeError(`cannot compare ${reference.length} with ${candidate.length} elements`)
    let signal = 0
    let noise = 0
    for (let i = 0; i < reference.length; i++) {
      const x = reference[i]!
      const difference = x - candidate[i]!
      signal += x * x
      noise += difference * difference
    }
    this.#signal += signal
    this.#noise += noise
  }

  /** The reference is all zero, the candidate is not. */
  get silent(): boolean {
    return this.#signal === 0 && this.#noise !== 0
  }

  get db(): number {
    if (this.#noise === 0) return Number.POSITIVE_INFINITY
    if (this.#signal === 0) return Number.NaN
    return 10 * Math.log10(this.#signal / this.#noise)
  }
}

/** Cosine of the angle between two vectors; 1 where both are zero, 0 where one is. */
export function cosineSimilarity(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError(`cannot compare ${a.length} with ${b.length} elements`)
  let dot = 0
  let aa = 0
  let bb = 0
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!
    aa += a[i]! * a[i]!
    bb += b[i]! * b[i]!
  }
  if (aa === 0 && bb === 0) return 1
  if (aa === 0 || bb === 0) return 0
  return dot / Math.sqrt(aa * bb)
}

/** Index of the largest element, the first of equals. */
export function argMax(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

/** Share of pairs whose largest element is at the same index; NaN without pairs. */
export function agreement(pairs: Iterable<readonly [ArrayLike<number>, ArrayLike<number>]>): number {
  let same = 0
  let count = 0
  for (const [a, b] of pairs) {
    if (argMax(a) === argMax(b)) same++
    count++
  }
  return same / count
}
