import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import sharp from 'sharp'
import { type OpenOptions, openDataset } from '../../src/data/open.ts'
import type { InputSpec } from '../../src/data/types.ts'
import type { Warning } from '../../src/progress.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { errorOf, temporaryFolder } from './temporary.ts'
import { tone, wav } from './wav-file.ts'

const colour: InputSpec = { name: 'x', dtype: 'float32', shape: [1, 3, 2, 2] }

/** A folder with these files; numbers are pictures of one gray level, 2×2, as PNG. */
async function folderOf(
  context: TestContext,
  files: Record<string, number | string | Uint8Array>,
): Promise<string> {
  const folder = await temporaryFolder(context)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    const level = typeof content === 'number' ? content : 0
    const picture = () =>
      sharp({ create: { width: 2, height: 2, channels: 3, background: { r: level, g: 0, b: 255 - level } } })
        .png()
        .toBuffer()
    await writeFile(join(folder, name), typeof content === 'number' ? await picture() : content)
  }
  return folder
}

async function opened(path: string, spec: InputSpec, options: OpenOptions = {}) {
  const warnings: Warning[] = []
  const dataset = await openDataset(path, [spec], { ...options, warn: (warning) => warnings.push(warning) })
  return { dataset, warnings }
}

test('class sub-folders give labels in the order of their names', async (context) => {
  const folder = await folderOf(context, {
    'dog/a.png': 10,
    'cat/b.png': 20,
    'cat/deep/c.PNG': 30,
    'ant/d.png': 40,
    'cat/notes.txt': 'x',
    '.cache/e.png': 1,
  })
  const { dataset } = await opened(folder, colour, { classes: 3 })
  assert.deepEqual(dataset.classNames, ['ant', 'cat', 'dog'])
  assert.deepEqual(dataset.labels, [0, 1, 1, 2])
  assert.equal((await dataset.sample(3)).id, 'dog/a.png')
})

test('a network with one class more than the data shifts the labels and says so', async (context) => {
  const folder = await folderOf(context, { 'dog/a.png': 10, 'cat/b.png': 20 })
  const { dataset, warnings } = await opened(folder, colour, { classes: 3 })
  assert.deepEqual(dataset.labels, [1, 2])
  assert.equal(dataset.preprocessing.labelOffset, 1)
  assert.ok(warnings.some((warning) => warning.code === 'LABEL_OFFSET_ASSUMED'))
  assert.deepEqual((await opened(folder, colour, { classes: 3, labelOffset: 0 })).dataset.labels, [0, 1])
})

test('a flat folder has no labels; pictures beside class folders are refused', async (context) => {
  const { dataset } = await opened(await folderOf(context, { 'a.png': 1, 'b.png': 2 }), colour)
  assert.equal(dataset.labelled, false)
  assert.equal((await dataset.sample(0)).label, null)
  const mixed = await folderOf(context, { 'a.png': 1, 'cat/b.png': 2 })
  await assert.rejects(
    openDataset(mixed, [colour]),
    errorOf('DATA_LABELS', { saw: /1 of 2 beside, e\.g\. a\.png/ }),
  )
})

for (const [name, csv] of [
  ['a header in another order', 'class,filename\r\ndog,a.png\r\ncat,b.png\r\n'],
  ['no header', 'a.png,dog\nb.png,cat\n'],
  ['a byte order mark and quotes', '\ufefffile,label\n"a.png","dog"\nb.png,cat\n'],
] as const)
  test(`labels.csv with ${name} is understood`, async (context) => {
    const { dataset } = await opened(
      await folderOf(context, { 'a.png': 1, 'b.png': 2, 'labels.csv': csv }),
      colour,
    )
    assert.deepEqual(
      [dataset.labels, dataset.classNames],
      [
        [1, 0],
        ['cat', 'dog'],
      ],
    )
  })

