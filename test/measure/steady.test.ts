import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Steadiness, steadiness } from '../../src/measure/steady.ts'
import {
  drifting,
  dutyCycled,
  type Noise,
  random,
  shifted,
  spiky,
  ticking,
  wandering,
  white,
} from './noise.ts'

const runs = 100

/** One inference after the other, a few microseconds between them. */
function judged(latencyNs: Float64Array, sinceNs = 3e15): Steadiness {
  let at = sinceNs
  const startNs = latencyNs.map((ns) => {
    const start = at
    at += ns + 2_000
    return start
  })
  return steadiness(latencyNs, startNs)
}

/** Shares of the verdicts on many runs. */
function shares(noise: Noise, n: number, seed: number): Record<Steadiness['state'], number> {
  const next = random(seed)
  const counts = { steady: 0, drifting: 0, unknown: 0 }
  for (let i = 0; i < runs; i++) counts[judged(noise(n, next)).state]++
  return {
    steady: counts.steady / runs,
    drifting: counts.drifting / runs,
    unknown: counts.unknown / runs,
  }
}

const even: readonly (readonly [string, Noise, number])[] = [
  ['white noise of 1 %', white(0.01), 300],
  ['white noise of 3 %', white(0.03), 1000],
  ['white noise of 10 %', white(0.1), 20_000],
  ['noise with a memory of two inferences', wandering(0.02, 0.5), 1000],
  ['noise with a memory of ten', wandering(0.02, 0.9), 5000],
  ['spikes of one in a hundred', spiky(white(0.02), 0.01, 3), 1000],
  ['spikes on noise with a memory', spiky(wandering(0.02, 0.7), 0.01, 3), 5000],
  ['a clock of half a millisecond', ticking(white(0.02), 0.5e6), 1000],
]

for (const [name, noise, n] of even)
  test(`a board that holds its level is steady: ${name}`, () => {
    const { steady, drifting: alarms } = shares(noise, n, n)
    assert.ok(steady >= 0.85, `${steady} steady`)
    assert.ok(alarms <= 0.03, `${alarms} drifting`)
  })

const noises: readonly (readonly [string, Noise, number, number])[] = [
  ['white noise', white(0.02), 1000, 1.05],
  ['white noise, few inferences', white(0.01), 300, 1.05],
  ['spikes', spiky(white(0.02), 0.01, 3), 1000, 1.05],
  ['noise with a memory', wandering(0.02, 0.9), 5000, 1.05],
  ['a coarse clock', ticking(white(0.02), 0.25e6), 1000, 1.05],
]

for (const [name, noise, n, ratio] of noises)
  for (const from of [0.06, 0.5, 0.94])
    test(`a step of 5 % is found at ${from * 100} % of the run: ${name}`, () => {
      for (const change of [ratio, 1 / ratio]) {
        const { steady, drifting: found } = shares(shifted(noise, change, from), n, n + from * 100)
        assert.ok(found >= 0.95, `${found} found`)
        assert.ok(steady <= 0.02, `${steady} steady`)
      }
    })

test('a step is told by its time and its size', () => {
  const { state, shift, sentence } = judged(shifted(white(0.01), 1.2, 0.6)(1000, random(3)), 7e12)
  assert.equal(state, 'drifting')
  // 600 inferences of 5 ms
  assert.ok(Math.abs(shift!.atNs - 7e12 - 3e9) < 0.2e9, `${shift!.atNs}`)
  assert.ok(Math.abs(shift!.ratio - 1.2) < 0.02, `${shift!.ratio}`)
  assert.match(sentence, /^Latency was (19|20)\.\d % higher from (2\.9|3\.0)\d s of 5\.\d+ s on, .*\.$/)
})

test('a dip that passes is found, and where it ended', () => {
  const { state, sentence } = judged(shifted(white(0.01), 1.1, 0.4, 0.55)(1000, random(4)))
  assert.equal(state, 'drifting')
  assert.match(sentence, /from (1\.9|2\.0)\d s of 5\.\d+ s on, until 2\.\d+ s/)
})

test('a slow climb is drifting, and its slope is that of the board', () => {
  assert.ok(shares(drifting(white(0.02), 0.06), 300, 5).drifting >= 0.95)
  const { slopePerMinute } = judged(drifting(white(0.01), 0.1)(12_000, random(6)))
  // 10 % in 63 s
  assert.ok(Math.abs(slopePerMinute! - 0.095) < 0.01, `${slopePerMinute}`)
})

for (const [name, from, onNs, offNs] of [
  ['many times an inference', 0.5, 2e6, 2e6],
  ['once in ten inferences', 0.5, 50e6, 50e6],
  ['once in forty', 0.5, 200e6, 200e6],
  ['half a second at a time', 0.5, 500e6, 500e6],
  ['a tenth of the time', 0.5, 90e6, 10e6],
  ['almost from the start', 0.1, 50e6, 50e6],
  ['near the end', 0.9, 50e6, 50e6],
] as const)
  test(`a process that is stopped now and then in mid-run is never steady: ${name}`, () => {
    // where it is stopped at all before the run ends
    for (const n of [100, 300, 1000].filter((count) => count * (1 - from) * 5e6 > 1.1 * onNs))
      assert.equal(shares(dutyCycled(white(0.02), from, onNs, offNs), n, n).steady, 0, `${n} inferences`)
  })

test('what cannot be told is said to be so', () => {
  const few = judged(white(0.01)(20, random(1)))
  assert.deepEqual([few.state, few.slopePerMinute, few.shift], ['unknown', null, null])
  assert.equal(few.sentence, '20 inferences are too few to tell whether latency was steady.')
  const noisy = judged(white(0.3)(300, random(1)))
  assert.equal(noisy.state, 'unknown')
  assert.match(noisy.sentence, /scatters too much to tell/)
  const stalled = white(0.01)(1000, random(1))
  stalled[500] = 400e6
  assert.match(judged(stalled).sentence, /^One stall took 7\.\d % of the time: too few/)
  assert.equal(judged(new Float64Array(300)).state, 'unknown')
})

test('turns of another artifact between the inferences do no harm', () => {
  const latencyNs = white(0.02)(1000, random(9))
  const startNs = latencyNs.map((_, i) => i * 5e6 + Math.floor(i / 5) * 40e6)
  assert.equal(steadiness(latencyNs, startNs).state, 'steady')
})
