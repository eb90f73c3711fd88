import { byteLength, type DType, elementCount, type TensorData, viewAs } from '../tensor.ts'
import { constantOf, constantOfBytes, tensorOf } from './constant.ts'
import { encodeElement, isInteger, toBigInt } from './encode.ts'
import { arithmetic, type Pointwise } from './fold-arithmetic.ts'
import {
  broadcastOffsets,
  gatherIndices,
  reduceGroups,
  sliceOffsets,
  sourceIndices,
  strides,
  tileOffsets,
} from './fold-index.ts'
import type { Op, OpKind, OpOf } from './ops.ts'
import type { Shaped } from './table/entry.ts'
import type { Constant } from './types.ts'

/** What is evaluated here is for shapes; weights are folded through a runtime. */
export const mostFoldedElements = 1 << 20

/**
 * Evaluates an operator over constants, exactly: integers of any width as such, float32 rounded once per operation.
 * @param outputs the node's output element types and shapes, as `inferTypes` gives them (and as declared for Cast)
 * @returns the results, or null where the operator or element type is not evaluated here, the result would depend on
 * the machine (integer division by zero, a float outside the integers it is cast to), or a tensor has more than
 * `mostFoldedElements`
 */
export function evaluateConstantNode(
  op: Op,
  inputs: readonly (Constant | null)[],
  outputs: readonly Shaped[],
): Constant[] | null {
  const evaluate = evaluators[op.kind] as Evaluate<OpKind> | undefined
  if (!evaluate || inputs.length === 0) return null
  const operands: Constant[] = []
  for (const input of inputs) {
    if (!input || !isFoldable(input)) return null
    operands.push(input)
  }
  if (!outputs.every(isFoldable)) return null
  return evaluate(op as never, operands, outputs)
}

type Evaluate<K extends OpKind> = (
  op: OpOf<K>,
  operands: Constant[],
  outputs: readonly Shaped[],
) => Constant[] | null

const evaluators: { readonly [K in OpKind]?: Evaluate<K> } = {
  Identity: (_, operands) => operands,
  Reshape: (op, [x]) => [constantOfBytes(x!.dtype, op.shape, x!.bytes())],
  Transpose: (op, [x], [y]) => {
    const steps = strides(x!.shape)
    return move(
      x!,
      y!.shape,
      op.perm.map((axis) => range(x!.shape[axis]!, (i) => i * steps[axis]!)),
    )
  },
  Expand: (op, [x]) => move(x!, op.shape, broadcastOffsets(x!.shape, op.shape)),
  Tile: (op, [x], [y]) => move(x!, y!.shape, tileOffsets(x!.shape, op.repeats)),
  Slice: (op, [x], [y]) => move(x!, y!.shape, sliceOffsets(x!.shape, op)),
  Split: evaluateSplit,
  Concat: evaluateConcat,
  Gather: evaluateGather,
  Cast: (_, [x], [y]) => evaluateCast(x!, y!.dtype),
  Unary: (op, operands, outputs) => pointwise(arithmetic.unary[op.fn], operands, outputs[0]!),
  Binary: (op, operands, outputs) => pointwise(arithmetic.binary[op.fn], operands, outputs[0]!),
  Comparison: (op, operands, outputs) => pointwise(arithmetic.comparison[op.fn], operands, outputs[0]!),
  Where: evaluateWhere,
  Reduce: evaluateReduce,
}

function isFoldable({ dtype, shape }: Shaped): boolean {
  if (dtype === 'string' || dtype === 'int4' || dtype === 'uint4') return false
  return elementCount(shape) <= mostFoldedElements
}

/** Copies elements by where they come from; any element type of whole bytes. */
function move(x: Constant, shape: readonly number[], offsets: readonly (readonly number[])[]): Constant[] {
  return [take(x, shape, sourceIndices(offsets))]
}

function take(x: Constant, shape: readonly number[], indices: Uint32Array): Constant {
  const from = tensorOf(x).data
  const to = allocate(x.dtype, shape)
  for (let i = 0; i < indices.length; i++) to[i] = from[indices[i]!]!
  return constantOf(x.dtype, shape, to)
}

function evaluateSplit(op: OpOf<'Split'>, [x]: Constant[]): Constant[] {
  let start = 0
  return op.sizes.map((size) => {
    const slice = { axes: [op.axis], starts: [start], ends: [start + size], steps: [1] }
    start += size
    return move(x!, x!.shape.with(op.axis, size), sliceOffsets(x!.shape, slice))[0]!
  })
}

