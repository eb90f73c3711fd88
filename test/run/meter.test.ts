import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test, type TestContext } from 'node:test'
import { openConnection } from '../../src/deploy/connect.ts'
import { boardClockOffset, intersectOffsets, readBoardClock } from '../../src/measure/meters/board-clock.ts'
import { parseMeter } from '../../src/measure/meters/spec.ts'
import { prebuiltRunner } from '../../src/measure/prebuilt-runner.ts'
import { silentProgress } from '../../src/progress.ts'
import { benchSubject } from '../../src/run/bench.ts'
import { maxAmpsOf, type MeterChoice, tryMeter } from '../../src/run/meter.ts'
import { noQuestions } from '../../src/run/open-device.ts'
import { resolveProfile } from '../../src/profiles/resolve.ts'
import { sshdMissing, startSshd } from '../deploy/sshd.ts'
import { repositoryRoot } from '../fixtures.ts'
import { noPort, simulate } from '../measure/meters/port.ts'

describe('energy with a meter beside the board', { skip: noPort, timeout: 240_000, concurrency: 3 }, () => {
  // idle, two turns of load, idle: the current follows the marker's pulses
  const pulseAmps = [0.2, 0.2, 0.6, 0.6, 0.2]

  test('by the marker: energy is the power in the pulses over the inferences in them', async (t) => {
    const { folder, marker } = scratch(t)
    const port = await simulate('ppk2-simulator.ts', { markerFile: marker, pulseAmps })
    t.after(() => port.close())
    const progress = silentProgress()
    const result = await bench(folder, { ...meter(`ppk2:${port.path}`, { edge: 'D0' }), marker }, progress)
    assert.deepEqual(port.report().violations, [])
    const { energy } = result.rows[0]!
    assert.equal(energy!.reason, null)
    const { measured } = energy!
    assert.deepEqual([measured!.sync, measured!.scope], ['edge', 'external'])
    // 0.6 A and 0.2 A at 5 V, by the formula of the energy phase
    assert.ok(Math.abs(measured!.activeMilliW / 3000 - 1) < 0.01, `${measured!.activeMilliW} mW`)
    for (const idle of [measured!.idleMilliW.before, measured!.idleMilliW.after])
      assert.ok(Math.abs(idle / 1000 - 1) < 0.01, `${idle} mW idle`)
    const expectedUj = (3000 * measured!.windowNs * 1e-6) / measured!.inferences
    assert.ok(Math.abs(energy!.value! / expectedUj - 1) < 0.01)
    // Nordic's typical 15 % of the top range is in the uncertainty
    assert.ok(energy!.uncertainty! > 0.14 * energy!.value!)
    assert.ok(measured!.syncBoundNs < 50e6, `${measured!.syncBoundNs} ns`)
    assert.deepEqual(
      progress.warnings
        .filter(({ code }) => code.startsWith('METER') && code !== 'METER_LINE_STATE')
        .map(({ code }) => code),
      ['METER_LIMIT'],
    )
  })

  test('by the clocks, where no marker is wired; the user’s own accuracy stands for the maker’s', async (t) => {
    const { folder, marker } = scratch(t)
    const port = await simulate('ppk2-simulator.ts', { markerFile: marker, pulseAmps })
    t.after(() => port.close())
    const choice = { ...meter(`ppk2:${port.path}`, { accuracy: '1%' }), marker }
    const { energy } = (await bench(folder, choice, silentProgress())).rows[0]!
    assert.equal(energy!.measured!.sync, 'offset')
    assert.ok(Math.abs(energy!.measured!.activeMilliW / 3000 - 1) < 0.02)
    assert.ok(energy!.uncertainty! < 0.05 * energy!.value!)
  })

  test('unplugged in mid-run: latency is there, the meter’s end is said, and no figure is made of half a window', async (t) => {
    const { folder, marker } = scratch(t)
    const port = await simulate('ppk2-simulator.ts', { markerFile: marker, pulseAmps })
    t.after(() => port.close())
    const progress = silentProgress()
    const pulled = (async () => {
      for (let i = 0; i < 3000 && (port.report().remarks['sent'] ?? 0) < 250_000; i++) await sleep(20)
      port.unplug()
    })()
    const result = await bench(folder, meter(`ppk2:${port.path}`), progress)
    await pulled
    assert.ok(result.rows[0]!.latency!.count > 0)
    assert.equal(result.rows[0]!.energy!.value, null)
    assert.match(result.rows[0]!.energy!.reason!, /Samples do not reach|ended before/)
    assert.ok(
      progress.warnings.some(({ code, message }) => code === 'METER_LOST' && /unplugged/.test(message)),
    )
  })

  test('a meter that is not there is said before anything is measured', async (t) => {
    const { folder } = scratch(t)
    await assert.rejects(bench(folder, meter('ppk2:/dev/no-such-meter'), silentProgress()), {
      code: 'METER_FAILED',
    })
  })

  test('a program that fails in the end costs its figures, not the latencies', async (t) => {
    const { folder } = scratch(t)
    const progress = silentProgress()
    const result = await bench(folder, meter('exec:false'), progress)
    assert.ok(result.rows[0]!.latency!.count > 0)
    assert.equal(result.rows[0]!.energy!.reasonCode, 'meter-failed')
    assert.ok(progress.warnings.some(({ code }) => code === 'METER_FAILED'))
  })

  test('a board that fails while the meter samples costs its energy, not the latencies', async (t) => {
    const { folder } = scratch(t)
    const script = join(folder, 'meter.cjs')
    // the runner is away from the board as long as this one samples
    writeFileSync(
      script,
      `const { renameSync } = require('node:fs')
       const blobs = process.argv[2]
       renameSync(blobs, blobs + '.away')
       process.on('SIGINT', () => { renameSync(blobs + '.away', blobs); process.exit(0) })
       setInterval(() => console.log(1), 50)`,
    )
    const program = `${process.execPath} ${script} ${join(folder, 'board', 'blobs')}`
    const progress = silentProgress()
    const result = await bench(folder, meter(`exec:${program}`), progress)
    assert.ok(result.rows[0]!.latency!.count > 0)
    assert.deepEqual([result.rows[0]!.energy!.value, result.rows[0]!.energy!.reasonCode], [null, 'failed'])
    assert.ok(progress.warnings.some(({ message }) => message.startsWith('Energy was not measured: ')))
  })
})

