import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ensureBlob } from '../../src/deploy/blobs.ts'
import { deployArtifact } from '../../src/deploy/release.ts'
import type { Device } from '../../src/deploy/types.ts'
import { sha256 } from '../../src/digest.ts'
import { openTestDevice, writeArtifact } from './board.ts'
import { sshdMissing, startProxy, startSshd, type TestSshd } from './sshd.ts'

describe('releases on a board', { skip: sshdMissing }, () => {
  let sshd: TestSshd
  let device: Device
  const folder = (name: string) => join(sshd.folder, name)
  const model = randomBytes(300_000)

  before(async () => {
    sshd = await startSshd()
    device = await openTestDevice(sshd)
    writeArtifact(folder('a'), {
      'model.onnx': model,
      'labels.txt': Buffer.from('yes\nno\n'),
      'snippets/use.py': Buffer.from('pass\n'),
    })
  })
  after(async () => {
    await device?.connection.close()
    await sshd?.stop()
  })

  test('a release holds the artifact, and current opens it', async () => {
    const release = await deployArtifact(device, folder('a'), { name: 'kws' })
    assert.equal(release.number, 1)
    assert.equal(release.alreadyThere, false)
    assert.ok(readFileSync(join(release.currentPath, 'model.onnx')).equals(model))
    assert.ok(readFileSync(release.modelPath).equals(model))
    assert.equal(readFileSync(join(release.currentPath, 'snippets/use.py'), 'utf8'), 'pass\n')
    assert.equal(readlinkSync(release.currentPath), '1')
    assert.deepEqual(readdirSync(join(device.root, 'blobs', '.incoming')), [])
  })

  test('a second deploy of the same artifact sends under 4 kB and makes no release', async () => {
    const release = await deployArtifact(device, folder('a'), { name: 'kws' })
    assert.deepEqual(
      { number: release.number, alreadyThere: release.alreadyThere },
      { number: 1, alreadyThere: true },
    )
    assert.ok(release.sentBytes < 4000, `${release.sentBytes} bytes`)
  })

  test('the same files under another name send no file again', async () => {
    const release = await deployArtifact(device, folder('a'), { name: 'other' })
    assert.equal(release.alreadyThere, false)
    assert.ok(release.sentBytes < 8000, `${release.sentBytes} bytes`)
  })

  test('old releases go, the last five stay, and current follows each deploy', async () => {
    for (let version = 0; version < 7; version++) {
      writeArtifact(folder('v'), { 'model.onnx': Buffer.from(`version ${version}`) })
      const release = await deployArtifact(device, folder('v'), { name: 'rolling' })
      assert.equal(readFileSync(join(release.currentPath, 'model.onnx'), 'utf8'), `version ${version}`)
    }
    const kept = readdirSync(join(device.root, 'releases/rolling'))
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
    assert.deepEqual(
      kept.sort((a, b) => a - b),
      [3, 4, 5, 6, 7],
    )
  })

  test('two hosts that deploy at once get releases of their own', async () => {
    const other = await openTestDevice(sshd)
    writeArtifact(folder('x'), { 'model.onnx': Buffer.from('x') })
    writeArtifact(folder('y'), { 'model.onnx': Buffer.from('y') })
    const [x, y] = await Promise.all([
      deployArtifact(device, folder('x'), { name: 'both' }),
      deployArtifact(other, folder('y'), { name: 'both' }),
    ])
    assert.notEqual(x.number, y.number)
    assert.equal(readFileSync(x.modelPath, 'utf8'), 'x')
    assert.equal(readFileSync(y.modelPath, 'utf8'), 'y')
    await other.connection.close()
  })

  test('a connection cut during the upload leaves the release before in place, and the next deploy completes', async () => {
    writeArtifact(folder('cut'), { 'model.onnx': Buffer.from('before') })
    await deployArtifact(device, folder('cut'), { name: 'cut' })
    const big = randomBytes(3_000_000)
    writeArtifact(folder('cut'), { 'model.onnx': big })
    const proxy = await startProxy(sshd.port)
    const shaky = await openTestDevice(sshd, { port: proxy.port })
    proxy.cutAfter(1_000_000)
    await assert.rejects(deployArtifact(shaky, folder('cut'), { name: 'cut' }), { code: 'DEVICE_LOST' })
    assert.equal(readFileSync(join(device.root, 'releases/cut/current/model.onnx'), 'utf8'), 'before')
    assert.equal(existsSync(join(device.root, 'blobs', sha256(big))), false)
    const release = await deployArtifact(device, folder('cut'), { name: 'cut' })
    assert.ok(readFileSync(join(release.currentPath, 'model.onnx')).equals(big))
    await shaky.connection.close()
    await proxy.stop()
  })

  test('a blob that a power cut left short is sent again', async () => {
    const bytes = randomBytes(5000)
    writeFileSync(folder('lib'), bytes)
    const placed = await ensureBlob(device, folder('lib'), sha256(bytes))
    execFileSync('chmod', ['u+w', placed.path])
    writeFileSync(placed.path, bytes.subarray(0, 100))
    const again = await ensureBlob(device, folder('lib'), sha256(bytes))
    assert.equal(again.alreadyThere, false)
    assert.ok(readFileSync(placed.path).equals(bytes))
  })

  test('an executable blob can be run, and is not sent twice', async () => {
    const bytes = Buffer.from('#!/bin/sh\necho ran "$1"\n')
    writeFileSync(folder('tool'), bytes)
    const placed = await ensureBlob(device, folder('tool'), sha256(bytes), { executable: true })
    const result = await device.connection.exec([placed.path, 'well'])
    assert.equal(result.stdout, 'ran well\n')
    assert.equal(
      (await ensureBlob(device, folder('tool'), sha256(bytes), { executable: true })).alreadyThere,
      true,
    )
  })

  test('an artifact changed after it was made is refused before anything is sent', async () => {
    writeArtifact(folder('bad'), { 'model.onnx': Buffer.from('good') })
    writeFileSync(join(folder('bad'), 'model.onnx'), 'evil')
    await assert.rejects(deployArtifact(device, folder('bad'), { name: 'bad' }), {
      code: 'ARTIFACT_INVALID',
      where: /model\.onnx$/,
    })
    assert.equal(existsSync(join(device.root, 'releases/bad')), false)
  })

  for (const name of ['../up', '', '.hidden', '-rf', 'a/b', 'a b', '$(id)', 'x'.repeat(200)])
    test(`the release name ${JSON.stringify(name.slice(0, 12))} is refused`, async () => {
      await assert.rejects(deployArtifact(device, folder('a'), { name }), { code: 'USAGE' })
    })

  test('a path that leaves the artifact or speaks to a shell is refused', async () => {
    writeArtifact(folder('path'), { 'model.onnx': Buffer.from('m'), 'a;b': Buffer.from('x') })
    await assert.rejects(deployArtifact(device, folder('path'), { name: 'path' }), {
      code: 'ARTIFACT_INVALID',
    })
  })
})

