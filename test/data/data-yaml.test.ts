import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import * as ort from 'onnxruntime-node'
import { openMetric } from '../../src/data/metric.ts'
import { openDataset } from '../../src/data/open.ts'
import type { Dataset, InputSpec } from '../../src/data/types.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../fixtures.ts'
import { numpyFile } from './numpy-files.ts'
import { errorOf, temporaryFolder } from './temporary.ts'

async function described(context: TestContext, yaml: string): Promise<string> {
  const path = join(await temporaryFolder(context), 'data.yaml')
  await writeFile(path, yaml)
  return path
}

/** Samples that a float network gets right, through ONNX Runtime. */
async function hits(model: string, dataset: Dataset, spec: InputSpec): Promise<number> {
  const session = await ort.InferenceSession.create(model)
  const metric = await openMetric('top-1')
  metric.start()
  for (let index = 0; index < dataset.length; index++) {
    const sample = await dataset.sample(index)
    const { data, shape } = sample.inputs.get(spec.name)!
    const result = await session.run({ [spec.name]: new ort.Tensor('float32', data as Float32Array, shape) })
    const outputs = new Map(
      Object.entries(result).map(([name, tensor]) => [
        name,
        { dtype: 'float32' as const, shape: tensor.dims, data: tensor.data as Float32Array },
      ]),
    )
    await metric.add(outputs, sample)
  }
  return Math.round((await metric.finish()) * dataset.length)
}

test('the example network gets 988 of the 1000 example digits right', async () => {
  const spec: InputSpec = { name: 'image', dtype: 'float32', shape: [1, 1, 28, 28] }
  const dataset = await openDataset(join(repositoryRoot, 'examples/mnist/data.yaml'), [spec], { classes: 10 })
  assert.deepEqual(
    [dataset.length, dataset.description, dataset.metric],
    [1000, '1000 MNIST digits', 'top-1'],
  )
  assert.equal(await hits(join(repositoryRoot, 'examples/mnist/mnist.onnx'), dataset, spec), 988)
  const calibration = await openDataset(join(repositoryRoot, 'examples/mnist/calibration.yaml'), [spec], {
    classes: 10,
  })
  assert.equal(calibration.length, 300)
})

test('raw int8 keyword samples with labels in a table without header feed the float network', {
  skip: fixturesMissing,
}, async (context) => {
  const path = await described(
    context,
    `
files:
  binary: {path: ${fixture('data/kws01_x_int8.bin')}, dtype: int8, shape: [49, 10, 1], sampleBytes: 490}
preprocess:
  dequantize: {scale: 0.58470291, zeroPoint: 83}
labels: {csv: ${fixture('data/kws01_labels.csv')}, columns: [file, classes, label]}
`,
  )
  const model = fixture('mlperf-tiny/kws_dscnn_float.onnx')
  const session = await ort.InferenceSession.create(model)
  const spec: InputSpec = { name: session.inputNames[0]!, dtype: 'float32', shape: [1, 49, 10, 1] }
  const dataset = await openDataset(path, [spec], { classes: 12 })
  assert.deepEqual(dataset.labels!.slice(0, 4), [7, 2, 6, 8])
  // 456 of the first 500; the whole thousand is known to give 913.
  assert.equal(await hits(model, dataset, spec), 456)
})

test('file names before the number are classes, in the order that the description lists', {
  skip: fixturesMissing,
}, async (context) => {
  const path = await described(
    context,
    `
files: {images: ${fixture('data/cifar10_test')}}
labels: {from: file-names}
classNames: [airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck]
preprocess: {resize: null, scale: 1}
`,
  )
  const dataset = await openDataset(path, [{ name: 'x', dtype: 'float32', shape: [1, 32, 32, 3] }], {
    classes: 10,
  })
  assert.equal(dataset.length, 500)
  for (let label = 0; label < 10; label++)
    assert.equal(dataset.labels!.filter((other) => other === label).length, 50)
  const { id, label, inputs } = await dataset.sample(499)
  assert.deepEqual([id, label, inputs.get('x')!.data.length], ['truck_0049.jpg', 9, 3072])
})

