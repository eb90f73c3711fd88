import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test, type TestContext } from 'node:test'
import { crc16Modbus, openTc66 } from '../../../src/measure/meters/rdtech-tc.ts'
import { openUm } from '../../../src/measure/meters/rdtech-um.ts'
import { silentProgress } from '../../../src/progress.ts'
import { noPort, simulate, type SimulatedPort } from './port.ts'
import type { RdtechSettings } from './rdtech-simulator.ts'

test('CRC-16/MODBUS gives the check value of its catalogue', () => {
  assert.equal(crc16Modbus(Buffer.from('123456789')), 0x4b37)
})

describe('meters that answer when asked, on a pseudo-terminal', {
  skip: noPort,
  timeout: 120_000,
  concurrency: 6,
}, () => {
  for (const [kind, volts, amps, toleranceMilliW] of [
    ['UM24C', 5.13, 0.734, 0.001],
    ['UM25C', 5.131, 0.7342, 0.001],
    ['UM34C', 5.13, 0.734, 0.001],
    ['TC66C', 5.1307, 0.73421, 0.001],
  ] as const)
    test(`${kind}: power is voltage times current, to its last digit`, async (t) => {
      const { port, meter } = await opened(t, { kind, volts, amps: [amps, amps, amps, 2 * amps] })
      await meter.start()
      await sleep(1_700)
      const series = await meter.stop()
      await meter.close()
      assert.deepEqual(port.report().violations, [])
      assert.equal(series.source, kind)
      assert.ok(series.atNs.length >= 3, `${series.atNs.length} readings`)
      // the answer to the opening took the first
      assert.ok(
        Math.abs(series.powerMilliW[0]! - volts * amps * 1000) < toleranceMilliW,
        `${series.powerMilliW[0]}`,
      )
      assert.ok(Math.abs(series.powerMilliW[2]! - volts * 2 * amps * 1000) < toleranceMilliW)
      assert.ok([...series.atNs].every((at, i) => i === 0 || at > series.atNs[i - 1]!))
      assert.ok(series.uncertaintyMilliW[0]! > 0.0009 * series.powerMilliW[0]!)
      // a reading may be half a second old: the clock bound says so
      assert.ok(series.clockBoundNs >= 250e6 && series.clockBoundNs < 600e6, `${series.clockBoundNs}`)
      assert.deepEqual([series.lost, series.overloads], [null, 0])
    })

  for (const kind of ['UM25C', 'UM34C', 'TC66C'] as const) {
    for (const fault of [
      'truncated',
      'checksum',
      'zeros',
      'silent',
      'endless',
      'wrong-model',
      'garbage',
    ] as const)
      test(`${kind}: an answer that is ${fault} is refused in a clean sentence, and the port is free again`, async (t) => {
        const port = await plugged(t, { kind, volts: 5, amps: [1], fault })
        for (let attempt = 0; attempt < 2; attempt++)
          await assert.rejects(open(kind, port.path), (error: Error & { code: string }) => {
            assert.equal(error.code, 'METER_FAILED')
            assert.doesNotMatch(JSON.stringify(error), /\\u001b|\\u0007/)
            return true
          })
        assert.deepEqual(port.report().violations, [])
      })

    test(`${kind}: one damaged answer is left out, the next is read whole`, async (t) => {
      const { port, meter } = await opened(t, {
        kind,
        volts: 5,
        amps: [1],
        fault: 'truncated',
        faultFrom: 2,
        faults: 1,
      })
      await meter.start()
      await sleep(2_600)
      const series = await meter.stop()
      await meter.close()
      assert.equal(series.lost, null)
      assert.ok(series.atNs.length >= 3)
      assert.ok(series.powerMilliW.every((milliW) => Math.abs(milliW - 5000) < 0.01))
      assert.deepEqual(port.report().violations, [])
    })

    test(`${kind}: unplugged in mid-run: what was measured is kept, and said`, async (t) => {
      const { port, meter } = await opened(t, { kind, volts: 5, amps: [1] })
      await meter.start()
      await sleep(700)
      port.unplug()
      await sleep(600)
      const series = await meter.stop()
      await meter.close()
      assert.ok(series.atNs.length >= 1)
      assert.match(series.lost ?? '', /lost|unplugged|closed/)
    })
  }

  test('more than the meter is made for is counted', async (t) => {
    const { meter } = await opened(t, { kind: 'UM24C', volts: 5, amps: [3.4] })
    await meter.start()
    const series = await meter.stop()
    await meter.close()
    assert.equal(series.overloads, series.atNs.length)
  })
})

async function plugged(t: TestContext, settings: RdtechSettings): Promise<SimulatedPort> {
  const port = await simulate('rdtech-simulator.ts', settings)
  t.after(() => port.close())
  return port
}

async function opened(t: TestContext, settings: RdtechSettings) {
  const port = await plugged(t, settings)
  const meter = await open(settings.kind, port.path)
  t.after(() => meter.close())
  return { port, meter }
}

function open(kind: RdtechSettings['kind'], path: string) {
  return (kind === 'TC66C' ? openTc66 : openUm)(path, silentProgress())
}