const cannotMount = sshdMissing || (process.getuid?.() === 0 ? false : 'needs root to mount a small tmpfs')

describe('a full disk on the board', { skip: cannotMount }, () => {
  let sshd: TestSshd
  let device: Device
  let mounted = ''

  before(async () => {
    sshd = await startSshd()
    mounted = join(sshd.folder, 'small')
    mkdirSync(mounted)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mounted])
    device = await openTestDevice(sshd, { root: join(mounted, 'root') })
  })
  after(async () => {
    await device?.connection.close()
    execFileSync('umount', ['-l', mounted])
    await sshd?.stop()
  })

  test('is told before anything is sent, with what is needed and what is free', async () => {
    writeArtifact(join(sshd.folder, 'big'), { 'model.onnx': randomBytes(9_000_000) })
    const before = device.connection.traffic.sentBytes
    await assert.rejects(deployArtifact(device, join(sshd.folder, 'big'), { name: 'big' }), {
      code: 'DEVICE_DISK_FULL',
      saw: /^9\.0 MB needed, \d\.\d MB free$/,
    })
    assert.ok(device.connection.traffic.sentBytes - before < 4000)
  })

  test('that fills up in the middle of the upload leaves nothing half-sent', async () => {
    writeArtifact(join(sshd.folder, 'six'), { 'model.onnx': randomBytes(6_000_000) })
    const upload = device.connection.upload.bind(device.connection)
    device.connection.upload = (local, remote, progress, deadline) => {
      writeFileSync(join(mounted, 'filler'), Buffer.alloc(4_000_000))
      return upload(local, remote, progress, deadline)
    }
    await assert.rejects(deployArtifact(device, join(sshd.folder, 'six'), { name: 'six' }), {
      code: 'DEVICE_DISK_FULL',
      saw: /^6\.0 MB needed, \d\.\d MB free$/,
    })
    assert.deepEqual(readdirSync(join(mounted, 'root/blobs/.incoming')), [])
    assert.deepEqual(readdirSync(join(mounted, 'root/releases')), [])
  })
})
