import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import * as ort from 'onnxruntime-node'
import { openDevice } from '../../src/deploy/device.ts'
import { deployArtifact } from '../../src/deploy/release.ts'
import { collectRun, followRun, startRun } from '../../src/deploy/run.ts'
import type { Device } from '../../src/deploy/types.ts'
import { sha256 } from '../../src/digest.ts'
import { collect } from '../../src/measure/collect.ts'
import { parseEvents } from '../../src/measure/events.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { writeArtifact } from './artifact.ts'
import { type Board, startBoard } from './board.ts'
import { clientOptions } from './client.ts'
import { openLink } from './link.ts'
import { labMissing } from './requirements.ts'
import { countedPlan, installTools, mnistModel, planArtifact, planRun } from './runner.ts'

describe('deploying to an emulated board', { skip: labMissing() }, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'edgewright-deploy-'))
  let board: Board
  let device: Device
  before(async () => {
    board = await startBoard()
    device = await openDevice(board.spec, clientOptions(board))
  })
  after(async () => {
    await device?.connection.close()
    await board?.stop()
    rmSync(scratch, { recursive: true, force: true })
  })

  test('the probe finds a 64-bit Raspberry Pi 5 with dot product', () => {
    const { architecture, userlandBits, model, compatible, cpuFeatures, libc } = device.facts
    assert.deepEqual(
      { architecture, userlandBits, model, compatible, libc },
      {
        architecture: 'aarch64',
        userlandBits: 64,
        model: 'Raspberry Pi 5 Model B Rev 1.0',
        compatible: ['raspberrypi,5-model-b', 'brcm,bcm2712'],
        libc: { name: 'glibc', version: '2.36' },
      },
    )
    assert.ok(cpuFeatures.includes('asimddp'))
  })

  test('the second deploy of an artifact sends under 4 kB and changes nothing', async () => {
    const model = readFileSync(mnistModel)
    const folder = writeArtifact(join(scratch, 'digits'), 'digits', model)
    const link = await openLink(board)
    const behindLink = await openDevice(link.spec, clientOptions(board))
    try {
      const first = await deployArtifact(behindLink, folder, { name: 'digits' })
      assert.equal(first.alreadyThere, false)
      assert.ok(first.sentBytes >= model.length)
      assert.equal(sha256(readFileSync(board.path(`${first.path}/model.onnx`))), sha256(model))

      const wireBefore = link.toBoardBytes
      const second = await deployArtifact(behindLink, folder, { name: 'digits' })
      assert.equal(second.alreadyThere, true)
      assert.equal(second.number, first.number)
      assert.ok(second.sentBytes < 4096, `${second.sentBytes} bytes`)
      // what the wire carried, seen from outside: encryption and channel messages come on top
      const wireBytes = link.toBoardBytes - wireBefore
      assert.ok(wireBytes < 8192, `${wireBytes} bytes on the wire`)
      assert.equal((await board.ssh(`readlink -f ${first.currentPath}/model.onnx`)).exitCode, 0)
    } finally {
      await behindLink.connection.close()
      await link.close()
    }
  })

  test('the arm64 runner infers what ONNX Runtime infers on this computer', {
    skip: fixturesMissing,
  }, async () => {
    const count = 40
    const samples = keywordInputs(count)
    const model = readFileSync(fixture('mlperf-tiny/kws_dscnn_float.onnx'))
    const tools = await installTools(device)
    const release = await deployArtifact(device, writeArtifact(join(scratch, 'kws'), 'kws', model), {
      name: 'kws',
    })
    const id = 'keywords'
    const folder = `${device.root}/runs/${id}`
    const plan = countedPlan(tools, release.modelPath, 30, 0)
    const request = planRun(device, tools, id, {
      ...plan,
      artifacts: [{ ...planArtifact(tools, release.modelPath), inputs: [`${folder}/one.bin`] }],
      steps: [
        ...plan.steps,
        {
          do: 'infer',
          artifact: 'model',
          inputs: [`${folder}/all.bin`],
          outputs: [`${folder}/out.bin`],
          count,
        },
      ],
    })
    const bytes = Buffer.from(samples.buffer)
    const files = new Map([...request.files, ['one.bin', bytes.subarray(0, 490 * 4)], ['all.bin', bytes]])
    await startRun(device, { ...request, files }, { waitMs: 0 })

    const chunks: Uint8Array[] = []
    const outcome = await followRun(device, id, (chunk) => chunks.push(chunk), { deadlineMs: 120_000 })
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    const collected = collect(parseEvents(Buffer.concat(chunks)))
    assert.equal(collected.end.state, 'complete')
    assert.equal(collected.artifacts.get('model')?.latencyNs.length, 30)
    assert.equal(collected.steps[1]?.inferred, count)

    const out = (await collectRun(device, id, ['out.bin'])).get('out.bin')!
    const onBoard = new Float32Array(out.buffer.slice(out.byteOffset, out.byteOffset + out.byteLength))
    const onHost = await inferOnHost(model, samples, count)
    assert.equal(onBoard.length, onHost.length)
    const worst = onHost.reduce((most, value, index) => Math.max(most, Math.abs(value - onBoard[index]!)), 0)
    assert.ok(worst < 1e-5, `outputs differ by up to ${worst}`)
    assert.deepEqual(topClasses(onBoard, 12), topClasses(onHost, 12))
  })
})

