import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import sharp from 'sharp'
import { readCocoLabels } from '../../src/data/coco-labels.ts'
import { openMetric } from '../../src/data/metric.ts'
import { openDataset } from '../../src/data/open.ts'
import { placeBox, placementOf } from '../../src/data/placement.ts'
import type { InputSpec } from '../../src/data/types.ts'
import { readYoloLabels } from '../../src/data/yolo-labels.ts'
import { errorOf, temporaryFolder } from './temporary.ts'

const spec = (side = 64): InputSpec => ({ name: 'x', dtype: 'float32', shape: [1, 3, side, side] })

async function picture(path: string, width: number, height: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const create = { width, height, channels: 3 as const, background: { r: 200, g: 100, b: 50 } }
  await sharp({ create }).png().toFile(path)
}

async function folderWith(context: TestContext, files: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder(context)
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

const resize = { height: 64, width: 64, kernel: 'bilinear', antialias: false } as const
const whole = { x1: 10, y1: 20, x2: 50, y2: 40 }

test('boxes follow the picture through a stretch, a crop and a letterbox', () => {
  const size = { width: 100, height: 50 }
  const place = (p: Parameters<typeof placementOf>[1]) => placeBox(whole, size, placementOf(size, p))
  const numbers = (box: typeof whole) =>
    [box.x1, box.y1, box.x2, box.y2].map((x) => Math.round(x * 1e6) / 1e6)
  assert.deepEqual(
    numbers(place({ resize: { ...resize, fit: 'stretch' }, crop: null })),
    [6.4, 25.6, 32, 51.2],
  )
  // 64 high, 128 wide, 32 cut from each side
  const crop = { height: 64, width: 64, anchor: 'centre' } as const
  assert.deepEqual(
    numbers(place({ resize: { ...resize, fit: 'short-side' }, crop })),
    [-19.2, 25.6, 32, 51.2],
  )
  // 64 wide, 32 high, 16 above and below
  assert.deepEqual(
    numbers(place({ resize: { ...resize, fit: 'letterbox' }, crop: null })),
    [6.4, 28.8, 32, 41.6],
  )
  assert.deepEqual(numbers(place({ resize: null, crop: null })), [10, 20, 50, 40])
})

test('an odd pixel of a letterbox goes to the bottom and the right; the picture is in the middle of gray', async (context) => {
  const tall = placementOf({ width: 10, height: 31 }, { resize: { ...resize, fit: 'letterbox' }, crop: null })
  // 64/31 · 10 is 20.6: 21 wide, 43 spare
  assert.deepEqual([tall.resized, tall.left, tall.top], [{ height: 64, width: 21 }, 21, 0])
  const folder = await temporaryFolder(context)
  await picture(join(folder, 'images/a.png'), 100, 50)
  await writeFile(
    join(folder, 'data.yaml'),
    'files: {images: images}\npreprocess: {fit: letterbox, antialias: false, scale: 1}\n',
  )
  const warnings: string[] = []
  const dataset = await openDataset(folder, [spec()], { warn: ({ code }) => warnings.push(code) })
  const { data } = (await dataset.sample(0)).inputs.get('x')!
  const red = (y: number, x: number) => data[y * 64 + x]
  assert.deepEqual([red(0, 0), red(15, 63), red(16, 0), red(47, 63), red(48, 5)], [114, 114, 200, 200, 114])
  assert.deepEqual(warnings, [])
  assert.deepEqual(dataset.preprocessing.resize, { ...resize, fit: 'letterbox', padValue: 114 })
})

const coco = (extra: object = {}) =>
  JSON.stringify({
    images: [
      { id: 7, file_name: 'val/a.png', width: 1, height: 1 },
      { id: 9, file_name: 'val/empty.png' },
    ],
    categories: [
      { id: 17, name: 'cat' },
      { id: 3, name: 'car' },
    ],
    annotations: [
      { id: 1, image_id: 7, category_id: 17, bbox: [10, 20, 40, 20], iscrowd: 0 },
      { id: 2, image_id: 7, category_id: 3, bbox: [0, 0, 100, 50], iscrowd: 1 },
    ],
    ...extra,
  })

test('COCO categories count in the order of their ids, by class name, or as they are', async (context) => {
  const folder = await folderWith(context, { 'labels.json': coco() })
  const path = join(folder, 'labels.json')
  const classesOf = async (...options: [Parameters<typeof readCocoLabels>[1], (readonly string[] | null)?]) =>
    (await readCocoLabels(path, options[0], options[1] ?? null)).of('a.png')!.map((box) => box.class)
  assert.deepEqual(await classesOf(undefined), [1, 0])
  assert.deepEqual(await classesOf('ids'), [17, 3])
  assert.deepEqual(await classesOf(undefined, ['dog', 'cat', 'car']), [1, 2])
  assert.deepEqual(await classesOf('in-order', ['a', 'b']), [1, 0])
  await assert.rejects(classesOf(undefined, ['dog']), errorOf('DATA_LABELS', { saw: /car/ }))
  const labels = await readCocoLabels(path, undefined, null)
  assert.deepEqual([labels.of('val/empty.png'), labels.of('other.png')], [[], null])
})

test('broken COCO labels say which entry', async (context) => {
  const cases = {
    'no list': [JSON.stringify([]), /no list of images/],
    'no bbox': [coco({ annotations: [{ image_id: 7, category_id: 3 }] }), /annotations\[0\]/],
    'a picture that is not there': [
      coco({ annotations: [{ image_id: 8, category_id: 3, bbox: [0, 0, 1, 1] }] }),
      /annotations\[0\]/,
    ],
    'a negative size': [
      coco({ annotations: [{ image_id: 7, category_id: 3, bbox: [0, 0, -1, 1] }] }),
      /annotations\[0\]/,
    ],
  } as const
  for (const [name, [text, pattern]] of Object.entries(cases)) {
    const path = join(await folderWith(context, { 'labels.json': text }), 'labels.json')
    await assert.rejects(readCocoLabels(path, undefined, null), (error: Error & { where?: string }) => {
      assert.match(`${error.message} ${error.where}`, pattern, name)
      return errorOf('DATA_LABELS')(error)
    })
  }
  const cut = join(await folderWith(context, { 'labels.json': coco().slice(0, 50) }), 'labels.json')
  await assert.rejects(readCocoLabels(cut, undefined, null), errorOf('DATA_BROKEN'))
})

test('YOLO labels: shares of the picture, polygons as the box around, no file as no object', async (context) => {
  const folder = await folderWith(context, {
    'a.txt': '2 0.5 0.5 0.2 0.4\n\n0 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6\n',
    'pixels.txt': '0 320 240 20 20\n',
    'short.txt': '0 0.5 0.5 0.2\n',
    'name.txt': 'cat 0.5 0.5 0.2 0.2\n',
  })
  const size = { width: 100, height: 50 }
  const boxes = await readYoloLabels(join(folder, 'a.txt'), size)
  const rounded = boxes.map(({ x1, y1, x2, y2, class: of }) => [
    ...[x1, y1, x2, y2].map((x) => Math.round(x * 1e6) / 1e6),
    of,
  ])
  assert.deepEqual(rounded, [
    [40, 15, 60, 35, 2],
    [10, 10, 30, 30, 0],
  ])
  assert.deepEqual(await readYoloLabels(join(folder, 'gone.txt'), size), [])
  for (const name of ['pixels', 'short', 'name'])
    await assert.rejects(
      readYoloLabels(join(folder, `${name}.txt`), size),
      errorOf('DATA_LABELS', { where: /line 1/ }),
    )
})

test('a data.yaml with COCO labels: boxes in the input, cut ones ignored, unknown pictures not judged, mAP the metric', async (context) => {
  const folder = await folderWith(context, {
    'labels.json': coco(),
    'data.yaml': `
files: {images: pictures}
preprocess: {resize: 64, fit: short-side, crop: 64, scale: 1}
labels: {coco: labels.json}
detection: {format: yolo-v8}
`,
  })
  for (const name of ['a', 'empty', 'unknown'])
    await picture(join(folder, `pictures/val/${name}.png`), 100, 50)
  const dataset = await openDataset(folder, [spec()], {})
  assert.deepEqual(
    [dataset.metric, dataset.labelled, dataset.classNames, dataset.task?.kind],
    ['map', true, ['car', 'cat'], 'detection'],
  )
  const [a, empty, unknown] = await Promise.all([0, 1, 2].map((index) => dataset.sample(index)))
  assert.ok(a?.annotation?.kind === 'boxes' && empty?.annotation?.kind === 'boxes')
  const [cat, crowd] = a.annotation.boxes
  // of 51.2 pixels in width 19.2 are cut off: more than half is left
  assert.deepEqual(
    [cat!.x1, Math.round(cat!.x2), cat!.class, cat!.ignored, crowd!.crowd],
    [0, 32, 1, false, true],
  )
  // the crowd fills 128 pixels, 64 of which are seen: exactly half still counts
  assert.equal(crowd!.ignored, false)
  assert.deepEqual([empty.annotation.boxes, unknown!.annotation], [[], undefined])
  const before = await dataset.digest()
  await writeFile(join(folder, 'labels.json'), coco({ annotations: [] }))
  assert.notEqual(await (await openDataset(folder, [spec()], {})).digest(), before)
})

test('a data.yaml with YOLO labels scores a network that names the very boxes 1', async (context) => {
  const folder = await folderWith(context, {
    'labels/a.txt': '1 0.5 0.5 0.5 0.5\n',
    'data.yaml': `
files: {images: images}
preprocess: {fit: letterbox, scale: 1}
labels: {yolo: labels, offset: -1}
classNames: [thing]
detection: {format: boxes-scores}
metric: map@0.5
`,
  })
  for (const name of ['a', 'b']) await picture(join(folder, `images/${name}.png`), 100, 50)
  const dataset = await openDataset(folder, [spec()], {})
  const metric = await openMetric(dataset.metric!, dataset)
  assert.equal(metric.name, 'map@0.5')
  metric.start()
  const tensor = (shape: number[], values: number[]) =>
    ({ dtype: 'float32', shape, data: Float32Array.from(values) }) as const
  for (let index = 0; index < 2; index++) {
    const { annotation } = await dataset.sample(index)
    assert.ok(annotation?.kind === 'boxes')
    const rows = annotation.boxes.flatMap(({ x1, y1, x2, y2 }) => [x1, y1, x2, y2])
    const boxes = tensor([1, 2, 4], [...rows, ...new Array(8 - rows.length).fill(0)])
    const scores = tensor([1, 2, 1], [0.9, 0])
    await metric.add(
      new Map([
        ['boxes', boxes],
        ['scores', scores],
      ]),
      await dataset.sample(index),
    )
  }
  assert.ok(Math.abs((await metric.finish()) - 1) < 1e-12)
})

test('what does not go together is told at once, with its line', async (context) => {
  const folder = await folderWith(context, {
    'data.yaml': `
files: {npz: x.npz}
labels: {coco: a.json, yolo: labels, categories: ids}
segmentation: {}
detection: {format: yolo-v9}
`,
    'unread.yaml': 'files: {images: images}\nlabels: {coco: labels.json}\n',
    'images/labels.json': '{}',
  })
  await assert.rejects(
    openDataset(folder, [spec()], {}),
    errorOf('CONFIG_INVALID', { saw: /needs one of .*coco, yolo.*line 5: .*format/s }),
  )
  await assert.rejects(
    openDataset(join(folder, 'unread.yaml'), [spec()], {}),
    errorOf('CONFIG_INVALID', { saw: /needs `detection`/ }),
  )
})

test('labels of other pictures, and metrics without what they need, are refused', async (context) => {
  const folder = await folderWith(context, {
    'labels.json': coco(),
    'data.yaml':
      'files: {images: p}\npreprocess: {resize: 64, scale: 1}\nlabels: {coco: labels.json}\ndetection: {format: yolo-v8}\n',
    'bare.yaml': 'files: {images: p}\npreprocess: {resize: 64, scale: 1}\ndetection: {format: yolo-v8}\n',
  })
  await picture(join(folder, 'p/other.png'), 100, 50)
  await assert.rejects(
    openDataset(folder, [spec()], {}),
    errorOf('DATA_LABELS', { message: /none of the pictures/ }),
  )
  const bare = await openDataset(join(folder, 'bare.yaml'), [spec()], {})
  assert.deepEqual([bare.labelled, bare.metric, bare.task?.kind], [false, undefined, 'detection'])
  await assert.rejects(openMetric('map', bare), errorOf('DATA_LABELS', { hint: /coco/ }))
  await assert.rejects(openMetric('miou', bare), errorOf('CONFIG_INVALID', { saw: /detection/ }))
  await assert.rejects(openMetric('map'), errorOf('CONFIG_INVALID', { hint: /detection\.md/ }))
  await assert.rejects(openMetric('map@0.42', bare), errorOf('CONFIG_INVALID', { hint: /0\.50, 0\.55/ }))
})
