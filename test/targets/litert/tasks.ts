import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { fixture } from '../../fixtures.ts'

/** A network of the fixtures with its float and its reference int8 file, and samples as the float file takes them. */
export interface Task {
  readonly name: string
  readonly float: string
  readonly reference: string
  readonly calibration: readonly Float32Array[]
  /** Decoded as they are asked for where they are many and large. */
  readonly test: Iterable<Float32Array> | AsyncIterable<Float32Array>
  /** Classes of the first test samples, which may be all; null where none has one. */
  readonly labels: readonly number[] | null
}

export async function resnet8(count = 200): Promise<Task> {
  const classes = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']
  const files = readdirSync(fixture('data/cifar10_test')).sort()
  // every class alike
  const chosen = files.filter((_, i) => i % Math.round(files.length / count) === 0)
  return {
    name: 'ResNet8',
    float: fixture('mlperf-tiny/ic_resnet8_float.tflite'),
    reference: fixture('mlperf-tiny/ic_resnet8_int8.tflite'),
    calibration: await pictures(
      'data/cifar10_calib',
      (_, i) => i % 2 === 0,
      32,
      (x) => x,
    ),
    test: await pictures(
      'data/cifar10_test',
      (file) => chosen.includes(file),
      32,
      (x) => x,
    ),
    labels: chosen.map((file) => classes.indexOf(file.split('_')[0]!)),
  }
}

export async function visualWakeWords(): Promise<Task> {
  return {
    name: 'VWW',
    float: fixture('mlperf-tiny/vww_float.tflite'),
    reference: fixture('mlperf-tiny/vww_int8.tflite'),
    calibration: await pictures(
      'imagenet/tune256',
      (_, i) => i % 8 === 0,
      96,
      (x) => x / 255,
    ),
    test: await pictures(
      'imagenet/calib256',
      () => true,
      96,
      (x) => x / 255,
    ),
    labels: null,
  }
}

/** 640 = 5 frames of 128, a window every frame. */
export function anomalyDetection(): Task {
  const bytes = readFileSync(fixture('data/ad_normal_id_01_00000000_hist_librosa.bin'))
  const frames = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
  const windows = Array.from({ length: frames.length / 128 - 4 }, (_, i) =>
    frames.slice(i * 128, i * 128 + 640),
  )
  return {
    name: 'AD',
    float: fixture('mlperf-tiny/ad_float.tflite'),
    reference: fixture('mlperf-tiny/ad_int8.tflite'),
    calibration: windows.slice(0, 96),
    test: windows.slice(100),
    labels: null,
  }
}

/** All 500 inputs, of which every fifth calibrates; or the 400 that do not. real = (q − 83) · 0.58470291 */
export function keywordSpotting(heldOut = false): Task {
  const raw = new Int8Array(readFileSync(fixture('data/kws01_x_int8.bin')))
  const samples = Array.from({ length: 500 }, (_, i) =>
    Float32Array.from(raw.subarray(i * 490, (i + 1) * 490), (q) => (q - 83) * 0.58470291),
  )
  const rows = readFileSync(fixture('data/kws01_labels.csv'), 'utf8').trim().split(/\r?\n/)
  const labels = rows.map((row) => Number(row.split(',').at(-1))).filter((label) => !Number.isNaN(label))
  const tested = (_: unknown, i: number) => !heldOut || i % 5 !== 0
  return {
    name: heldOut ? 'KWS, held out' : 'KWS',
    float: fixture('mlperf-tiny/kws_dscnn_float.onnx'),
    reference: fixture('mlperf-tiny/kws_dscnn_int8.tflite'),
    calibration: samples.filter((_, i) => i % 5 === 0),
    test: samples.filter(tested),
    labels: labels.filter(tested),
  }
}

export async function mobileNet(): Promise<Task> {
  const rows = readFileSync(fixture('imagenet/val_labels.csv'), 'utf8').trim().split(/\r?\n/)
  const labels = new Map(rows.map((row) => [row.split(',')[0]!, Number(row.split(',').at(-1)) + 1]))
  const files = readdirSync(fixture('imagenet/val')).sort()
  return {
    name: 'MobileNetV1',
    float: fixture('imagenet/mobilenet_v1_0.25_224_float.tflite'),
    reference: fixture('imagenet/mobilenet_v1_0.25_224_uint8_ref.tflite'),
    calibration: await pictures(
      'imagenet/calib256',
      () => true,
      224,
      (x) => x / 127.5 - 1,
    ),
    test: mobileNetSamples(),
    labels: files.map((file) => labels.get(file)!),
  }
}

/** The labelled images, then those without labels. */
async function* mobileNetSamples(): AsyncGenerator<Float32Array> {
  for (const folder of ['imagenet/val', 'imagenet/tune256'])
    yield* decoded(
      folder,
      () => true,
      224,
      (x) => x / 127.5 - 1,
    )
}

async function pictures(
  ...request: [
    folder: string,
    choose: (file: string, index: number) => boolean,
    size: number,
    scale: (x: number) => number,
  ]
): Promise<Float32Array[]> {
  const all: Float32Array[] = []
  for await (const picture of decoded(...request)) all.push(picture)
  return all
}

async function* decoded(
  folder: string,
  choose: (file: string, index: number) => boolean,
  size: number,
  scale: (x: number) => number,
): AsyncGenerator<Float32Array> {
  const files = readdirSync(fixture(folder)).sort().filter(choose)
  for (const file of files) {
    const pixels = await sharp(join(fixture(folder), file))
      .removeAlpha()
      .toColourspace('srgb')
      .resize(size, size, { fit: 'cover', kernel: 'linear' })
      .raw()
      .toBuffer()
    yield Float32Array.from(pixels, scale)
  }
}
