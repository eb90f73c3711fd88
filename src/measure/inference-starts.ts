import type { CollectedStep } from './collect.ts'

/**
 * When each inference of an artifact began in a step, on the clock of its events.
 *
 * The runner tells the start of every batch of latencies, not of every inference: within a batch, inferences are laid one
 * after another in proportion to their time up to the next batch (the end of the step after the last). What is approximate
 * is where between two known starts an inference lies: exact flat out, even spacing where the batch holds pauses (a fixed
 * rate, turns of another artifact).
 */
export function inferenceStarts(step: CollectedStep, artifact: string): Float64Array {
  const latencyNs = step.latencyNs.get(artifact) ?? new Float64Array()
  const batches = step.batches.get(artifact) ?? []
  const starts = new Float64Array(latencyNs.length)
  const endNs = step.elapsedNs === null ? null : step.startNs + step.elapsedNs
  for (const [i, { atNs, from }] of batches.entries()) {
    const next = batches[i + 1]
    const to = next?.from ?? latencyNs.length
    let spentNs = 0
    for (let j = from; j < to; j++) spentNs += latencyNs[j]!
    const untilNs = next?.atNs ?? endNs ?? atNs + spentNs
    const stretch = spentNs > 0 ? Math.max(1, (untilNs - atNs) / spentNs) : 1
    let at = atNs
    for (let j = from; j < to; j++) {
      starts[j] = at
      at += latencyNs[j]! * stretch
    }
  }
  return starts
}
