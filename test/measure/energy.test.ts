import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  energyPerInference,
  type EnergyFigure,
  type EnergyOutcome,
  externalSeries,
} from '../../src/measure/energy.ts'
import { samplePeriodMs } from '../../src/measure/power/period.ts'
import {
  energyOf,
  inputOf,
  loaded,
  normal,
  phases,
  rail,
  sampled,
  second,
  seeded,
  type Waveform,
} from './power/waveform.ts'

function figureOf(outcome: EnergyOutcome): EnergyFigure {
  assert.equal(outcome.state, 'measured', outcome.state === 'none' ? outcome.reason : '')
  return (outcome as Extract<EnergyOutcome, { state: 'measured' }>).figure
}

function refusalOf(outcome: EnergyOutcome): { code: string; reason: string } {
  assert.equal(outcome.state, 'none', JSON.stringify(outcome))
  return outcome as Extract<EnergyOutcome, { state: 'none' }>
}

const constant =
  (milliW: number): Waveform =>
  () =>
    milliW

/** What was injected, per inference. */
function truth(plan: ReturnType<typeof phases>, wave: Waveform): { totalUj: number; dynamicUj: number } {
  const inferences = plan.load.reduce((sum, { inferences }) => sum + inferences, 0)
  const of = (windows: readonly { fromNs: number; toNs: number }[]) =>
    windows.reduce((sum, { fromNs, toNs }) => sum + energyOf(wave, fromNs, toNs), 0)
  const loadNs = plan.load.reduce((sum, { fromNs, toNs }) => sum + toNs - fromNs, 0)
  const idleNs =
    plan.idle.before.toNs - plan.idle.before.fromNs + plan.idle.after.toNs - plan.idle.after.fromNs
  const idle = of([plan.idle.before, plan.idle.after]) / idleNs
  const total = of(plan.load)
  return { totalUj: (total * 1e-6) / inferences, dynamicUj: ((total - idle * loadNs) * 1e-6) / inferences }
}

