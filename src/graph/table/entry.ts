import { EdgewrightError } from '../../error.ts'
import type { DType } from '../../tensor.ts'
import type { Layout, Op, OpKind, OpOf } from '../ops.ts'

/** Element type and shape as arithmetic sees them: a quantized operand counts as float32. */
export interface Shaped {
  readonly dtype: DType
  readonly shape: readonly number[]
}

/** Operands by position, absent ones null. Counts are checked against the entry before `infer` sees them. */
export type Operands = readonly (Shaped | null)[]

/** What is known about a kind of operator. */
export interface OpEntry<K extends OpKind = OpKind> {
  /** Operand names by position; a trailing `?` marks one that may be absent, a lone trailing `...` any number. */
  readonly inputs: readonly string[]
  /** One output unless the attributes say how many. */
  outputCount?(op: OpOf<K>): number
  infer(op: OpOf<K>, operands: Operands): Shaped[]
}

/** An operand that the entry requires. */
export function operand(operands: Operands, index: number): Shaped {
  const found = operands[index]
  if (!found) throw new EdgewrightError('GRAPH_INVALID', `Operand ${index} is absent.`)
  return found
}

/** The entry of an operator that takes x and gives a tensor of the same type. */
export const sameAsInput = {
  inputs: ['x'],
  infer: (_op: Op, operands: Operands): Shaped[] => [operand(operands, 0)],
}

export function shapeError(op: Op, sentence: string, saw: string): EdgewrightError {
  const name = 'fn' in op ? `${op.kind}.${op.fn}` : op.kind
  return new EdgewrightError('MODEL_SHAPE_INVALID', `${name}: ${sentence}`, { saw })
}

export function requireSameDtype(op: Op, a: Shaped, b: Shaped): void {
  if (a.dtype !== b.dtype)
    throw shapeError(op, 'the operands must have one element type.', `a is ${a.dtype}, b is ${b.dtype}`)
}

export function requireRank(op: Op, name: string, { shape }: Shaped, least: number, most = least): void {
  if (shape.length >= least && shape.length <= most) return
  const wanted =
    least === most
      ? `rank ${least}`
      : most === Infinity
        ? `rank ${least} or more`
        : `rank ${least} to ${most}`
  throw shapeError(op, `${name} must have ${wanted}.`, `${name} is ${show(shape)}`)
}

export function requireAxis(op: Op, axis: number, rank: number): void {
  if (Number.isInteger(axis) && axis >= 0 && axis < rank) return
  throw shapeError(op, `axis ${axis} is outside a tensor of rank ${rank}.`, `axis ${axis}`)
}

export function requireLength(op: Op, name: string, list: readonly number[], length: number): void {
  if (list.length === length) return
  throw shapeError(op, `${name} must have ${length} entries.`, `${name} is ${show(list)}`)
}

export function show(shape: readonly number[]): string {
  return `[${shape.join(',')}]`
}

/** Spatial activations taken apart by layout. */
export interface Spatial {
  readonly batch: number
  readonly channels: number
  readonly size: readonly number[]
}

export function spatialOf(op: Op & { layout: Layout }, x: Shaped): Spatial {
  requireRank(op, 'x', x, 3, 5)
  const [batch, ...rest] = x.shape as [number, ...number[]]
  return op.layout === 'channels-first'
    ? { batch, channels: rest[0]!, size: rest.slice(1) }
    : { batch, channels: rest.at(-1)!, size: rest.slice(0, -1) }
}

export function spatialShape(layout: Layout, { batch, channels, size }: Spatial): number[] {
  return layout === 'channels-first' ? [batch, channels, ...size] : [batch, ...size, channels]
}