test('a thousand classes feed a network of 1001 with label offset 1', {
  skip: fixturesMissing,
}, async (context) => {
  const yaml = `
files: {images: ${fixture('imagenet/val')}}
labels: {csv: ${fixture('imagenet/val_labels.csv')}, offset: 1}
classNames: ${fixture('imagenet/imagenet_labels.txt')}
preprocess: {resize: 224, fit: stretch, kernel: bilinear, antialias: false, scale: 0.00784313725490196, mean: 1}
metric: top-5
`
  const spec: InputSpec = { name: 'x', dtype: 'float32', shape: [1, 224, 224, 3] }
  const dataset = await openDataset(await described(context, yaml), [spec], { classes: 1001 })
  assert.deepEqual(
    [dataset.length, dataset.labels![0], dataset.classNames![dataset.labels![0]!], dataset.metric],
    [180, 3, 'great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias', 'top-5'],
  )
  const { data } = (await dataset.sample(0)).inputs.get('x')!
  assert.ok((data as Float32Array).every((value) => value >= -1 && value <= 1))
  await assert.rejects(
    openDataset(await described(context, yaml.replace('offset: 1', 'offset: 600')), [spec], {
      classes: 1001,
    }),
    errorOf('DATA_LABELS', { hint: /1001 against 1000/ }),
  )
})

test('every mistake is told at once, with its line', async (context) => {
  const path = await described(
    context,
    `files:
  images: a
  npy: b
preprocess:
  sale: 2
  kernel: cubic
  std: [1, 0, 1]
lables: {}
labels:
  csv: a.csv
  idx: b
`,
  )
  await assert.rejects(
    openDataset(path, [{ name: 'x', dtype: 'float32', shape: [1, 3, 2, 2] }]),
    (error: unknown) => {
      errorOf('CONFIG_INVALID', { message: /6 mistakes/, where: /data\.yaml/ })(error)
      const { saw } = error as { saw: string }
      for (const expected of [
        /line 1: files: needs exactly one of/,
        /line 5: preprocess\.sale/,
        /line 6: preprocess\.kernel/,
        /line 7: preprocess\.std.*not be 0/,
        /line 8: lables/,
        /line 9: labels: needs one of csv, idx/,
      ])
        assert.match(saw, expected)
      return true
    },
  )
})

test('broken YAML, an alias bomb and a file that is not there are told apart', async (context) => {
  const spec: InputSpec = { name: 'x', dtype: 'float32', shape: [1, 4] }
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefgh'
      .split('')
      .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`),
  ].join('\n')
  const opening = async (yaml: string) => openDataset(await described(context, yaml), [spec])
  await assert.rejects(opening('files: [\n  npy: }'), errorOf('CONFIG_INVALID', { saw: /line 2/ }))
  await assert.rejects(opening(bomb), errorOf('CONFIG_INVALID', { saw: /alias/i }))
  await assert.rejects(
    opening('files: {npy: missing.npy}'),
    errorOf('DATA_NOT_FOUND', { where: /missing\.npy/ }),
  )
})

test('stored channels-last samples are turned for a channels-first input, normalized by channel', async (context) => {
  const folder = await temporaryFolder(context)
  await writeFile(join(folder, 'raw.bin'), Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))
  await writeFile(
    join(folder, 'data.yaml'),
    'files: {binary: {path: raw.bin, dtype: uint8, shape: [2, 1, 3]}, layout: NHWC}\npreprocess: {mean: [1, 2, 3]}\n',
  )
  const dataset = await openDataset(join(folder, 'data.yaml'), [
    { name: 'x', dtype: 'float32', shape: [1, 3, 2, 1] },
  ])
  assert.equal(dataset.length, 2)
  assert.deepEqual([...(await dataset.sample(1)).inputs.get('x')!.data], [6, 9, 6, 9, 6, 9])
})

test('what the flags say goes before what the description says', async (context) => {
  const folder = await temporaryFolder(context)
  await writeFile(join(folder, 'x.npy'), numpyFile('half'))
  await writeFile(join(folder, 'data.yaml'), 'files: {npy: x.npy}\npreprocess: {scale: 3, mean: 1}\n')
  const spec: InputSpec = { name: 'x', dtype: 'float32', shape: [1, 4] }
  const dataset = await openDataset(join(folder, 'data.yaml'), [spec], { preprocess: { scale: 2 } })
  assert.deepEqual([dataset.preprocessing.scale, dataset.preprocessing.mean], [2, [1]])
  assert.equal((await dataset.sample(0)).inputs.get('x')!.data[1], -6)
})

test('a binary file that is not a whole number of samples is refused', async (context) => {
  const folder = await temporaryFolder(context)
  await writeFile(join(folder, 'raw.bin'), new Uint8Array(11))
  await writeFile(join(folder, 'data.yaml'), 'files: {binary: {path: raw.bin, dtype: int16, shape: [2]}}')
  await assert.rejects(
    openDataset(join(folder, 'data.yaml'), [{ name: 'x', dtype: 'float32', shape: [1, 2] }]),
    errorOf('DATA_BROKEN', { saw: /11 bytes, 4 a sample/ }),
  )
})