describe('energy per inference of a known waveform', () => {
  test('idle 1 W, 3 W during inference', () => {
    const plan = phases(8e6)
    const wave = loaded(plan, constant(1000), constant(3000))
    const figure = figureOf(
      energyPerInference(inputOf(plan, sampled(wave, 0, plan.endNs, { periodNs: 5e7 }, seeded(1)))),
    )
    assert.ok(Math.abs(figure.totalUj - 24_000) < 1e-6 * 24_000, `${figure.totalUj}`)
    assert.ok(Math.abs(figure.dynamic!.uj - 16_000) < 1e-6 * 16_000, `${figure.dynamic!.uj}`)
    assert.equal(figure.inferences, 1250)
    assert.ok(Math.abs(figure.sampleHz - 20) < 0.5)
  })

  const draws = 500
  const periods = new Map<number, number>()
  const periodFor = (inferenceNs: number): number => {
    const known = periods.get(inferenceNs) ?? samplePeriodMs(20, [inferenceNs / 1e6]) * 1e6
    periods.set(inferenceNs, known)
    return known
  }
  const shapes: Record<
    string,
    (random: () => number) => { inferenceNs: number; idle: Waveform; busy: Waveform; drift?: number }
  > = {
    'square in step with inference': (random) => {
      const inferenceNs = 3e6 + Math.floor(random() * 40) * 1.037e6
      const share = 0.1 + 0.8 * random()
      return { inferenceNs, idle: constant(1000), busy: (t) => ((t / inferenceNs) % 1 < share ? 4500 : 1500) }
    },
    'square of its own rhythm': (random) => {
      const period = 2e6 + random() * 300e6
      const offset = random() * period
      return {
        inferenceNs: 7.3e6,
        idle: constant(1000),
        busy: (t) => (((t + offset) / period) % 1 < 0.3 ? 5000 : 2500),
      }
    },
    sine: (random) => {
      const period = 5e6 + random() * 2e9
      return {
        inferenceNs: 11e6,
        idle: constant(1000),
        busy: (t) => 2500 + 1000 * Math.sin((2 * Math.PI * t) / period),
      }
    },
    'spikes shorter than the sampling period': (random) => {
      const every = 30e6 + random() * 200e6
      const long = 0.3e6 + random() * 2e6
      return { inferenceNs: 9.1e6, idle: constant(1000), busy: (t) => (t % every < long ? 8000 : 3000) }
    },
    'rare spikes that most runs never meet': (random) => {
      const offset = random() * 1.7e9
      return {
        inferenceNs: 9.1e6,
        idle: constant(1000),
        busy: (t) => ((t + offset) % 1.7e9 < 4e6 ? 8500 : 3000),
      }
    },
    'idle that drifts': (random) => {
      const perSecond = (random() - 0.5) * 60
      return {
        inferenceNs: 5e6,
        idle: (t) => 1500 + (perSecond * t) / second,
        busy: (t) => 3500 + (perSecond * t) / second,
      }
    },
  }
  for (const [name, shape] of Object.entries(shapes))
    test(`the stated 95 % hold: ${name}`, () => {
      const random = seeded(20261123)
      let total = 0
      let dynamic = 0
      let widest = 0
      for (let i = 0; i < draws; i++) {
        const { inferenceNs, idle, busy } = shape(random)
        const plan = phases(inferenceNs, 3 * second, 2 * second)
        const noise = random() * 0.01
        const wave = loaded(plan, idle, busy)
        const periodNs = periodFor(inferenceNs)
        const noisy = (t: number) => wave(t) * (1 + noise * normal(random))
        const figure = figureOf(
          energyPerInference(
            inputOf(plan, sampled(noisy, 0, plan.endNs, { periodNs, jitterNs: 5e4 }, random)),
          ),
        )
        const injected = truth(plan, wave)
        total += Math.abs(figure.totalUj - injected.totalUj) <= figure.uncertaintyUj ? 1 : 0
        dynamic += Math.abs(figure.dynamic!.uj - injected.dynamicUj) <= figure.dynamic!.uncertaintyUj ? 1 : 0
        widest = Math.max(widest, figure.uncertaintyUj / figure.totalUj)
      }
      assert.ok(total / draws >= 0.95, `total ${total / draws}`)
      assert.ok(dynamic / draws >= 0.95, `dynamic ${dynamic / draws}`)
      assert.ok(widest < 0.25, `half width up to ${widest}`)
    })

  test('the stated 95 % hold: registers of an INA3221 with a gain and an offset inside its datasheet', () => {
    const random = seeded(31)
    let held = 0
    for (let i = 0; i < draws; i++) {
      const plan = phases(6e6, 3 * second, 2 * second)
      const wave = loaded(plan, constant(900 + 400 * random()), constant(2000 + 3000 * random()))
      const within = (bound: number) => (2 * random() - 1) * bound
      // shunt and gains within their bounds, 80 µV over 10 mΩ at 5 V
      const sensor = {
        rail: rail('ina3221'),
        gain: 1 + within(0.01) + within(0.0025) + within(0.0025),
        offsetMilliW: within(40),
      }
      const series = sampled(wave, 0, plan.endNs, { periodNs: 17.3e6, sensor }, random)
      const figure = figureOf(energyPerInference(inputOf(plan, series)))
      const injected = truth(plan, wave)
      held += Math.abs(figure.totalUj - injected.totalUj) <= figure.uncertaintyUj ? 0.5 : 0
      held += Math.abs(figure.dynamic!.uj - injected.dynamicUj) <= figure.dynamic!.uncertaintyUj ? 0.5 : 0
    }
    assert.ok(held / draws >= 0.95, `${held / draws}`)
  })

  test('idle that differs before and after makes the energy above idle that much less certain, not the total', () => {
    const plan = phases(8e6)
    const middle = plan.load[0]!.fromNs
    const shifted = (after: number) => loaded(plan, (t) => (t < middle ? 1000 : after), constant(3000))
    const [same, other] = [1000, 1400].map((after) =>
      figureOf(
        energyPerInference(
          inputOf(plan, sampled(shifted(after), 0, plan.endNs, { periodNs: 4.7e7 }, seeded(2))),
        ),
      ),
    ) as [EnergyFigure, EnergyFigure]
    assert.equal(other.totalUj, same.totalUj)
    assert.ok(other.uncertaintyUj / same.uncertaintyUj < 1.01)
    assert.ok(Math.abs(other.dynamic!.uj - 1.8 * 8000) < 1)
    assert.ok(other.dynamic!.uncertaintyUj - same.dynamic!.uncertaintyUj >= 200 * 8 * 0.99)
  })

  test('at a fixed rate the idle between inferences is in the total and not in what is above idle', () => {
    const plan = phases(100e6)
    const wave = loaded(plan, constant(1000), (t) =>
      (t - plan.load[0]!.fromNs) % 100e6 < 20e6 ? 3000 : 1000,
    )
    const periodNs = samplePeriodMs(20, [20, 100]) * 1e6
    const figure = figureOf(
      energyPerInference(inputOf(plan, sampled(wave, 0, plan.endNs, { periodNs }, seeded(3)), { duty: 0.2 })),
    )
    const injected = truth(plan, wave)
    assert.ok(
      Math.abs(figure.totalUj / injected.totalUj - 1) < 0.02,
      `${figure.totalUj} of ${injected.totalUj}`,
    )
    assert.ok(
      Math.abs(figure.dynamic!.uj / injected.dynamicUj - 1) < 0.05,
      `${figure.dynamic!.uj} of ${injected.dynamicUj}`,
    )
  })

  test('a meter beside the board that integrates without gaps leaves nothing unseen', () => {
    const plan = phases(9.1e6)
    const wave = loaded(plan, constant(1000), (t) => (t % 97e6 < 1e6 ? 9000 : 3000))
    const offset = 5e12
    const spanNs = 1e6
    const atNs = Float64Array.from({ length: Math.floor(plan.endNs / spanNs) }, (_, i) => (i + 0.5) * spanNs)
    const meter = {
      source: 'PPK2',
      atNs: atNs.map((t) => t - offset),
      spanNs,
      powerMilliW: atNs.map((t) => energyOf(wave, t - spanNs / 2, t + spanNs / 2) / spanNs),
      uncertaintyMilliW: atNs.map((t) => 0.005 * wave(t)),
      clockBoundNs: 2e6,
      gaps: [],
      overloads: 0,
      lost: null,
    }
    const figure = figureOf(
      energyPerInference(
        inputOf(plan, externalSeries(meter, offset), { sync: { kind: 'offset', boundNs: 3e6 } }),
      ),
    )
    assert.equal(figure.parts.unseenUj, 0)
    const injected = truth(plan, wave)
    assert.ok(
      Math.abs(figure.totalUj / injected.totalUj - 1) < 0.002,
      `${figure.totalUj} of ${injected.totalUj}`,
    )
    assert.ok(Math.abs(figure.totalUj - injected.totalUj) < figure.uncertaintyUj)
  })
})