test('a picture that labels.csv does not list is named', async (context) => {
  const folder = await folderOf(context, { 'a.png': 1, 'b.png': 2, 'labels.csv': 'file,label\na.png,3\n' })
  await assert.rejects(openDataset(folder, [colour]), errorOf('DATA_LABELS', { where: /b\.png/ }))
})

test('channel order, layout, scale, mean and std land where they are stated', async (context) => {
  const folder = await folderOf(context, { 'a.png': 55 })
  const said = { resize: null, scale: 1 / 5, mean: [1, 2, 3], std: [1, 2, 4] }
  const values = async (spec: InputSpec, preprocess: OpenOptions['preprocess']) => [
    ...((await (await opened(folder, spec, { preprocess })).dataset.sample(0)).inputs.get('x')!
      .data as Float32Array),
  ]
  // Red 55, green 0, blue 200.
  assert.deepEqual(await values(colour, said), [10, 10, 10, 10, -1, -1, -1, -1, 9.25, 9.25, 9.25, 9.25])
  const last: InputSpec = { ...colour, shape: [1, 2, 2, 3] }
  assert.deepEqual((await values(last, said)).slice(0, 6), [10, -1, 9.25, 10, -1, 9.25])
  assert.deepEqual((await values(last, { ...said, channelOrder: 'BGR' })).slice(0, 3), [39, -1, 2])
  const raw = await opened(folder, { ...last, dtype: 'uint8' })
  assert.deepEqual([...(await raw.dataset.sample(0)).inputs.get('x')!.data].slice(0, 3), [55, 0, 200])
  const gray = await opened(
    folder,
    { ...last, shape: [1, 2, 2, 1] },
    { preprocess: { resize: null, scale: 1 } },
  )
  assert.equal((await gray.dataset.sample(0)).inputs.get('x')!.data[0], Math.round(55 * 0.299 + 200 * 0.114))
})

test('a shape that could be either layout is asked about', async (context) => {
  const folder = await folderOf(context, { 'a.png': 55 })
  const spec: InputSpec = { name: 'x', dtype: 'float32', shape: [1, 3, 2, 3] }
  await assert.rejects(openDataset(folder, [spec]), errorOf('DATA_SHAPE', { hint: /layout: NCHW/ }))
  assert.equal(
    (await opened(folder, spec, { preprocess: { layout: 'NHWC' } })).dataset.preprocessing.layout,
    'NHWC',
  )
})

test('what nobody says is assumed as torchvision does, and one warning says it', async (context) => {
  const folder = await folderOf(context, { 'a.png': 55 })
  const { dataset, warnings } = await opened(folder, { name: 'x', dtype: 'float32', shape: [1, 3, 224, 224] })
  assert.deepEqual(dataset.preprocessing.resize, {
    height: 256,
    width: 256,
    fit: 'short-side',
    kernel: 'bilinear',
    antialias: true,
  })
  assert.deepEqual(dataset.preprocessing.mean, [0.485, 0.456, 0.406])
  assert.equal(warnings.length, 1)
  assert.match(
    warnings[0]!.message,
    /short-side resize to 256×256, bilinear, antialias on; centre crop 224×224/,
  )
})

test('preprocessing that cannot give the input size is refused when the data is opened', async (context) => {
  const folder = await folderOf(context, { 'a.png': 55 })
  await assert.rejects(
    openDataset(folder, [colour], { preprocess: { resize: [4, 4] } }),
    errorOf('RECIPE_INVALID', { message: /4×4, the network takes 2×2/ }),
  )
  await assert.rejects(
    openDataset(folder, [colour], { preprocess: { resize: 4, kernel: 'cubic' as never, scale: Number.NaN } }),
    errorOf('RECIPE_INVALID', { saw: /kernel.*; scale|scale.*; kernel/ }),
  )
})

