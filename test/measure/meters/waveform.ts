/** The current that the simulated kit measures: a level in each of its five ranges, then a sine over the top one. */
export const stepSamples = 4_000
const levelsAmps = [20e-6, 230e-6, 2.3e-3, 21e-3, 310e-3] as const
const order = [0, 1, 2, 3, 4, 2, 4, 1, 3, 0] as const

/** Amperes at a sampling period of 10 µs. */
export function currentAt(index: number): number {
  const step = Math.floor(index / stepSamples)
  const level = order[step % order.length]!
  if (level < 4) return levelsAmps[level]!
  return levelsAmps[4] + 0.2 * Math.sin((2 * Math.PI * index) / 500)
}

/** The marker on D0: 1 for a tenth of a second, every fourth. */
export function markerAt(index: number): boolean {
  return Math.floor(index / 10_000) % 4 === 1
}
