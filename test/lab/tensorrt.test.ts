import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { ensureBlobBytes } from '../../src/deploy/blobs.ts'
import { sha256 } from '../../src/digest.ts'
import { EdgewrightError } from '../../src/error.ts'
import type { Precision } from '../../src/measure/trtexec/commands.ts'
import { planTurns } from '../../src/measure/trtexec/turns.ts'
import { type Progress, silentProgress, type Warning } from '../../src/progress.ts'
import { benchSubject } from '../../src/run/bench.ts'
import { runMainJob } from '../../src/run/run.ts'
import { noQuestions, openBoard, type OpenedBoard } from '../../src/run/open-device.ts'
import { collectedOf, timesOf } from '../../src/run/tensorrt/collected.ts'
import { type EngineWish, provideEngine } from '../../src/run/tensorrt/engine.ts'
import { readyBoard } from '../../src/run/ready-board.ts'
import { findTensorRt, holding } from '../../src/run/tensorrt/find.ts'
import { measureWishes } from '../../src/run/tensorrt/session.ts'
import { latencyOf } from '../../src/run/latency.ts'
import { repositoryRoot } from '../fixtures.ts'
import { jetPackPlace, type JetsonBoard, startJetson } from './jetson/board.ts'
import { labMissing } from './requirements.ts'

