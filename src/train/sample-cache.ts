import type { Dataset, Sample } from '../data/types.ts'

/** Decoded samples of one data set that are kept in memory, up to a bound; several batch sources may share one. */
export interface SampleCache {
  /** A sample that is kept: without waiting. */
  kept(index: number): Sample | undefined
  /** A sample, decoded where it is not kept. */
  sample(index: number): Promise<Sample>
  /** Memory of what is kept. */
  readonly bytes: number
}

/** What the objects around a small tensor take in V8, by measurement. */
const overheadBytes = 512

/**
 * Keeps samples as they come until the bound is reached, and none after that: an epoch takes every sample once, so that
 * putting one in another's place would win nothing. Samples that are views of one buffer count it once.
 */
export function sampleCache(dataset: Pick<Dataset, 'sample'>, mostBytes: number): SampleCache {
  const samples = new Map<number, Sample>()
  const buffers = new Set<ArrayBufferLike>()
  let bytes = 0
  const keep = (index: number, sample: Sample) => {
    const added = new Set([...sample.inputs.values()].map(({ data }) => data.buffer))
    for (const buffer of added) if (buffers.has(buffer)) added.delete(buffer)
    let cost = overheadBytes
    for (const { byteLength } of added) cost += byteLength
    if (samples.has(index) || bytes + cost > mostBytes) return
    bytes += cost
    for (const buffer of added) buffers.add(buffer)
    samples.set(index, sample)
  }
  return {
    kept: (index) => samples.get(index),
    async sample(index) {
      const known = samples.get(index)
      if (known) return known
      const { id, inputs, label } = await dataset.sample(index)
      // no annotation: a mask may be as large as its picture
      const sample = { id, inputs, label }
      keep(index, sample)
      return sample
    },
    get bytes() {
      return bytes
    },
  }
}
