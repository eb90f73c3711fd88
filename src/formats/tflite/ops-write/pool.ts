import { options } from '../write-graph.ts'
import type { NodeInWriting } from './context.ts'
import { asImage, paddedInput } from './window.ts'

/** Lower than anything that a 32-bit float holds but infinity, which PADV2 of integers cannot have. */
const lowest = -3.4028234663852886e38

export function writePool(pool: NodeInWriting<'MaxPool' | 'AveragePool'>): void {
  const { op } = pool
  const image = asImage(pool)
  const kernel = image.lift(op.kernel)
  if (op.dilations.some((dilation) => dilation !== 1)) throw pool.unsupported('a dilated pool')
  const { x, padding } = paddedInput(pool, image, kernel, op.kind === 'MaxPool' ? lowest : 0)
  const padded = [...op.padsBegin, ...op.padsEnd].some((pad) => pad > 0)
  if (
    op.kind === 'AveragePool' &&
    (x !== image.x) !== (op.countIncludePad && padded) &&
    (padded || x !== image.x)
  )
    throw pool.unsupported('an average pool with padding of this kind')
  const [strideH, strideW] = image.lift(op.strides) as [number, number]
  const [filterHeight, filterWidth] = kernel as [number, number]
  image.finish(
    op.kind === 'MaxPool' ? 'MAX_POOL_2D' : 'AVERAGE_POOL_2D',
    [x],
    options('Pool2DOptions', {
      padding,
      strideH,
      strideW,
      filterHeight,
      filterWidth,
      activation: pool.activation,
    }),
  )
}

export function writeGlobalPool(pool: NodeInWriting<'GlobalAveragePool' | 'GlobalMaxPool'>): void {
  const rank = pool.type(0).shape.length
  const axes = pool.integers([...Array(rank).keys()].slice(1, -1), 'axes')
  const opType = pool.op.kind === 'GlobalMaxPool' ? 'REDUCE_MAX' : 'MEAN'
  pool.write(opType, [pool.input(0), axes], options('ReducerOptions', { keepDims: true }))
}
