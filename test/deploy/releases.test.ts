import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { deployArtifact, installRelease } from '../../src/deploy/release.ts'
import { listReleases, pruneReleases, rollbackRelease } from '../../src/deploy/releases.ts'
import { acquireLock } from '../../src/deploy/lock.ts'
import type { Device } from '../../src/deploy/types.ts'
import { EdgewrightError } from '../../src/error.ts'
import { sha256 } from '../../src/digest.ts'
import { openTestDevice, writeArtifact } from './board.ts'
import { sshdMissing, startSshd, type TestSshd } from './sshd.ts'

describe('states of a release', { skip: sshdMissing }, () => {
  let sshd: TestSshd
  let device: Device
  const folder = (name: string) => join(sshd.folder, name)
  const artifact = (content: string) => {
    rmSync(folder('artifact'), { recursive: true, force: true })
    writeArtifact(folder('artifact'), { 'model.onnx': Buffer.from(content) })
    return folder('artifact')
  }
  const model = (name: string) =>
    readFileSync(join(device.root, 'releases', name, 'current/model.onnx'), 'utf8')
  const states = async (name: string) =>
    (await listReleases(device, name)).map(({ number, state, current, previous }) =>
      [number, state, ...(current ? ['current'] : []), ...(previous ? ['previous'] : [])].join(' '),
    )
  const prune = (name: string, keep = 0, blobs = false) =>
    pruneReleases(device, { name, keep, blobs, holder: 'test' })

  before(async () => {
    sshd = await startSshd()
    device = await openTestDevice(sshd)
  })
  after(async () => {
    await device?.connection.close()
    await sshd?.stop()
  })

  test('what is installed is not opened by applications until it is committed', async () => {
    await deployArtifact(device, artifact('one'), { name: 'quiet' })
    const installed = await installRelease(device, artifact('two'), { name: 'quiet' })
    assert.deepEqual([installed.number, installed.current, model('quiet')], [2, false, 'one'])
    const again = await installRelease(device, artifact('two'), { name: 'quiet' })
    assert.deepEqual([again.number, again.alreadyThere], [2, true], 'the same content is the same release')
    await deployArtifact(device, artifact('two'), { name: 'quiet' })
    assert.deepEqual(
      [model('quiet'), await states('quiet')],
      ['two', ['2 installed current', '1 installed previous']],
    )
  })

  test('a release that does not verify is marked failed and the one before stays', async () => {
    await deployArtifact(device, artifact('good'), { name: 'proved', verify: async () => {} })
    const refused = new EdgewrightError('RELEASE_NOT_VERIFIED', 'It does not.')
    const deploy = (verify: () => Promise<void>) =>
      deployArtifact(device, artifact('bad'), { name: 'proved', verify })
    await assert.rejects(
      deploy(async () => {
        assert.equal(model('proved'), 'good', 'verified before it is current')
        throw refused
      }),
      refused,
    )
    assert.equal(model('proved'), 'good')
    assert.deepEqual(await states('proved'), ['2 failed', '1 verified current'])
    await deploy(async () => {})
    assert.deepEqual(await states('proved'), ['2 verified current', '1 verified previous'])
  })

  test('a file damaged on the board since it was sent is found by a failed verification and sent again', async () => {
    const damaged = join(device.root, 'blobs', sha256(Buffer.from('whole')))
    await installRelease(device, artifact('whole'), { name: 'rotten' })
    execFileSync('chmod', ['u+w', damaged])
    writeFileSync(damaged, 'wholE')
    const verify = async ({ modelPath }: { modelPath: string }) => {
      if (readFileSync(modelPath, 'utf8') !== 'whole')
        throw new EdgewrightError('RELEASE_NOT_VERIFIED', 'It does not.')
    }
    await assert.rejects(deployArtifact(device, artifact('whole'), { name: 'rotten', verify }), {
      code: 'RELEASE_NOT_VERIFIED',
      message: /damaged/,
    })
    await deployArtifact(device, artifact('whole'), { name: 'rotten', verify })
    assert.equal(model('rotten'), 'whole')
  })

  test('rollback goes back one release at a time, and never to one that was rolled back', async () => {
    for (const content of ['1', '2', '3']) await deployArtifact(device, artifact(content), { name: 'back' })
    assert.deepEqual(await rollbackRelease(device, 'back'), { number: 2, from: 3 })
    assert.deepEqual(await rollbackRelease(device, 'back'), { number: 1, from: 2 })
    await assert.rejects(rollbackRelease(device, 'back'), {
      code: 'RELEASE_NOT_FOUND',
      message: /no earlier/,
    })
    assert.deepEqual(await rollbackRelease(device, 'back', 3), { number: 3, from: 1 })
    assert.deepEqual(
      [model('back'), await states('back')],
      ['3', ['3 installed current', '2 rolled-back', '1 rolled-back']],
    )
    await assert.rejects(rollbackRelease(device, 'nothing'), { code: 'RELEASE_NOT_FOUND' })
    await assert.rejects(rollbackRelease(device, 'back', 77), { code: 'RELEASE_NOT_FOUND' })
  })

  test('a rollback cut before its switch goes to the same release when it is repeated', async () => {
    for (const content of ['1', '2', '3']) await deployArtifact(device, artifact(content), { name: 'cut' })
    writeFileSync(join(device.root, 'releases/cut/3/.state'), 'rolled-back 1700000000\n')
    assert.deepEqual(await rollbackRelease(device, 'cut'), { number: 2, from: 3 })
  })

  test('a commit cut between its switch and its record is found by the link', async () => {
    for (const content of ['1', '2']) await deployArtifact(device, artifact(content), { name: 'half' })
    const installed = await installRelease(device, artifact('3'), { name: 'half' })
    const link = join(device.root, 'releases/half/current')
    rmSync(link)
    symlinkSync(String(installed.number), link)
    assert.deepEqual(await rollbackRelease(device, 'half'), { number: 2, from: 3 })
  })

  test('what a power cut left half installed is not used, and goes once nobody can be at it', async () => {
    await deployArtifact(device, artifact('1'), { name: 'power' })
    const half = join(device.root, 'releases/power/2')
    mkdirSync(half)
    writeFileSync(join(half, 'model.onnx'), '')
    assert.deepEqual(await states('power'), ['2 half', '1 installed current'])
    await assert.rejects(rollbackRelease(device, 'power', 2), {
      code: 'RELEASE_NOT_FOUND',
      message: /not whole/,
    })
    assert.deepEqual((await prune('power')).releases, [], 'another host may be at it')
    execFileSync('touch', ['-d', '2 hours ago', half])
    assert.deepEqual((await prune('power')).releases, [{ name: 'power', number: 2 }])
    const release = await deployArtifact(device, artifact('2'), { name: 'power' })
    assert.deepEqual([release.number, model('power')], [2, '2'])
  })

  test('prune keeps the current release, the one before it and as many more as it is told', async () => {
    for (let version = 0; version < 5; version++)
      await deployArtifact(device, artifact(`v${version}`), { name: 'many' })
    assert.deepEqual(
      (await prune('many', 1)).releases.map(({ number }) => number),
      [2, 1],
    )
    assert.deepEqual(await states('many'), ['5 installed current', '4 installed previous', '3 installed'])
    await prune('many')
    assert.deepEqual(await states('many'), ['5 installed current', '4 installed previous'])
  })

  test('prune takes files that no release has, and not while a run goes on', async () => {
    const release = await deployArtifact(device, artifact('kept'), { name: 'blobs' })
    const stray = join(device.root, 'blobs', 'f'.repeat(64))
    writeFileSync(stray, 'x')
    const lock = await acquireLock(device, { holder: 'someone else' })
    await assert.rejects(prune('blobs', 0, true), { code: 'DEVICE_BUSY' })
    assert.ok(existsSync(stray))
    await lock.release()
    const pruned = await prune('blobs', 0, true)
    assert.ok(pruned.blobs >= 1 && !existsSync(stray))
    assert.equal(readFileSync(release.modelPath, 'utf8'), 'kept')
    assert.equal(readlinkSync(release.currentPath), '1')
  })

  test('a board that lies about its releases is not believed', async () => {
    await deployArtifact(device, artifact('1'), { name: 'liar' })
    writeFileSync(join(device.root, 'releases/liar/1/.state'), '\u001b[2Jevil;rm 99999999999999999999\n')
    writeFileSync(join(device.root, 'releases/liar/1/.content'), '../../../etc/passwd\n')
    await assert.rejects(listReleases(device, 'liar'), { code: 'DEVICE_ANSWER_INVALID' })
    writeFileSync(join(device.root, 'releases/liar/1/.state'), '\u001b[2Jevil 7\n')
    const [entry] = await listReleases(device, 'liar')
    assert.deepEqual([entry!.state, entry!.contentId], ['installed', null])
  })

  test('releases are listed where their order cannot be written down', async () => {
    for (const content of ['1', '2']) await deployArtifact(device, artifact(content), { name: 'aged' })
    await deployArtifact(device, artifact('1'), { name: 'fixed' })
    // as on a disk that is mounted read-only: no file can be made there
    rmSync(join(device.root, 'releases/fixed/.log'))
    mkdirSync(join(device.root, 'releases/fixed/.log'))
    assert.deepEqual(await states('fixed'), ['1 installed current'])
    const all = await listReleases(device)
    assert.deepEqual(
      all
        .filter(({ previous }) => previous)
        .map(({ name }) => name)
        .filter((name) => name === 'fixed'),
      [],
    )
  })
})
