import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import sharp from 'sharp'
import { fingerprintOfFile } from '../../src/data/fingerprint.ts'
import { openDataset } from '../../src/data/open.ts'
import { randomDataset } from '../../src/data/random.ts'
import type { InputSpec } from '../../src/data/types.ts'

async function folderFor(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgewright-fingerprint-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const settled = () => setTimeout(2_100)

test('a file is another whenever its content is, also at the same size and time of change', async (context) => {
  const path = join(await folderFor(context), 'a')
  await writeFile(path, 'one')
  const young = await fingerprintOfFile(path)
  assert.equal(await fingerprintOfFile(path), young)
  // within the tick of a file system\'s clock
  await writeFile(path, 'two')
  assert.notEqual(await fingerprintOfFile(path), young)
  await settled()
  const old = await fingerprintOfFile(path)
  assert.equal(await fingerprintOfFile(path), old)
  const { atime, mtime } = await stat(path)
  await writeFile(path, 'six')
  await utimes(path, atime, mtime)
  assert.notEqual(await fingerprintOfFile(path), old)
  await settled()
  assert.notEqual(await fingerprintOfFile(path), old)
})

test('a file that took the place of another is another', async (context) => {
  const folder = await folderFor(context)
  const [path, other] = [join(folder, 'a'), join(folder, 'b')]
  await writeFile(path, 'one')
  await writeFile(other, 'two')
  await settled()
  const before = await fingerprintOfFile(path)
  await rename(other, path)
  assert.notEqual(await fingerprintOfFile(path), before)
})

const spec: InputSpec = { name: 'x', dtype: 'float32', shape: [1, 3, 4, 4] }

test('a data set is another where a chosen sample, the choice or the preprocessing is', async (context) => {
  const folder = await folderFor(context)
  const picture = (shade: number) =>
    sharp({ create: { width: 4, height: 4, channels: 3, background: { r: shade, g: 0, b: 0 } } })
  for (const [i, name] of ['a.png', 'b.png', 'c.png'].entries()) await picture(i).toFile(join(folder, name))
  const opened = (std = 1) => openDataset(folder, [spec], { preprocess: { std } })
  const first = await (await opened()).fingerprint([0, 2])
  assert.equal(await (await opened()).fingerprint([0, 2]), first)
  assert.notEqual(await (await opened()).fingerprint([0, 1]), first)
  assert.notEqual(await (await opened(2)).fingerprint([0, 2]), first)
  await picture(200).toFile(join(folder, 'b.png'))
  assert.equal(await (await opened()).fingerprint([0, 2]), first, 'a sample that was not chosen')
  await picture(200).toFile(join(folder, 'c.png'))
  assert.notEqual(await (await opened()).fingerprint([0, 2]), first)
})

test('stored arrays and random inputs have one too', async (context) => {
  const folder = await folderFor(context)
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4, 4), }`.padEnd(117)
  const npy = (value: number) =>
    Buffer.concat([
      Buffer.from([0x93]),
      Buffer.from('NUMPY'),
      Buffer.from([1, 0, 118, 0]),
      Buffer.from(`${header}\n`),
      Buffer.from(new Float32Array(96).fill(value).buffer),
    ])
  const path = join(folder, 'x.npy')
  const print = async () => (await openDataset(path, [spec])).fingerprint([0])
  await writeFile(path, npy(1))
  const first = await print()
  assert.equal(await print(), first)
  await writeFile(path, npy(2))
  assert.notEqual(await print(), first)

  const random = (seed: number) => randomDataset([spec], { length: 4, seed }).fingerprint([0, 1])
  assert.equal(await random(1), await random(1))
  assert.notEqual(await random(1), await random(2))
})
