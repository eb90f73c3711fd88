import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { openDevice } from '../../src/deploy/device.ts'
import { encodePins, type Pin, restoreLeftPinned, runAftermath } from '../../src/deploy/pins.ts'
import { followRun, startRun } from '../../src/deploy/run.ts'
import type { Device } from '../../src/deploy/types.ts'
import { surveyBoard } from '../../src/measure/conditions/survey.ts'
import { pinsFor } from '../../src/measure/conditions/pin-choice.ts'
import { type Progress, silentProgress, type Warning } from '../../src/progress.ts'
import { type BenchRequest, benchSubject } from '../../src/run/bench.ts'
import { noQuestions } from '../../src/run/open-device.ts'
import { readyBoard } from '../../src/run/ready-board.ts'
import { type Board, startBoard } from './board.ts'
import { clientOptions } from './client.ts'
import { labMissing } from './requirements.ts'
import { mnistModel } from './runner.ts'

const skip = labMissing()
const temperature = '/sys/class/thermal/thermal_zone0/temp'
const policy = '/sys/devices/system/cpu/cpufreq/policy0'
const governorFile = `${policy}/scaling_governor`
const performance: Pin = { what: 'governor', path: governorFile, to: 'performance' }

/** The board's /sys is files of ours: what a kernel would change by itself is written by the test. */
describe('conditions of a board', { skip, timeout: 600_000 }, () => {
  let board: Board
  let device: Device
  let nextId = 0

  before(async () => {
    board = await startBoard()
    device = await openDevice(board.spec, clientOptions(board))
  })
  after(async () => {
    await device?.connection.close()
    await board?.stop()
  })
  beforeEach(() => {
    for (const [file, text] of Object.entries({
      related_cpus: '0 1 2 3',
      scaling_governor: 'ondemand',
      scaling_available_governors: 'conservative ondemand powersave performance',
      scaling_cur_freq: '2400000',
      scaling_min_freq: '1500000',
      scaling_max_freq: '2400000',
      cpuinfo_max_freq: '2400000',
    }))
      write(`${policy}/${file}`, `${text}\n`)
    chmodSync(board.path(governorFile), 0o666)
    write(temperature, '48350\n')
    program('vcgencmd', 'echo throttled=$(cat /run/throttled)')
    write('/run/throttled', '0x0\n')
  })

  describe('a clock that is pinned', () => {
    test('is set for the run and set back at its end', async () => {
      const id = await pinned([performance], 'cat /sys/devices/system/cpu/cpufreq/policy0/scaling_governor')
      const chunks: Uint8Array[] = []
      const { exitCode } = await followRun(device, id, (chunk) => chunks.push(chunk))
      assert.equal(exitCode, 0)
      assert.equal(Buffer.concat(chunks).toString(), 'performance\n', 'as the command saw it')
      assert.equal(governor(), 'ondemand')
      assert.deepEqual((await runAftermath(device, id)).pins, [
        { what: 'governor of policy0', from: 'ondemand', to: 'performance', state: 'restored' },
      ])
      assert.deepEqual(records(), [])
    })

    test('is set back where the command fails, and its exit code is kept', async () => {
      const id = await pinned([performance], 'exit 9')
      assert.equal((await followRun(device, id, () => {})).exitCode, 9)
      assert.equal(governor(), 'ondemand')
    })

    test('is set back where the connection is cut and nobody comes again', async () => {
      const id = await pinned([performance], 'sleep 2')
      await until(() => governor() === 'performance')
      board.cutConnections()
      await until(() => governor() === 'ondemand')
      await device.connection.close()
      device = await openDevice(board.spec, clientOptions(board))
      assert.equal((await followRun(device, id, () => {})).exitCode, 0)
    })

    test('is set back where the supervisor is killed by KILL, and what it stood over is ended', async () => {
      const id = await pinned([performance], 'exec sleep 300')
      await until(() => governor() === 'performance' && existsSync(board.path(`${folder(id)}/child`)))
      const [supervisor] = readFileSync(board.path(`${folder(id)}/pid`), 'utf8').split(' ')
      const [child] = readFileSync(board.path(`${folder(id)}/child`), 'utf8').split(' ')
      assert.equal((await board.ssh(`kill -9 ${supervisor}`)).exitCode, 0)
      await until(() => governor() === 'ondemand')
      assert.notEqual((await board.ssh(`kill -0 ${child}`)).exitCode, 0, 'the command is gone')
      await until(() => records().length === 0)
    })

    test('is set back by the next connection where everything was killed at once, and that is said', async () => {
      const id = await pinned([performance], 'exec sleep 300')
      await until(() => governor() === 'performance' && existsSync(board.path(`${folder(id)}/child`)))
      await killAll(id)
      await until(() => records().length === 1)
      assert.equal(governor(), 'performance', 'nobody is there to set it back')
      const progress = silentProgress()
      await readyBoard(device, {}, new Map(), progress)
      assert.equal(governor(), 'ondemand')
      assert.deepEqual(records(), [])
      assert.equal(progress.warnings[0]!.code, 'PIN_LEFT')
      assert.match(
        progress.warnings[0]!.message,
        new RegExp(`${id} .*governor of policy0 performance → ondemand`),
      )
    })

    test('that somebody else has set since is left to them', async () => {
      const id = await pinned([performance], 'sleep 1')
      await until(() => governor() === 'performance')
      write(governorFile, 'powersave\n')
      await followRun(device, id, () => {})
      assert.equal(governor(), 'powersave')
      assert.equal((await runAftermath(device, id)).pins[0]!.state, 'left')
    })

    test('of a run that goes on is not touched by another connection', async () => {
      const id = await pinned([performance], 'sleep 3')
      await until(() => governor() === 'performance')
      assert.deepEqual(await restoreLeftPinned(device), [])
      assert.equal(governor(), 'performance')
      await followRun(device, id, () => {})
    })

    test('may not be written: one warning, and it is measured as it is', async () => {
      chmodSync(board.path(governorFile), 0o644)
      const progress = silentProgress()
      const ready = await readyBoard(device, { pin: true }, new Map(), progress)
      assert.deepEqual(ready.pins, [])
      assert.deepEqual(
        progress.warnings.map(({ code }) => code),
        ['PIN_REFUSED'],
      )
    })

    test('no record makes the board write elsewhere than to a governor', async () => {
      write('/home/pi/victim', 'performance\n', 0o666)
      mkdirSync(board.path(`${device.root}/pinned`), { recursive: true })
      for (const path of [
        '/home/pi/victim',
        `${policy}/../../../../../../home/pi/victim`,
        '$(touch /tmp/owned)',
      ])
        write(`${device.root}/pinned/evil`, `run - 1 1 /\ngovernor ${path} gone performance\n`, 0o666)
      await restoreLeftPinned(device)
      assert.equal(readFileSync(board.path('/home/pi/victim'), 'utf8'), 'performance\n')
      assert.equal(existsSync(board.path('/tmp/owned')), false)
      assert.equal(governor(), 'ondemand')
    })
  })

  /** Stand-ins for NVIDIA's programs, of their documented form: there is no Jetson here. */
  describe('a power mode', () => {
    before(() => {
      write(
        '/etc/nvpmodel.conf',
        '< POWER_MODEL ID=0 NAME=15W >\nCPU 1\n< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN >\n',
      )
      program('sudo', '[ "$1" = -n ] && shift; exec "$@"')
      program(
        'nvpmodel',
        `[ "$1" = -m ] || exit 2
read answer
echo "$2 $answer" >>/run/nvpmodel.asked
case $2 in 2) echo 'NVPM WARN: Reboot required for changing to this power mode: 2'; exit 255 ;; esac
printf 'pmode:%04d fmode:quiet\\n' "$2" >/var/lib/nvpmodel/status`,
      )
      program(
        'jetson_clocks',
        `case $1 in
--store) echo clocks of the board >"$2" ;;
--restore) [ "$(cat "$2")" = 'clocks of the board' ] && echo free >/run/clocks ;;
'') echo locked >/run/clocks ;;
esac`,
      )
    })
    after(() => {
      for (const name of ['sudo', 'nvpmodel', 'jetson_clocks']) rmSync(board.path(`/usr/local/bin/${name}`))
      rmSync(board.path('/etc/nvpmodel.conf'))
    })
    beforeEach(() => {
      write('/var/lib/nvpmodel/status', 'pmode:0000 fmode:quiet\n', 0o666)
      write('/run/nvpmodel.asked', '', 0o666)
      write('/run/clocks', 'free\n', 0o666)
    })

    test('is chosen by name, set for the run and set back, with all clocks locked and freed', async () => {
      const survey = await surveyBoard(device, new AbortController().signal, { pin: true })
      const { pins } = pinsFor({ performance: true, powerMode: '25w' }, survey, 'jetson')
      const id = await pinned(pins, 'cat /var/lib/nvpmodel/status /run/clocks')
      const chunks: Uint8Array[] = []
      await followRun(device, id, (chunk) => chunks.push(chunk))
      assert.equal(Buffer.concat(chunks).toString(), 'pmode:0001 fmode:quiet\nlocked\n')
      assert.match(readFileSync(board.path('/var/lib/nvpmodel/status'), 'utf8'), /^pmode:0000 /)
      assert.equal(readFileSync(board.path('/run/clocks'), 'utf8'), 'free\n')
      assert.deepEqual(
        (await runAftermath(device, id)).pins.map(
          ({ what, from, to, state }) => `${what} ${from} ${to} ${state}`,
        ),
        ['jetson_clocks stored locked restored', 'power mode 15W 25W restored'],
      )
      assert.equal(readFileSync(board.path('/run/nvpmodel.asked'), 'utf8'), '1 no\n0 no\n')
    })

    test('that asks for a restart is refused, nothing is run and all is as before', async () => {
      const survey = await surveyBoard(device, new AbortController().signal, { pin: true })
      const { pins } = pinsFor({ performance: false, powerMode: 'MAXN' }, survey, 'jetson')
      const id = await pinned([performance, ...pins], 'echo ran')
      const chunks: Uint8Array[] = []
      assert.equal((await followRun(device, id, (chunk) => chunks.push(chunk))).exitCode, 78)
      assert.equal(Buffer.concat(chunks).toString(), '')
      assert.equal(governor(), 'ondemand')
      const outcome = (await runAftermath(device, id)).pins
      assert.deepEqual(
        outcome.map(({ what, state }) => `${what} ${state}`),
        ['power mode reboot', 'power mode restored', 'governor of policy0 restored'],
      )
    })

    test('outlasts a restart and is set back after it; a governor does not and is left', async () => {
      const id = await pinned(
        [performance, { what: 'power-mode', id: 1, name: '25W', fromName: '15W' }],
        'exec sleep 300',
      )
      await until(() => existsSync(board.path(`${folder(id)}/child`)))
      await killAll(id)
      await until(() => records().length === 1)
      const record = board.path(`${device.root}/pinned/${id}`)
      writeFileSync(record, readFileSync(record, 'utf8').replace(/^run \S+/, 'run 0-another-boot'))
      write(governorFile, 'performance\n')
      const [left] = await restoreLeftPinned(device)
      assert.deepEqual(
        left!.pins.map(({ what, state }) => `${what} ${state}`),
        ['power mode restored', 'governor of policy0 left'],
      )
      assert.match(readFileSync(board.path('/var/lib/nvpmodel/status'), 'utf8'), /^pmode:0000 /)
      assert.deepEqual(records(), [])
    })
  })

  describe('waiting for a temperature', () => {
    test('waits, says so, and goes on once it is there', async () => {
      write(temperature, '71000\n')
      const { progress, stages } = coolingProgress('49000\n')
      const coolTo = { milliC: 50_000, deadlineMs: 60_000, otherwise: 'error' } as const
      const ready = await readyBoard(device, { coolTo }, new Map(), progress)
      assert.ok(ready.waitedSeconds >= 1, `${ready.waitedSeconds} s`)
      assert.match(stages[0]!, /71\.0 °C, waiting for 50\.0 °C/)
      assert.equal(ready.before.zones[0]!.milliC, 49_000, 'surveyed again')
    })

    test('ends by its deadline: an error or a warning, as it was asked for', async () => {
      write(temperature, '71000\n')
      const wait = { milliC: 50_000, deadlineMs: 500 }
      const progress = silentProgress()
      await assert.rejects(
        readyBoard(device, { coolTo: { ...wait, otherwise: 'error' } }, new Map(), progress),
        { code: 'DEVICE_NOT_READY' },
      )
      await readyBoard(device, { coolTo: { ...wait, otherwise: 'warn' } }, new Map(), progress)
      assert.deepEqual(
        progress.warnings.map(({ code }) => code),
        ['DEVICE_NOT_READY'],
      )
    })

    test('ends at once by Ctrl-C', async () => {
      write(temperature, '71000\n')
      const controller = new AbortController()
      setTimeout(() => controller.abort(), 1500)
      const started = Date.now()
      await assert.rejects(
        readyBoard(
          device,
          { coolTo: { milliC: 50_000, deadlineMs: 120_000, otherwise: 'error' } },
          new Map(),
          silentProgress(controller.signal),
        ),
      )
      assert.ok(Date.now() - started < 60_000)
    })

    test('between rows: as cool as before the first', async () => {
      const first = new Map<string, number>()
      await readyBoard(device, {}, first, silentProgress())
      assert.equal(first.get(device.name), 48_350)
      write(temperature, '60000\n')
      const { progress, stages } = coolingProgress('53000\n')
      const ready = await readyBoard(device, {}, first, progress)
      assert.ok(ready.waitedSeconds >= 1, `${ready.waitedSeconds} s`)
      assert.match(stages[0]!, /waiting for 53\.4 °C/)
    })

    /** The board cools once somebody is seen to wait for it. */
    function coolingProgress(then: string): { progress: Progress; stages: string[] } {
      const stages: string[] = []
      const stage = (name: string, detail = '') => {
        if (name !== 'cool') return
        stages.push(detail)
        write(temperature, then)
      }
      return { stages, progress: { ...silentProgress(), stage } }
    }
  })

  describe('a measurement', () => {
    test('with the clock pinned: held, set back, and recorded', async () => {
      const { conditions, warnings } = await bench({ conditions: { pin: true } }, () =>
        assert.equal(governor(), 'performance'),
      )
      assert.equal(conditions.governor, 'performance')
      assert.deepEqual(conditions.pinned, [
        { what: 'governor of policy0', from: 'ondemand', to: 'performance', restored: true },
      ])
      assert.equal(governor(), 'ondemand')
      assert.equal(conditions.temperatureMilliC!.max, 48_350)
      assert.equal(conditions.clockKHz!.min, 2_400_000)
      assert.deepEqual(conditions.throttle, {
        underVoltage: false,
        frequencyCapped: false,
        throttled: false,
        softTemperatureLimit: false,
        source: 'vcgencmd get_throttled',
      })
      assert.notEqual(conditions.stability, 'throttled')
      const { before: idle, during } = conditions.backgroundLoad!
      assert.ok(idle! >= 0 && idle! <= 1 && during! >= 0 && during! <= 1, `${idle} and ${during}`)
      assert.deepEqual(
        warnings.filter(({ code }) => code.startsWith('PIN')),
        [],
      )
    })

    test('whose clock is capped in mid-run is throttled, never steady', async () => {
      const { conditions, warnings } = await bench({}, async () => {
        await new Promise((resolve) => setTimeout(resolve, 700))
        write(`${policy}/scaling_max_freq`, '1500000\n')
        write(`${policy}/scaling_cur_freq`, '1500000\n')
      })
      assert.equal(conditions.stability, 'throttled')
      assert.match(conditions.stabilityReason!, /policy0 fell from 2400 MHz to 1500 MHz/)
      assert.ok(warnings.some(({ code }) => code === 'THROTTLED'))
    })

    test('in which the supply falls too low is throttled, and the remedy is a supply', async () => {
      const { conditions, warnings } = await bench({}, () => write('/run/throttled', '0x50005\n'))
      assert.equal(conditions.stability, 'throttled')
      assert.equal(conditions.throttle!.underVoltage, true)
      assert.equal(conditions.throttle!.throttled, true)
      assert.match(warnings.find(({ code }) => code === 'UNDER_VOLTAGE')!.hint, /supply/)
    })

    test('ended by Ctrl-C leaves the clock as it was, and nothing of the run', async () => {
      const controller = new AbortController()
      await assert.rejects(
        bench({ conditions: { pin: true } }, () => controller.abort(), controller.signal),
        { code: 'INTERRUPTED' },
      )
      await until(() => governor() === 'ondemand')
      await until(() => records().length === 0)
    })
  })

  /** Measures the digit network; `meanwhile` once the board is at it. */
  async function bench(
    wanted: Partial<BenchRequest>,
    meanwhile: () => void | Promise<void>,
    signal?: AbortSignal,
  ) {
    const quiet = silentProgress(signal)
    let disturbed: Promise<void> | undefined
    const known = new Set(runs())
    const progress: Progress & { warnings: Warning[] } = {
      ...quiet,
      stage: (name) => {
        if (name !== 'measure' || disturbed) return
        disturbed = until(() => runs().some((id) => !known.has(id) && measures(id))).then(meanwhile)
        disturbed.catch(() => {})
      },
    }
    const { conditions } = await benchSubject(
      {
        subject: mnistModel,
        shapes: {},
        device: board.spec,
        threads: [1],
        affinity: [],
        rateHz: 0,
        preset: 'quick',
        operators: false,
        attach: undefined,
        connection: {
          ...noQuestions,
          identity: board.identityFile,
          hostKey: board.hostKeyFingerprint,
          knownHosts: board.knownHostsFile,
        },
        ...wanted,
      },
      progress,
    )
    await disturbed
    return { conditions, warnings: progress.warnings }
  }

  function runs(): string[] {
    const path = board.path(`${device.root}/runs`)
    return existsSync(path) ? readdirSync(path) : []
  }

  function measures(id: string): boolean {
    const events = board.path(`${folder(id)}/events.jsonl`)
    return existsSync(events) && readFileSync(events, 'utf8').includes('"do":"measure"')
  }

  async function pinned(pins: readonly Pin[], command: string): Promise<string> {
    const id = `pinned-${nextId++}`
    await startRun(
      device,
      {
        id,
        files: new Map([['pin', encodePins(pins)]]),
        command: ['sh', '-c', command],
        holder: 'the lab',
      },
      { waitMs: 60_000 },
    )
    return id
  }

  function folder(id: string): string {
    return `${device.root}/runs/${id}`
  }

  /** Supervisor, watcher and command in one blow, as by a loss of power; the brackets keep pkill from its own shell. */
  async function killAll(id: string): Promise<void> {
    const [child] = readFileSync(board.path(`${folder(id)}/child`), 'utf8').split(' ')
    await board.ssh(`pkill -9 -f 'runs/[p]${id.slice(1)}( |$|/)'; kill -9 ${child}`)
  }

  function records(): string[] {
    const path = board.path(`${device.root}/pinned`)
    return existsSync(path) ? readdirSync(path) : []
  }

  function governor(): string {
    return readFileSync(board.path(governorFile), 'utf8').trim()
  }

  function write(path: string, text: string, mode?: number): void {
    mkdirSync(dirname(board.path(path)), { recursive: true })
    writeFileSync(board.path(path), text)
    if (mode !== undefined) chmodSync(board.path(path), mode)
  }

  function program(name: string, body: string): void {
    write(`/usr/local/bin/${name}`, `#!/bin/sh\n${body}\n`, 0o755)
  }
})

async function until(holds: () => boolean, deadlineMs = 60_000): Promise<void> {
  const endAt = Date.now() + deadlineMs
  while (!holds()) {
    if (Date.now() > endAt) throw new Error(`waited in vain for ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
