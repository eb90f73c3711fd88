import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { crc32, deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { classMapOf, type SegmentationTask } from '../../src/data/class-map.ts'
import { ConfusionMatrix } from '../../src/data/mean-iou.ts'
import { openMetric } from '../../src/data/metric.ts'
import { openDataset } from '../../src/data/open.ts'
import { decodePngIndices } from '../../src/data/png-indices.ts'
import { segmentationSchema } from '../../src/data/task-schema.ts'
import { taskAgreement } from '../../src/data/task-agreement.ts'
import type { Tensor } from '../../src/tensor.ts'
import { errorOf, temporaryFolder } from './temporary.ts'

/** A PNG of stored numbers, rows filtered in turn by all five filters. */
function png(
  width: number,
  height: number,
  values: readonly number[],
  { bits = 8, colour = 0, interlace = 0 } = {},
) {
  const rowBytes = Math.ceil((width * bits) / 8)
  const raw = Array.from({ length: height }, (_, y) => {
    const row = new Uint8Array(rowBytes)
    for (let x = 0; x < width; x++) {
      const bit = x * bits
      row[bit >> 3]! |= values[y * width + x]! << (8 - bits - (bit & 7))
    }
    return row
  })
  const paeth = (a: number, b: number, c: number) => {
    const distances = [a, b, c].map((of) => Math.abs(a + b - c - of))
    return [a, b, c][distances.indexOf(Math.min(...distances))]!
  }
  const rows = raw.flatMap((row, y) => {
    const filter = y % 5
    const filtered = [...row].map((byte, i) => {
      const [a, b, c] = [row[i - 1] ?? 0, raw[y - 1]?.[i] ?? 0, raw[y - 1]?.[i - 1] ?? 0]
      return (byte - [0, a, b, (a + b) >> 1, paeth(a, b, c)][filter]!) & 255
    })
    return [filter, ...filtered]
  })
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(data.length)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([length, body, sum])
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header.set([bits, colour, 0, 0, interlace], 8)
  const palette = Buffer.from(Array.from({ length: 3 << bits }, (_, i) => (i * 37) & 255))
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...(colour === 3 ? [chunk('PLTE', palette)] : []),
    chunk('IDAT', deflateSync(Buffer.from(rows))),
    chunk('IEND', new Uint8Array()),
  ])
}

const numbers = (count: number, below: number) =>
  Array.from({ length: count }, (_, i) => (i * i * 7 + (i >> 1) * 5 + i) % below)

for (const [bits, colour] of [
  [8, 3],
  [8, 0],
  [4, 3],
  [2, 0],
  [1, 3],
] as const)
  test(`a PNG with ${bits} bits and ${colour === 3 ? 'a palette' : 'gray levels'} gives the numbers that it stores`, async () => {
    const values = numbers(13 * 11, 1 << bits)
    const file = png(13, 11, values, { bits, colour })
    const { width, height, data } = await decodePngIndices(file, 'm.png')
    assert.deepEqual([width, height, [...data]], [13, 11, values])
    // the file is one that others read too
    assert.equal((await sharp(file).metadata()).width, 13)
  })

test('PNGs of the image library are read: gray with adaptive filters, and a palette', async () => {
  const gray = Buffer.from(numbers(40 * 30, 256))
  const written = await sharp(gray, { raw: { width: 40, height: 30, channels: 1 } })
    .toColourspace('b-w')
    .png({ adaptiveFiltering: true })
    .toBuffer()
  assert.deepEqual([...(await decodePngIndices(written, 'g.png')).data], [...gray])
  const colours = [200, 10, 10, 10, 200, 10, 10, 10, 200]
  const classes = numbers(40 * 30, 3)
  const rgb = Buffer.from(classes.flatMap((index) => colours.slice(index * 3, index * 3 + 3)))
  const indexed = await sharp(rgb, { raw: { width: 40, height: 30, channels: 3 } })
    .png({ palette: true, colours: 4, dither: 0 })
    .toBuffer()
  const { data } = await decodePngIndices(indexed, 'p.png')
  const seen = new Set([...data].map((index, i) => `${index} is ${classes[i]}`))
  assert.equal(seen.size, 3)
})

test('what is no mask is refused: colours, interlacing, a cut file, a bomb', async () => {
  const refused = (bytes: Uint8Array, saw: RegExp) =>
    assert.rejects(decodePngIndices(bytes, 'm.png'), errorOf('DATA_BROKEN', { saw, where: /m\.png/ }))
  const whole = png(8, 8, numbers(64, 256))
  await refused(png(8, 8, numbers(64, 256), { colour: 2 }), /colour type 2/)
  await refused(png(8, 8, numbers(64, 256), { interlace: 1 }), /interlaced/)
  await refused(Buffer.from('no picture at all, but long enough to have a header'), /no PNG header/)
  await refused(whole.subarray(0, 60), /beyond the end/)
  const small = Buffer.from(whole)
  small.writeUInt32BE(2, 20)
  await refused(small, /./)
  const large = Buffer.from(whole)
  large.writeUInt32BE(1 << 30, 16)
  await refused(large, /pixels/)
})

const task = (said: object = {}, classes: number | null = 3): SegmentationTask => ({
  kind: 'segmentation',
  segmentation: segmentationSchema.parse(said),
  height: 4,
  width: 4,
  classes,
  layout: 'NCHW',
})
const tensor = (shape: number[], values: number[]): Map<string, Tensor> =>
  new Map([['y', { dtype: 'float32', shape, data: Float32Array.from(values) }]])

