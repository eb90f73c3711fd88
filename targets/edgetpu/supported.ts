import type { Basis } from '../target.ts'
import type { Source } from './sources.ts'

/** An operator that the Edge TPU computes. */
export interface SupportedOperator {
  /** As `.tflite` files name it. */
  readonly type: string
  /** Oldest runtime that takes it, where known; the compiler's `-m` must not be lower. */
  readonly minRuntime: number | null
  readonly basis: Basis
  readonly source: Source
}

const documented = (
  type: string,
  source: Source = 'Axis ARTPEC-7',
  minRuntime: number | null = null,
): SupportedOperator => ({ type, minRuntime, basis: 'documented', source })
const observed = (type: string, source: Source, minRuntime: number | null = null): SupportedOperator => ({
  type,
  minRuntime,
  basis: 'observed',
  source,
})
const assumed = (type: string): SupportedOperator => ({
  type,
  minRuntime: null,
  basis: 'assumed',
  source: 'Edgewright',
})

/** Coral's table of supported operations, with what logs and compiled files add to it. Nothing else is mapped. */
export const supportedOperators: readonly SupportedOperator[] = [
  documented('ADD'),
  documented('AVERAGE_POOL_2D'),
  documented('CONCATENATION'),
  documented('CONV_2D'),
  documented('DEPTHWISE_CONV_2D'),
  documented('EXPAND_DIMS'),
  documented('FULLY_CONNECTED'),
  documented('L2_NORMALIZATION'),
  documented('LOGISTIC'),
  documented('LSTM'),
  documented('MAXIMUM'),
  documented('MAX_POOL_2D'),
  documented('MEAN'),
  documented('MINIMUM'),
  documented('MUL'),
  documented('PACK'),
  documented('PAD'),
  documented('PRELU'),
  documented('QUANTIZE', 'google-coral/edgetpu#659', 13),
  documented('REDUCE_MAX'),
  documented('REDUCE_MIN'),
  documented('RELU'),
  documented('RELU6'),
  documented('RELU_N1_TO_1'),
  documented('RESHAPE'),
  documented('RESIZE_BILINEAR'),
  documented('RESIZE_NEAREST_NEIGHBOR'),
  assumed('RSQRT'),
  documented('SLICE', 'coral.ai 2019'),
  documented('SOFTMAX', 'coral.ai 2019'),
  documented('SPACE_TO_DEPTH', 'coral.ai 2019'),
  documented('SPLIT', 'coral.ai 2019'),
  assumed('SQUARED_DIFFERENCE'),
  documented('SQUEEZE', 'coral.ai 2019'),
  documented('STRIDED_SLICE', 'coral.ai 2019'),
  documented('SUB', 'coral.ai 2019'),
  assumed('SUM'),
  documented('TANH', 'coral.ai 2019'),
  documented('TRANSPOSE', 'google-coral/edgetpu#193', 14),
  observed('TRANSPOSE_CONV', 'google-coral/edgetpu#686'),
  observed('UNIDIRECTIONAL_SEQUENCE_LSTM', 'google-coral/test_data'),
]

/** What networks often hold and the Edge TPU does not compute: shown in the table so that nobody has to look twice. */
export const knownAbsent: readonly {
  readonly type: string
  readonly basis: Basis
  readonly source: Source
  readonly remedy: string
}[] = [
  {
    type: 'ARG_MAX',
    basis: 'observed',
    source: 'google-coral/test_data',
    remedy: 'End the network before it and take the maximum in the application.',
  },
  {
    type: 'BATCH_MATMUL',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    remedy: 'A product with constant weights is a FULLY_CONNECTED; one of two activations stays on the CPU.',
  },
  {
    type: 'DEQUANTIZE',
    basis: 'observed',
    source: 'f0cal/google-coral#20',
    remedy: 'Ask for int8 or uint8 outputs with --io int8.',
  },
  { type: 'ELU', basis: 'documented', source: 'Axis ARTPEC-7', remedy: 'Train with RELU or PRELU.' },
  { type: 'EXP', basis: 'documented', source: 'Axis ARTPEC-7', remedy: 'End the network before it.' },
  {
    type: 'GATHER',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    remedy: 'Use SLICE or SPLIT where the indices are constant and in a row.',
  },
  {
    type: 'GELU',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    remedy: 'Replace it by relu with the allowance relu6, and tune.',
  },
  {
    type: 'HARD_SWISH',
    basis: 'observed',
    source: 'google-coral/edgetpu#353',
    remedy:
      'The rewrite decompose-hard-swish writes it as x · relu6(x + 3) / 6; the allowance relu6 replaces it by ReLU6.',
  },
  {
    type: 'LEAKY_RELU',
    basis: 'observed',
    source: 'google-coral/edgetpu#597',
    remedy: 'The rewrite leaky-relu-to-prelu writes it as a PReLU.',
  },
  {
    type: 'TFLite_Detection_PostProcess',
    basis: 'observed',
    source: 'google-coral/edgetpu#490',
    remedy: 'It is meant for the CPU and comes last.',
  },
]

/** The oldest runtime that takes all of these operators, as far as it is known; null where nothing is known. */
export function minRuntimeOf(types: readonly string[]): number | null {
  const known = supportedOperators.flatMap(({ type, minRuntime }) =>
    minRuntime !== null && types.includes(type) ? [minRuntime] : [],
  )
  return known.length > 0 ? Math.max(...known) : null
}
