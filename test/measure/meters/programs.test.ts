import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test, type TestContext } from 'node:test'
import { csvMeter, type CsvOptions, readCsvRecording } from '../../../src/measure/meters/csv.ts'
import { execMeter } from '../../../src/measure/meters/exec.ts'
import { monotonicNs } from '../../../src/measure/meters/types.ts'
import { parseWrittenSample } from '../../../src/measure/meters/written-sample.ts'
import { silentProgress } from '../../../src/progress.ts'

test('a sample is written with a time of either clock, or none, as a list or as JSON', () => {
  const wall = (ns: number) => ({ clock: 'wall', ns })
  for (const [line, sample] of [
    ['1700000000.25,1.5', { time: wall(1_700_000_000.25e9), milliW: 1500 }],
    ['1234.5;0.25', { time: { clock: 'monotonic', ns: 1234.5e9 }, milliW: 250 }],
    ['2023-11-14T22:13:20.250Z, 3', { time: wall(1_700_000_000.25e9), milliW: 3000 }],
    ['2.5', { time: null, milliW: 2500 }],
    ['{"t":1700000000,"v":5,"a":0.5}', { time: wall(1.7e18), milliW: 2500 }],
    ['{"w":0.1}', { time: null, milliW: 100 }],
    ['time,power', null],
    ['1700000000,nan', null],
    ['1700000000,1e99', null],
    ['yesterday,3', null],
    ['1,2,3', null],
    ['{"t":{},"w":1}', null],
    ['{"w":"1"}', null],
    ['[1,2]', null],
    ['null', null],
    ['', null],
  ] as const)
    assert.deepEqual(parseWrittenSample(line), sample, line)
})

describe('a program as a meter', { timeout: 60_000, concurrency: 4 }, () => {
  const meterOf = (script: string) => execMeter([process.execPath, '-e', script], { accuracyShare: 0.02 })

  test('its samples stand on this computer’s clock; it ends by SIGINT and may say a last one', async () => {
    const meter = meterOf(`
      console.log('time,watts')
      setInterval(() => console.log((Date.now() / 1000).toFixed(3) + ',2.5'), 10)
      process.on('SIGINT', () => { console.log((Date.now() / 1000 + 0.001).toFixed(3) + ',7'); process.exit(0) })`)
    const before = monotonicNs()
    await meter.start()
    await sleep(400)
    const series = await meter.stop()
    const after = monotonicNs()
    await meter.close()
    assert.ok(series.atNs.length > 10, `${series.atNs.length}`)
    assert.ok([...series.atNs].every((at) => at > before - 5e6 && at < after + 5e6))
    assert.deepEqual([series.powerMilliW[0], series.powerMilliW.at(-1)], [2500, 7000])
    assert.ok(Math.abs(series.uncertaintyMilliW[0]! - 50) < 1e-9)
    assert.ok(series.clockBoundNs > 0 && series.clockBoundNs < 100e6)
    assert.equal(series.lost, null)
  })

  test('without times, samples are of when they arrived', async () => {
    const meter = meterOf(`setInterval(() => console.log(1), 20)`)
    await meter.start()
    await sleep(300)
    const series = await meter.stop()
    assert.ok(series.atNs.length >= 3)
    assert.ok([...series.atNs].every((at, i) => i === 0 || at > series.atNs[i - 1]!))
  })

  test('one that ends by itself: what it said is kept, and why it ended', async () => {
    const meter = meterOf(`for (let i = 0; i < 5; i++) console.log(i)
      setTimeout(() => { console.error('\\u001b[31mUSB gone'); process.exit(3) }, 200)`)
    await meter.start()
    await sleep(600)
    const series = await meter.stop()
    assert.ok(series.atNs.length >= 1)
    assert.match(series.lost ?? '', /status 3.*USB gone/)
    assert.doesNotMatch(series.lost!, /\u001b/)
  })

  test('one that will not end is ended, with what it started', async () => {
    const meter = meterOf(`process.on('SIGINT', () => {}); process.on('SIGTERM', () => {})
      const child = require('node:child_process').spawn('sleep', ['1000'])
      console.log(JSON.stringify({ w: child.pid / 1000 })); setInterval(() => console.log('{"w":1}'), 100)`)
    await meter.start()
    const series = await meter.stop()
    const pid = Math.round(series.powerMilliW[0]!)
    await sleep(50)
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  })

  for (const [what, script] of [
    ['is not there', null],
    ['prints no samples', `setInterval(() => console.log('hello'.repeat(3)), 0)`],
    ['prints a line without an end', `setInterval(() => process.stdout.write('x'.repeat(65536)), 1)`],
    ['ends at once', `process.exit(1)`],
  ] as const)
    test(`one that ${what} is refused`, async () => {
      const meter = script === null ? execMeter(['/no/such/program'], { accuracyShare: 0 }) : meterOf(script)
      await assert.rejects(meter.start(), { code: 'METER_FAILED' })
      await meter.close()
    })

  test('one that says nothing and will not end is refused all the same', async () => {
    const script = `for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {}); setInterval(() => {}, 1000)`
    const meter = execMeter([process.execPath, '-e', script], { accuracyShare: 0, waitMs: 1000 })
    await assert.rejects(meter.start(), { code: 'METER_FAILED' })
    await meter.close()
  })

  test('its words reach it as they are: no shell reads them', async () => {
    const argv = [
      process.execPath,
      '-e',
      `console.log(process.argv[1].length)`,
      '$(touch /tmp/never); `id` *',
    ]
    const meter = execMeter(argv, { accuracyShare: 0 })
    await meter.start()
    const series = await meter.stop()
    assert.equal(series.powerMilliW[0], argv[3]!.length * 1000)
  })
})

