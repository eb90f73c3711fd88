import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ensureBlobBytes } from '../../src/deploy/blobs.ts'
import { sha256 } from '../../src/digest.ts'
import { EdgewrightError } from '../../src/error.ts'
import type { Precision } from '../../src/measure/trtexec/commands.ts'
import { planTurns } from '../../src/measure/trtexec/turns.ts'
import { type Progress, silentProgress, type Warning } from '../../src/progress.ts'
import { noQuestions, openBoard, type OpenedBoard } from '../../src/run/open-device.ts'
import { collectedOf, timesOf } from '../../src/run/tensorrt/collected.ts'
import { type EngineWish, provideEngine } from '../../src/run/tensorrt/engine.ts'
import { findTensorRt } from '../../src/run/tensorrt/find.ts'
import { measureWishes } from '../../src/run/tensorrt/session.ts'
import { latencyOf } from '../../src/run/latency.ts'
import { repositoryRoot } from '../fixtures.ts'
import { jetPackPlace, type JetsonBoard, startJetson } from './jetson/board.ts'
import { labMissing } from './requirements.ts'

/** There is no Jetson here: everything up to trtexec's command line is ours and real, trtexec itself is a stand-in. */
describe('TensorRT on an emulated board, with a stand-in for trtexec', { skip: labMissing(), timeout: 600_000 }, () => {
  let board: JetsonBoard
  let opened: OpenedBoard
  const float = readFileSync(join(repositoryRoot, 'examples/mnist/mnist.onnx'))

  before(async () => {
    board = await startJetson('orin-nano')
    opened = await open(board)
  })
  after(async () => {
    await opened?.close()
    await board?.stop()
  })

  function open(on: JetsonBoard): Promise<OpenedBoard> {
    const options = { identity: on.identityFile, hostKey: on.hostKeyFingerprint, knownHosts: on.knownHostsFile }
    return openBoard(on.spec, undefined, { ...noQuestions, ...options }, silentProgress())
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

  const engines = () => list(join(opened.device.root, 'engines')).filter((name) => /^[0-9a-f]{32}$/.test(name))
  const runs = () => list(join(opened.device.root, 'runs'))
  const list = (folder: string) => (existsSync(board.path(folder)) ? readdirSync(board.path(folder)) : [])

  const how = { turns: planTurns(2, 1, 20, 0.2), layers: true, transfers: true, cudaGraph: true, sensors: [] }

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
      assert.deepEqual([major, minor, patch], { 8502: [8, 5, 2], 100300: [10, 3, 0], 110000: [11, 0, 0] }[version])
      assert.ok(found.trtexec.options?.has('--exportTimes'))
      assert.equal(found.trtexec.options?.has('--int8'), version !== '110000')
      assert.equal(found.gpu, 'tegra234 sm_8.7')
      assert.equal(found.l4t, '36.4.3')
      assert.deepEqual(found.powerMode, { id: 1, name: '25W' })
      assert.deepEqual(found.powerModes.map(({ name }) => name), ['15W', '25W', 'MAXN_SUPER'])
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
      const session = await measureWishes(opened, found, [await wish('fp16'), await wish('int8')], how, progress)
      const calls = board.calls().slice(before)
      for (const option of options.build) assert.ok(calls[1]!.split(' ').includes(option), `${option} in ${calls[1]}`)
      assert.doesNotMatch(calls[0]!, /--int8/)
      for (const option of options.run) assert.ok(calls[2]!.split(' ').includes(option), `${option} in ${calls[2]}`)
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

      const again = board.calls().length
      const second = await measureWishes(opened, found, [await wish('fp16'), await wish('int8')], how, progress)
      assert.deepEqual(second.engines.map(({ cached }) => cached), [true, true])
      assert.ok(board.calls().slice(again).every((call) => !call.includes('--onnx')))
      for (const path of paths) board.path(path)
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
