import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MeterSample } from '../../../src/measure/collect.ts'
import { encodePlan } from '../../../src/measure/encode-plan.ts'
import { energyPlan, energyWindows, meterPeriodMs } from '../../../src/measure/energy-plan.ts'
import { collect } from '../../../src/measure/collect.ts'
import { expandedBounds, railAccuracy } from '../../../src/measure/power/accuracy.ts'
import { studentT975 } from '../../../src/measure/power/mean-power.ts'
import { largestGap, phasesIn, samplePeriodMs } from '../../../src/measure/power/period.ts'
import type { Rail } from '../../../src/measure/power/rail.ts'
import { leastPeriodMs, metersOf, powerSeries } from '../../../src/measure/power/series.ts'
import type { PowerSource } from '../../../src/measure/power/source.ts'
import type { RunnerEvent } from '../../../src/measure/plan.ts'
import { rail } from './waveform.ts'

const rails = (count: number): Rail[] =>
  Array.from({ length: count }, (_, i) => ({
    ...rail('ina3221'),
    id: `ina3221@1-004${Math.floor(i / 3)}:${(i % 3) + 1}`,
    milliV: { path: `/sys/v${i}`, unit: 1, live: 5000 },
    milliA: { path: `/sys/a${i}`, unit: 1, live: 100 },
  }))

const sourceOf = (of: Rail[]): PowerSource => ({
  kind: 'rails',
  scope: 'rail-sum',
  rails: of,
  name: 'sum',
  covers: 'Some.',
  limitMilliW: null,
})

const sample = (
  name: string,
  atNs: number,
  values: (number | null)[],
  text: string | null = null,
): MeterSample => ({
  ...{ step: 0, name, atNs, spentNs: 2e6, values, text },
})

describe('samples of a source', () => {
  test('six rails of two chips need two meters, whose samples are joined in time', () => {
    const source = sourceOf(rails(6))
    const meters = metersOf(source, 20)
    assert.deepEqual(
      meters.map(({ name, paths }) => [name, paths.length]),
      [
        ['rails-1', 8],
        ['rails-2', 4],
      ],
    )
    // 100 mA on each of the first four; the others rise from 100 to 300 mA between two samples
    const first = [0, 1, 2].map((i) =>
      sample('rails-1', i * 1e7, [5000, 100, 5000, 100, 5000, 100, 5000, 100]),
    )
    const second = [0, 1, 2].map((i) =>
      sample('rails-2', i * 1e7 + 5e6, [5000, 100 + 100 * i, 5000, 100 + 100 * i]),
    )
    const { milliW, tNs, accuracy } = powerSeries([...first, ...second], source)
    assert.deepEqual([...tNs], [1e6, 11e6, 21e6])
    assert.deepEqual([...milliW], [2000 + 1000, 2000 + 1500, 2000 + 2500])
    // 4 mA at 5 V, six times
    assert.ok(Math.abs(accuracy.stepMilliW - 6 * 20) < 1e-9)
  })

  test('a reading that failed is no power of zero', () => {
    const { milliW, voltless } = powerSeries(
      [
        sample('rails-1', 0, [5000, 100]),
        sample('rails-1', 1e7, [null, 100]),
        sample('rails-1', 2e7, [0, 100]),
      ],
      sourceOf(rails(1)),
    )
    assert.deepEqual([...milliW], [500, Number.NaN, 0])
    assert.equal(voltless, 1)
  })

  test('no sensor is read more often than it updates, and the PMIC five times a second', () => {
    const slow = { ...rail('ina226'), cycleMs: 140 }
    assert.equal(metersOf(sourceOf([slow]), 50)[0]!.periodMs, 140)
    const [pmic] = metersOf(
      {
        kind: 'pmic',
        scope: 'pmic-rails',
        command: '/usr/bin/vcgencmd',
        name: 'PMIC rails',
        covers: '',
        limitMilliW: null,
      },
      50,
    )
    assert.deepEqual([pmic!.command, pmic!.periodMs], [['/usr/bin/vcgencmd', 'pmic_read_adc'], 200])
  })
})

describe('what a sensor may be wrong by', () => {
  test('an INA3221 on 5 mΩ at 5 V: 80 mW of offset, steps of 40 mW', () => {
    const { offsetMilliW, stepMilliW, fullScaleMilliW, basis } = railAccuracy(rail('ina3221', 5_000), 5000)
    assert.ok(Math.abs(offsetMilliW - 80) < 1e-9)
    assert.ok(Math.abs(stepMilliW - 40) < 1e-9)
    assert.equal(fullScaleMilliW, 163_840)
    assert.equal(basis, 'datasheet')
  })

  test('an INA226 on 10 mΩ at 5 V: 5 mW of offset; the driver’s whole milliamperes are coarser than its register', () => {
    const { offsetMilliW, stepMilliW } = railAccuracy(rail('ina226'), 5000)
    assert.ok(Math.abs(offsetMilliW - 5) < 1e-9)
    assert.equal(stepMilliW, 5)
  })

  test('bounds widen by their standard deviations, as the GUM has it', () => {
    assert.ok(Math.abs(expandedBounds([3, 4]) - (2 * 5) / Math.sqrt(3)) < 1e-12)
  })

  test('Student’s 97.5 % points are those of the tables', () => {
    for (const [df, tabled] of [
      [3, 3.182],
      [5, 2.571],
      [10, 2.228],
      [20, 2.086],
      [28, 2.048],
    ] as const)
      assert.ok(Math.abs(studentT975(df) / tabled - 1) < 0.01, `${df}: ${studentT975(df)}`)
  })
})

