import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test, type TestContext } from 'node:test'
import { openPpk2, type Ppk2Options } from '../../../src/measure/meters/ppk2.ts'
import { silentProgress } from '../../../src/progress.ts'
import { noPort, simulate, type SimulatedPort } from './port.ts'
import type { Ppk2Settings } from './ppk2-simulator.ts'
import { currentAt, markerAt, stepSamples } from './waveform.ts'

const inSeries: Ppk2Options = { supplyVolts: null, volts: 5, boardMaxAmps: 0.6, edgePin: null }

describe('a PPK2 on a pseudo-terminal', { skip: noPort, timeout: 300_000, concurrency: 2 }, () => {
  test('five seconds at 100 kS/s over its five ranges: no sample lost, current within 0.5 %', async (t) => {
    const port = await plugged(t)
    const meter = await openPpk2(port.path, { ...inSeries, edgePin: 0 }, silentProgress())
    await meter.start()
    await streamed(port, 500_000)
    const series = await meter.stop()
    await meter.close()

    const { violations, remarks } = port.report()
    assert.deepEqual(violations, [])
    const samples = series.count.reduce((sum, each) => sum + each, 0)
    // on a loaded machine the very last may still be under way; one lost in between would show in the counter, and
    // in every millisecond after it
    assert.ok(
      samples <= remarks['sent']! && samples >= remarks['sent']! - 100_000,
      `${samples} of ${remarks['sent']}`,
    )
    assert.ok(samples >= 400_000, `${samples} samples`)
    assert.deepEqual([series.gaps, series.overloads, series.lost], [[], 0, null])

    // whole: charge times voltage
    const truth = sum(samples, (index) => currentAt(index)) * 5000
    const measured = series.powerMilliW.reduce((all, milliW, i) => all + milliW * series.count[i]!, 0)
    assert.ok(Math.abs(measured / truth - 1) < 0.005, `whole: ${measured / truth}`)
    // and millisecond by millisecond, apart from those where the kit changes range
    let compared = 0
    for (const [bin, milliW] of series.powerMilliW.entries()) {
      const from = bin * 100
      if (series.count[bin] !== 100 || from % stepSamples < 300) continue
      const expected = sum(100, (i) => currentAt(from + i)) * 50
      assert.ok(Math.abs(milliW / expected - 1) < 0.005, `bin ${bin}: ${milliW} mW, should be ${expected}`)
      compared++
    }
    assert.ok(compared > 3_500, `${compared} bins compared`)

    // edges: each where the pin changed, to the sample
    const changes = [...Array(samples).keys()].filter((i) => i > 0 && markerAt(i) !== markerAt(i - 1))
    assert.equal(series.edges.length, changes.length)
    for (const [i, edge] of series.edges.entries()) {
      const sincePrevious = i === 0 ? 0 : edge.atNs - series.edges[i - 1]!.atNs
      const expected = i === 0 ? 0 : (changes[i]! - changes[i - 1]!) * 10_000
      assert.equal(edge.rising, markerAt(changes[i]!))
      assert.ok(
        Math.abs(sincePrevious - expected) <= expected * 250e-6,
        `${sincePrevious} ns, not ${expected}`,
      )
    }
    assert.ok(series.clockBoundNs < 250e6, `clock within ${series.clockBoundNs} ns`)
    assert.ok(Math.abs(series.sampleHz / 100_000 - 1) < 250e-6)
  })

  test('as a source meter it is set to the voltage asked for, and its power is of that voltage', async (t) => {
    const port = await plugged(t, { mode: 1, constantAmps: 0.1 })
    const meter = await openPpk2(port.path, { ...inSeries, supplyVolts: 3.3, volts: null }, silentProgress())
    await meter.start()
    await streamed(port, 40_000)
    const series = await meter.stop()
    await meter.close()
    assert.deepEqual(port.report().violations, [])
    assert.equal(port.report().remarks['regulatorMilliV'], 3300)
    assert.equal(port.report().remarks['mode'], 2)
    const mean = series.powerMilliW.reduce((a, b) => a + b, 0) / series.powerMilliW.length
    assert.ok(Math.abs(mean / 330 - 1) < 0.005, `${mean} mW`)
    // typical accuracy of its top range: 15 % and 1 mA
    assert.ok(Math.abs(series.uncertaintyMilliW[50]! - (0.15 * 330 + 3.3)) < 1)
  })

  test('its supply is refused for a board that may draw over 1 A, and for one that is not known, before a byte is sent', async (t) => {
    const port = await plugged(t)
    for (const boardMaxAmps of [5, null])
      await assert.rejects(
        openPpk2(port.path, { ...inSeries, supplyVolts: 5, boardMaxAmps }, silentProgress()),
        { code: 'METER_REFUSED' },
      )
    for (const supplyVolts of [0.5, 12, Number.NaN])
      await assert.rejects(openPpk2(port.path, { ...inSeries, supplyVolts }, silentProgress()), {
        code: 'METER_REFUSED',
      })
    assert.deepEqual(port.report(), { violations: [], remarks: {} })
  })

  test('in series with a board that may draw over 1 A its limit is said; what goes over it is counted', async (t) => {
    const port = await plugged(t, { constantAmps: 1.3 })
    const progress = silentProgress()
    const meter = await openPpk2(port.path, { ...inSeries, boardMaxAmps: 5 }, progress)
    await meter.start()
    await streamed(port, 40_000)
    const series = await meter.stop()
    await meter.close()
    assert.ok(progress.warnings.some(({ code }) => code === 'METER_LIMIT'))
    assert.ok(series.overloads > 1_000, `${series.overloads}`)
  })

  test('in series it needs to be told the voltage', async (t) => {
    const port = await plugged(t)
    await assert.rejects(openPpk2(port.path, { ...inSeries, volts: null }, silentProgress()), {
      code: 'USAGE',
    })
  })

  test('samples that are lost on the way are noticed, counted, and do not shift what comes after', async (t) => {
    const losses = [
      [20_000, 7],
      [50_000, 3_000],
    ] as const
    const port = await plugged(t, { losses, flickers: [10_000, 10_500], invalidRangeAt: 15_000 })
    const meter = await openPpk2(port.path, { ...inSeries, edgePin: 0 }, silentProgress())
    await meter.start()
    await streamed(port, 160_000)
    const series = await meter.stop()
    await meter.close()
    const [first, second] = series.gaps
    assert.equal(series.gaps.length, 2)
    // whole cycles of the counter come from arrival times, which a loaded machine blurs: clocks.test.ts has those
    assert.equal(first!.samples % 64, 7)
    assert.equal(second!.samples % 64, 3_000 % 64)
    assert.ok(series.edges.some(({ rising }) => !rising))
  })

  test('unplugged in mid-run: what was measured is kept, and said', async (t) => {
    const port = await plugged(t)
    const meter = await openPpk2(port.path, inSeries, silentProgress())
    await meter.start()
    await streamed(port, 60_000)
    port.unplug()
    await sleep(300)
    const series = await meter.stop()
    await meter.close()
    assert.match(series.lost ?? '', /unplugged|closed|error/i)
    const samples = series.count.reduce((sum, each) => sum + each, 0)
    assert.ok(samples > 1_000, `${samples} samples`)
  })

  test('one that falls silent is lost too, not idle at its last value', async (t) => {
    const port = await plugged(t, { stream: 'silent-after', samples: 30_000 })
    const meter = await openPpk2(port.path, inSeries, silentProgress())
    await meter.start()
    await streamed(port, 30_000)
    await sleep(3_500)
    const series = await meter.stop()
    await meter.close()
    assert.match(series.lost ?? '', /sent nothing/)
    assert.equal(
      series.count.reduce((sum, each) => sum + each, 0),
      30_000,
    )
  })

  test('one that streams already, left so by a session that was cut off, is stopped first', async (t) => {
    const port = await plugged(t, { streaming: true })
    const meter = await openPpk2(port.path, inSeries, silentProgress())
    await meter.close()
    assert.deepEqual(port.report().violations, [])
  })

  for (const metadata of ['garbage', 'endless', 'out-of-range', 'silent'] as const)
    test(`a calibration that is ${metadata} is refused in a clean sentence, and the port is free again`, async (t) => {
      const port = await plugged(t, { metadata })
      for (let attempt = 0; attempt < 2; attempt++)
        await assert.rejects(
          openPpk2(port.path, inSeries, silentProgress()),
          (error: Error & { code: string }) => {
            assert.equal(error.code, 'METER_FAILED')
            assert.doesNotMatch(JSON.stringify(error), /\\u001b|\\u0000/)
            return true
          },
        )
    })

  test('a coefficient that is not a number stands for the usual one, and is said', async (t) => {
    const port = await plugged(t, { metadata: 'not-a-number' })
    const progress = silentProgress()
    await (await openPpk2(port.path, inSeries, progress)).close()
    const warning = progress.warnings.find(({ code }) => code === 'METER_UNCALIBRATED')
    assert.match(warning?.message ?? '', /GS2/)
  })

  for (const stream of ['zeros', 'random'] as const)
    test(`a stream of ${stream} is no measurement`, async (t) => {
      const port = await plugged(t, { stream })
      const meter = await openPpk2(port.path, inSeries, silentProgress())
      await meter.start().catch(() => {})
      await sleep(1_000)
      const series = await meter.stop()
      await meter.close()
      assert.match(series.lost ?? '', /not a stream of samples/)
    })

  test('one that never samples is refused; closed, it can be opened again at once', async (t) => {
    const port = await plugged(t, { stream: 'none' })
    for (let attempt = 0; attempt < 2; attempt++) {
      const meter = await openPpk2(port.path, inSeries, silentProgress())
      await assert.rejects(meter.start(), { code: 'METER_FAILED' })
      await meter.close()
    }
  })

  test('a second program is told that the port is held', async (t) => {
    const port = await plugged(t)
    const meter = await openPpk2(port.path, inSeries, silentProgress())
    t.after(() => meter.close())
    await assert.rejects(
      openPpk2(port.path, inSeries, silentProgress()),
      (error: Error & { hint: string }) => {
        assert.match(error.hint, /Another program/)
        return true
      },
    )
  })

  test('a port that is not there is said to be so', async () => {
    await assert.rejects(openPpk2('/dev/no-such-meter', inSeries, silentProgress()), { code: 'METER_FAILED' })
  })
})

/** Waits until so much was sampled and is on its way to us, however slow this machine is now. */
async function streamed(port: SimulatedPort, samples: number): Promise<void> {
  for (let i = 0; i < 3000; i++) {
    const { sent = 0, backlog = 0 } = port.report().remarks
    if (sent >= samples && backlog < 100_000) return
    await sleep(20)
  }
  throw new Error(`the simulator did not send ${samples} samples in a minute`)
}

async function plugged(t: TestContext, settings: Ppk2Settings = {}): Promise<SimulatedPort> {
  const port = await simulate('ppk2-simulator.ts', settings)
  t.after(() => port.close())
  return port
}

function sum(count: number, of: (index: number) => number): number {
  let total = 0
  for (let i = 0; i < count; i++) total += of(i)
  return total
}
