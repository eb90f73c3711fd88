/** Multiples of the wanted period that may be chosen instead. */
const reach = { from: 0.8, to: 1.25, steps: 180 }
/** Samples whose phases are looked at. */
const looked = 89
/** How far the time of an inference may be off, as shares: the phases must spread at all of them. */
const doubts = [0.97, 0.99, 1, 1.01, 1.03]

/**
 * A sampling period near the wanted one whose samples fall on ever new parts of an inference. Samples at a fixed
 * period meet the same parts of every inference where the period is a multiple of its time, or near a simple fraction
 * of one: they are then blind to the rest, however many they are.
 *
 * @param cyclesMs times of inference, or 1000 / rate: all of them are avoided
 * @param leastMs the sensor gives nothing new more often: no shorter period is chosen
 */
export function samplePeriodMs(wantedMs: number, cyclesMs: readonly number[], leastMs = 0): number {
  const cycles = cyclesMs.filter((cycle) => cycle > 0)
  const wanted = Math.max(wantedMs, leastMs)
  if (cycles.length === 0) return wanted
  let best = { period: wanted, gap: Infinity }
  for (let i = 0; i <= reach.steps; i++) {
    const period = wanted * (reach.from + ((reach.to - reach.from) * i) / reach.steps)
    if (period < leastMs) continue
    const gap = Math.max(
      ...cycles.flatMap((cycle) =>
        doubts.map((doubt) => largestGap(regularPhases(period / (cycle * doubt)))),
      ),
    )
    if (gap < best.gap) best = { period, gap }
  }
  return Number(best.period.toFixed(4))
}

function regularPhases(ratio: number): Float64Array {
  return Float64Array.from({ length: looked }, (_, i) => (i * ratio) % 1)
}

/** Largest part of a cycle on which no phase falls; 1 where there are none. */
export function largestGap(phases: Float64Array): number {
  if (phases.length === 0) return 1
  const sorted = Float64Array.from(phases).sort()
  let gap = sorted[0]! + 1 - sorted[sorted.length - 1]!
  for (let i = 1; i < sorted.length; i++) gap = Math.max(gap, sorted[i]! - sorted[i - 1]!)
  return gap
}

/**
 * Where in its inference each time falls, 0 to 1. Times before the first start or after the last are left out.
 *
 * @param starts ascending
 * @param times ascending
 */
export function phasesIn(starts: Float64Array, times: Float64Array): Float64Array {
  const phases: number[] = []
  let i = 0
  for (const time of times) {
    while (i + 1 < starts.length && starts[i + 1]! <= time) i++
    if (i + 1 >= starts.length) break
    if (time < starts[i]!) continue
    phases.push((time - starts[i]!) / (starts[i + 1]! - starts[i]!))
  }
  return Float64Array.from(phases)
}