test('a broken picture is named when it is read; an empty folder and a missing path say what was looked for', async (context) => {
  const folder = await folderOf(context, { 'bad.jpg': 'not a picture' })
  const { dataset } = await opened(folder, colour)
  await assert.rejects(dataset.sample(0), errorOf('DATA_BROKEN', { where: /bad\.jpg/ }))
  await assert.rejects(
    openDataset(await folderOf(context, { 'a.txt': 'x' }), [colour]),
    errorOf('DATA_EMPTY', { hint: /\.jpg.*\.wav/ }),
  )
  await assert.rejects(
    openDataset(join(folder, 'nowhere'), [colour]),
    errorOf('DATA_NOT_FOUND', { where: /nowhere/ }),
  )
})

test('the digest follows content, order, labels and preprocessing, and nothing else', async (context) => {
  const files = { 'cat/a.png': 1, 'dog/b.png': 2 }
  const digest = async (content: Record<string, number>, options: OpenOptions = {}) =>
    (await opened(await folderOf(context, content), colour, options)).dataset.digest()
  const first = await digest(files)
  assert.equal(await digest(files), first)
  const others = [
    await digest({ ...files, 'dog/b.png': 3 }),
    await digest({ 'cat/a.png': 1, 'eel/b.png': 2 }),
    await digest(files, { preprocess: { scale: 1 } }),
    await digest(files, { labelOffset: 1 }),
    await digest(files, { limit: 1 }),
  ]
  assert.equal(new Set([first, ...others]).size, 6)
})