test('classes come from scores of either layout, from a map of classes, from one channel', () => {
  const classes = numbers(16, 3)
  const first = [0, 1, 2].flatMap((index) => classes.map((of) => Number(of === index)))
  const last = classes.flatMap((of) => [0, 1, 2].map((index) => Number(of === index)))
  assert.deepEqual([...classMapOf(tensor([1, 3, 4, 4], first), task())], classes)
  assert.deepEqual([...classMapOf(tensor([1, 4, 4, 3], last), task())], classes)
  assert.deepEqual([...classMapOf(tensor([1, 4, 4], classes), task())], classes)
  const integers = new Map([
    ['y', { dtype: 'int64', shape: [1, 4, 4], data: BigInt64Array.from(classes.map(BigInt)) } as const],
  ])
  assert.deepEqual([...classMapOf(integers, task())], classes)
  const above = classes.map((of) => (of === 2 ? 0.8 : 0.3))
  assert.deepEqual(
    [...classMapOf(tensor([1, 1, 4, 4], above), task({}, null))],
    classes.map((of) => Number(of === 2)),
  )
  assert.throws(
    () => classMapOf(tensor([1, 48], first), task()),
    errorOf('CONFIG_INVALID', { saw: /\[1, 48\]/ }),
  )
})

test('coarse scores are interpolated before the highest is taken', () => {
  // two columns: class 0 leads by 3 on the left, class 1 by 1 on the right: they cross at 3/4 of the way
  const scores = [3, 0, 3, 0, 0, 1, 0, 1]
  const fine = classMapOf(tensor([1, 2, 2, 2], scores), task({}, 2))
  // pixel centres at 0, 0.25, 0.75, 1 of the way: at 0.75 both are equal, and the first of equals counts
  assert.deepEqual([...fine], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1])
})

test('mIoU by hand: classes that nobody names do not count, ignored pixels neither', () => {
  const matrix = new ConfusionMatrix()
  assert.ok(Number.isNaN(matrix.meanIou))
  matrix.add(Uint8Array.from([0, 0, 1, 1, 255]), Uint8Array.from([0, 1, 1, 1, 7]))
  // class 0: 1 of 2; class 1: 2 of 3
  assert.ok(Math.abs(matrix.meanIou - (1 / 2 + 2 / 3) / 2) < 1e-12)
  assert.equal(matrix.accuracy, 3 / 4)
  // a class that only the network names counts as 0
  matrix.add(Uint8Array.from([0]), Uint8Array.from([5]))
  assert.ok(Math.abs(matrix.meanIou - (1 / 3 + 2 / 3 + 0) / 3) < 1e-12)
})

test('masks follow the picture; borders, the ignored class and classes below the offset do not count', async (context) => {
  const folder = await temporaryFolder(context)
  await mkdir(join(folder, 'images'))
  await mkdir(join(folder, 'masks'))
  const create = { width: 8, height: 4, channels: 3 as const, background: '#808080' }
  await sharp({ create }).jpeg().toFile(join(folder, 'images/a.jpg'))
  const columns = [0, 0, 1, 1, 2, 2, 9, 9]
  await writeFile(
    join(folder, 'masks/a.png'),
    png(
      8,
      4,
      [0, 1, 2, 3].flatMap(() => columns),
      { bits: 4, colour: 3 },
    ),
  )
  const yaml = `
files: {images: images}
preprocess: {fit: letterbox, kernel: nearest, scale: 1}
labels: {masks: masks, offset: -1}
classNames: [road, car]
segmentation: {ignore: 9}
`
  await writeFile(join(folder, 'data.yaml'), yaml)
  const spec = { name: 'x', dtype: 'float32', shape: [1, 3, 4, 4] } as const
  const dataset = await openDataset(folder, [spec], {})
  assert.equal(dataset.metric, 'miou')
  const sample = await dataset.sample(0)
  assert.ok(sample.annotation?.kind === 'mask')
  // 4 wide, 2 high: a row of border above and below
  const [row, border] = [
    [255, 0, 1, 255],
    [255, 255, 255, 255],
  ]
  assert.deepEqual([...sample.annotation.classes], [...border!, ...row!, ...row!, ...border!])
  const metric = await openMetric('miou', dataset)
  metric.start()
  const scores = (wrong: number) => [
    ...new Array(16).fill(0.5),
    ...Array.from({ length: 16 }, (_, i) => (i % 4 === 2 || i < wrong ? 1 : 0)),
  ]
  await metric.add(tensor([1, 2, 4, 4], scores(0)), sample)
  assert.equal(await metric.finish(), 1)
  metric.start()
  // one of the two pixels of class 0 is taken for class 1: 1/2 and 2/3
  await metric.add(tensor([1, 2, 4, 4], scores(6)), sample)
  assert.ok(Math.abs((await metric.finish()) - (1 / 2 + 2 / 3) / 2) < 1e-12)
  await writeFile(join(folder, 'data.yaml'), yaml.replace('[road, car]', '[road]'))
  await assert.rejects(
    (await openDataset(folder, [spec], {})).sample(0),
    errorOf('DATA_LABELS', { saw: /class 1 \(2 with offset -1\)/ }),
  )
})

test('agreement is the share of pixels with the same class', () => {
  const agreement = taskAgreement(task())
  assert.equal(agreement.value, null)
  const classes = numbers(16, 3)
  agreement.add(
    tensor([1, 4, 4], classes),
    tensor(
      [1, 4, 4],
      classes.map((of, i) => (i < 4 ? (of + 1) % 3 : of)),
    ),
  )
  assert.equal(agreement.value, 12 / 16)
})
