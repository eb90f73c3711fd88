import protobuf from 'protobufjs/light.js'
import { EdgewrightError } from '../../error.ts'
import type { DType } from '../../tensor.ts'
import { onnxMessages } from './proto-messages.ts'
import type { Int64, OnnxTensor, OnnxType, OnnxNode, OnnxModel, Partially } from './proto-types.ts'

export type * from './proto-types.ts'

/** AttributeProto.AttributeType */
export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparseTensor: 11,
  sparseTensors: 12,
  typeProto: 13,
  typeProtos: 14,
} as const

/** TensorProto.DataType by our element types. */
export const onnxDataTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  uint4: 21,
  int4: 22,
} as const satisfies Record<DType, number>

const dtypesByDataType = new Map<number, DType>(
  Object.entries(onnxDataTypes).map(([dtype, number]) => [number, dtype as DType]),
)

/** Our element type of a TensorProto.DataType; null for one that we do not carry (complex, float8, undefined). */
export function dtypeOfDataType(dataType: number): DType | null {
  return dtypesByDataType.get(dataType) ?? null
}

/**
 * Reads a model file. Tensor data stay views on `bytes`, which must not change afterwards.
 * @throws MODEL_BROKEN with the byte offset where the bytes are not a protobuf message of a model.
 */
export function decodeModel(bytes: Uint8Array, where?: string): OnnxModel {
  const model = decode<OnnxModel>('ModelProto', bytes, where)
  if (!model.graph)
    throw new EdgewrightError('MODEL_BROKEN', 'The ONNX file holds no graph.', {
      where,
      saw: `${bytes.byteLength} bytes`,
      hint: 'Export the model again; the file may be cut off or not an ONNX model.',
    })
  return model
}

export function encodeModel(model: Partially<OnnxModel>): Uint8Array {
  return encode('ModelProto', model)
}

/** Reads a file that is one tensor (the `.pb` files of ONNX test data). */
export function decodeTensor(bytes: Uint8Array, where?: string): OnnxTensor {
  return decode('TensorProto', bytes, where)
}

export function encodeTensor(tensor: Partially<OnnxTensor>): Uint8Array {
  return encode('TensorProto', tensor)
}

export function decodeNode(bytes: Uint8Array, where?: string): OnnxNode {
  return decode('NodeProto', bytes, where)
}

export function encodeNode(node: Partially<OnnxNode>): Uint8Array {
  return encode('NodeProto', node)
}

/** Reads a file that is one value type (the sequence and optional cases of ONNX test data are `SequenceProto`, not this). */
export function decodeType(bytes: Uint8Array, where?: string): OnnxType {
  return decode('TypeProto', bytes, where)
}

type MessageName = 'ModelProto' | 'TensorProto' | 'NodeProto' | 'TypeProto'

const messages = withPlainDefaults(protobuf.Root.fromJSON({ nested: onnxMessages }))

/** The library's default of an absent int64 is an object; ours is 0, and null where absence means something. */
function withPlainDefaults(root: protobuf.Root): protobuf.Root {
  for (const type of root.nestedArray) {
    if (!(type instanceof protobuf.Type)) continue
    const defaults = type.ctor.prototype as Record<string, unknown>
    for (const field of type.fieldsArray)
      if (!field.repeated && field.type.endsWith('int64')) defaults[field.name] = 0
    if (type.name === 'Dimension') Object.assign(defaults, { dimValue: null, dimParam: null })
  }
  return root
}

function decode<T>(name: MessageName, bytes: Uint8Array, where: string | undefined): T {
  const reader = new ExactReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  try {
    // the library checks every length against what is left, and nesting against 100 levels
    return messages.lookupType(name).decode(reader) as unknown as T
  } catch (error) {
    throw new EdgewrightError('MODEL_BROKEN', `The file is not a whole ONNX ${name}.`, {
      where,
      saw: `${error instanceof Error ? error.message : String(error)} at byte ${reader.pos} of ${bytes.byteLength}`,
      hint: 'The file may be cut off or damaged: compare its size and digest with the original.',
      cause: error,
    })
  }
}

function encode(name: MessageName, message: object): Uint8Array {
  return messages.lookupType(name).encode(message, new ExactWriter()).finish()
}

/** Reads 64-bit integers without loss and without an object each. */
class ExactReader extends protobuf.BufferReader {
  override int64() {
    return exactInteger(super.int64() as Long) as never
  }
  override uint64() {
    return exactInteger(super.uint64() as Long) as never
  }
}

class ExactWriter extends protobuf.BufferWriter {
  override int64(value: unknown) {
    return super.int64(wireInteger(value as Int64) as never)
  }
  override uint64(value: unknown) {
    return super.uint64(wireInteger(value as Int64) as never)
  }
  override int64s(values: never) {
    return super.int64s((values as Int64[]).map(wireInteger) as never)
  }
  override uint64s(values: never) {
    return super.uint64s((values as Int64[]).map(wireInteger) as never)
  }
}

interface Long {
  low: number
  high: number
  unsigned: boolean
}

function exactInteger({ low, high, unsigned }: Long): Int64 {
  const number = (unsigned ? high >>> 0 : high) * 2 ** 32 + (low >>> 0)
  if (Number.isSafeInteger(number)) return number
  return (BigInt(unsigned ? high >>> 0 : high) << 32n) | BigInt(low >>> 0)
}

function wireInteger(value: Int64): number | Long {
  if (typeof value === 'number') return value
  return {
    low: Number(BigInt.asIntN(32, value)),
    high: Number(BigInt.asIntN(32, value >> 32n)),
    unsigned: value > 0x7fffffffffffffffn,
  }
}
