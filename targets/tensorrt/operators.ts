import type { Op } from '../../src/graph/ops.ts'

/**
 * Operators that a file carries verbatim and that the ONNX parser of TensorRT takes, after the support matrix of
 * onnx/onnx-tensorrt (docs/operators.md, 8.6 to 10). What is not here may still work with a plugin.
 */
const parsedVerbatim: ReadonlySet<string> = new Set(
  [
    'Acos Acosh Asin Asinh Atan Atanh BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Celu ConstantOfShape Cosh CumSum',
    'Einsum EyeLike GatherElements GatherND GlobalLpPool GridSample GroupNormalization GRU Hardmax If IsInf IsNaN',
    'Loop LpNormalization LpPool LRN LSTM Mean MeanVarianceNormalization Mod NonMaxSuppression NonZero OneHot',
    'RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range ReverseSequence RNN RoiAlign Scan',
    'ScatterElements ScatterND Selu Shape Shrink Sinh Size Squeeze Sum Tan ThresholdedRelu TopK Trilu Unsqueeze',
  ].flatMap((line) => line.split(' ')),
)

/** `Reduce Mean`, `Unary Erf`, `NonMaxSuppression`. */
export function nameOf(op: Op): string {
  if (op.kind === 'Opaque') return op.opType
  return 'fn' in op ? `${op.kind} ${op.fn}` : op.kind
}

/** Null where TensorRT's ONNX parser takes the operator, else what of it it does not. */
export function unparsed(op: Op): string | null {
  switch (op.kind) {
    case 'Opaque':
      if (op.format !== 'onnx') return `the ${op.format} operator ${op.opType}`
      if (op.domain !== '' && op.domain !== 'ai.onnx') return `${op.domain}.${op.opType}`
      return parsedVerbatim.has(op.opType) ? null : op.opType
    case 'Resize':
      if (op.coordinateTransformation === 'tf_crop_and_resize') return 'a Resize that crops'
      return op.antialias ? 'a Resize with antialiasing' : null
    case 'Pad':
      return op.mode === 'wrap' ? 'a Pad that wraps around' : null
    case 'ArgMax':
    case 'ArgMin':
      return op.selectLastIndex ? `${op.kind} of the last index` : null
    default:
      return null
  }
}
