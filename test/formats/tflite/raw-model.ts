import { float32Constant } from '../../../src/graph/constant.ts'
import { constantOfNumbers } from '../../../src/graph/encode.ts'
import type { Constant, Quantization } from '../../../src/graph/types.ts'
import { unionTable } from '../../../src/formats/tflite/flat-table.ts'
import { operatorCode } from '../../../src/formats/tflite/operators.ts'
import { type OptionsName, optionsType, optionTables } from '../../../src/formats/tflite/options.ts'
import { encodeModel, tensorTypeOf, type TfliteOperator } from '../../../src/formats/tflite/schema.ts'
import type { DType } from '../../../src/tensor.ts'

/** An operand of a file's only operator: fed where it has no constant. */
export interface Operand {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly constant?: Constant
  readonly quantization?: Quantization
}

export interface RawOperator {
  readonly opType: string
  readonly version?: number
  readonly options?: { readonly name: OptionsName; readonly values: Readonly<Record<string, unknown>> }
  readonly operands: readonly Operand[]
  readonly results: readonly Operand[]
}

export function fed(...shape: number[]): Operand {
  return { dtype: 'float32', shape }
}

export function int32s(...numbers: number[]): Operand {
  return {
    dtype: 'int32',
    shape: [numbers.length],
    constant: constantOfNumbers('int32', [numbers.length], numbers),
  }
}

export function int32(number: number): Operand {
  return { dtype: 'int32', shape: [], constant: constantOfNumbers('int32', [], [number]) }
}

export function floats(...shape: number[]): Operand {
  const count = shape.reduce((a, b) => a * b, 1)
  const constant = float32Constant(
    shape,
    Array.from({ length: count }, (_, i) => Math.sin(i * 1.3)),
  )
  return { dtype: 'float32', shape, constant }
}

/** A .tflite file of one operator, made without our writer. */
export function rawModel({ opType, version = 1, options, operands, results }: RawOperator): Uint8Array {
  const tensors = [...operands, ...results]
  const code = operatorCode(opType)
  const constants = tensors.flatMap(({ constant }) => (constant ? [constant] : []))
  const operator = {
    opcodeIndex: 0,
    inputs: operands.map((_, i) => i),
    outputs: results.map((_, i) => operands.length + i),
    ...(options && {
      optionsType: optionsType(options.name),
      options: unionTable(optionTables[options.name], options.values),
    }),
  }
  return encodeModel({
    operatorCodes: [
      { deprecatedBuiltinCode: Math.min(code, 127), builtinCode: code, customCode: null, version },
    ],
    subgraphs: [
      {
        name: 'main',
        tensors: tensors.map(({ dtype, shape, constant, quantization }, i) => ({
          shape,
          type: tensorTypeOf(dtype),
          buffer: constant ? 1 + constants.indexOf(constant) : 0,
          name: `t${i}`,
          quantization: quantization
            ? {
                min: null,
                max: null,
                scale: quantization.scales,
                zeroPoint: quantization.zeroPoints,
                detailsType: 0,
                quantizedDimension: quantization.axis ?? 0,
              }
            : null,
          isVariable: false,
          hasSparsity: false,
          shapeSignature: null,
          hasRank: false,
        })),
        inputs: operands.flatMap(({ constant }, i) => (constant ? [] : [i])),
        outputs: operator.outputs,
        operators: [operator as unknown as TfliteOperator],
      },
    ],
    buffers: [
      { data: null, offset: 0, size: 0 },
      ...constants.map((constant) => ({ data: constant.bytes(), offset: 0, size: 0 })),
    ],
  })
}
