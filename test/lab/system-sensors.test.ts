import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Collected, MeterSample } from '../../src/measure/collect.ts'
import type { PlanMeter, PlanStep } from '../../src/measure/plan.ts'
import { type Board, startBoard } from './board.ts'
import { type BoardTools, equip, runOnBoard } from './on-board.ts'
import { markerPath } from './power.ts'
import { labMissing } from './requirements.ts'
import { planArtifact } from './runner.ts'

const hwmon = '/sys/class/hwmon'
const total: PlanMeter = {
  name: 'VDD_IN',
  paths: [`${hwmon}/hwmon0/in1_input`, `${hwmon}/hwmon0/curr1_input`],
  periodMs: 10,
}
const ina226: PlanMeter = { name: 'ina226', paths: [`${hwmon}/hwmon1/power1_input`], periodMs: 10 }

const idle = (seconds: number): PlanStep => ({ do: 'idle', seconds, meters: true })
const busy = (seconds: number): PlanStep => ({
  ...{ do: 'measure', artifact: 'model', rateHz: 0, meters: true },
  ...{ minCount: 1, minSeconds: seconds, maxCount: 1e6, maxSeconds: seconds },
})

describe('an emulated machine with power sensors', { skip: labMissing('system'), timeout: 600_000 }, () => {
  let board: Board
  let tools: BoardTools
  before(async () => {
    board = await startBoard({ kind: 'system', sensors: true })
    tools = await equip(board)
  })
  after(() => board?.stop())

  const run = (steps: readonly PlanStep[], meters: readonly PlanMeter[] = [total, ina226], marker?: string) =>
    runOnBoard(board, tools, {
      schema: 1,
      artifacts: [planArtifact(tools, tools.model)],
      steps,
      sensors: [],
      sensorPeriodMs: 100,
      meters,
      ...(marker === undefined ? {} : { marker }),
    })

  test('the kernel’s drivers read both chips, with labels and shunts of the device tree', async () => {
    const { stdout } = await board.ssh(
      `cd ${hwmon}; cat hwmon0/name hwmon0/in[123]_label hwmon0/shunt1_resistor hwmon1/name hwmon1/label; cat /proc/modules | grep -c "^ina"`,
    )
    assert.deepEqual(stdout.trim().split('\n'), [
      ...['ina3221', 'VDD_IN', 'VDD_CPU_GPU_CV', 'VDD_SOC', '20000'],
      ...['ina226', 'VDD_BOARD', '2'],
    ])
  })

  test('1 W idle and 3 W in inference, sampled at 100 Hz: each energy within 2 % of what was injected', async () => {
    await board.power.play({
      kind: 'keyed',
      by: 'steps',
      idle: { kind: 'constant', watts: 1 },
      active: { kind: 'constant', watts: 3 },
    })
    const collected = await run([idle(1.5), busy(3), idle(1.5)])
    for (const [index, watts] of [1, 3, 1].entries()) {
      const [fromNs, toNs] = stepWindow(collected, index)
      const truth = (await board.power.energy(fromNs, toNs)).energyUj
      assert.ok(Math.abs(truth / (toNs - fromNs) / 1e-3 / watts - 1) < 0.05, `injected ${truth} µJ`)
      for (const name of ['VDD_IN', 'ina226']) {
        const measured = energyUj(samplesOf(collected, name, index), fromNs, toNs)
        assert.ok(Math.abs(measured / truth - 1) < 0.02, `${name}: ${measured} of ${truth} µJ`)
      }
    }
  })

  test('a sine is followed', async () => {
    await board.power.play({ kind: 'sine', meanWatts: 2, amplitudeWatts: 1, periodMs: 700, stepMs: 2 })
    const collected = await run([idle(3)])
    const [fromNs, toNs] = stepWindow(collected, 0)
    const { energyUj: truth, changes } = await board.power.energy(fromNs, toNs)
    assert.ok(changes > 500, `${changes} changes`)
    const samples = samplesOf(collected, 'VDD_IN', 0)
    assert.ok(Math.abs(energyUj(samples, fromNs, toNs) / truth - 1) < 0.02)
    const powers = samples.map(milliwattsOf)
    assert.ok(Math.min(...powers) < 1100 && Math.max(...powers) > 2900)
  })

  test('spikes shorter than the sampling period are in the truth', async () => {
    await board.power.play({ kind: 'square', lowWatts: 1, highWatts: 5, periodMs: 40, highMs: 4 })
    const from = await board.power.clockNs()
    await pause(1000)
    const to = await board.power.clockNs()
    const { energyUj: truth, changes } = await board.power.energy(from, to)
    const watts = truth / (to - from) / 1e-3
    // 1.4 W where the emulator keeps the time; what was injected late counts as it was injected
    assert.ok(watts > 1.05 && watts < 3, `${watts} W`)
    assert.ok(changes >= 10, `${changes} changes`)
  })

  test('a sensor that is stuck shows what it showed while the power goes on', async () => {
    await board.power.play({ kind: 'constant', watts: 1 })
    await board.power.freeze(true)
    await board.power.play({ kind: 'constant', watts: 4 })
    const collected = await run([idle(0.3)])
    await board.power.freeze(false)
    assert.deepEqual(new Set(samplesOf(collected, 'VDD_IN', 0).map(milliwattsOf)), new Set([1000]))
    assert.ok((await board.power.energy(...stepWindow(collected, 0))).energyUj > 1.1e6)
  })

  test('a driver that goes away leaves nulls, and comes back under the same path', async () => {
    await board.power.play({ kind: 'constant', watts: 2 })
    let ended = false
    const running = run([idle(6)]).finally(() => (ended = true))
    // again and again until the run is over, whenever it began; a second later the runner looks for the file again
    while (!ended) {
      await board.power.detach('ina226')
      await pause(300)
      await board.power.attach('ina226')
      await pause(2000)
    }
    const values = samplesOf(await running, 'ina226', 0).map(({ values }) => values[0])
    assert.deepEqual(new Set(values), new Set([2_000_000, null]))
    assert.ok(values.indexOf(2_000_000, values.indexOf(null)) > 0, 'it came back')
    const untouched = samplesOf(await running, 'VDD_IN', 0).map(milliwattsOf)
    assert.deepEqual(new Set(untouched), new Set([2000]))
  })

  test('the marker’s edges are those of the metered step', async () => {
    const known = (await board.power.markerEdges()).length
    const collected = await run([{ do: 'idle', seconds: 0.2 }, idle(0.5)], [], markerPath)
    const edges = (await board.power.markerEdges()).slice(known)
    assert.deepEqual(
      edges.map(({ on }) => on),
      [true, false],
    )
    const [fromNs, toNs] = stepWindow(collected, 1)
    assert.ok(Math.abs(edges[0]!.atNs - fromNs) < 1e8 && Math.abs(edges[1]!.atNs - toNs) < 1e8)
  })

  test('temperature and clock are what they are set to; a cap is not lifted by user space', async () => {
    await board.temperature(81_500)
    await board.clockCap(1_000_000)
    const read =
      'cat /sys/class/thermal/thermal_zone0/temp /sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq'
    assert.deepEqual((await board.ssh(read)).stdout, '81500\n1000000\n')
    await board.clockCap(null)
    assert.deepEqual((await board.ssh(read)).stdout, '81500\n2400000\n')
  })
})