function evaluateConcat(op: OpOf<'Concat'>, operands: Constant[], [y]: readonly Shaped[]): Constant[] {
  const to = allocate(y!.dtype, y!.shape)
  const rows = elementCount(y!.shape.slice(0, op.axis))
  const rowLength = elementCount(y!.shape.slice(op.axis))
  let column = 0
  for (const operand of operands) {
    const from = tensorOf(operand).data
    const length = elementCount(operand.shape.slice(op.axis))
    for (let row = 0; row < rows; row++)
      to.set(from.subarray(row * length, (row + 1) * length) as never, row * rowLength + column)
    column += length
  }
  return [constantOf(y!.dtype, y!.shape, to)]
}

function evaluateGather(
  op: OpOf<'Gather'>,
  [x, indices]: Constant[],
  [y]: readonly Shaped[],
): Constant[] | null {
  const positions = Array.from(tensorOf(indices!).data, Number)
  const sources = gatherIndices(x!.shape, op.axis, positions)
  return sources && [take(x!, y!.shape, sources)]
}

function evaluateCast(x: Constant, to: DType): Constant[] | null {
  if (isHalf(x.dtype) || isHalf(to)) return null
  const from = tensorOf(x).data
  const data = allocate(to, x.shape)
  for (let i = 0; i < data.length; i++) {
    const element = from[i]!
    const reachable = isInteger(to)
      ? isInteger(x.dtype) || fits(Number(element), to)
      : typeof element === 'number' || to === 'bool' || Number.isSafeInteger(Number(element))
    if (!reachable) return null
    data[i] = encodeElement(to, element) as never
  }
  return [constantOf(to, x.shape, data)]
}

/** Whether a float, cut to an integer, is one of `dtype`; what else gives differs between machines. */
function fits(number: number, dtype: DType): boolean {
  const bits = viewAs(dtype, new Uint8Array(8)).BYTES_PER_ELEMENT * 8
  const cut = Math.trunc(number)
  return dtype.startsWith('u')
    ? cut >= 0 && cut < 2 ** bits
    : cut >= -(2 ** (bits - 1)) && cut < 2 ** (bits - 1)
}

type Element = number | bigint
function pointwise(fn: Pointwise | undefined, operands: Constant[], output: Shaped): Constant[] | null {
  if (
    !fn ||
    operands.some(({ dtype }) => isHalf(dtype)) ||
    operands.some(({ dtype }) => dtype !== operands[0]!.dtype)
  )
    return null
  const whole = isInteger(operands[0]!.dtype) || operands[0]!.dtype === 'bool'
  const apply = (whole ? fn.integer : fn.real) as
    | ((...elements: Element[]) => Element | boolean | null)
    | undefined
  if (!apply) return null
  const sources = operands.map(({ shape }) => sourceIndices(broadcastOffsets(shape, output.shape)))
  const data = operands.map((operand) => tensorOf(operand).data)
  const result = allocate(output.dtype, output.shape)
  for (let i = 0; i < result.length; i++) {
    const elements = data.map((from, k) => from[sources[k]![i]!]!)
    const element = apply(...(whole ? elements.map(toBigInt) : elements))
    if (element === null) return null
    result[i] = encodeElement(output.dtype, typeof element === 'boolean' ? Number(element) : element) as never
  }
  return [constantOf(output.dtype, output.shape, result)]
}

function evaluateWhere(_: OpOf<'Where'>, operands: Constant[], [y]: readonly Shaped[]): Constant[] {
  const [condition, a, b] = operands.map((operand) => ({
    data: tensorOf(operand).data,
    source: sourceIndices(broadcastOffsets(operand.shape, y!.shape)),
  }))
  const result = allocate(y!.dtype, y!.shape)
  for (let i = 0; i < result.length; i++) {
    const { data, source } = condition!.data[condition!.source[i]!] ? a! : b!
    result[i] = data[source[i]!] as never
  }
  return [constantOf(y!.dtype, y!.shape, result)]
}

function evaluateReduce(op: OpOf<'Reduce'>, [x]: Constant[], [y]: readonly Shaped[]): Constant[] | null {
  const fn = arithmetic.reduce[op.fn]
  if (!fn || isHalf(x!.dtype) || elementCount(x!.shape) === 0) return null
  const from = tensorOf(x!).data
  const result = allocate(y!.dtype, y!.shape)
  const groups = reduceGroups(x!.shape, op.axes)
  for (let i = 0; i < result.length; i++) {
    const elements = Array.from(groups(i), (index) => from[index]!)
    const element = isInteger(x!.dtype) ? fn.integer(elements.map(toBigInt)) : fn.real(elements.map(Number))
    result[i] = encodeElement(y!.dtype, element) as never
  }
  return [constantOf(y!.dtype, y!.shape, result)]
}

function isHalf(dtype: DType): boolean {
  return dtype === 'float16' || dtype === 'bfloat16'
}

function allocate(dtype: DType, shape: readonly number[]): TensorData {
  return viewAs(dtype, new Uint8Array(byteLength(dtype, shape)))
}

function range(count: number, at: (i: number) => number): number[] {
  return Array.from({ length: count }, (_, i) => at(i))
}
