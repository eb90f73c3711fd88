import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Scheme } from '../../../src/artifact/manifest.ts'
import { repositoryRoot } from '../../fixtures.ts'
import {
  type Deployment,
  optionsOf,
  randomSubject,
  subjectOf,
  tailoredFor,
  targetNamed,
  trainedAndDeployed,
} from './deployment.ts'
import {
  attentionNetwork,
  averagingNetwork,
  decodingNetwork,
  recurrentNetwork,
  tiedNetwork,
} from './networks.ts'

const example = join(repositoryRoot, 'examples', 'mnist')
const networks = {
  'a transformer': attentionNetwork,
  'a decoder with two outputs': decodingNetwork,
  'a recurrent cell': recurrentNetwork,
  'a kernel applied twice, and one of zeros': tiedNetwork,
}
type Name = keyof typeof networks

const onnxRuntime: readonly Deployment[] = [
  { target: 'onnxruntime', architecture: 'aarch64' },
  { target: 'onnxruntime', architecture: 'x86_64', io: 'uint8' },
  { target: 'onnxruntime', io: 'float', more: { perChannel: false } },
]
for (const name of Object.keys(networks) as Name[])
  test(`${name} for ONNX Runtime: what training saw is what the artifact gives`, async () => {
    for (const deployment of onnxRuntime) {
      const { within, equal } = await trainedAndDeployed(randomSubject(networks[name]()), deployment)
      assert.ok(within === 1 && equal > 0.99, `${within} within a step, ${equal} equal`)
    }
  })

// kernels of LiteRT that round in steps of their own: a HardSwish, and products of 16 bits by their
// multipliers; each is a step off, and what follows multiplies that
const ownRounding: Readonly<Record<Name, { readonly steps: number; readonly within: number }>> = {
  'a transformer': { steps: 1, within: 1 },
  'a decoder with two outputs': { steps: 4, within: 0.99 },
  'a recurrent cell': { steps: 0, within: 1 },
  'a kernel applied twice, and one of zeros': { steps: 0, within: 1 },
}
for (const name of Object.keys(networks) as Name[])
  for (const perChannel of [true, false])
    test(`${name} for LiteRT, ${perChannel ? 'a scale a channel' : 'one scale'}: no further off than its kernels round`, async () => {
      const subject = randomSubject(networks[name]())
      const { steps, within } = await trainedAndDeployed(subject, { target: 'litert', more: { perChannel } })
      const most = ownRounding[name]
      assert.ok(steps <= most.steps + 0.01 && within >= most.within, `${steps} steps, ${within} within one`)
    })

// LiteRT takes products of 16 bits times multipliers of 16: half a step at the end of the range, in each layer
for (const name of ['a transformer', 'a decoder with two outputs', 'a recurrent cell'] as const)
  test(`${name} in 16-bit activations: within 8 of 65,536 steps`, async () => {
    const deployment: Deployment = { target: 'litert', io: 'float', more: { scheme: 'int16x8' } }
    const { steps } = await trainedAndDeployed(randomSubject(networks[name]()), deployment)
    assert.ok(steps < 8.01, `${steps} steps`)
  })

for (const [name, average] of Object.entries({
  'averages of four': 2,
  'averages of sixteen': 4,
  'linear resizing': null,
}))
  for (const target of ['litert', 'onnxruntime'])
    test(`${name} for ${target}: halves go where the kernel rounds them`, async () => {
      const { equal } = await trainedAndDeployed(randomSubject(averagingNetwork(average)), { target })
      assert.ok(equal > 0.9999, `${equal} equal`)
    })

for (const target of ['litert', 'onnxruntime'])
  for (const perChannel of [true, false])
    test(`weights alone in integers for ${target}, ${perChannel ? 'a scale a channel' : 'one scale'}: they are what training saw, however they lie`, async () => {
      const digits = await subjectOf(join(example, 'mnist.onnx'), join(example, 'data.yaml'), 16)
      const deployment = (scheme: Scheme): Deployment => ({
        ...{ target, io: 'float', weightScales: 'frozen', more: { scheme, perChannel } },
      })
      assert.equal((await trainedAndDeployed(digits, deployment('weight-only'))).equal, 1)
      // the board rounds activations as they come, which training leaves real
      assert.ok((await trainedAndDeployed(digits, deployment('dynamic'))).steps < 1)
    })

test('what the accelerators take of a transformer and a decoder is what training saw', async () => {
  for (const network of [attentionNetwork(), decodingNetwork(2)]) {
    const { within } = await trainedAndDeployed(randomSubject(network), { target: 'tensorrt', io: 'float' })
    assert.equal(within, 1)
  }
  // the emulation of its integers is LiteRT's, with that one's kernels
  const { steps, within } = await trainedAndDeployed(randomSubject(attentionNetwork()), { target: 'edgetpu' })
  assert.ok(steps <= 2.01 && within > 0.95, `${steps} steps, ${within} within one`)
})

test('an output in integers that a float operator reads too keeps its name for the integers', async () => {
  const subject = randomSubject(tiedNetwork())
  const options = optionsOf('aarch64', 'int8', { keepFloat: ['relu_2'] })
  const [conv] = subject.graph.nodes.find(({ name }) => name === 'relu_2')!.inputs
  const graph = { ...subject.graph, outputs: [conv!, ...subject.graph.outputs] }
  const target = targetNamed('onnxruntime')
  const { ranges } = await tailoredFor({ ...subject, graph }, target, options)
  const { graph: typed } = target.prepare(graph, ranges, options)
  assert.equal(typed.outputs[0], conv)
  assert.equal(typed.values.get(conv!)!.type.dtype, 'int8')
  const relu = typed.nodes.find(({ name }) => name === 'relu_2')!
  assert.equal(typed.values.get(relu.inputs[0]!)!.type.dtype, 'float32')
})
