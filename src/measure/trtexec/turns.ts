/** The order in which engines are measured, each turn a process of its own. */
export interface TurnPlan {
  /** Indices of engines. */
  readonly order: readonly number[]
  readonly warmUpMs: number
  readonly secondsPerTurn: number
  readonly iterationsPerTurn: number
}

export interface TurnRequest {
  readonly engines: number
  /** At least so long and so often for each engine, all its turns together; of one turn where there are windows. */
  readonly seconds: number
  readonly count: number
  readonly warmUpSeconds: number
  /** Turns of each engine where the preset says it; 1: as many as suit its length. */
  readonly windows: number
}

/** trtexec keeps every sample in memory until its end, beside a GPU that shares that memory. */
const longestTurnSeconds = 60

/** Forth and back again (ABCCBA…), so that a drift of temperature or clock falls on all engines alike (ABBA design). */
export function planTurns({ engines, seconds, count, warmUpSeconds, windows }: TurnRequest): TurnPlan {
  const passes =
    windows > 1 ? windows : Math.max(seconds <= 5 ? 2 : 4, 2 * Math.ceil(seconds / longestTurnSeconds / 2))
  const shares = windows > 1 ? 1 : passes
  const forth = Array.from({ length: engines }, (_, index) => index)
  const order = Array.from({ length: passes }, (_, pass) => (pass % 2 === 0 ? forth : [...forth].reverse()))
  return {
    order: order.flat(),
    // the GPU's clock takes longer to rise than a CPU's
    warmUpMs: Math.max(500, warmUpSeconds * 1000),
    secondsPerTurn: Math.max(1, Math.ceil(seconds / shares)),
    iterationsPerTurn: Math.max(10, Math.ceil(count / shares)),
  }
}

/** Sample standard deviation by mean. */
export function coefficientOfVariation(values: ArrayLike<number>): number {
  const n = values.length
  if (n < 2) return 0
  let mean = 0
  for (let i = 0; i < n; i++) mean += values[i]! / n
  let squares = 0
  for (let i = 0; i < n; i++) squares += (values[i]! - mean) ** 2
  return mean === 0 ? 0 : Math.sqrt(squares / (n - 1)) / mean
}

/** trtexec itself warns from 1 % on in its older releases, from 2.5 % in newer ones. */
export const unstableAbove = 0.025
