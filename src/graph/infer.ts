import { EdgewrightError } from '../error.ts'
import { elementCount } from '../tensor.ts'
import type { Op, OpKind } from './ops.ts'
import type { OpEntry, Shaped } from './table/entry.ts'
import { opTable } from './table/index.ts'
import type { TensorType } from './types.ts'

export { broadcastShapes, sameShape } from './table/broadcast.ts'
export { sliceExtent } from './table/movement.ts'
export { convOutputSize, convTransposeOutputSize, poolOutputSize } from './table/window.ts'

/** No tensor of a network that fits a board is near this; a hostile shape is. */
const mostElements = 2 ** 32

/** Kinds whose output element type is declared by the output value: inference gives their shape only. */
export const declaredDtypeKinds: ReadonlySet<OpKind> = new Set(['Cast', 'Convert'])

/**
 * Output types of an operator: element types and static shapes, without quantization. A quantized operand counts as
 * float32. `Cast` and `Convert` give the right shape with their input's element type, since theirs is declared.
 * @param inputs operands by position (anything with a `type`: a Value will do); trailing optional ones may be left out
 * @param outputCount how many outputs the node lists
 * @param where the node's name, for errors
 * @throws MODEL_SHAPE_INVALID where the shapes do not fit; GRAPH_INVALID where an operand or output is missing or too
 * many, and for `Opaque`, whose types are declared; MODEL_TOO_LARGE for a tensor of more than 2^32 elements
 */
export function inferTypes(
  op: Op,
  inputs: readonly ({ readonly type: TensorType } | null)[],
  outputCount: number,
  where?: string,
): TensorType[] {
  const entry = opTable[op.kind] as OpEntry
  try {
    requireOperands(op, entry, inputs)
    const types = entry.infer(
      op,
      inputs.map((input) => input && realType(input.type)),
    )
    if (types.length !== outputCount)
      throw new EdgewrightError(
        'GRAPH_INVALID',
        `${op.kind} has ${count(types.length, 'output')}, the node lists ${outputCount}.`,
      )
    return types.map(({ dtype, shape }) => {
      requireReasonableSize(op, shape)
      return { dtype, shape: [...shape], quantization: null }
    })
  } catch (error) {
    if (!(error instanceof EdgewrightError) || error.where !== undefined || where === undefined) throw error
    throw new EdgewrightError(error.code, error.message, {
      where,
      saw: error.saw,
      hint: error.hint,
      cause: error,
    })
  }
}

/** A type as arithmetic sees it: quantized integers stand for reals. */
export function realType({ dtype, shape, quantization }: TensorType): Shaped {
  return { dtype: quantization ? 'float32' : dtype, shape }
}

function requireOperands(op: Op, { inputs: names }: OpEntry, inputs: readonly unknown[]): void {
  const variadic = names.at(-1)?.startsWith('...') ?? false
  if (!variadic && inputs.length > names.length)
    throw new EdgewrightError(
      'GRAPH_INVALID',
      `${op.kind} takes ${count(names.length, 'operand')}, the node has ${inputs.length}.`,
    )
  const wanted = variadic ? (names[0]!.endsWith('?') ? [] : ['at least one operand']) : names
  wanted.forEach((name, i) => {
    if (!name.endsWith('?') && !inputs[i])
      throw new EdgewrightError('GRAPH_INVALID', `${op.kind} lacks its operand ${name}.`)
  })
}

function requireReasonableSize(op: Op, shape: readonly number[]): void {
  if (elementCount(shape) > mostElements)
    throw new EdgewrightError('MODEL_TOO_LARGE', `${op.kind} makes a tensor of more than 2^32 elements.`, {
      saw: `[${shape.join(',')}]`,
    })
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
