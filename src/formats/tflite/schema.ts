import { Builder } from 'flatbuffers'
import { EdgewrightError } from '../../error.ts'
import type { DType } from '../../tensor.ts'
import { FlatError, FlatFile } from './flat-file.ts'
import {
  bool,
  bools,
  bytes,
  float32s,
  int32,
  int32s,
  int64s,
  int8,
  presence,
  readTable,
  string,
  type Table,
  table,
  tables,
  uint32,
  uint64,
  union,
  writeTable,
} from './flat-table.ts'

/** The tables of a .tflite file (schema version 3c), fields by their slots. Unions take two: type, then value. */
const quantization = {
  min: float32s(0),
  max: float32s(1),
  scale: float32s(2),
  zeroPoint: int64s(3),
  detailsType: int8(4),
  quantizedDimension: int32(6),
}

const tensor = {
  shape: int32s(0),
  type: int8(1),
  buffer: uint32(2),
  name: string(3),
  quantization: table(4, quantization),
  isVariable: bool(5),
  hasSparsity: presence(6),
  shapeSignature: int32s(7),
  hasRank: bool(8),
}

const operatorCode = {
  deprecatedBuiltinCode: int8(0),
  customCode: string(1),
  version: int32(2, 1),
  builtinCode: int32(3),
}

const operator = {
  opcodeIndex: uint32(0),
  inputs: int32s(1),
  outputs: int32s(2),
  optionsType: int8(3),
  options: union(4),
  customOptions: bytes(5),
  customOptionsFormat: int8(6),
  mutatingVariableInputs: bools(7),
  intermediates: int32s(8),
  largeCustomOptionsOffset: uint64(9),
  largeCustomOptionsSize: uint64(10),
  options2Type: int8(11),
}

const subGraph = {
  tensors: tables(0, tensor),
  inputs: int32s(1),
  outputs: int32s(2),
  operators: tables(3, operator),
  name: string(4),
}

const buffer = { data: bytes(0, 16), offset: uint64(1), size: uint64(2) }
const metadata = { name: string(0), buffer: uint32(1) }
const tensorMap = { name: string(0), tensorIndex: uint32(1) }

const signatureDef = {
  inputs: tables(0, tensorMap),
  outputs: tables(1, tensorMap),
  signatureKey: string(2),
  subgraphIndex: uint32(4),
}

const model = {
  version: uint32(0),
  operatorCodes: tables(1, operatorCode),
  subgraphs: tables(2, subGraph),
  description: string(3),
  buffers: tables(4, buffer),
  metadataBuffer: int32s(5),
  metadata: tables(6, metadata),
  signatureDefs: tables(7, signatureDef),
}

export type TfliteQuantization = Table<typeof quantization>
export type TfliteTensor = Table<typeof tensor>
export type TfliteOperatorCode = Table<typeof operatorCode>
export type TfliteOperator = Table<typeof operator>
export type TfliteSubGraph = Table<typeof subGraph>
export type TfliteSignatureDef = Table<typeof signatureDef>
export type TfliteModel = Table<typeof model>

const identifier = 'TFL3'
/** The flatbuffers runtime cannot write more; a little is left for everything but constants. */
export const mostFileBytes = 2 ** 31 - 2 ** 24

/**
 * The tables of a .tflite file. Constants are views of `bytes`.
 * @throws MODEL_BROKEN naming the field that leaves the file
 */
export function decodeModel(bytes: Uint8Array, where: string): TfliteModel {
  return orBroken(where, () => {
    const file = new FlatFile(bytes)
    const found = Buffer.from(bytes.subarray(4, 8)).toString('latin1')
    if (found !== identifier) throw new FlatError(`the identifier is ${JSON.stringify(found)}`)
    const decoded = readTable(model, file, file.target(0))
    if (decoded.version !== 3)
      throw new FlatError(`the schema version is ${decoded.version}`).within('version')
    return decoded
  })
}

/** Runs what reads a file's tables; a damaged one becomes an error of ours. */
export function orBroken<T>(where: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof FlatError)) throw error
    const field = error.path.join('.').replaceAll('.[', '[')
    throw new EdgewrightError('MODEL_BROKEN', 'The TensorFlow Lite file is damaged.', {
      where: field === '' ? where : `${where}: ${field}`,
      saw: error.message,
      hint: 'Compare its size and digest with the original.',
      cause: error,
    })
  }
}

export function encodeModel(content: Partial<TfliteModel>): Uint8Array {
  const constantBytes = (content.buffers ?? []).reduce((sum, { data }) => sum + (data?.byteLength ?? 0), 0)
  if (constantBytes > mostFileBytes)
    throw new EdgewrightError(
      'MODEL_TOO_LARGE',
      'The constants of the graph do not fit into one TensorFlow Lite file of 2 GB.',
      { saw: `${constantBytes} bytes`, hint: 'No board of ours holds such a network: use a smaller one.' },
    )
  const builder = new Builder(constantBytes + (1 << 16))
  builder.finish(writeTable(model, builder, { version: 3, ...content }), identifier)
  return builder.asUint8Array()
}

/** Element types by number; null for those that no value of ours can have. */
export const tensorTypes: readonly (DType | null)[] = [
  'float32',
  'float16',
  'int32',
  'uint8',
  'int64',
  'string',
  'bool',
  'int16',
  null,
  'int8',
  'float64',
  null,
  'uint64',
  null,
  null,
  'uint32',
  'uint16',
  'int4',
  'bfloat16',
]

/** What the file format calls the element types that we have none for. */
export const foreignTensorTypes: Readonly<Record<number, string>> = {
  8: 'COMPLEX64',
  11: 'COMPLEX128',
  13: 'RESOURCE',
  14: 'VARIANT',
}

export function tensorTypeOf(dtype: DType): number {
  const type = tensorTypes.indexOf(dtype)
  if (type < 0)
    throw new EdgewrightError('OPERATOR_UNSUPPORTED', `TensorFlow Lite has no tensors of ${dtype}.`)
  return type
}
