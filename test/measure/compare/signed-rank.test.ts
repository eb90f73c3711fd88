import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fewestPairs, signedRank, smallestP } from '../../../src/measure/compare/signed-rank.ts'
import { normal, random } from '../noise.ts'

describe('the sign-flip test', () => {
  test('counts all 2^k signs: as an enumeration does, with ties and zeros too', () => {
    const next = random(1)
    for (let k = 1; k <= 11; k++)
      for (let trial = 0; trial < 20; trial++) {
        // coarse values make ties and zeros
        const values = Array.from({ length: k }, () => Math.round(normal(next) * (trial % 2 ? 3 : 1e6)))
        const p = signedRank(values).pValue
        assert.ok(Math.abs(p - enumerated(values)) < 1e-12, `${values}: ${p} beside ${enumerated(values)}`)
      }
  })

  test('gives the p and the interval of tables and of R for known data', () => {
    // Hollander & Wolfe, table 3.1 (depression factor of nine patients): wilcox.test(x, y, paired, conf.int):
    // V = 5, p = 0.03906; estimate −0.46, 95 % interval −0.786 to −0.010
    const before = [1.83, 0.5, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.3]
    const after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    const { estimate, interval, pValue } = signedRank(after.map((value, index) => value - before[index]!))
    assert.ok(Math.abs(pValue - 0.0390625) < 1e-12, String(pValue))
    assert.ok(Math.abs(estimate - -0.46) < 1e-9, String(estimate))
    assert.ok(Math.abs(interval!.low - -0.786) < 1e-9, String(interval!.low))
    assert.ok(Math.abs(interval!.high - -0.01) < 1e-9, String(interval!.high))
  })

  test('its interval leaves zero out exactly where it finds a difference', () => {
    const next = random(2)
    for (let trial = 0; trial < 2_000; trial++) {
      const shift = next() * 2
      const values = Array.from({ length: 6 + (trial % 15) }, () => normal(next) + shift)
      const { interval, pValue } = signedRank(values)
      assert.equal(interval!.low > 0 || interval!.high < 0, pValue <= 0.05, values.join(' '))
    }
  })

  test('its interval holds the truth in at least 95 of 100 draws, also where tails are heavy', () => {
    const next = random(3)
    const cauchy = () => Math.tan(Math.PI * (next() - 0.5))
    for (const [name, draw] of [
      ['normal', () => normal(next)],
      ['Cauchy', cauchy],
      ['uniform', next],
    ] as const) {
      const centre = name === 'uniform' ? 0.5 : 0
      for (const k of [8, 12]) {
        let held = 0
        for (let trial = 0; trial < 10_000; trial++) {
          const { interval } = signedRank(Array.from({ length: k }, draw))
          if (interval!.low <= centre && centre <= interval!.high) held++
        }
        // five standard errors of a share of 95 % among 10,000
        assert.ok(held / 10_000 > 0.95 - 0.011, `${name}, ${k} blocks: ${held}`)
        assert.ok(held / 10_000 < 0.975, `${name}, ${k} blocks: wider than it need be, ${held}`)
      }
    }
  })

  test('says that five blocks prove nothing and six do', () => {
    assert.equal(signedRank([1, 1.1, 1.2, 1.3, 1.4]).interval, null)
    assert.equal(signedRank([1, 1.1, 1.2, 1.3, 1.4]).pValue, 0.0625)
    assert.deepEqual(signedRank([1, 1.1, 1.2, 1.3, 1.4, 1.5]).interval, { low: 1, high: 1.5 })
    assert.equal(fewestPairs(0.05), 6)
    assert.equal(smallestP(12), 2 ** -11)
  })

  test('one wild block moves the estimate little', () => {
    const calm = Array.from({ length: 12 }, (_, index) => 0.03 + index * 1e-4)
    const wild = [...calm.slice(0, 11), 5]
    assert.ok(Math.abs(signedRank(wild).estimate - signedRank(calm).estimate) < 5e-4)
  })

  test('takes as many blocks as are allowed, no number that is none, and not none', () => {
    assert.ok(signedRank(Array.from({ length: 256 }, (_, index) => index - 100)).pValue < 0.05)
    for (const wrong of [[], [1, Number.NaN], [Number.POSITIVE_INFINITY]])
      assert.throws(() => signedRank(wrong), RangeError)
  })
})

function enumerated(values: readonly number[]): number {
  const told = values.filter((value) => value !== 0)
  if (told.length === 0) return 1
  const ranks = told.map((own) => {
    const below = told.filter((other) => Math.abs(other) < Math.abs(own)).length
    return below + (told.filter((other) => Math.abs(other) === Math.abs(own)).length + 1) / 2
  })
  const statistic = (signs: readonly number[]) =>
    Math.abs(ranks.reduce((sum, rank, index) => sum + rank * signs[index]!, 0))
  const seen = statistic(told.map(Math.sign))
  let extreme = 0
  for (let bits = 0; bits < 2 ** told.length; bits++)
    if (statistic(told.map((_, index) => ((bits >> index) & 1 ? 1 : -1))) >= seen) extreme++
  return extreme / 2 ** told.length
}
