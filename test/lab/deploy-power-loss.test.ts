import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { openDevice } from '../../src/deploy/device.ts'
import { deployArtifact } from '../../src/deploy/release.ts'
import { listReleases, pruneReleases } from '../../src/deploy/releases.ts'
import type { Connection, Device } from '../../src/deploy/types.ts'
import { sha256 } from '../../src/digest.ts'
import { writeArtifact } from './artifact.ts'
import { type Board, startBoard } from './board.ts'
import { clientOptions } from './client.ts'
import { labMissing } from './requirements.ts'

/** More cuts at random moments, for a longer look: EDGEWRIGHT_POWER_CUTS=40. */
const randomCuts = Number(process.env.EDGEWRIGHT_POWER_CUTS ?? 0)

interface Moment {
  readonly name: string
  /** The nth script of the deploy, an upload, or the verification. */
  readonly at: string
  /** After its start; null: after its end. */
  readonly delayMs: number | null
}

/** What a deploy does on the board, in its order; power goes while it is under way, or right after it. */
const moments: readonly Moment[] = [
  { name: 'while a file is sent', at: 'upload', delayMs: 60 },
  { name: 'while what was sent is checked', at: 'script 2', delayMs: 30 },
  { name: 'while the release is made', at: 'script 3', delayMs: 60 },
  { name: 'while it is verified', at: 'verify', delayMs: 0 },
  { name: 'while it becomes current', at: 'script 5', delayMs: 60 },
  { name: 'right after it became current', at: 'script 5', delayMs: null },
]

describe('the power goes in the middle of a deploy', {
  skip: labMissing('system'),
  timeout: 1_200_000,
}, () => {
  test('the old release still runs, nothing half-installed is used, the next deploy completes', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'edgewright-power-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const board = await startBoard({ kind: 'system', disk: 'persistent', seed: 7 })
    t.after(() => board.stop())
    const artifact = (content: Uint8Array, name: string) => writeArtifact(join(folder, name), 'net', content)
    let model = randomBytes(200_000)
    const first = await open(t, board)
    await deployArtifact(first, artifact(model, 'first'), { name: 'net', verify: async () => {} })
    await first.connection.close()

    const next = seeded(11)
    const random = Array.from({ length: randomCuts }, (): Moment => {
      const at = ['upload', 'script 1', 'script 2', 'script 3', 'script 4', 'script 5', 'verify'][next() % 7]!
      return { name: `at random, ${at}`, at, delayMs: next() % 200 }
    })
    for (const [index, moment] of [...moments, ...random].entries()) {
      const wanted = randomBytes(200_000 + index)
      const where = artifact(wanted, `wanted-${index}`)
      const deployed = await deployUntilCut(t, board, where, moment)
      await board.powerOn()
      const device = await open(t, board)
      const seen = await currentModel(device)
      const mayBeNew = moment.at === 'script 5'
      assert.ok(
        seen === sha256(model) || (mayBeNew && seen === sha256(wanted)),
        `${moment.name}: current is neither the old release nor the new one: ${seen}`,
      )
      if (deployed) assert.equal(seen, sha256(wanted), `${moment.name}: a deploy that was told done is gone`)
      for (const { state, current } of await listReleases(device, 'net'))
        if (current) assert.notEqual(state, 'half', moment.name)
      const again = await deployArtifact(device, where, { name: 'net', verify: async () => {} })
      assert.equal(await currentModel(device), sha256(wanted), `${moment.name}: the next deploy`)
      assert.equal(await digestOn(device, again.modelPath), sha256(wanted), moment.name)
      await pruneReleases(device, { name: 'net', keep: 0, blobs: true, holder: 'test' })
      assert.equal(await currentModel(device), sha256(wanted), `${moment.name}: prune`)
      await device.connection.close()
      model = wanted
    }
  })
})

async function open(t: TestContext, board: Board): Promise<Device> {
  const device = await openDevice(board.spec, clientOptions(board))
  t.after(() => device.connection.close())
  return device
}

/** True where the deploy was told done before the power went. */
async function deployUntilCut(
  t: TestContext,
  board: Board,
  artifact: string,
  moment: Moment,
): Promise<boolean> {
  const device = await open(t, board)
  let cutting: Promise<unknown> | undefined
  const cut = () => {
    cutting ??= board.powerCut()
    return cutting
  }
  const connection = cutAt(device.connection, moment, cut)
  const deploy = deployArtifact({ ...device, connection }, artifact, {
    name: 'net',
    verify: async () => {
      if (moment.at === 'verify') await cut()
    },
  })
  const outcome = await Promise.race([
    deploy.then(
      () => true,
      () => false,
    ),
    // the link of a machine that is gone stays silent for some seconds: not waited for
    cutDone(() => cutting),
  ])
  await cut()
  deploy.catch(() => {})
  await device.connection.close()
  return outcome
}

async function cutDone(cutting: () => Promise<unknown> | undefined): Promise<boolean> {
  while (cutting() === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
  await cutting()
  return false
}

/** Counts what is asked of the board and takes the power away at the moment. */
function cutAt(connection: Connection, { at, delayMs }: Moment, cut: () => Promise<unknown>): Connection {
  let scripts = 0
  const during = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    if (what !== at) return work()
    if (delayMs === null) {
      const result = await work()
      await cut()
      return result
    }
    setTimeout(() => void cut(), delayMs)
    return work()
  }
  return new Proxy(connection, {
    get(target, key) {
      if (key === 'script')
        return (...args: Parameters<Connection['script']>) =>
          during(`script ${++scripts}`, () => target.script(...args))
      if (key === 'upload' || key === 'uploadBytes')
        return (...args: unknown[]) =>
          during('upload', () => (target[key] as (...all: unknown[]) => Promise<number>)(...args))
      const value = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function currentModel(device: Device): Promise<string> {
  return digestOn(device, `${device.root}/releases/net/current/model.onnx`)
}

async function digestOn(device: Device, path: string): Promise<string> {
  const result = await device.connection.exec(['sha256sum', path])
  assert.equal(result.exitCode, 0, result.stderr)
  return result.stdout.slice(0, 64)
}

function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 8
  }
}
