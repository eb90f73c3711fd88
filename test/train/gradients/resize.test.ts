import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededGenerator } from '../../../src/data/generator.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import type { OpOf } from '../../../src/graph/ops.ts'
import { GraphBuilder } from '../../../src/train/builder.ts'
import { gradientsOf } from '../../../src/train/differentiate.ts'
import { checkGradients } from './oracle.ts'

type Resize = OpOf<'Resize'>

const plain: Resize = {
  kind: 'Resize',
  mode: 'nearest',
  sizes: [],
  scales: null,
  coordinateTransformation: 'half_pixel',
  nearestMode: 'round_prefer_floor',
  cubicCoefficient: -0.6,
  excludeOutside: false,
  extrapolationValue: 0.5,
  roi: null,
  antialias: false,
  layout: 'channels-first',
}

const coordinates: readonly Resize['coordinateTransformation'][] = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'tf_half_pixel_for_nn',
  'tf_crop_and_resize',
]
const ways: Record<string, Partial<Resize>> = {
  'nearest, ties down': { nearestMode: 'round_prefer_floor' },
  'nearest, ties up': { nearestMode: 'round_prefer_ceil' },
  'nearest, floor': { nearestMode: 'floor' },
  'nearest, ceil': { nearestMode: 'ceil' },
  linear: { mode: 'linear' },
  'linear, antialiased': { mode: 'linear', antialias: true },
  cubic: { mode: 'cubic' },
  'cubic without what is outside': { mode: 'cubic', excludeOutside: true },
  'cubic, antialiased': { mode: 'cubic', antialias: true },
}
const extents: readonly (readonly [from: number, to: number])[] = [
  [4, 8],
  [5, 7],
  [7, 5],
  [6, 3],
  [5, 5],
  [5, 1],
  [1, 4],
  [10, 3],
]

for (const [way, settings] of Object.entries(ways))
  test(`resize, ${way}: the gradient is the transpose of what ONNX Runtime computes`, async () => {
    for (const coordinateTransformation of coordinates)
      for (const [from, to] of extents) {
        const cropping = coordinateTransformation === 'tf_crop_and_resize'
        if (cropping && settings.antialias) continue
        if (coordinateTransformation === 'tf_half_pixel_for_nn' && settings.mode) continue
        const op: Resize = {
          ...plain,
          ...settings,
          coordinateTransformation,
          sizes: [1, 1, to, to],
          // the crop reaches beyond the image
          roi: cropping ? [0, 0, 0.1, -0.2, 1, 1, 0.8, 1.3] : null,
        }
        await requireAdjoint(op, [1, 1, from, from], `${coordinateTransformation}, ${from} to ${to}`)
      }
  })

test('resize by scales that do not give the sizes exactly', async () => {
  for (const scales of [
    [1, 1, 1.6, 2.3],
    [1, 1, 0.7, 3],
  ]) {
    const sizes = [1, 1, 5, 7].map((size, axis) => Math.floor(size * scales[axis]!))
    await requireAdjoint(
      { ...plain, mode: 'linear', scales, sizes },
      [1, 1, 5, 7],
      `scales ${scales.join(', ')}`,
    )
    // sizes that another rounding gave are what counts
    const rounded = sizes.with(3, sizes[3]! + 1)
    await requireAdjoint({ ...plain, mode: 'linear', scales, sizes: rounded }, [1, 1, 5, 7], 'sizes')
  }
})

const whole: Record<string, Partial<Resize> & Pick<Resize, 'sizes'>> = {
  'twice and three times as large': {
    sizes: [2, 3, 8, 15],
    coordinateTransformation: 'asymmetric',
    nearestMode: 'floor',
  },
  'in one direction only': { sizes: [2, 3, 4, 10] },
  'not at all': { sizes: [2, 3, 4, 5] },
  'cubic, with a batch': { sizes: [2, 3, 7, 8], mode: 'cubic' },
}
for (const [name, settings] of Object.entries(whole))
  test(`resize of images: ${name}`, () =>
    checkGradients({
      shapes: [[2, 3, 4, 5]],
      build: (b, x) => b.op({ ...plain, ...settings }, [x]),
    }))

test('resize in one dimension and in three', async () => {
  await requireAdjoint({ ...plain, mode: 'linear', sizes: [2, 3, 7] }, [2, 3, 4], 'one')
  // longer than a matrix would be made for
  await requireAdjoint({ ...plain, mode: 'linear', sizes: [1, 1, 1500] }, [1, 1, 1000], 'one, long')
  await requireAdjoint({ ...plain, mode: 'linear', sizes: [1, 2, 4, 3, 5] }, [1, 2, 2, 3, 4], 'three')
  await requireAdjoint({ ...plain, sizes: [1, 2, 4, 6, 3] }, [1, 2, 2, 3, 4], 'three, nearest')
})

/** A linear map A and its transpose: ⟨A·x, w⟩ = ⟨x, Aᵀ·w⟩ for random x and w. */
async function requireAdjoint(op: Resize, shape: readonly number[], what: string): Promise<void> {
  const random = seededGenerator(3)
  const b = GraphBuilder.empty('resize')
  const x = b.input('x', shape)
  const y = b.op(op, [x])
  const draw = (count: number) => Float32Array.from({ length: count }, () => random.normal())
  const w = draw(op.sizes.reduce((product, size) => product * size, 1))
  const gradient = gradientsOf(b, b.reduceAll('Sum', b.mul(y, b.floats(w, op.sizes))), [x]).get(x)!
  const evaluator = await createOnnxEvaluator(writeOnnx(b.finish([y, gradient])))
  try {
    for (let trial = 0; trial < 3; trial++) {
      const data = draw(shape.reduce((product, size) => product * size, 1))
      const run = async (values: Float32Array) =>
        evaluator.run(new Map([['x', { dtype: 'float32', shape, data: values }]]))
      const results = await run(data)
      // what lies outside is filled with a constant
      const none = (await run(data.map(() => 0))).get(y)!.data as Float32Array
      const made = results.get(y)!.data as Float32Array
      const back = results.get(gradient)!.data as Float32Array
      const forward = w.reduce((sum, weight, i) => sum + weight * (made[i]! - none[i]!), 0)
      const backward = data.reduce((sum, value, i) => sum + value * back[i]!, 0)
      assert.ok(Math.abs(forward - backward) < 1e-3, `${what}: ${forward} forward, ${backward} back`)
    }
  } finally {
    await evaluator.close()
  }
}
