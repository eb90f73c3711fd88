import { EdgewrightError } from '../../error.ts'
import type { Opaque } from '../../graph/ops.ts'
import { unionTable } from './flat-table.ts'
import { customCode, operatorName } from './operators.ts'
import { optionsSpec } from './options.ts'
import {
  decodeModel,
  encodeModel,
  type TfliteOperator,
  type TfliteOperatorCode,
  type TfliteTensor,
} from './schema.ts'

/** In a carried operator's list of inputs: an operand that flows in the graph. */
export const flowing = -2

/** An operator as it stands in a file, with the tensors that are its own: states and intermediates. */
export interface Carried {
  readonly code: TfliteOperatorCode
  /** Inputs are `flowing`, −1 where absent, or a state's index in `tensors`; intermediates are such indices. */
  readonly operator: TfliteOperator
  readonly tensors: readonly TfliteTensor[]
}

/** The number that says which operator it is: old files have it in a byte, later ones in both fields. */
export function builtinCodeOf({ deprecatedBuiltinCode, builtinCode }: TfliteOperatorCode): number {
  return Math.max(deprecatedBuiltinCode & 255, builtinCode)
}

export function nameOfCode(code: TfliteOperatorCode): string {
  const builtin = builtinCodeOf(code)
  return builtin === customCode ? (code.customCode ?? '') : operatorName(builtin)
}

/** The payload is itself a small .tflite file of that one operator. */
export function opaqueOp({ code, operator, tensors }: Carried): Opaque {
  const spec = optionsSpec(operator.optionsType)
  const options = operator.options && spec ? unionTable(spec, operator.options.as(spec)) : null
  return {
    kind: 'Opaque',
    format: 'tflite',
    domain: builtinCodeOf(code) === customCode ? 'custom' : '',
    opType: nameOfCode(code),
    opset: code.version,
    payload: encodeModel({
      operatorCodes: [code],
      subgraphs: [
        {
          tensors,
          inputs: null,
          outputs: null,
          operators: [{ ...operator, opcodeIndex: 0, options }],
          name: null,
        },
      ],
    }),
    captures: [],
  }
}

/** @throws OPERATOR_UNSUPPORTED for operators of another format, or with options that cannot be written again */
export function carriedOperator(op: Opaque, where: string): Carried {
  if (op.format !== 'tflite')
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      `The operator ${op.opType} is carried verbatim from another format: TensorFlow Lite has no form for it.`,
      { where, saw: op.format },
    )
  const model = decodeModel(op.payload, where)
  const code = model.operatorCodes![0]!
  const subgraph = model.subgraphs![0]!
  const operator = subgraph.operators![0]!
  const spec = optionsSpec(operator.optionsType)
  if (operator.options2Type !== 0 || (operator.optionsType !== 0 && !spec))
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      `The options of the operator ${op.opType} are of a kind that this version cannot write again.`,
      { where, saw: `options ${operator.optionsType}, ${operator.options2Type}` },
    )
  const options = operator.options && spec ? unionTable(spec, operator.options.as(spec)) : null
  return { code, operator: { ...operator, options }, tensors: subgraph.tensors ?? [] }
}
