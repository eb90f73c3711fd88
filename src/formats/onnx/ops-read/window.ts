import type { Window } from '../../../graph/ops.ts'
import { NotExpressible, type OnnxOperator } from '../read-operator.ts'

/** 1 or 2 spatial dimensions of a channels-first operand. */
export function spatialShape(operator: OnnxOperator): readonly number[] {
  const shape = operator.shape(0)
  if (shape.length !== 3 && shape.length !== 4)
    throw new NotExpressible(`it works on ${shape.length - 2} spatial dimensions`)
  return shape.slice(2)
}

/** One entry per spatial dimension, or the default for all. */
export function perDimension(
  operator: OnnxOperator,
  name: string,
  count: number,
  absent: number,
  least: number,
): number[] {
  const values = operator.attributes.ints(name)
  if (!values || values.length === 0) return new Array<number>(count).fill(absent)
  if (values.length !== count || values.some((value) => value < least || value > 2 ** 31))
    throw operator.broken(
      `has impossible ${name}`,
      `[${values.slice(0, 8).join(',')}] for ${count} spatial dimensions`,
    )
  return values
}

export type AutoPad = 'NOTSET' | 'VALID' | 'SAME_UPPER' | 'SAME_LOWER'

export function autoPad(operator: OnnxOperator): AutoPad {
  const mode = operator.attributes.string('auto_pad', 'NOTSET') || 'NOTSET'
  if (mode !== 'NOTSET' && mode !== 'VALID' && mode !== 'SAME_UPPER' && mode !== 'SAME_LOWER')
    throw operator.broken('has an unknown auto_pad', JSON.stringify(mode))
  return mode
}

/** Explicit padding of a convolution or pool, `auto_pad` resolved for its input size. */
export function forwardWindow(
  operator: OnnxOperator,
  spatial: readonly number[],
  kernel: readonly number[],
): Window {
  const count = spatial.length
  const strides = perDimension(operator, 'strides', count, 1, 1)
  const dilations = perDimension(operator, 'dilations', count, 1, 1)
  const mode = autoPad(operator)
  if (mode === 'NOTSET') return { strides, dilations, ...explicitPads(operator, count) }
  if (mode === 'VALID')
    return { strides, dilations, padsBegin: spatial.map(() => 0), padsEnd: spatial.map(() => 0) }
  const totals = spatial.map((size, i) => {
    const out = Math.ceil(size / strides[i]!)
    return Math.max(0, (out - 1) * strides[i]! + (kernel[i]! - 1) * dilations[i]! + 1 - size)
  })
  return { strides, dilations, ...halves(totals, mode === 'SAME_UPPER') }
}

export function explicitPads(operator: OnnxOperator, count: number): Pick<Window, 'padsBegin' | 'padsEnd'> {
  const pads = perDimension(operator, 'pads', 2 * count, 0, 0)
  return { padsBegin: pads.slice(0, count), padsEnd: pads.slice(count) }
}

/** An odd total has its larger half at the end for SAME_UPPER, else at the beginning. */
export function halves(totals: readonly number[], upper: boolean): Pick<Window, 'padsBegin' | 'padsEnd'> {
  const small = totals.map((total) => Math.floor(total / 2))
  const large = totals.map((total, i) => total - small[i]!)
  return upper ? { padsBegin: small, padsEnd: large } : { padsBegin: large, padsEnd: small }
}