test('an INA226 through IIO, an INA3221 with rails of its own, one of them switched off', {
  skip: labMissing('system'),
  timeout: 300_000,
}, async (t) => {
  const board = await startBoard({
    kind: 'system',
    sensors: { rails: ['VDD_CORE', null, 'wrong place'], ina226Driver: 'iio', ina226Label: 'VBUS' },
  })
  t.after(() => board.stop())
  await board.power.play({ kind: 'constant', watts: 2 })
  const { stdout } = await board.ssh(
    `cd ${hwmon}/hwmon0; cat in1_label in3_label in2_enable; cat in2_label curr2_input 2>&1; cd /sys/bus/iio/devices/iio:device0; cat name label in_power2_raw in_power2_scale`,
  )
  const lines = stdout.trim().split('\n')
  assert.deepEqual(lines.slice(0, 3), ['VDD_CORE', 'wrong place', '0'])
  assert.match(lines[3]!, /No such file/)
  assert.match(lines[4]!, /No data available/)
  assert.deepEqual(lines.slice(5, 7), ['ina226', 'VBUS'])
  assert.equal(Number(lines[7]) * Number(lines[8]), 2000)
})

/** From the step's begin to its end, on the board's clock. */
function stepWindow(collected: Collected, index: number): [number, number] {
  const { startNs, elapsedNs } = collected.steps[index]!
  return [startNs, startNs + elapsedNs!]
}

function samplesOf(collected: Collected, name: string, step: number): MeterSample[] {
  return collected.meters.filter((sample) => sample.name === name && sample.step === step)
}

/** The INA3221's mV and mA, or the INA226's µW. */
function milliwattsOf({ values }: MeterSample): number {
  const [first, second] = values
  return second === undefined ? first! / 1000 : (first! * second!) / 1000
}

/** Each sample holds until the next one. */
function energyUj(samples: readonly MeterSample[], fromNs: number, toNs: number): number {
  let sum = 0
  for (const [i, sample] of samples.entries()) {
    const begin = i === 0 ? fromNs : sample.atNs
    const end = samples[i + 1]?.atNs ?? toNs
    sum += milliwattsOf(sample) * (end - begin) * 1e-6
  }
  return sum
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