/** There is no Jetson here: everything up to trtexec's command line is ours and real, trtexec itself is a stand-in. */
describe('TensorRT on an emulated board, with a stand-in for trtexec', {
  skip: labMissing(),
  timeout: 1_200_000,
}, () => {
  let board: JetsonBoard
  let opened: OpenedBoard
  const float = readFileSync(join(repositoryRoot, 'examples/mnist/mnist.onnx'))

  const scratch = mkdtempSync(join(tmpdir(), 'edgewright-tensorrt-'))
  before(async () => {
    board = await startJetson('orin-nano')
    opened = await open(board)
  })
  after(async () => {
    await opened?.close()
    await board?.stop()
    rmSync(scratch, { recursive: true, force: true })
  })

  function open(on: JetsonBoard): Promise<OpenedBoard> {
    return openBoard(on.spec, undefined, connection(on), silentProgress())
  }

  function connection(on: JetsonBoard) {
    const { identityFile: identity, hostKeyFingerprint: hostKey, knownHostsFile: knownHosts } = on
    return { ...noQuestions, identity, hostKey, knownHosts }
  }

  /** Engines of the float network; int8 is asked for by its flag alone, which is enough for the stand-in. */
  async function wish(precision: Precision, bytes: Uint8Array = float): Promise<EngineWish> {
    const { path } = await ensureBlobBytes(opened.device, bytes)
    const allow = { fp32: [], fp16: ['fp16'], int8: ['int8', 'fp16'] } as const
    return {
      precision,
      source: { weak: { model: path, allow: allow[precision] }, strong: null },
      sha256: new Map([[path, sha256(bytes)]]),
      dla: null,
    }
  }

  function fresh(version: string, settings: Record<string, string | number> = {}): void {
    board.placeTrtexec(jetPackPlace)
    board.play({ version, ...settings })
  }

  const engines = () =>
    list(join(opened.device.root, 'engines')).filter((name) => /^[0-9a-f]{32}$/.test(name))
  const runs = () => list(join(opened.device.root, 'runs'))
  const list = (folder: string) => (existsSync(board.path(folder)) ? readdirSync(board.path(folder)) : [])

  const how = {
    turns: planTurns({ engines: 2, seconds: 1, count: 20, warmUpSeconds: 0.2, windows: 1 }),
    layers: true,
    transfers: true,
    cudaGraph: true,
    sensors: [],
  }

  for (const [version, path] of [
    ['8502', jetPackPlace],
    ['100300', '/opt/TensorRT-10.3.0.26/bin/trtexec'],
    ['110000', '/usr/local/bin/trtexec'],
  ] as const)
    test(`trtexec ${version} at ${path} is found, its version and options read`, async () => {
      board.placeTrtexec(path)
      board.play({ version })
      const found = await findTensorRt(opened.device)
      assert.equal(found.trtexec.path, path)
      const { major, minor, patch } = found.trtexec.version
      assert.deepEqual(
        [major, minor, patch],
        { 8502: [8, 5, 2], 100300: [10, 3, 0], 110000: [11, 0, 0] }[version],
      )
      assert.ok(found.trtexec.options?.has('--exportTimes'))
      assert.equal(found.trtexec.options?.has('--int8'), version !== '110000')
      assert.equal(found.gpu, 'tegra234 sm_8.7')
      assert.equal(found.l4t, '36.4.3')
      assert.deepEqual(found.powerMode, { id: 1, name: '25W' })
      assert.equal(found.jetson?.dla, 0)
    })

  test('no trtexec anywhere is one sentence with what to install', async () => {
    board.placeTrtexec(null)
    await assert.rejects(findTensorRt(opened.device), (error) => {
      assert.ok(error instanceof EdgewrightError)
      assert.equal(error.code, 'RUNTIME_MISSING')
      assert.match(error.hint ?? '', /libnvinfer-bin/)
      return true
    })
  })

  for (const [version, options] of [
    ['8502', { build: ['--buildOnly', '--int8', '--fp16'], run: ['--useCudaGraph', '--useSpinWait'] }],
    ['100300', { build: ['--skipInference', '--int8', '--fp16'], run: ['--useCudaGraph', '--useSpinWait'] }],
  ] as const)
    test(`TensorRT ${version} builds and measures fp16 beside int8 in turns`, async () => {
      fresh(version)
      const before = board.calls().length
      const found = await findTensorRt(opened.device)
      const { progress, warnings } = listening()
      const session = await measureWishes(
        opened,
        found,
        [await wish('fp16'), await wish('int8')],
        how,
        progress,
      )
      const calls = board.calls().slice(before)
      for (const option of options.build)
        assert.ok(calls[1]!.split(' ').includes(option), `${option} in ${calls[1]}`)
      assert.doesNotMatch(calls[0]!, /--int8/)
      for (const option of options.run)
        assert.ok(calls[2]!.split(' ').includes(option), `${option} in ${calls[2]}`)
      const turns = calls.filter((call) => call.includes('--exportTimes'))
      const paths = session.engines.map(({ path }) => path)
      assert.deepEqual(
        turns.map((call) => paths.indexOf(/--loadEngine=(\S+)/.exec(call)![1]!)),
        [0, 1, 1, 0],
      )
      const collected = collectedOf(session.measured, ['float', 'int8'])
      const [slow, fast] = ['float', 'int8'].map((name) => latencyOf(collected, name, 1, 0)!)
      assert.ok(slow!.p50Ns > 1_500_000 && slow!.p50Ns < 2_000_000, String(slow!.p50Ns))
      assert.ok(fast!.p50Ns > 1_100_000 && fast!.p50Ns < 1_300_000, String(fast!.p50Ns))
      assert.equal(slow!.count, 20)
      const [time] = timesOf(session.measured, 1)
      assert.equal(time!.latencyNs, time!.computeNs + time!.toDeviceNs + time!.fromDeviceNs)
      assert.equal(session.measured.layers[1]!.find(({ name }) => name.includes('PWN'))?.meanNs, 800_000)
      assert.deepEqual(warnings, [])
      assert.equal(engines().length, 2)
      assert.deepEqual(runs(), [], 'nothing of a run stays')
      const kept = list(join(opened.device.root, 'engines')).filter((name) => name.startsWith('timings-'))
      assert.deepEqual(kept, [version === '8502' ? 'timings-8.5.2-25W' : 'timings-10.3.0-25W'])

      const again = board.calls().length
      const second = await measureWishes(
        opened,
        found,
        [await wish('fp16'), await wish('int8')],
        how,
        progress,
      )
      assert.deepEqual(
        second.engines.map(({ cached }) => cached),
        [true, true],
      )
      assert.ok(
        board
          .calls()
          .slice(again)
          .every((call) => !call.includes('--onnx')),
      )
      await clearEngines()
    })

  const failures: [
    version: string,
    settings: Record<string, string | number>,
    code: string,
    message: RegExp,
    saw: RegExp,
  ][] = [
    [
      '8502',
      { fault: 'node' },
      'ENGINE_FAILED',
      /cannot take GridSample "\/decoder\/GridSample_output_0"/,
      /While parsing node number 73/,
    ],
    [
      '100300',
      { fault: 'node' },
      'ENGINE_FAILED',
      /cannot take GridSample3D "\/decoder\/GridSample"/,
      /^In node 11/,
    ],
    ['8502', { fault: 'memory' }, 'ENGINE_FAILED', /too little memory/, /OutOfMemory/],
    ['8502', { fault: 'killed' }, 'ENGINE_FAILED', /killed.*ran out of memory/, /SIGKILL/],
    ['100300', { fault: 'crash' }, 'ENGINE_FAILED', /trtexec failed/, /SIGSEGV|Segmentation/],
    ['8502', { int8: 0 }, 'DEVICE_UNSUPPORTED', /does not compute in int8/, /Int8 support/],
    ['8502', { fault: 'library' }, 'ENGINE_FAILED', /cannot load libnvinfer\.so\.8/, /shared libraries/],
    ['100300', { fault: 'odd' }, 'ENGINE_FAILED', /trtexec failed/, /nobody has seen/],
  ]
  for (const [version, settings, code, message, saw] of failures)
    test(`a build that fails by ${JSON.stringify(settings)} under ${version} is one sentence, and leaves nothing`, async () => {
      fresh(version, settings)
      await assert.rejects(
        async () =>
          provideEngine(opened, await findTensorRt(opened.device), await wish('int8'), silentProgress()),
        (error) => {
          assert.ok(error instanceof EdgewrightError, String(error))
          assert.equal(error.code, code)
          assert.match(error.message, message)
          assert.match(error.saw ?? '', saw)
          assert.ok(error.hint)
          return true
        },
      )
      assert.deepEqual(runs(), [])
      assert.deepEqual(engines(), [])
    })

  test('a DLA that the board has not is refused before anything is built; one that TensorRT does not see, by its log', async () => {
    fresh('8502')
    const before = board.calls().length
    const found = await findTensorRt(opened.device)
    const asked = { ...(await wish('int8')), dla: { core: 0, allowGpuFallback: true } }
    await assert.rejects(provideEngine(opened, found, asked, silentProgress()), {
      code: 'DEVICE_UNSUPPORTED',
      message: /no DLA core 0/,
    })
    assert.equal(board.calls().length, before)
    const nx = { ...found, jetson: { ...found.jetson!, dla: 2 } }
    await assert.rejects(provideEngine(opened, nx, asked, silentProgress()), {
      code: 'DEVICE_UNSUPPORTED',
      saw: /Cannot create DLA engine, 0/,
    })
  })

  test('layers that a DLA leaves to the GPU are said', async () => {
    fresh('8502', { dla: 2 })
    const found = await findTensorRt(opened.device)
    const nx = { ...found, jetson: { ...found.jetson!, dla: 2 } }
    const { progress, warnings } = listening()
    await provideEngine(
      opened,
      nx,
      { ...(await wish('int8')), dla: { core: 0, allowGpuFallback: true } },
      progress,
    )
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['DLA_FALLBACK'],
    )
    assert.match(warnings[0]!.message, /softmax/)
    await clearEngines()
  })

  test('a disk that fills up while the engine is written is said so, and nothing of it stays', async () => {
    fresh('100300')
    const found = await findTensorRt(opened.device)
    const small = await wish('fp16')
    const free = board.fillDisk(float.length / 2)
    try {
      await assert.rejects(provideEngine(opened, found, small, silentProgress()), {
        code: 'DEVICE_DISK_FULL',
      })
    } finally {
      free()
    }
    assert.deepEqual(engines(), [])
    assert.deepEqual(runs(), [])
  })

  test('output that means harm harms nothing: it is cut, made printable, and fails as unknown', async () => {
    fresh('100300', { fault: 'hostile' })
    await assert.rejects(
      async () =>
        provideEngine(opened, await findTensorRt(opened.device), await wish('fp16'), silentProgress()),
      (error) => {
        assert.ok(error instanceof EdgewrightError)
        const said = [error.message, error.saw, error.hint, error.where].join(' ')
        assert.doesNotMatch(said, /[\u0000-\u001f\u007f]/)
        assert.ok(said.length < 2000, String(said.length))
        return true
      },
    )
  })

  test('an engine that does not load any more is built again, once, and that is said', async () => {
    fresh('100300')
    const found = await findTensorRt(opened.device)
    const [fp16, int8] = [await wish('fp16'), await wish('int8')]
    const built = await provideEngine(opened, found, int8, silentProgress())
    board.write(built.path, board.read(built.path)!.replace('100300', '100100'))
    const { progress, warnings } = listening()
    const session = await measureWishes(opened, found, [fp16, int8], { ...how, layers: false }, progress)
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['ENGINE_REBUILT'],
    )
    assert.match(warnings[0]!.hint, /Version tag does not match/)
    assert.equal(session.measured.turns.length, 4)
    assert.match(board.read(built.path)!, /\n100300\n/)
    await clearEngines()
  })

  test('another TensorRT or another power mode is another engine', async () => {
    fresh('100300')
    const int8 = await wish('int8')
    const paths = new Set<string>()
    for (const [version, mode] of [
      ['100300', 1],
      ['100300', 0],
      ['8502', 0],
    ] as const) {
      board.play({ version })
      board.write('/var/lib/nvpmodel/status', `pmode:000${mode} fmode:quiet\n`)
      const engine = await provideEngine(opened, await findTensorRt(opened.device), int8, silentProgress())
      assert.equal(engine.cached, false)
      paths.add(engine.path)
    }
    assert.equal(paths.size, 3)
    assert.equal(engines().length, 3)
    board.write('/var/lib/nvpmodel/status', 'pmode:0001 fmode:quiet\n')
    await clearEngines()
  })

  test('Ctrl-C while an engine is built ends trtexec on the board and leaves nothing', async () => {
    fresh('100300', { slow: 100 })
    const found = await findTensorRt(opened.device)
    const int8 = await wish('int8')
    const abort = new AbortController()
    const build = provideEngine(opened, found, int8, { ...silentProgress(), signal: abort.signal })
    build.catch(() => {})
    await until(async () => (await processes()).includes('--skipInference'))
    abort.abort()
    await assert.rejects(build, { code: 'INTERRUPTED' })
    assert.doesNotMatch(await processes(), /trtexec/)
    assert.deepEqual(runs(), [])
    assert.deepEqual(engines(), [])
  })

  test('a connection cut while an engine is built is taken up again', async () => {
    fresh('100300', { slow: 4 })
    const found = await findTensorRt(opened.device)
    const int8 = await wish('int8')
    const before = board.calls().length
    let building = () => {}
    const followed = new Promise<void>((resolve) => {
      building = resolve
    })
    const stage = (_: string, detail?: string) => detail?.endsWith('building') && building()
    const build = provideEngine(opened, found, int8, { ...silentProgress(), stage })
    await Promise.race([followed, build])
    board.cutConnections()
    assert.equal((await build).cached, false)
    assert.equal(board.calls().length, before + 1)
    assert.deepEqual(runs(), [])
    await clearEngines()
  })

  test('two that want the same engine take turns, and it is built once', async () => {
    fresh('100300', { slow: 2 })
    const found = await findTensorRt(opened.device)
    const other = await open(board)
    const int8 = await wish('int8')
    const before = board.calls().length
    try {
      const waited: string[] = []
      const progress = { ...silentProgress(), stage: (name: string) => void waited.push(name) }
      const built = await Promise.all([opened, other].map((one) => provideEngine(one, found, int8, progress)))
      assert.equal(built[0]!.path, built[1]!.path)
      assert.ok(waited.includes('wait'), waited.join(', '))
      assert.equal(board.calls().length, before + 1)
    } finally {
      await other.close()
    }
    await clearEngines()
  })

  async function processes(): Promise<string> {
    return (await board.ssh('cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "')).stdout
  }

  async function until(condition: () => Promise<boolean>, deadlineMs = 30_000): Promise<void> {
    for (const deadline = Date.now() + deadlineMs; !(await condition()); )
      assert.ok(Date.now() < deadline, `in ${deadlineMs} ms it did not come true: ${condition}`)
  }

  const mode = () => /pmode:(\d+)/.exec(board.read('/var/lib/nvpmodel/status')!)![1]

  test('a power mode is set by its name for build and measurement alike, names the engine, and is set back', async () => {
    fresh('100300')
    const ready = await readyBoard(
      opened.device,
      { pin: true, powerMode: 'maxn_super', coolTo: 'off' },
      new Map(),
      silentProgress(),
    )
    const found = holding(await findTensorRt(opened.device), ready.pins)
    assert.equal(found.powerMode?.name, 'MAXN_SUPER')
    const session = await measureWishes(
      opened,
      found,
      [await wish('int8')],
      { ...how, turns: { ...how.turns, order: [0] } },
      silentProgress(),
    )
    assert.deepEqual(
      session.measured.aftermath.pins.map(({ what, from, to, state }) => [what, from, to, state]).sort(),
      [
        ['jetson_clocks', 'stored', 'locked', 'restored'],
        ['power mode', '25W', 'MAXN_SUPER', 'restored'],
      ],
    )
    assert.equal(mode(), '0001')
    assert.deepEqual(board.read('/tmp/nvpmodel-stand-in-calls')!.trim().split('\n'), [
      '-m 2',
      '-m 1',
      '-m 2',
      '-m 1',
    ])
    assert.equal(board.read('/tmp/jetson_clocks-stand-in-state')!.trim(), 'dynamic')
    const plain = await provideEngine(
      opened,
      await findTensorRt(opened.device),
      await wish('int8'),
      silentProgress(),
    )
    assert.equal(plain.cached, false, 'the engine of another mode is another engine')
    await clearEngines()
  })

  test('sudo that asks for a password, a mode that does not exist or that wants a restart: a sentence each, nothing changed', async () => {
    fresh('100300')
    const hold = (powerMode: string) =>
      readyBoard(opened.device, { powerMode, coolTo: 'off' }, new Map(), silentProgress())
    await assert.rejects(hold('40W'), { code: 'DEVICE_UNSUPPORTED', saw: /15W, 25W, MAXN_SUPER/ })
    const attempt = async (powerMode: string) => {
      const { pins } = await hold(powerMode)
      return provideEngine(
        opened,
        holding(await findTensorRt(opened.device), pins),
        await wish('int8'),
        silentProgress(),
      )
    }
    board.write('/etc/nvpmodel-stand-in-reboot', '2\n')
    await assert.rejects(attempt('MAXN_SUPER'), { code: 'DEVICE_UNSUPPORTED', message: /restart/ })
    board.write('/etc/sudo-stand-in', 'refuse\n')
    await assert.rejects(attempt('15W'), { code: 'DEVICE_UNSUPPORTED', hint: /sudo/ })
    await board.ssh('true')
    board.remove('/etc/sudo-stand-in')
    assert.equal(mode(), '0001')
    assert.deepEqual(runs(), [])
    assert.deepEqual(engines(), [])
  })

  async function mainJob(store: string) {
    const { document } = await runMainJob(
      {
        model: join(repositoryRoot, 'examples/mnist/mnist.onnx'),
        shapes: {},
        data: join(repositoryRoot, 'examples/mnist/data.yaml'),
        calibrationData: undefined,
        metric: undefined,
        recipe: parseRecipe({ preset: 'fast' }, 'test'),
        schemes: ['full-int8'],
        edgetpuCompiler: undefined,
        devices: [{ device: board.spec, profile: undefined, target: undefined, optional: false }],
        threads: [1],
        affinity: [],
        rateHz: 0,
        preset: 'quick',
        report: undefined,
        budgets: [],
        connection: connection(board),
        store,
      },
      silentProgress(),
    )
    const [result] = document.results
    assert.equal(result!.status, 'ok', JSON.stringify(result!.error))
    return result!
  }

  for (const version of ['100300', '110000'])
    test(`run on a Jetson with TensorRT ${version}: int8 beside fp16 and fp32, in turns; bench of its artifact finds the engine`, async () => {
      fresh(version)
      const before = board.calls().length
      const result = await mainJob(join(scratch, version))
      const calls = board.calls().slice(before)
      assert.equal(result.target, 'tensorrt')
      assert.equal(result.profile, 'jetson-orin-nano')
      assert.deepEqual(
        result.engines!.map(({ role, precision, cached }) => [role, precision, cached]),
        [
          ['baseline', 'fp32', false],
          ['baseline', 'fp16', false],
          ['artifact', 'int8', false],
        ],
      )
      assert.equal(result.runtime!.name, 'tensorrt')
      assert.equal(result.conditions!.measuredWith, 'trtexec')
      assert.equal(result.conditions!.powerMode, '25W')
      assert.equal(result.conditions!.order, 'interleaved')
      assert.equal(result.threads, null)
      assert.match(result.verdict!.sentence, /^Emulated, so speed is not judged/)
      const [fp32, fp16, int8] = result.engines!
      // the stand-in cannot see in a file which type it states
      if (version === '100300') assert.ok(fp16!.latency!.p50Ns < fp32!.latency!.p50Ns)
      const faster = fp16!.latency!.p50Ns < fp32!.latency!.p50Ns ? fp16 : fp32
      assert.deepEqual(
        result.baseline!.latency,
        faster!.latency,
        'the faster float engine is what int8 has to beat',
      )
      assert.deepEqual(result.latency, int8!.latency)
      assert.equal(result.operators!.int8[0]!.operator, 'conv1/Conv + PWN(conv1/"Relu")')
      const builds = calls.filter((call) => call.includes('--onnx'))
      const weak = version === '100300'
      assert.deepEqual(
        builds.map((call) => [call.includes('--int8'), call.includes('--fp16')]),
        weak
          ? [
              [true, true],
              [false, false],
              [false, true],
            ]
          : [
              [false, false],
              [false, false],
              [false, false],
            ],
      )
      assert.equal(new Set(builds.map((call) => /--onnx=(\S+)/.exec(call)![1])).size, weak ? 2 : 3)
      for (const call of calls.filter((line) => line.includes('--exportTimes')))
        assert.equal(call.includes('--includeDataTransfers'), !weak)

      const bench = await benchSubject(
        {
          subject: result.artifact!.path,
          shapes: {},
          device: board.spec,
          threads: [1],
          affinity: [],
          rateHz: 0,
          preset: 'quick',
          operators: true,
          attach: undefined,
          connection: connection(board),
        },
        silentProgress(),
      )
      assert.equal(bench.rows[0]!.latency!.p50Ns > 0, true)
      const later = board.calls().slice(before + calls.length)
      assert.ok(later.length > 0 && later.every((call) => !call.includes('--onnx')), later.join('\n'))
      await clearEngines()
    })

  async function clearEngines(): Promise<void> {
    await board.ssh(`rm -rf ${opened.device.root}/engines`)
  }

  function listening(): { progress: Progress; warnings: Warning[] } {
    const warnings: Warning[] = []
    return { progress: { ...silentProgress(), warn: (warning) => void warnings.push(warning) }, warnings }
  }
})
