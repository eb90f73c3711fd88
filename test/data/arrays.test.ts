import assert from 'node:assert/strict'
import { stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { zipSync } from 'fflate'
import { openDataset } from '../../src/data/open.ts'
import { openNpy, parseNpyHeader } from '../../src/data/npy.ts'
import { openNpz } from '../../src/data/npz.ts'
import type { InputSpec } from '../../src/data/types.ts'
import { viewAs } from '../../src/tensor.ts'
import { numpyFile, type numpyFiles } from './numpy-files.ts'
import { errorOf, temporaryFolder } from './temporary.ts'

async function saved(context: TestContext, name: keyof typeof numpyFiles, as: string): Promise<string> {
  const path = join(await temporaryFolder(context), as)
  await writeFile(path, numpyFile(name))
  return path
}

async function elements(path: string, index: number): Promise<(number | bigint)[]> {
  const array = await openNpy(path)
  return [...viewAs(array.dtype, await array.record(index))]
}

test('a Fortran-order array comes out row-major', async (context) => {
  const path = await saved(context, 'fortranFloat64', 'a.npy')
  assert.deepEqual((await openNpy(path)).shape, [2, 3, 4])
  assert.deepEqual(
    await elements(path, 1),
    Array.from({ length: 12 }, (_, i) => (12 + i) / 4),
  )
})

test('a big-endian array comes out little-endian', async (context) => {
  assert.deepEqual(
    await elements(await saved(context, 'bigEndianInt16', 'a.npy'), 0),
    Array.from({ length: 12 }, (_, i) => i - 12),
  )
})

test('64-bit integers keep their value', async (context) => {
  assert.deepEqual(await elements(await saved(context, 'int64', 'a.npy'), 1), [2n ** 40n, 0n])
})

test('half floats feed a float32 input with their exact value', async (context) => {
  const dataset = await openDataset(await saved(context, 'half', 'a.npy'), [
    { name: 'x', dtype: 'float32', shape: [1, 4] },
  ])
  assert.deepEqual(
    [...(await dataset.sample(0)).inputs.get('x')!.data],
    [0.0999755859375, -2.5, 65504, 2 ** -24],
  )
})

test('pickled objects and structured types are refused, never evaluated', async (context) => {
  await assert.rejects(
    openNpy(await saved(context, 'object', 'a.npy')),
    errorOf('DATA_BROKEN', { where: /a\.npy/, saw: /O/ }),
  )
  await assert.rejects(
    openNpy(await saved(context, 'structured', 'b.npy')),
    errorOf('DATA_BROKEN', { saw: /element type \[/ }),
  )
})

test('npy headers that lie about their size are refused before anything is allocated', () => {
  const file = numpyFile('bigEndianInt16')
  const text = Buffer.from(file).toString('latin1')
  const rewritten = (shape: string) => {
    const at = text.indexOf('(2, 3, 4)')
    return new Uint8Array(Buffer.from(text.slice(0, at) + shape + text.slice(at + shape.length), 'latin1'))
  }
  for (const shape of ['(2, 3, 5), ', '(99999999999999, 9999999), ', '(-1, 3), '])
    assert.throws(() => parseNpyHeader(rewritten(shape), file.length, 'a.npy'), errorOf('DATA_BROKEN'))
  assert.throws(() => parseNpyHeader(file.subarray(0, 20), 20, 'a.npy'), errorOf('DATA_BROKEN'))
  const longHeader = file.slice()
  longHeader[8] = 0xff
  longHeader[9] = 0xff
  assert.throws(
    () => parseNpyHeader(longHeader, file.length, 'a.npy'),
    errorOf('DATA_BROKEN', { saw: /header of 65535 bytes/ }),
  )
})

test('an npz of x and y gives samples and labels', async (context) => {
  const dataset = await openDataset(
    await saved(context, 'compressed', 'd.npz'),
    [{ name: 'image', dtype: 'float32', shape: [1, 2, 2, 2] }],
    { classes: 3 },
  )
  assert.deepEqual(dataset.labels, [2, 0, 1])
  const sample = await dataset.sample(2)
  assert.equal(sample.label, 1)
  assert.deepEqual([...sample.inputs.get('image')!.data], [16, 17, 18, 19, 20, 21, 22, 23])
})

test('an npz feeds several inputs by name and takes one-hot labels', async (context) => {
  const inputs: InputSpec[] = [
    { name: 'left', dtype: 'float32', shape: [1, 3] },
    { name: 'right', dtype: 'int64', shape: [1, 2] },
  ]
  const dataset = await openDataset(await saved(context, 'twoInputs', 'd.npz'), inputs)
  const sample = await dataset.sample(0)
  assert.deepEqual(dataset.labels, [3, 1])
  assert.deepEqual([...sample.inputs.get('right')!.data], [7n, 7n])
})

test('samples of the wrong shape are refused with what was expected and seen', async (context) => {
  const path = await saved(context, 'compressed', 'd.npz')
  await assert.rejects(
    openDataset(path, [{ name: 'x', dtype: 'float32', shape: [1, 3, 3] }]),
    errorOf('DATA_SHAPE', { saw: /\[2, 2, 2\], expected \[1, 3, 3\]/ }),
  )
})

test('a label beyond the classes names the sample and hints at the label offset', async (context) => {
  const path = await saved(context, 'compressed', 'd.npz')
  const inputs: InputSpec[] = [{ name: 'x', dtype: 'float32', shape: [1, 2, 2, 2] }]
  await assert.rejects(
    openDataset(path, inputs, { classes: 2 }),
    errorOf('DATA_LABELS', { where: /\[0\]/, saw: /label 2/, hint: /run from 0 to 2/ }),
  )
  await assert.rejects(
    openDataset(path, inputs, { classes: 3, labelOffset: 1 }),
    errorOf('DATA_LABELS', { saw: /label 3 \(2 with offset 1\)/ }),
  )
})

test('a zip bomb is refused before it is unpacked', async (context) => {
  const folder = await temporaryFolder(context)
  const path = join(folder, 'bomb.npz')
  const bytes = zipSync({ 'x.npy': new Uint8Array(1_000_000) }, { level: 9 })
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  // The central directory's uncompressed size, 24 bytes after its signature: one megabyte becomes almost 2 GB.
  const central = Buffer.from(bytes).indexOf(Buffer.from([0x50, 0x4b, 1, 2]))
  view.setUint32(central + 24, 0x7f000000, true)
  await writeFile(path, bytes)
  const before = process.memoryUsage().rss
  await assert.rejects(openNpz(path), errorOf('DATA_BROKEN', { saw: /claim to unpack/ }))
  assert.ok(process.memoryUsage().rss - before < 200e6)
})

test('what is no zip, or a cut one, is refused by name', async (context) => {
  const folder = await temporaryFolder(context)
  await writeFile(join(folder, 'a.npz'), 'hello')
  await writeFile(join(folder, 'b.npz'), numpyFile('compressed').subarray(0, 200))
  for (const name of ['a.npz', 'b.npz'])
    await assert.rejects(openNpz(join(folder, name)), errorOf('DATA_BROKEN', { where: new RegExp(name) }))
})

test('a value that an integer input cannot hold is an error, not saturated', async (context) => {
  const dataset = await openDataset(await saved(context, 'half', 'a.npy'), [
    { name: 'x', dtype: 'int8', shape: [1, 4] },
  ])
  await assert.rejects(dataset.sample(0), errorOf('DATA_BROKEN', { saw: /65504/ }))
})

test('samples come out alike whether they are asked for in a row, backwards, at once or twice', async (context) => {
  const folder = await temporaryFolder(context)
  const path = join(folder, 'many.npy')
  const [samples, width] = [300, 3000]
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${samples}, ${width}), }`.padEnd(117)
  const numbers = Float32Array.from({ length: samples * width }, (_, i) => i)
  const magic = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, 118, 0])
  await writeFile(path, Buffer.concat([magic, Buffer.from(`${header}\n`), Buffer.from(numbers.buffer)]))
  const array = await openNpy(path)
  const expectSample = async (index: number) => {
    const record = await array.record(index)
    const found = new Float32Array(record.buffer, record.byteOffset, width)
    assert.deepEqual(
      [record.length, found[0], found.at(-1)],
      [4 * width, index * width, (index + 1) * width - 1],
    )
    // it is the caller's own: what is done to it is not seen again
    found.fill(-1)
  }
  for (let index = 0; index < samples; index++) await expectSample(index)
  for (let index = samples - 1; index >= 0; index -= 7) await expectSample(index)
  await Promise.all(Array.from({ length: samples }, (_, index) => expectSample(index)))
  for (const index of [5, 5, 6, 299, 0, 299]) await expectSample(index)
})

test('a file that was cut since it was opened is an error, not half a sample', async (context) => {
  const path = await saved(context, 'int64', 'a.npy')
  const array = await openNpy(path)
  const { size } = await stat(path)
  await truncate(path, size - 1)
  await assert.rejects(array.record((array.shape[0] ?? 0) - 1), errorOf('DATA_BROKEN'))
})
