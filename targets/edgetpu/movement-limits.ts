import { type Limit, limited, ok, places, product, saw } from './limit.ts'
import { nodeOf, type Operand } from './operators.ts'

const resizes = ['RESIZE_BILINEAR', 'RESIZE_NEAREST_NEIGHBOR']

/** Elements that a resize may make: 128×128×32 is mapped, 1024×1024×3 is not; where between is not known. */
export const maxResizedElements = 2 ** 21

/** Operators that move, join, cut and resize tensors. */
export const movementLimits: readonly Limit[] = [
  {
    id: 'concatenated-constants',
    operators: ['CONCATENATION'],
    sentence: 'A concatenation with a constant has exactly two inputs, and the constant is all zeros.',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    check({ inputs }) {
      const constant = inputs.find((operand) => operand.constant)
      if (!constant) return ok
      if (inputs.length !== 2) return saw(`${inputs.length} inputs, ${constant.name} constant`)
      return isZero(constant) ? ok : saw(`${constant.name} is not all zeros`)
    },
  },
  {
    id: 'pack-axis',
    operators: ['PACK'],
    sentence: 'A pack is not along the batch.',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    check(operator) {
      const axis = nodeOf(operator, 'Concat')?.op.axis
      return axis === 0 && operator.outputs[0]!.type.shape.length > 1 ? saw('axis 0') : ok
    },
  },
  {
    id: 'split-axis',
    operators: ['SPLIT'],
    sentence: 'A split is not along the batch.',
    basis: 'documented',
    source: 'coral.ai 2019',
    status: limited,
    check(operator) {
      const axis = nodeOf(operator, 'Split')?.op.axis
      return axis === 0 && operator.inputs[0]!.type.shape.length > 1 ? saw('axis 0') : ok
    },
  },
  {
    id: 'pad-batch',
    operators: ['PAD'],
    sentence: 'Padding leaves the batch alone.',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    check(operator) {
      const pad = nodeOf(operator, 'Pad')?.op
      const batch = pad && pad.padsBegin.length > 3 && (pad.padsBegin[0] !== 0 || pad.padsEnd[0] !== 0)
      return batch ? saw(`${pad.padsBegin[0]} before, ${pad.padsEnd[0]} after`) : ok
    },
  },
  {
    id: 'strided-slice-strides',
    operators: ['STRIDED_SLICE', 'SLICE'],
    sentence: 'A slice has strides of 1.',
    basis: 'documented',
    source: 'coral.ai 2019',
    status: limited,
    check(operator) {
      const steps = nodeOf(operator, 'Slice')?.op.steps ?? []
      return steps.every((step) => step === 1) ? ok : saw(`strides ${steps.join(', ')}`)
    },
  },
  {
    id: 'resize-three-dimensions',
    operators: resizes,
    sentence: 'A resize works on height, width and channels.',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    check: ({ inputs }) =>
      inputs[0]!.type.shape.length === 4 ? ok : saw(`${inputs[0]!.type.shape.length} dimensions`),
  },
  {
    id: 'resize-from-one',
    operators: resizes,
    sentence: 'A resize does not start from a single place (1×1).',
    basis: 'observed',
    source: 'google-coral/test_data',
    status: limited,
    remedy: 'The rewrite repeat-one-place writes it as concatenations.',
    check({ inputs, outputs }) {
      const from = inputs[0]!.type.shape
      const to = outputs[0]!.type.shape
      return product(from.slice(1, 3)) === 1 && product(to.slice(1, 3)) > 1
        ? saw(`${places(from)} to ${places(to)}`)
        : ok
    },
  },
  {
    id: 'resize-size',
    operators: resizes,
    sentence:
      'A resize makes at most 2,097,152 elements (128×128×32 is mapped, 1024×1024×3 is not; the bound between them is ours).',
    basis: 'observed',
    source: 'google-coral/edgetpu#31',
    status: limited,
    remedy: 'Make the input smaller, or resize the result in the application.',
    check({ inputs, outputs }) {
      const elements = product(outputs[0]!.type.shape)
      if (elements <= maxResizedElements) return ok
      return saw(
        `${places(inputs[0]!.type.shape)} to ${places(outputs[0]!.type.shape)}, ${elements} elements`,
      )
    },
  },
]

/** In the type's own zero: a stored zero point is a real 0. */
function isZero({ constant, type }: Operand): boolean {
  const zero = type.quantization?.zeroPoints[0] ?? 0
  const stored = type.dtype === 'int8' || type.dtype === 'uint8' ? zero & 0xff : 0
  return constant!.bytes().every((byte) => byte === stored)
}
