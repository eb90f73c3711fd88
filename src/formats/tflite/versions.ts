import type { TensorType } from '../../graph/types.ts'
import type { DType } from '../../tensor.ts'

/** What an operator's version depends on. */
export interface Signature {
  readonly inputs: readonly (TensorType | null)[]
  readonly outputs: readonly TensorType[]
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * The version of a built-in operator: the lowest one whose kernels take these types and options, by the rules of
 * TensorFlow Lite's own converter (lite/tools/versioning).
 */
export function operatorVersion(opType: string, signature: Signature): number {
  return rules[opType]?.(signature) ?? 1
}

type Rule = (signature: Signature) => number

function input({ inputs }: Signature, index = 0): DType | undefined {
  return inputs[index]?.dtype
}

function rank({ inputs }: Signature): number {
  return inputs[0]?.shape.length ?? 0
}

/** The version of the first element type that fits, else 1. */
function byType(versions: Partial<Record<DType, number>>, index = 0): Rule {
  return (signature) => versions[input(signature, index) as DType] ?? 1
}

function isHybrid(signature: Signature): boolean {
  return input(signature) === 'float32' && input(signature, 1) === 'int8'
}

function isPerChannel({ inputs }: Signature, index: number): boolean {
  return (inputs[index]?.quantization?.scales.length ?? 0) > 1
}

function broadcastsHighRank({ inputs }: Signature): boolean {
  const [a, b] = inputs
  return a?.shape.join() !== b?.shape.join() && Math.max(a?.shape.length ?? 0, b?.shape.length ?? 0) > 4
}

const small = byType({ int8: 2, int16: 3 })
const int8Only = byType({ int8: 2 })
const window = byType({ int8: 2, int16: 3 })

function pad(signature: Signature): number {
  if (input(signature) === 'bool') return 5
  if (rank(signature) > 4) return 4
  return small(signature)
}

function extremum(signature: Signature): number {
  if (input(signature) === 'int16') return 4
  if (broadcastsHighRank(signature)) return 3
  return int8Only(signature)
}

const rules: Readonly<Record<string, Rule>> = {
  CONV_2D: (signature) => {
    const [x, w] = signature.inputs
    const grouped = x && w && x.shape[3] !== w.shape[3]
    if (grouped) return 6
    if (input(signature, 1) === 'int4') return 7
    if (isHybrid(signature)) return isPerChannel(signature, 1) ? 5 : 2
    return input(signature) === 'int8' ? 3 : input(signature) === 'int16' ? 4 : 1
  },
  DEPTHWISE_CONV_2D: (signature) => {
    const { dilationW, dilationH } = signature.options
    if (isHybrid(signature)) return isPerChannel(signature, 1) ? 6 : 4
    if (input(signature, 1) === 'int4') return 7
    if (input(signature) === 'int16') return 5
    if (input(signature) === 'int8') return 3
    return (dilationW ?? 1) !== 1 || (dilationH ?? 1) !== 1 ? 2 : 1
  },
  TRANSPOSE_CONV: (signature) => {
    if (signature.options.activation) return 4
    if (signature.inputs.length === 4 && signature.inputs[3]) return 3
    return input(signature, 1) === 'int8' ? 2 : 1
  },
  FULLY_CONNECTED: (signature) => {
    if (isHybrid(signature)) {
      if (isPerChannel(signature, 1)) return 12
      if (signature.options.asymmetricQuantizeInputs) return 9
    }
    if (input(signature) === 'int16') return input(signature, 1) === 'int4' ? 13 : 7
    if (input(signature, 1) === 'int4') return 10
    if (signature.inputs.length === 2) return 6
    if (signature.options.keepNumDims) return 5
    if (input(signature) === 'int8') return 4
    return isHybrid(signature) ? 3 : 1
  },
  BATCH_MATMUL: (signature) => {
    if (isHybrid(signature) && signature.options.asymmetricQuantizeInputs) return 4
    return small(signature)
  },
  ADD: (signature) => {
    const { quantization } = signature.inputs[0]!
    switch (input(signature)) {
      case 'float16':
        return 6
      case 'int16':
        return !quantization ? 5 : signature.options.potScaleInt16 === false ? 3 : 1
      case 'int64':
        return 4
      default:
        return int8Only(signature)
    }
  },
  SUB: (signature) => {
    if (input(signature) === 'int16' && signature.options.potScaleInt16 === false) return 5
    if (input(signature) === 'int64') return 4
    if (broadcastsHighRank(signature)) return 3
    return int8Only(signature)
  },
  MUL: (signature) => {
    const [a, b] = signature.inputs
    const [y] = signature.outputs
    const scale = (type: TensorType | null | undefined) => type?.quantization?.scales[0] ?? 0
    if (input(signature) === 'float16') return 8
    if (input(signature) === 'uint32' || (input(signature) === 'int16' && !a?.quantization)) return 7
    if (input(signature) === 'int64') return 5
    if (input(signature) === 'int16') return 4
    if (scale(a) && scale(b) && scale(y) && (scale(a) * scale(b)) / scale(y) >= 1) return 3
    return int8Only(signature)
  },
  DIV: (signature) => (broadcastsHighRank(signature) ? 2 : 1),
  MAXIMUM: extremum,
  MINIMUM: extremum,
  MAX_POOL_2D: window,
  AVERAGE_POOL_2D: window,
  SOFTMAX: small,
  MEAN: small,
  MIRROR_PAD: small,
  REDUCE_MAX: small,
  REDUCE_MIN: small,
  RELU6: small,
  RSQRT: small,
  TANH: small,
  LOGISTIC: small,
  LESS: small,
  GREATER_EQUAL: small,
  PAD: pad,
  PADV2: pad,
  RELU: byType({ int8: 2, uint8: 2, int16: 3 }),
  LEAKY_RELU: byType({ int16: 2 }),
  GELU: byType({ int8: 2, uint8: 2 }),
  ABS: (signature) =>
    input(signature) === 'int16'
      ? signature.inputs[0]!.quantization
        ? 3
        : 4
      : byType({ int8: 2, uint8: 2, int32: 5 })(signature),
  SIGN: byType({ int32: 2 }),
  EXP: byType({ int8: 2, int16: 2 }),
  LOG: byType({ int8: 2, int16: 2 }),
  SQRT: byType({ int8: 2, int16: 2 }),
  REDUCE_PROD: byType({ int8: 2, int16: 2 }),
  EQUAL: byType({ int8: 2, string: 3, int16: 5 }),
  NOT_EQUAL: byType({ int8: 2, string: 3, int16: 4 }),
  SUM: int8Only,
  LOG_SOFTMAX: int8Only,
  GREATER: int8Only,
  LESS_EQUAL: int8Only,
  SQUARED_DIFFERENCE: int8Only,
  DEPTH_TO_SPACE: int8Only,
  SPACE_TO_DEPTH: int8Only,
  SPLIT_V: int8Only,
  SPLIT: byType({ int8: 2, int32: 3, int16: 4 }, 1),
  CONCATENATION: byType({ int8: 2, int16: 3, uint32: 4, int4: 5 }),
  PACK: byType({ int8: 2, int16: 3, uint32: 4 }),
  UNPACK: byType({ int8: 2, uint8: 2, bool: 3, int16: 4, float16: 5, bfloat16: 5 }),
  TILE: byType({ string: 2, int8: 3 }),
  BROADCAST_TO: (signature) => Math.max(2, byType({ int8: 3, int16: 3 })(signature)),
  GATHER: (signature) => {
    if (input(signature) === 'int4') return 7
    if (input(signature, 1) === 'int16') return 6
    return byType({ int8: 2, bool: 3, int16: 4 })(signature)
  },
  TRANSPOSE: (signature) => {
    if (rank(signature) > 6 || input(signature) === 'bfloat16') return 8
    if (input(signature) === 'int4') return 7
    if (rank(signature) > 5) return 6
    if (input(signature) === 'int16') return 5
    if (rank(signature) > 4) return 4
    return byType({ int8: 2, bool: 3 })(signature)
  },
  SLICE: (signature) => {
    if (input(signature) === 'int4') return 7
    if (input(signature) === 'uint32') return 6
    if (rank(signature) > 4) return 5
    return byType({ int8: 2, string: 3, int16: 4 })(signature)
  },
  STRIDED_SLICE: (signature) => {
    if (input(signature) === 'uint32') return 7
    if (rank(signature) > 4) return 4
    return byType({ int8: 2, bool: 3 })(signature)
  },
  RESIZE_BILINEAR: (signature) => {
    if (input(signature) === 'int16') return 4
    return signature.options.halfPixelCenters ? 3 : int8Only(signature)
  },
  RESIZE_NEAREST_NEIGHBOR: (signature) => {
    if (input(signature) === 'int16') return 4
    const { halfPixelCenters, alignCorners } = signature.options
    return halfPixelCenters || alignCorners ? 3 : int8Only(signature)
  },
  ARG_MAX: byType({ int8: 2, bool: 3 }),
  ARG_MIN: byType({ int8: 2, bool: 3 }),
  SELECT: ({ inputs }) => {
    if (inputs.some((type) => type?.shape.length === 5)) return 3
    return inputs[1]?.dtype === 'int8' ? 2 : 1
  },
  SELECT_V2: () => 1,
  DEQUANTIZE: (signature) => {
    if (input(signature) === 'int8') return isPerChannel(signature, 0) ? 5 : 2
    return byType({ int4: 6, int16: 3, float16: 3 })(signature)
  },
  QUANTIZE: (signature) => {
    const [y] = signature.outputs
    if (y?.dtype === 'int4' || input(signature) === 'int4') return 4
    if ((y?.quantization?.scales.length ?? 0) > 1) return 3
    return y?.dtype === 'int16' ? 2 : 1
  },
  CAST: (signature) => {
    const types = [input(signature), signature.outputs[0]?.dtype]
    const has = (...wanted: DType[]) => wanted.some((dtype) => types.includes(dtype))
    if (has('bfloat16')) return 7
    if (types[0] === 'int4') return 6
    if (has('float64', 'float16')) return 5
    if (has('uint16')) return 4
    if (has('int8')) return 3
    return has('uint32') ? 2 : 1
  },
}
