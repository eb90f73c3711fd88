import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import type { OpOf } from '../../../src/graph/ops.ts'
import { GraphBuilder } from '../../../src/train/builder.ts'
import { gradientsOf } from '../../../src/train/differentiate.ts'
import { gradientsAt } from './exact.ts'
import { checkGradients } from './oracle.ts'

test('concatenation and split', async () => {
  await checkGradients({
    shapes: [
      [2, 3, 4],
      [2, 1, 4],
    ],
    build: (b, x, y) => b.op({ kind: 'Concat', axis: 1 }, [x, y]),
    tfjs: (x, y) => tf.concat([x!, y!], 1),
  })
  // one part is not used at all
  await checkGradients({
    shapes: [[2, 6]],
    build: (b, x) => {
      const [first, , last] = b.ops({ kind: 'Split', axis: 1, sizes: [1, 2, 3] }, [x], 3, 'split')
      return b.mul(first!, last!)
    },
    tfjs: (x) => {
      const [first, , last] = tf.split(x!, [1, 2, 3], 1)
      return first!.mul(last!)
    },
  })
})

const slices: Record<string, Omit<OpOf<'Slice'>, 'kind'>> = {
  'a part': { axes: [0, 2], starts: [1, 1], ends: [3, 4], steps: [1, 1] },
  'every second': { axes: [2], starts: [1], ends: [5], steps: [2] },
  backwards: { axes: [2], starts: [-1], ends: [-100], steps: [-2] },
  'every third of the batch, backwards in the rows': {
    axes: [0, 1],
    starts: [0, 100],
    ends: [3, -100],
    steps: [3, -1],
  },
  'beyond the end': { axes: [1], starts: [-2], ends: [1000], steps: [1] },
}
for (const [name, slice] of Object.entries(slices))
  test(`slice: ${name}`, () =>
    checkGradients({ shapes: [[3, 4, 5]], build: (b, x) => b.op({ kind: 'Slice', ...slice }, [x]) }))

test('rows that are gathered twice add up', async () => {
  await checkGradients({
    shapes: [[4, 3]],
    build: (b, x) => b.op({ kind: 'Gather', axis: 0 }, [x, b.integers([2, 0, 2, -1], [2, 2])]),
    tfjs: (x) => tf.gather(x!, tf.tensor2d([2, 0, 2, 3], [2, 2], 'int32')),
  })
  await checkGradients({
    shapes: [[2, 4, 3]],
    build: (b, x) => b.op({ kind: 'Gather', axis: 1 }, [x, b.integers([3, 3, 1])]),
    tfjs: (x) => tf.gather(x!, tf.tensor1d([3, 3, 1], 'int32'), 1),
  })
})

test('long signals are not mapped by a matrix', async () => {
  const b = GraphBuilder.empty('long')
  const x = b.input('x', [1, 1, 200_000])
  const padded = b.op(
    { kind: 'Pad', mode: 'reflect', padsBegin: [0, 0, 200], padsEnd: [0, 0, 200], value: 0 },
    [x],
  )
  const halved = b.op({ kind: 'Slice', axes: [2], starts: [0], ends: [1e9], steps: [2] }, [padded])
  const gradient = gradientsOf(b, b.reduceAll('Sum', halved), [x]).get(x)!
  const bytes = [...b.finish([gradient]).values.values()].reduce(
    (sum, { constant }) => sum + (constant?.byteLength ?? 0),
    0,
  )
  assert.ok(bytes < 10e6, `${bytes} bytes of constants`)
  const [sums] = await gradientsAt([{ shape: [2100], data: new Float32Array(2100) }], (into, signal) =>
    into.op({ kind: 'Pad', mode: 'reflect', padsBegin: [3], padsEnd: [1], value: 0 }, [signal]),
  )
  // the first three behind the edge are there twice, and the last but one
  const twice = [1, 2, 3, 2098]
  assert.ok(sums!.every((sum, at) => sum === (twice.includes(at) ? 2 : 1)))
})

