import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { energyPerInference, type EnergyFigure, type EnergyOutcome } from '../../src/measure/energy.ts'
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
    assert.ok(Math.abs(figure.dynamicUj - 16_000) < 1e-6 * 16_000, `${figure.dynamicUj}`)
    assert.equal(figure.inferences, 1250)
    assert.ok(Math.abs(figure.sampleHz - 20) < 0.5)
  })

  const draws = 500
  const shapes: Record<
    string,
    (random: () => number) => { inferenceNs: number; idle: Waveform; busy: Waveform; drift?: number }
  > = {
    'square in step with inference': (random) => {
      const inferenceNs = 3e6 + random() * 40e6
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
        const periodNs = samplePeriodMs(20, [inferenceNs / 1e6]) * 1e6
        const noisy = (t: number) => wave(t) * (1 + noise * normal(random))
        const figure = figureOf(
          energyPerInference(
            inputOf(plan, sampled(noisy, 0, plan.endNs, { periodNs, jitterNs: 5e4 }, random)),
          ),
        )
        const injected = truth(plan, wave)
        total += Math.abs(figure.totalUj - injected.totalUj) <= figure.uncertaintyUj ? 1 : 0
        dynamic += Math.abs(figure.dynamicUj - injected.dynamicUj) <= figure.dynamicUncertaintyUj ? 1 : 0
        widest = Math.max(widest, figure.uncertaintyUj / figure.totalUj)
      }
      assert.ok(total / draws >= 0.95, `total ${total / draws}`)
      assert.ok(dynamic / draws >= 0.95, `dynamic ${dynamic / draws}`)
      assert.ok(widest < 0.25, `half width up to ${widest}`)
    })
})
