import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BlockFigures, blockFigures } from '../../../src/measure/compare/blocks.ts'
import { turnOrders } from '../../../src/measure/compare/order.ts'
import { compareLatency, differs, type LatencyComparison } from '../../../src/measure/compare/verdict.ts'
import { repositoryRoot } from '../../fixtures.ts'
import { type Draw, type Noise, normal, random } from '../noise.ts'

/** Latencies of a small network as this machine took them, in order (bench/compare-trials.ts --record). */
export function recordedNoise(): Float64Array {
  const { ns } = JSON.parse(
    readFileSync(join(repositoryRoot, 'bench', 'compare', 'recorded-noise.json'), 'utf8'),
  )
  return Float64Array.from(ns as number[])
}

/** Pieces of a recording, each from a random place and 20 to 400 inferences long, one after another. */
export const resampled =
  (recording: Float64Array): Noise =>
  (n, next) => {
    const out = new Float64Array(n)
    for (let at = 0; at < n; ) {
      const length = Math.min(n - at, 20 + Math.floor(next() * 380))
      const from = Math.floor(next() * (recording.length - length))
      out.set(recording.subarray(from, from + length), at)
      at += length
    }
    return out
  }

/** The recording under a clock that drifts and swings, neighbours that come and go, and a level that wanders. */
export const troubled =
  (noise: Noise): Noise =>
  (n, next) => {
    const out = noise(n, next)
    const drift = (next() - 0.5) * 0.2
    const swing = next() * 0.03
    const swings = 0.5 + next() * 6
    const phase = next()
    const memory = 0.9 + 0.0995 * next()
    const wander = next() * 0.03
    let level = normal(next)
    let neighbour = 0
    for (let i = 0; i < n; i++) {
      level = memory * level + Math.sqrt(1 - memory * memory) * normal(next)
      if (neighbour > 0) neighbour--
      else if (next() < 2 / n) neighbour = Math.floor((next() * n) / 15)
      const spike = next() < 0.005 ? 1 - 2 * Math.log(1 - next()) : 1
      out[i]! *=
        (1 + (drift * i) / n + swing * Math.sin(2 * Math.PI * ((swings * i) / n + phase))) *
        Math.exp(wander * level) *
        (neighbour > 0 ? 1.6 : 1) *
        spike
    }
    return out
  }

export interface TrialShape {
  readonly blocks: number
  /** Rounds of turns there and back in a block. */
  readonly rounds: number
  readonly turn: number
  /** How much more B takes, a share. */
  readonly effect: number
}

const arms = ['a', 'b', 'control'] as const

/** One comparison as the runner would take it: inferences in the order of turns meet the noise of their moment. */
export function trial(noise: Noise, shape: TrialShape, next: Draw, orders?: string[][]): LatencyComparison {
  const { blocks, rounds, turn, effect } = shape
  const taken = orders ?? turnOrders(arms, blocks, next)
  const perRound = taken[0]!.length * turn
  const series = noise(blocks * rounds * perRound, next)
  const perArm = (rounds * perRound) / arms.length
  const figures = Object.fromEntries(arms.map((arm) => [arm, [] as Float64Array[]])) as Record<
    (typeof arms)[number],
    Float64Array[]
  >
  let at = 0
  for (const order of taken) {
    const block = {
      a: new Float64Array(perArm),
      b: new Float64Array(perArm),
      control: new Float64Array(perArm),
    }
    const filled = { a: 0, b: 0, control: 0 }
    for (let round = 0; round < rounds; round++)
      for (const arm of order as (typeof arms)[number][])
        for (let i = 0; i < turn; i++)
          block[arm][filled[arm]++] = series[at++]! * (arm === 'b' ? 1 + effect : 1)
    for (const arm of arms) figures[arm].push(block[arm])
  }
  return compareLatency(
    Object.fromEntries(arms.map((arm) => [arm, blockFigures(figures[arm])])) as Record<
      (typeof arms)[number],
      BlockFigures
    >,
  )
}

export interface TrialRates {
  /** The bare test finds a difference of the median. */
  readonly significant: number
  readonly verdicts: Readonly<Record<LatencyComparison['verdict'], number>>
  /** The interval holds the true change. */
  readonly covered: number
}

/** Shares of many trials. */
export function rates(
  noise: Noise,
  shape: TrialShape,
  trials: number,
  seed: number,
  orders?: string[][],
): TrialRates {
  const next = random(seed)
  const verdicts = { slower: 0, faster: 0, equal: 0, undecided: 0, unproven: 0 }
  let significant = 0
  let covered = 0
  for (let i = 0; i < trials; i++) {
    const { verdict, changes } = trial(noise, shape, next, orders)
    verdicts[verdict] += 1 / trials
    const { interval } = changes.p50!
    if (differs(changes.p50!)) significant++
    if (interval && interval.low <= shape.effect && shape.effect <= interval.high) covered++
  }
  return { significant: significant / trials, verdicts, covered: covered / trials }
}