test('one part of a stack, and indices in sequence', async () => {
  // a scalar index takes the axis away
  for (const [indices, shape] of [
    [[1], []],
    [[-2], []],
    [[1, 2], [2]],
    [[2, 1, 0], [3]],
    [
      [0, 1, 2],
      [3, 1],
    ],
  ] as const)
    await checkGradients({
      shapes: [[2, 3, 4]],
      build: (b, x) => b.op({ kind: 'Gather', axis: 1 }, [x, b.integers(indices, shape)]),
    })
})

test('an index that comes often loses no summand, whatever the number of threads', async () => {
  const [count, width, size] = [4096, 32, 3]
  const indices = Array.from({ length: count }, (_, i) => (i * 7) % size)
  const expected = Array.from({ length: size }, (_, row) => indices.filter((index) => index === row).length)
  const points = [{ shape: [size, width], data: new Float32Array(size * width) }]
  for (let repetition = 0; repetition < 5; repetition++) {
    const [gradient] = await gradientsAt(
      points,
      (b, x) => b.op({ kind: 'Gather', axis: 0 }, [x, b.integers(indices)]),
      4,
    )
    assert.ok(gradient!.every((sum, i) => sum === expected[Math.floor(i / width)]))
  }
})

test('reshape, transpose, expand and tile', async () => {
  await checkGradients({
    shapes: [[2, 3, 4]],
    build: (b, x) => b.transpose(b.reshape(x, [4, 3, 2]), [2, 0, 1]),
    tfjs: (x) => x!.reshape([4, 3, 2]).transpose([2, 0, 1]),
  })
  await checkGradients({
    shapes: [[3, 1]],
    build: (b, x) => b.expand(x, [2, 3, 4]),
    tfjs: (x) => x!.broadcastTo([2, 3, 4]),
  })
  await checkGradients({
    shapes: [[2, 3]],
    build: (b, x) => b.op({ kind: 'Tile', repeats: [2, 3] }, [x]),
    tfjs: (x) => x!.tile([2, 3]),
  })
})

for (const mode of ['constant', 'reflect', 'edge', 'wrap'] as const)
  test(`pad: ${mode}`, () =>
    checkGradients({
      shapes: [[2, 4, 5]],
      build: (b, x) => b.op({ kind: 'Pad', mode, padsBegin: [0, 1, 2], padsEnd: [0, 2, 1], value: 0.5 }, [x]),
    }))

test('pads of a vector, of one side, wider than the axis', async () => {
  const pads: readonly [OpOf<'Pad'>['mode'], readonly number[], readonly number[], readonly number[]][] = [
    ['edge', [4], [3], [0]],
    ['wrap', [4], [4], [3]],
    ['reflect', [2, 1], [0, 0], [1, 0]],
    // cropped on one side, padded on the other
    ['wrap', [5], [-1], [2]],
    ['wrap', [5], [2], [-1]],
    ['reflect', [5], [-1], [2]],
    ['edge', [5], [3], [-2]],
    ['edge', [2, 1], [0, 3], [1, 0]],
    ['reflect', [1, 2, 4, 4], [0, 0, 3, 3], [0, 0, 3, 3]],
  ]
  for (const [mode, shape, padsBegin, padsEnd] of pads)
    await checkGradients({
      shapes: [shape],
      build: (b, x) => b.op({ kind: 'Pad', mode, padsBegin, padsEnd, value: 0 }, [x]),
    })
})

test('a pad that crops', () =>
  checkGradients({
    shapes: [[2, 4, 5]],
    build: (b, x) =>
      b.op({ kind: 'Pad', mode: 'constant', padsBegin: [0, -1, 2], padsEnd: [0, 1, -2], value: 0 }, [x]),
  }))

for (const mode of ['DCR', 'CRD'] as const)
  test(`depth to space, ${mode}`, () =>
    checkGradients({
      shapes: [[2, 8, 2, 3]],
      build: (b, x) => b.op({ kind: 'DepthToSpace', blockSize: 2, mode, layout: 'channels-first' }, [x]),
    }))

test('space to depth', () =>
  checkGradients({
    shapes: [[2, 3, 4, 6]],
    build: (b, x) => b.op({ kind: 'SpaceToDepth', blockSize: 2, layout: 'channels-first' }, [x]),
  }))