test('no board of a profile is supplied by a PPK2 that is not known to take less than 1 A', async () => {
  for (const name of ['raspberry-pi-5', 'raspberry-pi-zero-2-w', 'jetson-orin-nano', 'generic-arm64'])
    await assert.rejects(
      tryMeter(
        meter('ppk2:/dev/null', { supply: '5V' }),
        { profile: resolveProfile(name) },
        silentProgress(),
      ),
      { code: 'METER_REFUSED' },
      name,
    )
  const power = [{ ...resolveProfile('raspberry-pi-5').power[0]!, limitMilliW: 2000 }]
  assert.equal(maxAmpsOf({ power }, meter('ppk2', { supply: '4V' }).settings), 0.5)
})

test('the clock of a board over SSH: its true offset lies within the bound', {
  skip: sshdMissing,
}, async (t) => {
  const sshd = await startSshd()
  t.after(() => sshd.stop())
  const connection = await openConnection(sshd.spec, sshd.options)
  t.after(() => connection.close())
  const runner = prebuiltRunner(process.arch === 'arm64' ? 'aarch64' : 'x86_64').path
  const signal = AbortSignal.timeout(60_000)
  const alone = intersectOffsets(await readBoardClock(connection, runner, signal))!
  const offset = (await boardClockOffset(connection, runner, signal))!
  // one kernel, one clock: the truth is 0
  for (const { lowNs, highNs } of [alone, offset])
    assert.ok(lowNs <= 0 && highNs >= 0, `${lowNs} to ${highNs}`)
  assert.ok(offset.highNs - offset.lowNs < 200e6, `${offset.highNs - offset.lowNs} ns wide`)
})

function meter(name: string, more: { edge?: string; accuracy?: string; supply?: string } = {}): MeterChoice {
  return { settings: parseMeter({ meter: name, voltage: '5V', ...more }), marker: null }
}

function scratch(t: TestContext): { readonly folder: string; readonly marker: string } {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-metered-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const marker = join(folder, 'pin')
  writeFileSync(marker, '0')
  return { folder, marker }
}

function bench(folder: string, choice: MeterChoice, progress: ReturnType<typeof silentProgress>) {
  return benchSubject(
    {
      subject: join(repositoryRoot, 'examples', 'mnist', 'mnist.onnx'),
      shapes: {},
      device: 'local:',
      threads: [1],
      affinity: [],
      rateHz: 0,
      preset: 'quick',
      operators: false,
      energy: { wanted: 'on', rail: undefined, sampleHz: 20, meter: choice },
      attach: undefined,
      connection: { ...noQuestions, root: join(folder, 'board') },
    },
    progress,
  )
}
