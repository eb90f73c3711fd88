/** Uniform in [0, 1). */
export type Draw = () => number

/** Seeded (mulberry32): a test draws the same every time. */
export function random(seed: number): Draw {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Standard normal (Box–Muller). */
export function normal(next: Draw): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
}

/** Latencies of n inferences in the order in which they run. */
export type Noise = (n: number, next: Draw) => Float64Array

const levelNs = 5e6

export const white =
  (deviation: number): Noise =>
  (n, next) =>
    Float64Array.from({ length: n }, () => levelNs * Math.exp(deviation * normal(next)))

/** First-order autoregressive. */
export const wandering =
  (deviation: number, memory: number): Noise =>
  (n, next) => {
    let state = normal(next)
    return Float64Array.from({ length: n }, () => {
      state = memory * state + Math.sqrt(1 - memory * memory) * normal(next)
      return levelNs * Math.exp(deviation * state)
    })
  }

/** Now and then an inference takes longer, by `size` times its latency on average. */
export const spiky =
  (noise: Noise, rate: number, size: number): Noise =>
  (n, next) =>
    noise(n, next).map((ns) => (next() < rate ? ns * (1 - size * Math.log(1 - next())) : ns))

/** A clock that ticks every `tickNs`. */
export const ticking =
  (noise: Noise, tickNs: number): Noise =>
  (n, next) =>
    noise(n, next).map((ns) => Math.round(ns / tickNs) * tickNs)

/** Slower by `ratio` in a part of the run, from 0 to 1. */
export const shifted =
  (noise: Noise, ratio: number, from: number, to = 1): Noise =>
  (n, next) =>
    noise(n, next).map((ns, i) => (i >= from * n && i < to * n ? ns * ratio : ns))

export const drifting =
  (noise: Noise, change: number): Noise =>
  (n, next) =>
    noise(n, next).map((ns, i) => ns * (1 + (change * i) / n))

/** From a point of the run on, the process is stopped for `offNs` after every `onNs`. */
export const dutyCycled =
  (noise: Noise, from: number, onNs: number, offNs: number): Noise =>
  (n, next) => {
    let ran = 0
    return noise(n, next).map((ns, i) => {
      if (i < from * n) return ns
      ran += ns
      const stops = Math.floor(ran / onNs)
      ran -= stops * onNs
      return ns + stops * offNs
    })
  }
