/** The order in which engines are measured, each turn a process of its own. */
export interface TurnPlan {
  /** Indices of engines. */
  readonly order: readonly number[]
  readonly warmUpMs: number
  readonly secondsPerTurn: number
  readonly iterationsPerTurn: number
}

/**
 * Forth and back again (ABCCBA…), so that a drift of temperature or clock falls on all engines alike (ABBA design).
 *
 * @param seconds at least so long for each engine, all its turns together
 */
export function planTurns(engines: number, seconds: number, count: number, warmUpSeconds: number): TurnPlan {
  const passes = seconds <= 5 ? 2 : seconds <= 60 ? 4 : 8
  const forth = Array.from({ length: engines }, (_, index) => index)
  const order = Array.from({ length: passes }, (_, pass) => (pass % 2 === 0 ? forth : [...forth].reverse()))
  return {
    order: order.flat(),
    // the GPU's clock takes longer to rise than a CPU's
    warmUpMs: Math.max(500, warmUpSeconds * 1000),
    secondsPerTurn: Math.max(1, Math.ceil(seconds / passes)),
    iterationsPerTurn: Math.max(10, Math.ceil(count / passes)),
  }
}

/** Standard deviation by mean; trtexec calls the GPU's time unstable above its own threshold of 1 % or 2.5 %. */
export function coefficientOfVariation(values: ArrayLike<number>): number {
  const n = values.length
  if (n < 2) return 0
  let mean = 0
  for (let i = 0; i < n; i++) mean += values[i]! / n
  let squares = 0
  for (let i = 0; i < n; i++) squares += (values[i]! - mean) ** 2
  return mean === 0 ? 0 : Math.sqrt(squares / (n - 1)) / mean
}

export const unstableAbove = 0.025
