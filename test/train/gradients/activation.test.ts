import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import type { Op } from '../../../src/graph/ops.ts'
import { gradientsAt, row } from './exact.ts'
import { checkGradients } from './oracle.ts'

interface Activation {
  readonly op: Op
  readonly tfjs?: (x: tf.Tensor) => tf.Tensor
  /** Where the function has no derivative. */
  readonly kinks?: readonly number[]
}

const activations: Record<string, Activation> = {
  Relu: { op: { kind: 'Relu' }, tfjs: (x) => x.relu(), kinks: [0] },
  LeakyRelu: { op: { kind: 'LeakyRelu', alpha: 0.3 }, tfjs: (x) => x.leakyRelu(0.3), kinks: [0] },
  'LeakyRelu of a negative slope': { op: { kind: 'LeakyRelu', alpha: -0.5 }, kinks: [0] },
  'Clip at both sides': {
    op: { kind: 'Clip', min: -0.5, max: 0.7 },
    tfjs: (x) => x.clipByValue(-0.5, 0.7),
    kinks: [-0.5, 0.7],
  },
  'Clip below': { op: { kind: 'Clip', min: -0.5, max: Infinity }, kinks: [-0.5] },
  'Clip above': { op: { kind: 'Clip', min: -Infinity, max: 0.7 }, kinks: [0.7] },
  'Clip nowhere': { op: { kind: 'Clip', min: -Infinity, max: Infinity } },
  Relu6: { op: { kind: 'Clip', min: 0, max: 6 }, tfjs: (x) => tf.relu6(x), kinks: [0, 6] },
  Sigmoid: { op: { kind: 'Sigmoid' }, tfjs: (x) => x.sigmoid() },
  HardSigmoid: { op: { kind: 'HardSigmoid', alpha: 0.5, beta: 0.4 }, kinks: [-0.8, 1.2] },
  HardSwish: { op: { kind: 'HardSwish' }, tfjs: (x) => x.mul(tf.relu6(x.add(3)).div(6)), kinks: [-3, 3] },
  Tanh: { op: { kind: 'Tanh' }, tfjs: (x) => x.tanh() },
  Elu: { op: { kind: 'Elu', alpha: 1 }, tfjs: (x) => x.elu(), kinks: [0] },
  'Elu of another alpha': { op: { kind: 'Elu', alpha: 0.4 }, kinks: [0] },
  'Gelu by erf': {
    op: { kind: 'Gelu', approximate: 'none' },
    tfjs: (x) => x.mul(x.div(Math.SQRT2).erf().add(1)).mul(0.5),
  },
  'Gelu by tanh': {
    op: { kind: 'Gelu', approximate: 'tanh' },
    tfjs: (x) =>
      x
        .mul(
          x
            .add(x.mul(x).mul(x).mul(0.044715))
            .mul(Math.sqrt(2 / Math.PI))
            .tanh()
            .add(1),
        )
        .mul(0.5),
  },
  'Softmax of the last axis': { op: { kind: 'Softmax', axis: 2 }, tfjs: (x) => x.softmax(2) },
  'Softmax of an inner axis': {
    op: { kind: 'Softmax', axis: 1 },
    tfjs: (x) => x.transpose([0, 2, 1]).softmax(2).transpose([0, 2, 1]),
  },
  'LogSoftmax of the last axis': { op: { kind: 'LogSoftmax', axis: 2 }, tfjs: (x) => x.logSoftmax(2) },
  'LogSoftmax of the first axis': { op: { kind: 'LogSoftmax', axis: 0 } },
}

for (const [name, { op, tfjs, kinks = [] }] of Object.entries(activations))
  test(`activation: ${name}`, () =>
    checkGradients({
      shapes: [[3, 5, 7]],
      build: (b, x) => b.op(op, [x]),
      ...(tfjs && { tfjs: (x) => tfjs(x!) }),
      // wide enough that every piece of the function is met
      domain: (value) => awayFrom(kinks, 3 * value),
    }))

for (const slope of [[7], [5, 1], [1, 1, 1], [3, 5, 7], []])
  test(`activation: PRelu with slopes [${slope}]`, () =>
    checkGradients({
      shapes: [[3, 5, 7], slope],
      build: (b, ...inputs) => b.op({ kind: 'PRelu' }, inputs),
      // its gradient by a broadcast slope is not summed there
      ...(slope.length === 3 && { tfjs: (x, alpha) => tf.prelu(x!, alpha!) }),
      domain: (value) => awayFrom([0], value),
    }))

const atKinks: readonly [string, Op, readonly number[], readonly number[]][] = [
  ['Relu is flat at zero', { kind: 'Relu' }, [-1, 0, 1], [0, 0, 1]],
  ['LeakyRelu leans left at zero', { kind: 'LeakyRelu', alpha: 0.25 }, [-1, 0, 1], [0.25, 0.25, 1]],
  ['Clip lets its bounds through', { kind: 'Clip', min: -1, max: 2 }, [-2, -1, 0, 2, 3], [0, 1, 1, 1, 0]],
  ['Relu6 is flat at zero like Relu', { kind: 'Clip', min: 0, max: 6 }, [-1, 0, 1, 6, 7], [0, 0, 1, 1, 0]],
  ['a Clip to nothing', { kind: 'Clip', min: 0, max: 0 }, [-1, 0, 1], [0, 0, 0]],
]
for (const [name, op, at, expected] of atKinks)
  test(`activation: ${name}`, async () => {
    const [gradient] = await gradientsAt([row(...at)], (b, x) => b.op(op, [x]))
    assert.deepEqual([...gradient!], expected)
  })

test('activation: gradients stay finite far from zero', async () => {
  const far = [-1e4, -200, -60, 60, 200, 1e4]
  for (const [name, { op }] of Object.entries(activations)) {
    if (op.kind === 'Softmax' || op.kind === 'LogSoftmax') continue
    const [gradient] = await gradientsAt([row(...far)], (b, x) => b.op(op, [x]))
    assert.ok(gradient!.every(Number.isFinite), `${name}: ${gradient!.join(', ')}`)
  }
  for (const kind of ['Softmax', 'LogSoftmax'] as const) {
    const [gradient] = await gradientsAt([row(...far)], (b, x) => b.op({ kind, axis: 0 }, [x]))
    assert.ok(gradient!.every(Number.isFinite), `${kind}: ${gradient!.join(', ')}`)
  }
})

function awayFrom(kinks: readonly number[], value: number): number {
  const near = kinks.find((kink) => Math.abs(value - kink) < 0.15)
  return near === undefined ? value : near + (value < near ? -0.15 : 0.15)
}
