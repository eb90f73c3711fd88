import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { openDevice } from '../../src/deploy/device.ts'
import { acquireLock } from '../../src/deploy/lock.ts'
import { deployArtifact } from '../../src/deploy/release.ts'
import { followRun, runState, startRun } from '../../src/deploy/run.ts'
import type { Device } from '../../src/deploy/types.ts'
import { sha256 } from '../../src/digest.ts'
import { EdgewrightError } from '../../src/error.ts'
import { collect } from '../../src/measure/collect.ts'
import { parseEvents } from '../../src/measure/events.ts'
import { chooseTarget } from '../../src/profiles/choose-target.ts'
import { resolveProfile } from '../../src/profiles/resolve.ts'
import { writeArtifact } from './artifact.ts'
import { type Board, startBoard } from './board.ts'
import { clientOptions } from './client.ts'
import { type Link, openLink } from './link.ts'
import { labMissing } from './requirements.ts'
import { countedPlan, installTools, mnistModel, planRun, type Tools } from './runner.ts'

const skip = labMissing()
const scratch = mkdtempSync(join(tmpdir(), 'edgewright-faults-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

/** Notices a silent line within a second, so that the tests need not wait for the usual half minute. */
const keepalive = { intervalMs: 300, countMax: 3 }

describe('faults of a deploy', { skip }, () => {
  test('a connection cut during the upload installs nothing, and the next deploy completes', async (t) => {
    const { board, link, open } = await boardBehindLink(t)
    const old = artifact('old', 100_000)
    const wanted = artifact('new', 8 << 20)
    const before = await deployArtifact(await open(), old.folder, { name: 'app' })
    const device = await open()

    const cut = link.cutAfter(3 << 20)
    await assert.rejects(deployArtifact(device, wanted.folder, { name: 'app' }), { code: 'DEVICE_LOST' })
    await cut

    const current = board.path(`${before.currentPath}/model.onnx`)
    assert.equal(
      sha256(await follow(board, current)),
      sha256(old.model),
      'the release before is still current',
    )
    assert.equal(existsSync(board.path(`${device.root}/blobs/${sha256(wanted.model)}`)), false)

    const release = await deployArtifact(await open(), wanted.folder, { name: 'app' })
    assert.equal(sha256(readFileSync(board.path(release.modelPath))), sha256(wanted.model))
    assert.equal(sha256(await follow(board, current)), sha256(wanted.model))
  })

  test('a cable pulled during the upload is noticed, and the next deploy completes', async (t) => {
    const { board, link, open } = await boardBehindLink(t)
    const wanted = artifact('silent', 8 << 20)
    const device = await open()
    const upload = deployArtifact(device, wanted.folder, { name: 'app' })
    upload.catch(() => {})
    await until(() => link.toBoardBytes > 2 << 20)
    link.silence(true)
    await assert.rejects(upload, { code: 'DEVICE_LOST' })
    link.cut()
    link.silence(false)
    const release = await deployArtifact(await open(), wanted.folder, { name: 'app' })
    assert.equal(sha256(readFileSync(board.path(release.modelPath))), sha256(wanted.model))
  })

  test('a board without room says so before anything is sent, and keeps nothing', async (t) => {
    const { board, open } = await boardBehindLink(t, 4 << 20)
    const device = await open()
    await assert.rejects(
      deployArtifact(device, artifact('large', 8 << 20).folder, { name: 'app' }),
      (error) => saysDiskFull(error, device),
    )
    assert.deepEqual(filesBelow(board.path(device.root)), [])
  })

  test('a disk that fills up during the upload is named, and what was half sent is taken away', async (t) => {
    const { board, link, open } = await boardBehindLink(t, 24 << 20)
    const device = await open()
    const wanted = artifact('filling', 12 << 20)
    const upload = deployArtifact(device, wanted.folder, { name: 'app' })
    upload.catch(() => {})
    await until(() => link.toBoardBytes > 1 << 20)
    const free = board.fillDisk()
    await assert.rejects(upload, (error) => saysDiskFull(error, device))
    assert.deepEqual(filesBelow(board.path(`${device.root}/blobs`)), [])
    free()
    const release = await deployArtifact(device, wanted.folder, { name: 'app' })
    assert.equal(sha256(readFileSync(board.path(release.modelPath))), sha256(wanted.model))
  })

  test('two hosts that deploy at once each get a whole release of their own', async (t) => {
    const { board, open } = await boardBehindLink(t)
    const [first, second] = [artifact('mine', 2 << 20), artifact('yours', 2 << 20)]
    const devices = await Promise.all([open(), open()])
    const releases = await Promise.all([
      deployArtifact(devices[0]!, first.folder, { name: 'app' }),
      deployArtifact(devices[1]!, second.folder, { name: 'app' }),
    ])
    assert.notEqual(releases[0].number, releases[1].number)
    const digests = releases.map(({ modelPath }) => sha256(readFileSync(board.path(modelPath))))
    assert.deepEqual(digests, [sha256(first.model), sha256(second.model)])
    const current = sha256(await follow(board, board.path(`${releases[0].currentPath}/model.onnx`)))
    assert.ok(digests.includes(current))
  })

  test('a glibc older than ONNX Runtime needs is named with its version', async (t) => {
    const { board, open } = await boardBehindLink(t)
    // as JetPack 4 has it; programs of the login's own come before the system's
    const fake = [
      '#!/bin/sh',
      'case $1 in GNU_LIBC_VERSION) echo glibc 2.27 ;; *) exec /usr/bin/getconf "$@" ;; esac',
      '',
    ]
    writeFileSync(board.path('/usr/local/bin/getconf'), fake.join('\n'), { mode: 0o755 })
    const { facts } = await open()
    assert.deepEqual(facts.libc, { name: 'glibc', version: '2.27' })
    assert.throws(
      () => chooseTarget(resolveProfile('generic-arm64'), ['onnxruntime'], facts),
      (error) => {
        assert.ok(error instanceof EdgewrightError)
        assert.equal(error.code, 'DEVICE_UNSUPPORTED')
        assert.match(`${error.message} ${error.saw}`, /2\.27/)
        return true
      },
    )
  })
})

describe('faults of a run', { skip }, () => {
  const inferences = 300
  let board: Board
  let model: string
  let tools: Tools
  let nextId = 0

  before(async () => {
    board = await startBoard()
    const device = await openDevice(board.spec, clientOptions(board))
    tools = await installTools(device)
    const folder = writeArtifact(join(scratch, 'digits'), 'digits', readFileSync(mnistModel))
    model = (await deployArtifact(device, folder, { name: 'digits' })).modelPath
    await device.connection.close()
  })
  after(() => board?.stop())

  test('a connection cut during the run loses no sample', async (t) => {
    const { link, open } = await linkTo(t, board)
    const { device, id } = await started(open, 200)
    const chunks: Uint8Array[] = []
    let cuts = 0
    const outcome = await followRun(
      device,
      id,
      (chunk) => {
        chunks.push(chunk)
        if (cuts < 3 && Buffer.concat(chunks).includes('"latency"')) {
          cuts++
          link.cut()
        }
      },
      { reconnect: open, deadlineMs: 120_000 },
    )
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    assert.ok(outcome.reconnects >= 1)
    assertComplete(Buffer.concat(chunks))
  })

  test('a run whose host went away is collected whole by attaching again', async (t) => {
    const { link, open } = await linkTo(t, board)
    const { device, id } = await started(open, 200)
    const following = followRun(device, id, () => {}, { deadlineMs: 120_000 })
    following.catch(() => {})
    await until(() => existsSync(board.path(`${device.root}/runs/${id}/events.jsonl`)))
    link.cut()
    await assert.rejects(following, { code: 'DEVICE_LOST' })

    const chunks: Uint8Array[] = []
    const outcome = await followRun(await open(), id, (chunk) => chunks.push(chunk), { deadlineMs: 120_000 })
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    assertComplete(Buffer.concat(chunks))
  })

  test('a board whose SSH server drops every session goes on measuring', async (t) => {
    const { open } = await linkTo(t, board)
    const { device, id } = await started(open, 200)
    const chunks: Uint8Array[] = []
    setTimeout(() => board.cutConnections(), 700)
    const outcome = await followRun(device, id, (chunk) => chunks.push(chunk), {
      reconnect: open,
      deadlineMs: 120_000,
    })
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    assert.ok(outcome.reconnects >= 1)
    assertComplete(Buffer.concat(chunks))
  })

  test('a killed runner ends the run as such, keeps what it wrote and frees the board', async (t) => {
    const { open } = await linkTo(t, board)
    const { device, id } = await started(open, 20)
    const chunks: Uint8Array[] = []
    const following = followRun(device, id, (chunk) => chunks.push(chunk), { deadlineMs: 60_000 })
    await until(() => eventsOn(device, id).some(({ type }) => type === 'step'))
    const [hello] = eventsOn(device, id)
    assert.ok(hello?.type === 'hello')
    await new Promise((resolve) => setTimeout(resolve, 1500))
    assert.equal((await board.ssh(`kill -9 ${hello.pid}`)).exitCode, 0)
    const outcome = await following
    assert.ok(outcome.ended !== 'exited' || outcome.exitCode === 137, JSON.stringify(outcome.exitCode))
    const received = Buffer.concat(chunks)
    assert.ok(received.equals(readFileSync(board.path(`${device.root}/runs/${id}/events.jsonl`))))
    assert.equal(collect(parseEvents(wholeLines(received))).end.state, 'unfinished')
    await (await acquireLock(device, { holder: 'the next', waitMs: 5000 })).release()
  })

  test('a second host is told who holds the board', async (t) => {
    const { open } = await linkTo(t, board)
    const other = await open()
    const { device, id } = await started(open, 100, 'anna@desk')
    await assert.rejects(
      startRun(other, planRun(other, tools, 'other', countedPlan(tools, model, 5, 0), 'bert@lab'), {
        waitMs: 0,
      }),
      (error) => {
        assert.ok(error instanceof EdgewrightError)
        assert.equal(error.code, 'DEVICE_BUSY')
        assert.match(error.message, /anna@desk/)
        return true
      },
    )
    assert.equal((await runState(device, id)).state, 'lives')
    assert.equal((await followRun(device, id, () => {}, { deadlineMs: 60_000 })).exitCode, 0)
  })

  test('a second host that waits gets the board once the first is done, and never beside it', async (t) => {
    const { open } = await linkTo(t, board)
    const { device, id } = await started(open, 200, 'anna@desk')
    const other = await open()
    const waitedFor: string[] = []
    const request = planRun(other, tools, 'waiting', countedPlan(tools, model, 5, 0), 'bert@lab')
    await startRun(other, request, { waitMs: 60_000, onWaiting: ({ holder }) => waitedFor.push(holder) })
    assert.notEqual((await runState(device, id)).state, 'lives')
    assert.ok(waitedFor.length > 0 && waitedFor.every((holder) => holder === 'anna@desk'), waitedFor.join())
    assert.equal((await followRun(other, 'waiting', () => {}, { deadlineMs: 60_000 })).exitCode, 0)
  })

  /** A run of `inferences` inferences at a rate at which it lasts a few seconds. */
  async function started(open: () => Promise<Device>, rateHz: number, holder?: string) {
    const device = await open()
    const id = `fault-${nextId++}`
    await startRun(
      device,
      planRun(device, tools, id, countedPlan(tools, model, inferences, rateHz), holder),
      {
        waitMs: 60_000,
      },
    )
    return { device, id }
  }

  function eventsOn(device: Device, id: string) {
    const path = board.path(`${device.root}/runs/${id}/events.jsonl`)
    return existsSync(path) ? parseEvents(wholeLines(readFileSync(path))) : []
  }

  /** Every line once and in order (parseEvents holds `seq` to that), and as many samples as were asked for. */
  function assertComplete(bytes: Buffer): void {
    const collected = collect(parseEvents(bytes))
    assert.equal(collected.end.state, 'complete')
    assert.equal(collected.artifacts.get('model')?.latencyNs.length, inferences)
    assert.equal(collected.steps[0]?.count, inferences)
  }
})

/** The runner's last line may be half written when it is killed. */
function wholeLines(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.lastIndexOf(10) + 1)
}

async function boardBehindLink(t: TestContext, homeBytes?: number) {
  const board = await startBoard({ homeBytes })
  t.after(() => board.stop())
  return { board, ...(await linkTo(t, board)) }
}

async function linkTo(t: TestContext, board: Board): Promise<{ link: Link; open: () => Promise<Device> }> {
  const link = await openLink(board)
  const devices: Device[] = []
  t.after(async () => {
    await Promise.all(devices.map((device) => device.connection.close().catch(() => {})))
    await link.close()
  })
  const open = async () => {
    const device = await openDevice(link.spec, { ...clientOptions(board), keepalive })
    devices.push(device)
    return device
  }
  return { link, open }
}

function artifact(name: string, bytes: number): { folder: string; model: Buffer } {
  const model = randomBytes(bytes)
  return { folder: writeArtifact(mkdtempSync(join(scratch, `${name}-`)), name, model), model }
}

function saysDiskFull(error: unknown, device: Device): boolean {
  assert.ok(error instanceof EdgewrightError, String(error))
  assert.equal(error.code, 'DEVICE_DISK_FULL')
  assert.equal(error.where, device.root)
  return true
}

/** A file by a path with links in it, read as the board sees it: absolute links must not lead into this computer. */
async function follow(board: Board, hostPath: string): Promise<Buffer> {
  const onBoard = hostPath.slice(board.path('/').replace(/\/$/, '').length)
  const { stdout } = await board.ssh(`readlink -f '${onBoard}'`)
  return readFileSync(board.path(stdout.trim()))
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
}

async function until(condition: () => boolean, deadlineMs = 30_000): Promise<void> {
  const deadline = Date.now() + deadlineMs
  while (!condition()) {
    assert.ok(Date.now() < deadline, `in ${deadlineMs} ms it did not come true: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
