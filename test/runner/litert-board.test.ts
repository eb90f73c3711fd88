import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Collected, collect } from '../../src/measure/collect.ts'
import { encodePlan } from '../../src/measure/encode-plan.ts'
import { parseEvents } from '../../src/measure/events.ts'
import { parseOperatorProfile } from '../../src/measure/operators.ts'
import type { PlanArtifact, PlanStep } from '../../src/measure/plan.ts'
import { prebuiltRunner } from '../../src/measure/prebuilt-runner.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../fixtures.ts'
import { type Board, startBoard } from '../lab/board.ts'
import { labMissing } from '../lab/requirements.ts'
import { litertLibrary, litertMissing } from './litert-library.ts'
import { openInWasm } from './litert-wasm.ts'
import { artifact, plan } from './run-runner.ts'

const crossCompiler = 'aarch64-linux-gnu-gcc'
const skip = labMissing() || litertMissing() || fixturesMissing
const kws = fixture('mlperf-tiny/kws_dscnn_int8.tflite')
const samples = 40
const sampleBytes = 490

interface Setting {
  readonly board: Board
  /** Runs a plan on the board, with these environment variables. */
  run(a: Partial<PlanArtifact>, steps: readonly PlanStep[], environment?: string): Promise<Collected>
}

async function setUp(suite: 'bookworm' | 'bullseye'): Promise<Setting> {
  const board = await startBoard({ suite })
  const put = (from: string, name: string): void => copyFileSync(from, board.path(`/home/pi/${name}`))
  put(prebuiltRunner('aarch64').path, 'runner')
  put(litertLibrary('aarch64'), 'libLiteRt.so')
  put(litertLibrary('aarch64', { tfliteApi: true }), 'libtflite.so')
  put(kws, 'kws.tflite')
  put(fixture('edgetpu/2021/mobilenet_v1_0.25_128_quant_edgetpu.tflite'), 'edgetpu.tflite')
  const x = readFileSync(fixture('data/kws01_x_int8.bin')).subarray(0, samples * sampleBytes)
  writeFileSync(board.path('/home/pi/x'), x)
  let runs = 0
  return {
    board,
    async run(rest, steps, environment = '') {
      const name = `run${runs++}`
      const one = artifact('a', '/home/pi/kws.tflite', {
        backend: 'litert',
        library: '/home/pi/libLiteRt.so',
        ...rest,
      })
      writeFileSync(board.path(`/home/pi/${name}.json`), encodePlan(plan([one], steps)))
      const { stderr } = await board.ssh(
        `cd && ${environment} ./runner ${name}.json /home/pi/${name}.jsonl`,
        120_000,
      )
      const collected = collect(parseEvents(readFileSync(board.path(`/home/pi/${name}.jsonl`))))
      if (collected.end.state === 'unfinished') assert.fail(stderr)
      return collected
    },
  }
}

/** On the same samples: share of equal bytes and the largest difference in quantization steps. */
async function compareWithWasm(board: Board, file: string): Promise<{ share: number; maxSteps: number }> {
  const reference = await openInWasm(kws)
  const x = readFileSync(board.path('/home/pi/x'))
  const there = readFileSync(board.path(file))
  assert.equal(there.length, samples * 12)
  let same = 0
  let maxSteps = 0
  for (let i = 0; i < samples; i++) {
    const [here] = await reference.run([x.subarray(i * sampleBytes, (i + 1) * sampleBytes)])
    for (let j = 0; j < 12; j++) {
      const steps = Math.abs(there.readInt8(i * 12 + j) - ((here![j]! << 24) >> 24))
      same += steps === 0 ? 1 : 0
      maxSteps = Math.max(maxSteps, steps)
    }
  }
  return { share: same / (samples * 12), maxSteps }
}

const infer: PlanStep = {
  do: 'infer',
  artifact: 'a',
  inputs: ['/home/pi/x'],
  outputs: ['/home/pi/y'],
  count: samples,
}