describe('a recording as a meter', { timeout: 60_000, concurrency: 4 }, () => {
  const plain: CsvOptions = { columns: undefined, edge: null, volts: null, accuracyShare: 0.01 }
  const noWall = { monotonicMinusWallNs: -1.7e18, boundNs: 2e6 }

  test('columns are found by their headings, units by what stands behind the name', async (t) => {
    const path = file(t, [
      '# export of a meter',
      'Otii Arc',
      'Timestamp(ms),Current(uA),Voltage (mV),D0',
      '0,100000,5000,0',
      '1,200000,5000,1',
      '2,200000,4000,1',
      '3,,5000,0',
      '4,100000,5000,0',
    ])
    const series = await readCsvRecording(path, { ...plain, edge: 'D0' }, noWall)
    assert.deepEqual([...series.atNs], [0, 1e6, 2e6, 4e6])
    assert.deepEqual([...series.powerMilliW].map(Math.round), [500, 1000, 800, 500])
    assert.deepEqual(
      series.edges.map(({ rising, atNs }) => [rising, atNs]),
      [
        [true, 1e6],
        [false, 4e6],
      ],
    )
    assert.equal(series.timeBase, 'own')
  })

  test('columns that are named win; times since 1970 are put on this computer’s clock', async (t) => {
    const path = file(t, [
      'when;x',
      'stamp,amps,volts,aux',
      '1700000000.5,0.5,4,9',
      '2023-11-14T22:13:21Z,1,4,9',
    ])
    const series = await readCsvRecording(
      path,
      { ...plain, columns: ['time=stamp', 'current=amps', 'voltage=volts'] },
      noWall,
    )
    assert.deepEqual([...series.powerMilliW], [2000, 4000])
    assert.ok(Math.abs(series.atNs[0]! - 0.5e9) < 1000 && Math.abs(series.atNs[1]! - 1e9) < 1000)
    assert.deepEqual([series.timeBase, series.clockBoundNs], ['host', 2e6])
  })

  test('without a voltage, one is asked for; what is no recording is refused', async (t) => {
    const currents = file(t, ['time,current', '0,1', '1,1'])
    await assert.rejects(readCsvRecording(currents, plain, noWall), { code: 'METER_FAILED' })
    const series = await readCsvRecording(currents, { ...plain, volts: 3.3 }, noWall)
    assert.deepEqual([...series.powerMilliW], [3300, 3300])
    for (const lines of [
      ['1,2', '3,4'],
      ['time,power'],
      ['time,colour', '1,2'],
      ['\u0000\u0001'],
      ['"', 'x'.repeat(70_000)],
    ])
      await assert.rejects(readCsvRecording(file(t, lines), plain, noWall), { code: 'METER_FAILED' })
    await assert.rejects(readCsvRecording('/no/such.csv', plain, noWall), { code: 'METER_FAILED' })
    await assert.rejects(
      readCsvRecording(currents, { ...plain, columns: ['t\u001b[2J'] }, noWall),
      (error: Error) => {
        assert.doesNotMatch(JSON.stringify(error), /\\u001b\[/)
        return true
      },
    )
  })

  test('it is waited for until it was exported anew and is whole', async (t) => {
    const path = file(t, ['time,power', '1,1'])
    const meter = csvMeter(path, { ...plain, waitMs: 20_000 }, silentProgress())
    await sleep(20)
    await meter.start()
    setTimeout(() => writeFileSync(path, 'time,power\n1,2\n2,2\n'), 300)
    const series = await meter.stop()
    assert.deepEqual([...series.powerMilliW], [2000, 2000])
    const late = csvMeter(path, { ...plain, waitMs: 700 }, silentProgress())
    await sleep(20)
    await late.start()
    await assert.rejects(late.stop(), { code: 'METER_FAILED', saw: 'a file from before the measurement' })
  })
})

function file(t: TestContext, lines: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-recording-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'recording.csv')
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}
