import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { blockFigures, type BlockFigures } from '../../../src/measure/compare/blocks.ts'
import { turnOrders } from '../../../src/measure/compare/order.ts'
import { compareLatency } from '../../../src/measure/compare/verdict.ts'
import { drifting, normal, random, white } from '../noise.ts'
import { rates, recordedNoise, resampled, troubled } from './trials.ts'

describe('the verdict of a comparison', () => {
  const recorded = resampled(recordedNoise())
  const shape = { rounds: 3, turn: 10, effect: 0 }

  for (const [name, noise] of [
    ['as recorded', recorded],
    ['with drift, spikes, neighbours and a wandering level', troubled(recorded)],
  ] as const)
    for (const blocks of [8, 10, 12])
      test(`equals are told apart in at most 6.5 of 100 comparisons of ${blocks} blocks, noise ${name}`, () => {
        const { significant, verdicts, covered } = rates(noise, { ...shape, blocks }, 2_000, blocks)
        assert.ok(significant <= 0.065, `the test: ${significant}`)
        assert.ok(verdicts.slower + verdicts.faster <= 0.065, JSON.stringify(verdicts))
        assert.ok(covered >= 0.935, `the interval holds 0 in ${covered}`)
      })

  test('turns in a fixed order fail the same trial: a clock that drifts makes B the slower one', () => {
    const fixed = Array.from({ length: 12 }, () => ['a', 'b', 'control'])
    const noise = drifting(white(0.01), 0.5)
    const inOrder = rates(noise, { ...shape, rounds: 1, blocks: 12 }, 400, 4, fixed)
    const drawn = rates(noise, { ...shape, blocks: 12 }, 400, 4)
    assert.ok(inOrder.significant > 0.5, `fixed: ${inOrder.significant}`)
    assert.ok(drawn.significant <= 0.065 + 0.02, `drawn: ${drawn.significant}`)
  })

  test('3 % more is found nearly always where noise is a hundredth, and its interval holds the truth', () => {
    const { verdicts, covered } = rates(white(0.01), { ...shape, blocks: 12, effect: 0.03 }, 500, 5)
    assert.ok(verdicts.slower >= 0.99, JSON.stringify(verdicts))
    assert.ok(covered >= 0.93, String(covered))
  })

  test('no difference is said to be equal, not undecided, where noise allows to say it', () => {
    const { verdicts } = rates(white(0.01), { ...shape, blocks: 12 }, 500, 6)
    assert.ok(verdicts.equal >= 0.95, JSON.stringify(verdicts))
  })

  const figures = (level: number, noise: number, blocks: number, seed: number): BlockFigures => {
    const next = random(seed)
    return blockFigures(
      Array.from({ length: blocks }, () =>
        Float64Array.from({ length: 40 }, () => level * Math.exp(noise * normal(next))),
      ),
    )
  }

  test('a difference is said in words, its interval in the same direction with the smaller end first', () => {
    const said = (level: number) =>
      compareLatency({
        a: figures(5e6, 0.002, 12, 1),
        b: figures(level, 0.002, 12, 2),
        control: figures(5e6, 0.002, 12, 3),
      }).reason
    assert.match(
      said(4.7e6),
      /^B takes (5\.9|6\.0)\d % less time \(95 %: [56]\.\d\d % to 6\.\d\d % less; p = /,
    )
    assert.match(
      said(5.3e6),
      /^B takes (5\.9|6\.0)\d % more time \(95 %: [56]\.\d\d % to 6\.\d\d % more; p = /,
    )
    const [, near, far] = /95 %: ([\d.]+) % to ([\d.]+) % less/.exec(said(4.7e6))!
    assert.ok(Number(near) < Number(far))
  })

  test('a device that tells two loads of one network apart judges nothing', () => {
    const { verdict, reason } = compareLatency({
      a: figures(5e6, 0.002, 12, 1),
      b: figures(5.5e6, 0.002, 12, 2),
      control: figures(5.2e6, 0.002, 12, 3),
    })
    assert.equal(verdict, 'unproven')
    assert.match(reason, /loaded a second time differs by \+[34]\.\d+ %/)
  })

  test('a difference no larger than twice that of the control is not believed', () => {
    const { verdict, floor } = compareLatency({
      a: figures(5e6, 0.0002, 12, 1),
      b: figures(5.08e6, 0.0002, 12, 2),
      control: figures(5.045e6, 0.0002, 12, 3),
    })
    assert.ok(floor > 0.017 && floor < 0.019, String(floor))
    assert.equal(verdict, 'undecided')
  })

  test('a proved difference within the band is equal; one that may reach beyond it is undecided', () => {
    const a = figures(5e6, 0.0005, 12, 1)
    const control = figures(5e6, 0.0005, 12, 3)
    assert.equal(compareLatency({ a, b: figures(5.02e6, 0.0005, 12, 2), control }).verdict, 'equal')
    const near = compareLatency({ a, b: figures(5.044e6, 0.01, 12, 2), control })
    assert.equal(near.verdict, 'undecided', near.reason)
    assert.equal(compareLatency({ a, b: figures(4.8e6, 0.0005, 12, 2), control }).verdict, 'faster')
  })

  test('five blocks prove nothing, however far apart, and say how many it takes', () => {
    const { verdict, reason } = compareLatency({
      a: figures(5e6, 0.001, 5, 1),
      b: figures(9e6, 0.001, 5, 2),
      control: figures(5e6, 0.001, 5, 3),
    })
    assert.equal(verdict, 'undecided')
    assert.match(reason, /it takes 6\.$/)
  })

  test('percentiles come only where every block has the inferences for them', () => {
    const { p90, p99 } = figures(5e6, 0.01, 8, 1)
    assert.equal(p90!.length, 8)
    assert.equal(p99, null)
  })
})

test('every order of turns is as likely as any other, and each goes there and back', () => {
  const seen = new Map<string, number>()
  for (const order of turnOrders(['a', 'b', 'control'], 6_000, random(9))) {
    assert.deepEqual(order.slice(3), order.slice(0, 3).toReversed())
    const there = order.slice(0, 3).join(' ')
    seen.set(there, (seen.get(there) ?? 0) + 1)
  }
  assert.equal(seen.size, 6)
  for (const [order, count] of seen) assert.ok(Math.abs(count - 1_000) < 150, `${order}: ${count}`)
})
