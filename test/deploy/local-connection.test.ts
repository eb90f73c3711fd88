import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openDevice } from '../../src/deploy/device.ts'
import { LocalConnection } from '../../src/deploy/local-connection.ts'
import { deployArtifact } from '../../src/deploy/release.ts'
import { cleanRun, followRun, startRun } from '../../src/deploy/run.ts'
import { silentProgress } from '../../src/progress.ts'
import { writeArtifact } from './board.ts'

describe('this computer as a board', { skip: process.platform === 'win32' && 'needs a POSIX shell' }, () => {
  const local = new LocalConnection()
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'edgewright-local-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('a command runs without a shell and gives its results', async () => {
    const result = await local.exec(['sh', '-c', 'printf "%s" "$1"; echo err >&2; exit 3', 'sh', "$(id) 'x'"])
    assert.deepEqual(result, {
      exitCode: 3,
      signal: null,
      stdout: "$(id) 'x'",
      stderr: 'err\n',
      truncated: false,
    })
  })

  test('a command that is not there is told', async () => {
    await assert.rejects(local.exec(['no-such-program']), {
      code: 'DEVICE_COMMAND_FAILED',
      message: /no-such-program/,
    })
  })

  test('giving up at the deadline ends what the command started as well', async () => {
    const mark = join(folder, 'late')
    await assert.rejects(
      local.exec(['sh', '-c', `(sleep 1; echo x >'${mark}') & wait`], { deadlineMs: 200 }),
      { code: 'DEVICE_TIMEOUT' },
    )
    await new Promise((resolve) => setTimeout(resolve, 1200))
    assert.throws(() => readFileSync(mark), { code: 'ENOENT' })
  })

  test('files are sent and read from an offset', async () => {
    const from = join(folder, 'from')
    writeFileSync(from, 'abcdef')
    assert.equal(await local.upload(from, join(folder, 'to'), silentProgress()), 6)
    assert.equal(Buffer.from(await local.readFrom(join(folder, 'to'), 2, 3)).toString(), 'cde')
  })

  test('a release and a run work as on a board over SSH', async () => {
    const device = await openDevice('local:', { root: join(folder, 'root') })
    writeArtifact(join(folder, 'artifact'), { 'model.onnx': Buffer.from('model') })
    const release = await deployArtifact(device, join(folder, 'artifact'), { name: 'm' })
    let text = ''
    await startRun(device, { id: 'r', files: new Map(), command: ['cat', release.modelPath], holder: 'me' })
    const outcome = await followRun(device, 'r', (chunk) => {
      text += Buffer.from(chunk).toString()
    })
    assert.deepEqual([text, outcome.exitCode], ['model', 0])
    await cleanRun(device, 'r')
  })
})
