import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fixture, fixturesMissing, repositoryRoot } from '../../fixtures.ts'
import { branchingNetwork } from './branches.ts'
import {
  randomSubject,
  seeingSubject,
  subjectOf,
  type Subject,
  trainedAndDeployed,
  untilLogits,
} from './deployment.ts'

const example = join(repositoryRoot, 'examples', 'mnist')
const digits = () => subjectOf(join(example, 'mnist.onnx'), join(example, 'data.yaml'), 24)

for (const target of ['onnxruntime', 'litert'])
  for (const architecture of ['aarch64', 'x86_64'] as const)
    for (const io of ['float', 'int8', 'uint8'] as const)
      test(`MNIST for ${target}, ${architecture}, ${io}: what training saw is what the artifact gives`, async () => {
        const weightScales = io === 'uint8' ? 'learned' : 'min-max'
        const deployment = { target, architecture, io, weightScales } as const
        const { within, equal } = await trainedAndDeployed(await digits(), deployment)
        assert.ok(within === 1 && equal > 0.95, `${within} within a step, ${equal} equal`)
      })

const networks: Readonly<Record<string, () => Promise<Subject>>> = {
  ResNet8: () => seeingSubject('mlperf-tiny/ic_resnet8.h5', 'data/cifar10_test', (x) => x, 16),
  'keyword spotting': () => subjectOf(fixture('mlperf-tiny/kws_dscnn_float.onnx'), undefined, 16),
  'visual wake words': () =>
    seeingSubject('mlperf-tiny/vww_mobilenetv1_025_96.h5', 'imagenet/calib256', (x) => x / 255, 6),
  'MobileNetV1-0.25': () =>
    seeingSubject(
      'imagenet/mobilenet_v1_0.25_224_float.tflite',
      'imagenet/calib256',
      (x) => x / 127.5 - 1,
      4,
    ),
}

for (const [name, load] of Object.entries(networks))
  test(`${name}: what training saw is what the artifact gives, all but for sums that lie on the edge between two integers`, {
    skip: fixturesMissing,
  }, async () => {
    const subject = untilLogits(await load())
    for (const deployment of [
      { target: 'onnxruntime', architecture: 'x86_64', weightScales: 'learned' },
      { target: 'onnxruntime', architecture: 'aarch64', io: 'float' },
      { target: 'litert', weightScales: 'frozen' },
    ] as const) {
      const { steps, within } = await trainedAndDeployed(subject, deployment)
      // one in 10^5 sums differs in float32; noise for an input, and 28 layers, make more of it than pictures do
      assert.ok(steps < 3 && within > 0.95, `${deployment.target}: ${steps} steps, ${within} within one`)
    }
  })

for (const [name, norms] of [
  ['ResNet8', 7],
  ['keyword spotting', 9],
] as const)
  test(`${name}: batch norms that are folded in the loop are in the artifact as training saw them`, {
    skip: fixturesMissing,
  }, async () => {
    const subject = untilLogits(await networks[name]!())
    for (const target of ['onnxruntime', 'litert']) {
      const { steps, within } = await trainedAndDeployed(subject, { target, norms, weightScales: 'learned' })
      assert.ok(steps < 2.01 && within > 0.95, `${target}: ${steps} steps, ${within} within one`)
    }
  })

for (const target of ['onnxruntime', 'litert', 'tensorrt'])
  for (const perChannel of [true, false])
    test(`branches, gates and constants for ${target}, ${perChannel ? 'a scale a channel' : 'one scale'}`, async () => {
      const io = target === 'tensorrt' ? 'float' : 'int8'
      const deployment = { target, io, more: { perChannel } } as const
      const { within, equal } = await trainedAndDeployed(randomSubject(branchingNetwork()), deployment)
      // TensorRT is emulated here with float16 between its integers
      const least = target === 'tensorrt' ? 0 : 0.95
      assert.ok(within === 1 && equal >= least, `${within} within a step, ${equal} equal`)
    })