describe('no figure, and why', () => {
  const plan = phases(8e6)
  const good = loaded(plan, constant(1000), constant(3000))
  const noise =
    (wave: Waveform, random = seeded(9)): Waveform =>
    (t) =>
      Math.round(wave(t) + 30 * (random() - 0.5))
  const series = (wave: Waveform, periodNs = 5e7) => sampled(wave, 0, plan.endNs, { periodNs }, seeded(4))

  test('a sensor that shows the same whatever happens is stuck', () => {
    const { code, reason } = refusalOf(energyPerInference(inputOf(plan, series(constant(2000)))))
    assert.equal(code, 'stuck')
    assert.match(reason, /All \d+ readings are the same/)
  })

  test('a sensor that stops in the middle of the load is stuck', () => {
    const live = noise(good)
    const at = plan.load[0]!.fromNs + 1.5 * second
    const { code } = refusalOf(
      energyPerInference(
        inputOf(
          plan,
          series((t) => (t > at && t < plan.load[0]!.toNs ? 2990 : live(t))),
        ),
      ),
    )
    assert.equal(code, 'stuck')
  })

  test('a sensor that moves but does not see the load is flat', () => {
    const { code, reason } = refusalOf(energyPerInference(inputOf(plan, series(noise(constant(2000))))))
    assert.equal(code, 'flat')
    assert.match(reason, /2\.00 W under load and 2\.00 W idle/)
  })

  test('a load too small to show, a few inferences a second, is not called flat', () => {
    const outcome = energyPerInference(inputOf(plan, series(noise(constant(2000))), { duty: 0.01 }))
    const figure = figureOf(outcome)
    assert.ok(Math.abs(figure.dynamic!.uj) < figure.dynamic!.uncertaintyUj)
  })

  const live = noise(good)
  for (const [what, wave, pattern] of [
    ['negative power', (t: number) => -live(t), /not negative/],
    ['a thousand times too much', (t: number) => 1000 * live(t), /its unit or its shunt/],
    ['a thousand times too little', (t: number) => live(t) / 1000, /too little for a computer/],
    ['less under load than idle', (t: number) => 4000 - live(t), /less under load/],
  ] as const)
    test(`${what} is not plausible`, () => {
      const { code, reason } = refusalOf(energyPerInference(inputOf(plan, series(wave))))
      assert.equal(code, 'implausible')
      assert.match(reason, pattern)
    })

  test('more than the board’s supply can give is not plausible', () => {
    const { code, reason } = refusalOf(
      energyPerInference(inputOf(plan, series(noise((t) => 10 * good(t))), { limitMilliW: 15_000 })),
    )
    assert.equal(code, 'implausible')
    assert.match(reason, /30\.00 W, but no more than 15\.00 W/)
  })

  test('a current at no voltage is not plausible', () => {
    const live = series(noise(good))
    const { code, reason } = refusalOf(
      energyPerInference(inputOf(plan, { ...live, voltless: live.tNs.length })),
    )
    assert.equal(code, 'implausible')
    assert.match(reason, /0 V/)
  })

  test('readings that fail', () => {
    const live = series(noise(good))
    const milliW = live.milliW.map((value, i) => (i % 10 === 0 ? NaN : value))
    const { code, reason } = refusalOf(energyPerInference(inputOf(plan, { ...live, milliW })))
    assert.equal(code, 'unreadable')
    assert.match(reason, /\d+ of \d+ readings/)
  })

  test('too few samples', () => {
    const { code, reason } = refusalOf(energyPerInference(inputOf(plan, series(noise(good), 5e8))))
    assert.equal(code, 'too-few-samples')
    assert.match(reason, /30 of each/)
  })

  test('a window too short for what the clocks leave open', () => {
    const short = phases(8e6, 2 * second, 4 * second)
    const { code } = refusalOf(
      energyPerInference(
        inputOf(
          short,
          sampled(
            noise(loaded(short, constant(1000), constant(3000))),
            0,
            short.endNs,
            { periodNs: 2e7 },
            seeded(6),
          ),
          {
            sync: { kind: 'offset', boundNs: 0.6 * second },
          },
        ),
      ),
    )
    assert.equal(code, 'window-too-short')
  })

  test('samples that end before the load does', () => {
    const live = sampled(noise(good), 0, plan.load[0]!.fromNs + second, { periodNs: 5e7 }, seeded(7))
    assert.equal(refusalOf(energyPerInference(inputOf(plan, live))).code, 'cut-short')
    assert.equal(
      refusalOf(energyPerInference(inputOf(plan, sampled(good, 0, 0, { periodNs: 5e7 }, seeded(7))))).code,
      'no-samples',
    )
  })

  test('a meter that is lost in the second half keeps the first, and says so', () => {
    const until = plan.load[1]!.fromNs + second
    const live = sampled(noise(good), 0, until, { periodNs: 5e7 }, seeded(7))
    const outcome = energyPerInference(inputOf(plan, live))
    const figure = figureOf(outcome)
    assert.equal(figure.inferences, plan.load[0]!.inferences)
    assert.ok(Math.abs(figure.totalUj / 24_000 - 1) < 0.01, `${figure.totalUj}`)
    assert.equal(figure.dynamic, null)
    assert.deepEqual(outcome.state === 'measured' && outcome.notes.length, 2)
  })

  test('samples that keep step with inference: the part that they never meet is no guess', () => {
    const inferenceNs = 25e6
    const beat = phases(inferenceNs)
    const first = beat.load[0]!.fromNs
    const wave = loaded(beat, constant(1000), (t) => ((t - first) % inferenceNs < 5e6 ? 6000 : 2000))
    const inStep = sampled(wave, 0, beat.endNs, { periodNs: 2 * inferenceNs, jitterNs: 1e5 }, seeded(8))
    const { code, reason } = refusalOf(energyPerInference(inputOf(beat, inStep)))
    assert.equal(code, 'in-step')
    assert.match(reason, /--sample-rate/)
    const periodNs = samplePeriodMs(50, [inferenceNs / 1e6]) * 1e6
    const spread = figureOf(
      energyPerInference(inputOf(beat, sampled(wave, 0, beat.endNs, { periodNs }, seeded(8)))),
    )
    assert.ok(Math.abs(spread.totalUj - truth(beat, wave).totalUj) < spread.uncertaintyUj)
  })
})
