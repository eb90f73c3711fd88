import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSchedule } from '../../src/train/schedules.ts'

/** Factors of all steps. */
function factors(written: string, totalSteps: number): number[] {
  const schedule = parseSchedule(written)
  return Array.from({ length: totalSteps }, (_, step) =>
    schedule({ step, totalSteps, epoch: Math.floor(step / 2), stepsPerEpoch: 2 }),
  )
}

function near(found: readonly number[], expected: readonly number[]): void {
  assert.equal(found.length, expected.length)
  found.forEach((factor, step) => {
    assert.ok(Math.abs(factor - expected[step]!) < 1e-12, `step ${step}: ${factor}, not ${expected[step]}`)
  })
}

const root = Math.SQRT1_2

test('each kind gives the factors that its formula gives by hand', () => {
  near(factors('constant', 3), [1, 1, 1])
  near(factors('linear', 4), [1, 0.75, 0.5, 0.25])
  near(factors('linear,end=0.2', 4), [1, 0.8, 0.6, 0.4])
  near(factors('cosine', 4), [1, (1 + root) / 2, 0.5, (1 - root) / 2])
  near(factors('cosine, end=0.1', 4), [1, 0.1 + 0.45 * (1 + root), 0.55, 0.1 + 0.45 * (1 - root)])
  near(factors('step', 8), [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
  near(factors('step,at=0.25,factor=0.5', 4), [1, 0.5, 0.5, 0.5])
  near(factors('step,at=0.6,at=0.2,at=0.4,factor=0.5', 5), [1, 0.5, 0.25, 0.125, 0.125])
  near(factors('exponential,end=0.0625', 4), [1, 0.5, 0.25, 0.125])
  near(factors('exponential', 2), [1, 0.1])
})

test('one cycle begins low, is highest where its rise ends, and ends lower', () => {
  near(factors('one-cycle,rise=0.5,start=0.2,end=0.1', 8), [
    ...[0.2, 0.2 + 0.4 * (1 - root), 0.6, 0.2 + 0.4 * (1 + root)],
    ...[1, 0.1 + 0.45 * (1 + root), 0.55, 0.1 + 0.45 * (1 - root)],
  ])
  const usual = factors('one-cycle', 1000)
  assert.equal(usual[0], 0.04)
  assert.equal(usual[300], 1)
  assert.equal(Math.max(...usual), 1)
  assert.ok(usual[999]! > 4e-6 && usual[999]! < 1e-5)
})

test('a warm-up rises linearly to the full rate, and the kind has the steps after it', () => {
  near(factors('constant,warmup=0.5', 6), [0.25, 0.5, 0.75, 1, 1, 1])
  near(factors('linear,warmup=0.2', 5), [0.5, 1, 0.75, 0.5, 0.25])
  near(factors('cosine,warmup=0.5,end=0.5', 4), [1 / 3, 2 / 3, 1, 0.75])
  near(factors('cosine,warmup=0.05', 4), factors('cosine', 4))
})

test('every step of every kind changes something, however short the training', () => {
  for (const kind of ['constant', 'linear', 'cosine', 'step', 'exponential', 'one-cycle'])
    for (const more of kind === 'one-cycle' ? [''] : ['', ',warmup=0.05', ',warmup=0.9'])
      for (const total of [1, 2, 3, 7, 100]) {
        const all = factors(kind + more, total)
        assert.ok(
          all.every((factor) => factor > 0 && factor <= 1),
          `${kind}${more}: ${all}`,
        )
      }
})

test('what is not a schedule is refused by name, with what there is', () => {
  for (const written of [
    ...[
      '',
      'warm',
      'toString',
      '__proto__',
      'cosine,',
      'cosine;warmup=0.1',
      'cosine,warmup',
      'cosine,warmup=',
    ],
    ...[
      'cosine,warmup=1',
      'cosine,warmup=-0.1',
      'cosine,warmup=0.1,warmup=0.2',
      'cosine,end=1.5',
      'cosine,end=NaN',
    ],
    ...[
      'cosine,constructor=0.1',
      'step,at=0',
      'step,at=1',
      'step,factor=0',
      'exponential,end=0',
      'constant,end=0.1',
    ],
    ...['one-cycle,warmup=0.1', 'one-cycle,rise=0', 'one-cycle,rise=1', 'linear,end=1e400', 'linear,end=0x1'],
  ])
    assert.throws(
      () => parseSchedule(written),
      (error: { code?: string; message?: string; hint?: string }) =>
        error.code === 'CONFIG_INVALID' &&
        error.message!.includes(JSON.stringify(written)) &&
        error.hint!.includes('one-cycle'),
      written,
    )
})