describe('LiteRT on an emulated arm64 board', { skip, timeout: 600_000 }, () => {
  let setting: Setting
  before(async () => {
    setting = await setUp('bookworm')
  })
  after(() => setting?.board.stop())

  for (const library of ['libLiteRt.so', 'libtflite.so']) {
    test(`${library}: int8 outputs are within one step of the host’s`, async (t) => {
      const collected = await setting.run({ library: `/home/pi/${library}` }, [infer])
      assert.deepEqual(collected.end, { state: 'complete' })
      const { share, maxSteps } = await compareWithWasm(setting.board, '/home/pi/y')
      t.diagnostic(
        `${(share * 100).toFixed(2)} % of ${samples * 12} values bit-identical, largest difference ${maxSteps} steps`,
      )
      assert.ok(maxSteps <= 1, `${maxSteps}`)
    })
  }

  test('operator times: XNNPACK’s kernels one by one, through TFLite’s C API', async () => {
    const bounds = { minCount: 5, minSeconds: 0, maxCount: 5, maxSeconds: 60 }
    const collected = await setting.run({ library: '/home/pi/libtflite.so', profile: true }, [
      { do: 'measure', artifact: 'a', rateHz: 0, ...bounds },
    ])
    const [operators] = collected.operators
    const table = parseOperatorProfile(readFileSync(setting.board.path(operators!.file)))
    assert.equal(table.runs, 5)
    assert.ok(table.byNode.length > 5, JSON.stringify(table.byOperator))
    assert.ok(
      table.byOperator.some(({ operator }) => /Convolution/.test(operator)),
      JSON.stringify(table.byOperator),
    )
    const { latencyNs } = collected.artifacts.get('a')!
    const mean = latencyNs.reduce((a, b) => a + b) / latencyNs.length / 1000
    assert.ok(table.kernelUs > 0 && table.kernelUs <= mean * 1.5, `${table.kernelUs} of ${mean} µs`)
  })

  test('a delegate needs TFLite’s C API, and the newest LiteRT says so', async () => {
    const { end } = await setting.run({ delegate: { library: '/home/pi/libdelegate.so', options: {} } }, [])
    assert.ok(end.state === 'failed' && end.code === 'DELEGATE_FAILED')
  })

  describe('with a stand-in for the Edge TPU’s delegate', { skip: compilerMissing() }, () => {
    const scratch = mkdtempSync(join(tmpdir(), 'edgewright-delegate-'))
    after(() => rmSync(scratch, { recursive: true, force: true }))
    const edgetpu: Partial<PlanArtifact> = {
      library: '/home/pi/libtflite.so',
      model: '/home/pi/edgetpu.tflite',
      delegate: { library: '/home/pi/libdelegate.so', options: { device: 'usb:0', Performance: 'Max' } },
    }

    before(() => {
      const { status, stderr } = spawnSync(
        crossCompiler,
        [
          '-shared',
          '-fPIC',
          '-O1',
          '-Wall',
          '-Werror',
          '-o',
          join(scratch, 'libdelegate.so'),
          join(repositoryRoot, 'test/runner/delegate/stand-in.c'),
        ],
        { encoding: 'utf8' },
      )
      assert.equal(status, 0, stderr)
      copyFileSync(join(scratch, 'libdelegate.so'), setting.board.path('/home/pi/libdelegate.so'))
    })

    test('it is asked for its version and devices, gets its options, runs its operator, and is destroyed', async () => {
      const image = 128 * 128 * 3
      writeFileSync(setting.board.path('/home/pi/image'), new Uint8Array(image * 2))
      const collected = await setting.run(
        edgetpu,
        [{ do: 'infer', artifact: 'a', inputs: ['/home/pi/image'], outputs: ['/home/pi/classes'], count: 2 }],
        'STAND_IN_LOG=/home/pi/log',
      )
      assert.deepEqual(collected.end, { state: 'complete' })
      assert.deepEqual(collected.artifacts.get('a')!.loaded!.delegate, {
        library: '/home/pi/libdelegate.so',
        version: 'BuildLabel(STAND-IN), RuntimeVersion(14)',
      })
      const log = readFileSync(setting.board.path('/home/pi/log'), 'utf8').trim().split('\n')
      assert.deepEqual(log.slice(0, 7), [
        'version',
        'list 1',
        'free',
        'option device=usb:0',
        'option Performance=Max',
        'create',
        'claim 1 of 1',
      ])
      assert.equal(log.filter((line) => line === 'invoke 1001 bytes').length, 2)
      assert.equal(log.at(-1), 'destroy')
      assert.deepEqual(new Set(readFileSync(setting.board.path('/home/pi/classes'))), new Set([42]))
    })

    for (const [wish, code, words] of [
      ['no device', 'DELEGATE_DEVICE', /sees no Edge TPU/],
      ['no delegate', 'DELEGATE_FAILED', /the device is in use/],
      ['claim nothing', 'MODEL_LOAD', /edgetpu-custom-op/],
    ] as const) {
      test(`refused in words: ${wish}`, async () => {
        const { end } = await setting.run(edgetpu, [], `STAND_IN='${wish}'`)
        assert.ok(end.state === 'failed', JSON.stringify(end))
        assert.equal(end.code, code)
        assert.match(end.message, words)
      })
    }

    test('a library that is none, or missing, is named', async () => {
      for (const library of ['/home/pi/libtflite.so', '/nowhere/libedgetpu.so.1']) {
        const { end } = await setting.run({ ...edgetpu, delegate: { library, options: {} } }, [])
        assert.ok(
          end.state === 'failed' && end.code === 'DELEGATE_OPEN' && end.message.includes(library),
          JSON.stringify(end),
        )
      }
    })

    test('--check-delegate says version and devices', async () => {
      const { stdout } = await setting.board.ssh('./runner --check-delegate /home/pi/libdelegate.so', 60_000)
      const { version, devices } = JSON.parse(stdout) as { version: string; devices: unknown }
      assert.match(version, /RuntimeVersion\(14\)/)
      assert.deepEqual(devices, [{ type: 'usb', path: '/sys/bus/usb/devices/2-1' }])
    })
  })
})

test('TFLite’s C API of LiteRT 1.4 runs on Debian 11 (glibc 2.31), where LiteRT 2.3 cannot', {
  skip,
  timeout: 300_000,
}, async (t) => {
  const { board, run } = await setUp('bullseye')
  t.after(() => board.stop())
  assert.deepEqual((await run({ library: '/home/pi/libtflite.so' }, [infer])).end, { state: 'complete' })
  assert.ok((await compareWithWasm(board, '/home/pi/y')).maxSteps <= 1)
  const { end } = await run({}, [infer])
  assert.ok(end.state === 'failed' && end.code === 'LIBRARY_OPEN')
  assert.match(end.message, /GLIBC(XX)?_\d/)
})

function compilerMissing(): string | false {
  return spawnSync(crossCompiler, ['--version']).status === 0
    ? false
    : `the stand-in delegate needs ${crossCompiler}: apt-get install gcc-aarch64-linux-gnu`
}