describe('the sampling period', () => {
  const phases = (ratio: number) => Float64Array.from({ length: 200 }, (_, i) => (i * ratio) % 1)

  test('keeps out of step with any time of inference, and with two at once', () => {
    for (const cycles of [[25], [50], [10, 12.5], [16.6667], [3], [120], [50.01, 7.3]]) {
      const period = samplePeriodMs(50, cycles)
      assert.ok(period >= 40 && period <= 62.5, `${period} ms`)
      for (const cycle of cycles)
        assert.ok(
          largestGap(phases(period / cycle)) < 0.06,
          `${period} ms and ${cycle} ms: ${largestGap(phases(period / cycle))}`,
        )
    }
    assert.ok(largestGap(phases(50 / 25)) === 1)
  })

  test('keeps out of step also where the sensor is slower than was asked for', () => {
    const pmic: PowerSource = {
      kind: 'pmic',
      scope: 'pmic-rails',
      command: '/usr/bin/vcgencmd',
      name: 'PMIC rails',
      covers: '',
      limitMilliW: null,
    }
    // five inferences a second and the PMIC's five readings a second: always the same part of each
    for (const [source, rateHz] of [
      [pmic, 5],
      [pmic, 10],
      [sourceOf([{ ...rail('ina226'), cycleMs: 140 }]), 1000 / 140],
    ] as const) {
      const [meter] = metersOf(source, meterPeriodMs(20, [3e6], rateHz, leastPeriodMs(source)))
      const gap = largestGap(phases((meter!.periodMs * rateHz) / 1000))
      assert.ok(gap < 0.06, `${meter!.periodMs} ms at ${rateHz} Hz: ${gap}`)
      assert.ok(meter!.periodMs >= leastPeriodMs(source))
    }
  })

  test('phases are where in its inference a time falls', () => {
    const starts = Float64Array.of(0, 10, 30)
    assert.deepEqual([...phasesIn(starts, Float64Array.of(-1, 5, 15, 29, 31))], [0.5, 0.25, 0.95])
  })
})

describe('the energy phase', () => {
  const artifact = (id: string) => ({
    ...{ id, backend: 'onnxruntime' as const, library: '/l', model: '/m', threads: 1 },
    ...{ affinity: [], profile: false, inputs: [], seed: 0 },
  })

  test('idle, there and back, idle; meters only where it is measured; slow sensors make it longer', () => {
    const plan = energyPlan({
      artifacts: [artifact('float-t1'), artifact('int8-t1')],
      rateHz: 0,
      durations: { loadSeconds: 5, idleSeconds: 5 },
      meters: [{ name: 'rails-1', paths: ['/sys/v', '/sys/a'], periodMs: 200 }],
      sensors: [],
    })
    assert.doesNotThrow(() => encodePlan(plan))
    const told = plan.steps.map(
      (step) => `${step.do}${'artifact' in step ? ` ${step.artifact}` : ''}${step.meters ? ' metered' : ''}`,
    )
    assert.deepEqual(told, [
      ...['idle', 'idle metered'],
      ...['warmup float-t1', 'measure float-t1 metered', 'warmup int8-t1', 'measure int8-t1 metered'],
      ...['warmup int8-t1', 'measure int8-t1 metered', 'warmup float-t1', 'measure float-t1 metered'],
      ...['idle', 'idle metered'],
    ])
    for (const step of plan.steps)
      if (step.meters)
        assert.equal(step.do === 'idle' ? step.seconds : 'minSeconds' in step && step.minSeconds, 5)
  })

  test('windows are those of the metered steps; a run that ended early has none', () => {
    let seq = 0
    const events: RunnerEvent[] = []
    const step = (index: number, what: 'idle' | 'measure', t: number, elapsedNs: number) => {
      events.push({ seq: seq++, t, type: 'step', index, do: what })
      if (what === 'measure')
        events.push({
          seq: seq++,
          t,
          type: 'latency',
          step: index,
          artifact: 'int8-t1',
          at: t,
          ns: [10, 20, 30],
        })
      events.push({ seq: seq++, t: t + elapsedNs, type: 'done', step: index, count: 3, elapsedNs })
    }
    step(0, 'idle', 0, 10)
    step(1, 'idle', 10, 100)
    step(3, 'measure', 200, 80)
    step(5, 'measure', 300, 60)
    assert.equal(energyWindows(collect(events), 'int8-t1', 0), null)
    step(6, 'idle', 400, 10)
    step(7, 'idle', 410, 100)
    const windows = energyWindows(collect(events), 'int8-t1', 0)!
    assert.deepEqual(windows.idle, { before: { fromNs: 10, toNs: 110 }, after: { fromNs: 410, toNs: 510 } })
    assert.deepEqual(
      windows.load.map(({ fromNs, toNs, inferences }) => [fromNs, toNs, inferences]),
      [
        [200, 280, 3],
        [300, 360, 3],
      ],
    )
    assert.equal(windows.duty, 120 / 140)
    assert.equal(energyWindows(collect(events), 'float-t1', 0), null)
  })
})