test('a limit picks by seed, the same each time', async (context) => {
  const folder = await folderOf(
    context,
    Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}.png`, i])),
  )
  const ids = async (seed: number) => {
    const { dataset } = await opened(folder, colour, { limit: 5, seed })
    return Promise.all(Array.from({ length: dataset.length }, async (_, i) => (await dataset.sample(i)).id))
  }
  assert.deepEqual(await ids(1), await ids(1))
  assert.equal((await ids(1)).length, 5)
  assert.notDeepEqual(await ids(1), await ids(2))
})

test('.wav files in class folders are resampled, cut and padded to the input', async (context) => {
  const values = [...tone(12000, 8000)].map((value) => Math.round(value * 32767))
  const folder = await folderOf(context, {
    'no/a.wav': wav(values, { bits: 16, rate: 8000 }),
    'yes/b.wav': wav(values.slice(0, 100), { bits: 16, rate: 8000 }),
  })
  const { dataset, warnings } = await opened(
    folder,
    { name: 'x', dtype: 'float32', shape: [1, 16000] },
    { preprocess: { audio: { sampleRateHz: 16000 } } },
  )
  assert.deepEqual(dataset.labels, [0, 1])
  assert.equal(warnings.length, 0)
  const short = (await dataset.sample(1)).inputs.get('x')!.data as Float32Array
  assert.equal(short.length, 16000)
  assert.ok(
    short.subarray(0, 200).some((value) => Math.abs(value) > 0.1) &&
      short.subarray(220).every((value) => value === 0),
  )
  const mfcc = await opened(folder, { name: 'x', dtype: 'float32', shape: [1, 49, 10, 1] })
  assert.equal(mfcc.dataset.preprocessing.audio?.features, 'mfcc')
  assert.match(
    mfcc.warnings[0]!.message,
    /window 30 ms, stride 20 ms, 40 tensorflow mel bins 20 to 4000 Hz, 10 coefficients/,
  )
  const first = (await mfcc.dataset.sample(0)).inputs.get('x')!
  const turned = (
    await (await opened(folder, { name: 'x', dtype: 'float32', shape: [1, 10, 49] })).dataset.sample(0)
  ).inputs.get('x')!
  assert.equal(first.data[3 * 10 + 2], turned.data[2 * 49 + 3])
  await assert.rejects(
    openDataset(folder, [{ name: 'x', dtype: 'float32', shape: [1, 98, 10] }]),
    errorOf('DATA_SHAPE', { message: /49 frames of 10/, hint: /strideMs/ }),
  )
})

test('idx: the images file, the labels file and their folder mean the same pair', async (context) => {
  const header = (...sizes: number[]) => [0, 0, 8, sizes.length, ...sizes.flatMap((size) => [0, 0, 0, size])]
  const folder = await folderOf(context, {
    'train-images-idx3-ubyte': Uint8Array.from([...header(2, 1, 2), 0, 128, 255, 7]),
    'train-labels-idx1-ubyte': Uint8Array.from([...header(2), 9, 4]),
  })
  const spec: InputSpec = { name: 'x', dtype: 'float32', shape: [1, 1, 1, 2] }
  for (const path of [
    folder,
    join(folder, 'train-images-idx3-ubyte'),
    join(folder, 'train-labels-idx1-ubyte'),
  ]) {
    const { dataset } = await opened(path, spec, { preprocess: { scale: 0.5 } })
    assert.deepEqual(dataset.labels, [9, 4])
    assert.deepEqual([...(await dataset.sample(1)).inputs.get('x')!.data], [127.5, 3.5])
  }
  await writeFile(join(folder, 'train-images-idx3-ubyte'), Uint8Array.from([...header(2, 1, 2), 0, 128, 255]))
  await assert.rejects(
    openDataset(folder, [spec]),
    errorOf('DATA_BROKEN', { saw: /19 bytes, shape \[2, 1, 2\]/ }),
  )
})

test('8-bit palette bitmaps are read', { skip: fixturesMissing }, async () => {
  const { decodePicture } = await import('../../src/data/picture.ts')
  const picture = await decodePicture(fixture('ethosu/person.bmp'), 1)
  assert.deepEqual([picture.height, picture.width, picture.data.length], [96, 96, 96 * 96])
  assert.ok(new Set(picture.data).size > 50)
})

test('labels counted from 1 get the hint to shift them back', async (context) => {
  const folder = await folderOf(context, {
    'a.png': 1,
    'b.png': 2,
    'labels.csv': 'file,label\na.png,1\nb.png,2\n',
  })
  await assert.rejects(
    openDataset(folder, [colour], { classes: 2 }),
    errorOf('DATA_LABELS', { where: /b\.png/, hint: /offset to -1/ }),
  )
  assert.deepEqual((await opened(folder, colour, { classes: 2, labelOffset: -1 })).dataset.labels, [0, 1])
})

test('a folder with a data.yaml is what the data.yaml says', async (context) => {
  const folder = await folderOf(context, {
    'p/a.png': 1,
    'p/b.png': 2,
    'data.yaml': 'description: two\nfiles: {images: p}\nlabels: {from: none}\n',
  })
  assert.deepEqual(
    [(await opened(folder, colour)).dataset.description, (await opened(folder, colour)).dataset.labelled],
    ['two', false],
  )
})

test('a file where a folder should be, and one that vanished, are named', async (context) => {
  const folder = await folderOf(context, { 'p/a.png': 1, 'data.yaml': 'files: {images: p/a.png}\n' })
  await assert.rejects(
    openDataset(folder, [colour]),
    errorOf('DATA_BROKEN', { where: /a\.png/, saw: /ENOTDIR/ }),
  )
  const { dataset } = await opened(join(folder, 'p'), colour)
  await rm(join(folder, 'p/a.png'))
  await assert.rejects(dataset.sample(0), errorOf('DATA_BROKEN', { where: /a\.png/, saw: /ENOENT/ }))
})

test('a sample that holds NaN is refused before it spoils a range', async (context) => {
  const folder = await folderOf(context, {
    'l.mjs': 'export default [{ x: [1, 2] }, { x: [1, NaN], id: "bad" }]',
  })
  const { dataset } = await opened(join(folder, 'l.mjs'), { name: 'x', dtype: 'float32', shape: [1, 2] })
  await dataset.sample(0)
  await assert.rejects(dataset.sample(1), errorOf('DATA_BROKEN', { where: /bad/, saw: /element 1/ }))
})