describe('deploying to a whole emulated machine', { skip: labMissing('system') }, () => {
  test('a board that has just booted takes a release and measures it', async (t) => {
    const board = await startBoard({ kind: 'system' })
    t.after(() => board.stop())
    const device = await openDevice(board.spec, clientOptions(board))
    t.after(() => device.connection.close())
    assert.equal(device.facts.model, 'Raspberry Pi 5 Model B Rev 1.0')
    const scratch = mkdtempSync(join(tmpdir(), 'edgewright-deploy-'))
    t.after(() => rmSync(scratch, { recursive: true, force: true }))
    const tools = await installTools(device)
    const artifact = writeArtifact(scratch, 'digits', readFileSync(mnistModel))
    const release = await deployArtifact(device, artifact, { name: 'digits' })
    await startRun(device, planRun(device, tools, 'first', countedPlan(tools, release.modelPath, 20, 0)), {
      waitMs: 0,
    })
    const chunks: Uint8Array[] = []
    const outcome = await followRun(device, 'first', (chunk) => chunks.push(chunk), { deadlineMs: 120_000 })
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    const collected = collect(parseEvents(Buffer.concat(chunks)))
    assert.equal(collected.artifacts.get('model')?.latencyNs.length, 20)
    assert.ok(collected.peakRssBytes! > 10 << 20)
  })
})

/** MLPerf Tiny's keyword inputs as floats: real = (q − 83) · 0.58470291. */
function keywordInputs(count: number): Float32Array {
  const stored = readFileSync(fixture('data/kws01_x_int8.bin'))
  return Float32Array.from({ length: count * 490 }, (_, index) => (stored.readInt8(index) - 83) * 0.58470291)
}

async function inferOnHost(model: Uint8Array, samples: Float32Array, count: number): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1 })
  const all: number[] = []
  for (let index = 0; index < count; index++) {
    const input = new ort.Tensor('float32', samples.slice(index * 490, (index + 1) * 490), [1, 49, 10, 1])
    const outputs = await session.run({ [session.inputNames[0]!]: input })
    all.push(...(outputs[session.outputNames[0]!]!.data as Float32Array))
  }
  return Float32Array.from(all)
}

function topClasses(outputs: Float32Array, classes: number): number[] {
  return Array.from({ length: outputs.length / classes }, (_, row) => {
    const scores = [...outputs.subarray(row * classes, (row + 1) * classes)]
    return scores.indexOf(Math.max(...scores))
  })
}
