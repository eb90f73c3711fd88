/** Seeded random numbers: the same seed gives the same sequence on every machine. Not for secrets. */
export interface Generator {
  /** Uniform in [0, 1), 32 bits of resolution. */
  next(): number
  /** Uniform integer in [0, bound). */
  integer(bound: number): number
  /** Standard normal (Box and Muller, 1958). */
  normal(): number
}

/** xoshiro128** (Blackman and Vigna, 2018), its state filled by splitmix32 from any integer seed. */
export function seededGenerator(seed: number): Generator {
  const state = new Uint32Array(4)
  let mix = Math.trunc(seed) >>> 0
  for (let i = 0; i < 4; i++) {
    mix = (mix + 0x9e3779b9) >>> 0
    let z = Math.imul(mix ^ (mix >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    state[i] = z ^ (z >>> 15)
  }
  const next = () => step(state) / 0x1_0000_0000
  return {
    next,
    integer: (bound) => Math.floor(next() * bound),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  }
}

function step(state: Uint32Array): number {
  const result = Math.imul(rotate(Math.imul(state[1]!, 5), 7), 9) >>> 0
  const shifted = state[1]! << 9
  state[2]! ^= state[0]!
  state[3]! ^= state[1]!
  state[1]! ^= state[2]!
  state[0]! ^= state[3]!
  state[2]! ^= shifted
  state[3] = rotate(state[3]!, 11)
  return result
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}

/** Fisher and Yates's shuffle, in place. */
export function shuffle<T>(items: T[], generator: Generator): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = generator.integer(i + 1)
    const kept = items[i]!
    items[i] = items[j]!
    items[j] = kept
  }
  return items
}
