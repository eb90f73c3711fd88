import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { ensureBlobBytes } from '../../src/deploy/blobs.ts'
import { openConnection } from '../../src/deploy/connect.ts'
import { resolveProfile } from '../../src/profiles/resolve.ts'
import { silentProgress } from '../../src/progress.ts'
import { type EnergyChoice, type EnergyPhase, measureEnergy, preparePower } from '../../src/run/energy.ts'
import { noQuestions, openBoard, type OpenedBoard } from '../../src/run/open-device.ts'
import { probePower } from '../../src/run/probe-power.ts'
import { provision, type Provisioned } from '../../src/run/provision.ts'
import type { Energy } from '../../src/store/document.ts'
import { type Board, startBoard } from './board.ts'
import { clientOptions } from './client.ts'
import type { SimpleWaveform } from './power.ts'
import { labMissing } from './requirements.ts'
import { mnistModel } from './runner.ts'

/** What the issue asks of energy: real drivers of the kernel, a waveform whose energy is known. */
describe('energy per inference on an emulated machine with sensors', {
  skip: labMissing('system'),
  timeout: 900_000,
}, () => {
  const progress = silentProgress()
  let board: Board
  let opened: OpenedBoard
  let tools: Provisioned
  let model: string

  const open = () =>
    openBoard(
      board.spec,
      undefined,
      {
        ...noQuestions,
        identity: board.identityFile,
        hostKey: board.hostKeyFingerprint,
        knownHosts: board.knownHostsFile,
      },
      progress,
    )
  before(async () => {
    board = await startBoard({ kind: 'system', sensors: true })
    // right after its boot an emulator on a busy computer may take longer than a probe of a board waits
    opened = await open().catch(() => open())
    tools = await provision(opened.device, 'onnxruntime', progress)
    model = (await ensureBlobBytes(opened.device, readFileSync(mnistModel), { progress })).path
  })
  after(async () => {
    await opened?.close()
    await board?.stop()
  })

  const choice = (more: Partial<EnergyChoice> = {}): EnergyChoice => ({
    wanted: 'on',
    rail: undefined,
    sampleHz: 50,
    ...more,
  })

  /** Again where the computer was too busy for the emulator to sample on time: such a run tells nothing of the method. */
  async function measure(chosen = choice(), tries = 3): Promise<{ energy: Energy; phase: EnergyPhase }> {
    const taken = await measureOnce(chosen)
    const { meters } = taken.phase.power!.collected
    const late = meters.some(
      ({ step, atNs }, i) => meters[i - 1]?.step === step && atNs - meters[i - 1]!.atNs > 1.5e8,
    )
    return late && tries > 1 ? measure(chosen, tries - 1) : taken
  }

  async function measureOnce(chosen: EnergyChoice): Promise<{ energy: Energy; phase: EnergyPhase }> {
    // the board's waveform follows whoever has the events of a run open: also a file server of the run before
    const connection = await openConnection(board.spec, clientOptions(board))
    const own = { ...opened, device: { ...opened.device, connection } }
    const source = await preparePower(own, chosen, 'quick', progress)
    assert.ok('kind' in source, JSON.stringify(source))
    const phase = await measureEnergy(
      own,
      tools,
      source,
      chosen,
      {
        subjects: [{ id: 'model', backend: tools.backend, library: tools.library, model }],
        ...{ threads: 1, affinity: [], rateHz: 0, preset: 'quick', sensors: [], medianNs: [2e6] },
        durations: { loadSeconds: 4, idleSeconds: 2 },
      },
      progress,
    ).finally(() => connection.close())
    return { energy: phase.bySubject.get('model')!, phase }
  }

  /** Per inference, as the board played it. */
  async function injected({ power }: EnergyPhase): Promise<number> {
    let energyUj = 0
    let inferences = 0
    for (const { startNs, elapsedNs, latencyNs, ...step } of power!.collected.steps)
      if (step.do === 'measure') {
        energyUj += (await board.power.energy(startNs, startNs + elapsedNs!)).energyUj
        inferences += latencyNs.get('model-t1')!.length
      }
    return energyUj / inferences
  }

  const play = (active: SimpleWaveform) =>
    board.power.play({ kind: 'keyed', by: 'steps', idle: { kind: 'constant', watts: 1 }, active })

  test('the probe lists the rails with what they show now', async () => {
    await board.power.play({ kind: 'constant', watts: 1.5 })
    const { rails, choice: chosen } = await probePower(opened, progress)
    assert.deepEqual(
      rails.map(({ id, label, milliW, shuntMicroOhm }) => [id, label, milliW, shuntMicroOhm]),
      [
        ['ina3221@0-0040:1', 'VDD_IN', 1500, 20_000],
        ['ina3221@0-0040:2', 'VDD_CPU_GPU_CV', 680, 20_000],
        ['ina3221@0-0040:3', 'VDD_SOC', 380, 20_000],
        ['ina226@0-0041:1', 'VDD_BOARD', 1500, 10_000],
      ],
    )
    assert.match(chosen, /^VDD_IN\./)
  })

  test('1 W idle and 3 W during inference: within 2 % of what was injected', async () => {
    await play({ kind: 'constant', watts: 3 })
    const { energy, phase } = await measure()
    assert.equal(energy.reason, null)
    const truth = await injected(phase)
    assert.ok(Math.abs(energy.value! / truth - 1) < 0.02, `${energy.value} of ${truth} µJ`)
    assert.ok(Math.abs(energy.value! - truth) <= energy.uncertainty!)
    // two thirds of it are above idle
    assert.ok(Math.abs(energy.dynamic!.value / energy.value! - 2 / 3) < 0.01, `${energy.dynamic!.value} µJ`)
    const { measured } = energy
    assert.deepEqual(
      [measured!.source, measured!.scope, measured!.sync],
      ['ina3221 VDD_IN', 'board', 'same-clock'],
    )
    assert.ok(measured!.samples > 75 && measured!.sampleHz > 25, `${measured!.samples} samples`)
  })

  test('a sine: within 2 %', async () => {
    await play({ kind: 'sine', meanWatts: 2.5, amplitudeWatts: 1, periodMs: 330, stepMs: 2 })
    const { energy, phase } = await measure(choice({ sampleHz: 100 }))
    assert.equal(energy.reason, null)
    const truth = await injected(phase)
    assert.ok(Math.abs(energy.value! / truth - 1) < 0.02, `${energy.value} of ${truth} µJ`)
    assert.ok(Math.abs(energy.value! - truth) <= energy.uncertainty!)
  })

  test('spikes shorter than the sampling period: the truth lies inside the stated uncertainty', async () => {
    await play({ kind: 'square', lowWatts: 2.5, highWatts: 6, periodMs: 97, highMs: 4 })
    const { energy, phase } = await measure(choice({ sampleHz: 20, rail: 'VDD_BOARD' }))
    assert.equal(energy.reason, null)
    assert.equal(energy.measured!.scope, 'rail')
    const truth = await injected(phase)
    assert.ok(
      Math.abs(energy.value! - truth) <= energy.uncertainty!,
      `${energy.value} ± ${energy.uncertainty}, injected ${truth} µJ`,
    )
    assert.ok(energy.uncertainty! < 0.25 * energy.value!, `± ${energy.uncertainty} of ${energy.value} µJ`)
  })

  test('a flat, a stuck, an absent sensor and one of the wrong label: each its own reason, none a figure', async () => {
    const reasons = new Map<string, Energy>()
    await board.power.play({ kind: 'constant', watts: 2 })
    await board.power.noise(0.05)
    reasons.set('flat', (await measure()).energy)
    await board.power.noise(0)
    await play({ kind: 'constant', watts: 3 })
    await board.power.freeze(true)
    reasons.set('stuck', (await measure()).energy)
    await board.power.freeze(false)

    const ask = async (of: OpenedBoard, more: Partial<EnergyChoice> = {}) =>
      (await preparePower(of, choice(more), 'quick', progress)) as Energy
    reasons.set('wrong-label', await ask(opened, { rail: 'POM_5V_IN' }))
    const nano = { ...opened, profile: resolveProfile('jetson-nano') }
    reasons.set('wrong label of a profile', await ask(nano))
    for (const chip of ['ina3221', 'ina226'] as const) await board.power.detach(chip)
    reasons.set('no-sensor', await ask(opened))
    reasons.set('no sensor where the profile expects one', await ask(nano))
    for (const chip of ['ina3221', 'ina226'] as const) await board.power.attach(chip)

    for (const [name, energy] of reasons) assert.equal(energy.value, null, `${name}: ${energy.value}`)
    assert.deepEqual(
      [...reasons.values()].map(({ reasonCode }) => reasonCode),
      ['flat', 'stuck', 'wrong-label', 'wrong-label', 'no-sensor', 'no-sensor'],
    )
    assert.equal(new Set([...reasons.values()].map(({ reason }) => reason)).size, 6)
    for (const { reason } of reasons.values()) assert.match(reason!, /^[^\n]{20,}[.)]$/)
  })
})
