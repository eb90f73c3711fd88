import { activationsOf } from './operators.ts'
import { type Limit, limited, ok, saw, shapeText, wrongType } from './limit.ts'
import { supportedOperators } from './supported.ts'

const mapped = new Set(supportedOperators.map((row) => row.type))
const lstm = ['LSTM', 'UNIDIRECTIONAL_SEQUENCE_LSTM']

/** What holds for every operator, and what its element types must be. */
export const generalLimits: readonly Limit[] = [
  {
    id: 'supported-operator',
    operators: null,
    sentence: 'The operator is in Coral’s table of supported operations; custom operators are not.',
    basis: 'documented',
    source: 'coral.ai',
    status: 'Operation not supported',
    remedy: 'Replace it, or move it behind the part that is to run on the Edge TPU.',
    check: (operator) =>
      mapped.has(operator.type)
        ? ok
        : saw(operator.custom ? `the custom operator ${operator.type}` : operator.type),
  },
  {
    id: 'eight-bit',
    operators: null,
    sentence: 'All tensors of the operator are int8 or uint8 (biases int32).',
    basis: 'documented',
    source: 'coral.ai',
    status: wrongType,
    remedy: 'Quantize the network to full-int8, with --io int8 or uint8.',
    check(operator) {
      // quantize-integers speaks of this one; an LSTM keeps its cell state in int16
      if (operator.type === 'QUANTIZE' || lstm.includes(operator.type)) return ok
      const other = activationsOf(operator).find(
        ({ type }) => type.dtype !== 'int8' && type.dtype !== 'uint8',
      )
      return other ? saw(`${other.name} is ${other.type.dtype}`) : ok
    },
  },
  {
    id: 'quantize-integers',
    operators: ['QUANTIZE'],
    sentence: 'A QUANTIZE goes from int8 or uint8 to int8 or uint8; one that takes floats stays on the CPU.',
    basis: 'observed',
    source: 'f0cal/google-coral#20',
    status: limited,
    remedy: 'Feed integers: --io int8 or uint8 leaves no QUANTIZE at the input.',
    check({ inputs, outputs }) {
      const other = [...inputs, ...outputs].find(
        ({ type }) => type.dtype !== 'int8' && type.dtype !== 'uint8',
      )
      return other ? saw(`${other.name} is ${other.type.dtype}`) : ok
    },
  },
  {
    id: 'lstm-integers',
    operators: lstm,
    sentence: 'An LSTM has int8 activations and constant int8 weights.',
    basis: 'observed',
    source: 'google-coral/test_data',
    status: wrongType,
    check({ inputs, outputs }) {
      const input = inputs.find(({ constant }) => !constant)
      const other = [input, ...outputs].find(
        (operand) => operand && operand.type.dtype !== 'int8' && operand.type.dtype !== 'uint8',
      )
      return other ? saw(`${other.name} is ${other.type.dtype}`) : ok
    },
  },
  {
    id: 'static-shapes',
    operators: null,
    sentence: 'All tensor sizes are fixed when the network is compiled.',
    basis: 'documented',
    source: 'coral.ai',
    status: limited,
    remedy: 'Bind the dimension with --shape.',
    check(operator) {
      const open = activationsOf(operator).find(({ type }) => type.shape.some((size) => !(size >= 1)))
      return open ? saw(`${open.name} has shape ${shapeText(open)}`) : ok
    },
  },
  {
    id: 'three-inner-dimensions',
    operators: null,
    sentence: 'Only the three innermost dimensions of a tensor are larger than 1, so the batch is 1.',
    basis: 'documented',
    source: 'coral.ai',
    status: 'Tensor has unsupported rank (up to 3 innermost dimensions mapped)',
    remedy: 'Bind the batch to 1 with --shape, and reshape tensors with more dimensions.',
    check(operator) {
      const deep = activationsOf(operator).find(({ type }) =>
        type.shape.slice(0, -3).some((size) => size > 1),
      )
      return deep ? saw(`${deep.name} has shape ${shapeText(deep)}`) : ok
    },
  },
]
