import type { OpOf } from '../../graph/ops.ts'
import type { GraphBuilder } from '../builder.ts'
import type { Backward } from '../gradient.ts'
import { type Tap, mappedBack } from './linear-map.ts'
import { interpolation } from './interpolation.ts'

/** Resizing is linear and works along each axis by itself: back goes the transpose, axis by axis. */
export function resizeGradient(op: OpOf<'Resize'>, { b, inputs, gradients }: Backward): string {
  const shape = b.shape(inputs[0]!)
  const scales = scalesOf(op, shape)
  const taps = shape.map((size, axis) => interpolation(op, axis, size, scales[axis]!))
  const factors = taps.map((along, axis) => repetition(along, shape[axis]!))
  const [batch, channels, ...spatial] = factors
  if (shape.length === 4 && batch === 1 && channels === 1 && spatial.every((factor) => factor !== null))
    return pooled(b, gradients[0]!, spatial as number[])
  return shape.reduce(
    (gradient, size, axis) =>
      factors[axis] === 1 ? gradient : mappedBack(b, gradient, axis, size, taps[axis]!),
    gradients[0]!,
  )
}

/** The scales that the network runs by: those of the file where they give the sizes, as the ONNX writer decides. */
function scalesOf({ scales, sizes }: OpOf<'Resize'>, shape: readonly number[]): number[] {
  const given = scales?.map(Math.fround)
  return given?.every((scale, axis) => Math.floor(Math.fround(shape[axis]! * scale)) === sizes[axis])
    ? given
    : shape.map((size, axis) => Math.fround(sizes[axis]! / size))
}

/** How often each element is repeated, all alike and in order; null where it is anything else. */
function repetition(taps: readonly (readonly Tap[])[], size: number): number | null {
  const factor = taps.length / size
  const plain = taps.every(
    (sources, made) =>
      sources.length === 1 && sources[0]![0] === Math.floor(made / factor) && sources[0]![1] === 1,
  )
  return Number.isInteger(factor) && plain ? factor : null
}

/** Sums over blocks: several times as fast as a product of matrices. */
function pooled(b: GraphBuilder, gradient: string, kernel: readonly number[]): string {
  const count = kernel.reduce((product, factor) => product * factor, 1)
  if (count === 1) return gradient
  const [ones, none] = [kernel.map(() => 1), kernel.map(() => 0)]
  const mean = b.op(
    {
      kind: 'AveragePool',
      kernel,
      strides: kernel,
      dilations: ones,
      padsBegin: none,
      padsEnd: none,
      ceilMode: false,
      countIncludePad: false,
      layout: 'channels-first',
    },
    [gradient],
  )
  return b.mul(mean, b.scalar(count))
}
