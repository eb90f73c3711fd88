/**
 * The messages of an ONNX file, from the public onnx.proto3 (IR version 10), in camel case. A decoded message has
 * every repeated field as an array and every absent scalar as its default ('' , 0, empty bytes); an absent message
 * is null. Messages to be encoded may leave fields out.
 */

/** A protobuf int64: a number where that is exact, a bigint beyond ±2^53. `Number(x)` and `BigInt(x)` take both. */
export type Int64 = number | bigint

export interface OnnxStringEntry {
  key: string
  value: string
}
export interface OnnxOpset {
  domain: string
  version: Int64
}

/** TensorProto. `rawData` is a view on the file's own bytes. */
export interface OnnxTensor {
  dims: Int64[]
  dataType: number
  segment: { begin: Int64; end: Int64 } | null
  floatData: number[]
  int32Data: number[]
  stringData: Uint8Array[]
  int64Data: Int64[]
  name: string
  rawData: Uint8Array
  doubleData: number[]
  uint64Data: Int64[]
  docString: string
  externalData: OnnxStringEntry[]
  /** 0: in this message, 1: in an external file. */
  dataLocation: number
}

export interface OnnxSparseTensor {
  values: OnnxTensor | null
  indices: OnnxTensor | null
  dims: Int64[]
}

/** One dimension: the fixed size where `dimValue` is set, else a symbol's name, else unknown. */
export interface OnnxDimension {
  dimValue: Int64 | null
  dimParam: string | null
  denotation: string
}
export interface OnnxTensorShape {
  dim: OnnxDimension[]
}
/** `shape` is null where the file says nothing, not even the rank. */
export interface OnnxTensorType {
  elemType: number
  shape: OnnxTensorShape | null
}
export interface OnnxType {
  tensorType: OnnxTensorType | null
  sequenceType: { elemType: OnnxType | null } | null
  mapType: { keyType: number; valueType: OnnxType | null } | null
  optionalType: { elemType: OnnxType | null } | null
  sparseTensorType: OnnxTensorType | null
  denotation: string
}
export interface OnnxValueInfo {
  name: string
  type: OnnxType | null
  docString: string
}

export interface OnnxAttribute {
  name: string
  refAttrName: string
  docString: string
  /** One of `attributeTypes`. Files of IR version 1 leave it 0. */
  type: number
  f: number
  i: Int64
  s: Uint8Array
  t: OnnxTensor | null
  g: OnnxGraph | null
  sparseTensor: OnnxSparseTensor | null
  tp: OnnxType | null
  floats: number[]
  ints: Int64[]
  strings: Uint8Array[]
  tensors: OnnxTensor[]
  graphs: OnnxGraph[]
  sparseTensors: OnnxSparseTensor[]
  typeProtos: OnnxType[]
}

/** An absent optional input is the empty string. */
export interface OnnxNode {
  input: string[]
  output: string[]
  name: string
  opType: string
  docString: string
  attribute: OnnxAttribute[]
  domain: string
  overload: string
}

export interface OnnxTensorAnnotation {
  tensorName: string
  quantParameterTensorNames: OnnxStringEntry[]
}

export interface OnnxGraph {
  node: OnnxNode[]
  name: string
  initializer: OnnxTensor[]
  docString: string
  input: OnnxValueInfo[]
  output: OnnxValueInfo[]
  valueInfo: OnnxValueInfo[]
  quantizationAnnotation: OnnxTensorAnnotation[]
  sparseInitializer: OnnxSparseTensor[]
}

/** A model-local function. */
export interface OnnxFunction {
  name: string
  input: string[]
  output: string[]
  attribute: string[]
  node: OnnxNode[]
  docString: string
  opsetImport: OnnxOpset[]
  domain: string
  attributeProto: OnnxAttribute[]
  overload: string
}

export interface OnnxModel {
  irVersion: Int64
  producerName: string
  producerVersion: string
  domain: string
  modelVersion: Int64
  docString: string
  graph: OnnxGraph | null
  opsetImport: OnnxOpset[]
  metadataProps: OnnxStringEntry[]
  functions: OnnxFunction[]
}

/** What `encode…` takes: any field may be left out, at any depth. */
export type Partially<T> = T extends Uint8Array | number | bigint | string | null
  ? T
  : T extends (infer E)[]
    ? readonly Partially<E>[]
    : { readonly [K in keyof T]?: Partially<T[K]> }
