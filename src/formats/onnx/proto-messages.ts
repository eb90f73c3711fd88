import type { AnyNestedObject } from 'protobufjs'

/** Field: [number, type, 'repeated' | 'packed' | undefined]. */
type Field = readonly [id: number, type: string, rule?: 'repeated' | 'packed']

/**
 * The part of the ONNX protobuf schema that we use, as [field number, type] by name. Field numbers are those of the
 * public onnx.proto; what is not listed (training info, device configurations, metadata of nodes) is skipped.
 */
const fields = {
  StringStringEntryProto: { key: [1, 'string'], value: [2, 'string'] },
  OperatorSetIdProto: { domain: [1, 'string'], version: [2, 'int64'] },
  Segment: { begin: [1, 'int64'], end: [2, 'int64'] },
  TensorProto: {
    dims: [1, 'int64', 'repeated'],
    dataType: [2, 'int32'],
    segment: [3, 'Segment'],
    floatData: [4, 'float', 'packed'],
    int32Data: [5, 'int32', 'packed'],
    stringData: [6, 'bytes', 'repeated'],
    int64Data: [7, 'int64', 'packed'],
    name: [8, 'string'],
    rawData: [9, 'bytes'],
    doubleData: [10, 'double', 'packed'],
    uint64Data: [11, 'uint64', 'packed'],
    docString: [12, 'string'],
    externalData: [13, 'StringStringEntryProto', 'repeated'],
    dataLocation: [14, 'int32'],
  },
  SparseTensorProto: {
    values: [1, 'TensorProto'],
    indices: [2, 'TensorProto'],
    dims: [3, 'int64', 'repeated'],
  },
  Dimension: { dimValue: [1, 'int64'], dimParam: [2, 'string'], denotation: [3, 'string'] },
  TensorShapeProto: { dim: [1, 'Dimension', 'repeated'] },
  TensorTypeProto: { elemType: [1, 'int32'], shape: [2, 'TensorShapeProto'] },
  ElementTypeProto: { elemType: [1, 'TypeProto'] },
  MapTypeProto: { keyType: [1, 'int32'], valueType: [2, 'TypeProto'] },
  TypeProto: {
    tensorType: [1, 'TensorTypeProto'],
    sequenceType: [4, 'ElementTypeProto'],
    mapType: [5, 'MapTypeProto'],
    denotation: [6, 'string'],
    sparseTensorType: [8, 'TensorTypeProto'],
    optionalType: [9, 'ElementTypeProto'],
  },
  ValueInfoProto: { name: [1, 'string'], type: [2, 'TypeProto'], docString: [3, 'string'] },
  AttributeProto: {
    name: [1, 'string'],
    f: [2, 'float'],
    i: [3, 'int64'],
    s: [4, 'bytes'],
    t: [5, 'TensorProto'],
    g: [6, 'GraphProto'],
    floats: [7, 'float', 'repeated'],
    ints: [8, 'int64', 'repeated'],
    strings: [9, 'bytes', 'repeated'],
    tensors: [10, 'TensorProto', 'repeated'],
    graphs: [11, 'GraphProto', 'repeated'],
    docString: [13, 'string'],
    tp: [14, 'TypeProto'],
    typeProtos: [15, 'TypeProto', 'repeated'],
    type: [20, 'int32'],
    refAttrName: [21, 'string'],
    sparseTensor: [22, 'SparseTensorProto'],
    sparseTensors: [23, 'SparseTensorProto', 'repeated'],
  },
  NodeProto: {
    input: [1, 'string', 'repeated'],
    output: [2, 'string', 'repeated'],
    name: [3, 'string'],
    opType: [4, 'string'],
    attribute: [5, 'AttributeProto', 'repeated'],
    docString: [6, 'string'],
    domain: [7, 'string'],
    overload: [8, 'string'],
  },
  TensorAnnotation: {
    tensorName: [1, 'string'],
    quantParameterTensorNames: [2, 'StringStringEntryProto', 'repeated'],
  },
  GraphProto: {
    node: [1, 'NodeProto', 'repeated'],
    name: [2, 'string'],
    initializer: [5, 'TensorProto', 'repeated'],
    docString: [10, 'string'],
    input: [11, 'ValueInfoProto', 'repeated'],
    output: [12, 'ValueInfoProto', 'repeated'],
    valueInfo: [13, 'ValueInfoProto', 'repeated'],
    quantizationAnnotation: [14, 'TensorAnnotation', 'repeated'],
    sparseInitializer: [15, 'SparseTensorProto', 'repeated'],
  },
  FunctionProto: {
    name: [1, 'string'],
    input: [4, 'string', 'repeated'],
    output: [5, 'string', 'repeated'],
    attribute: [6, 'string', 'repeated'],
    node: [7, 'NodeProto', 'repeated'],
    docString: [8, 'string'],
    opsetImport: [9, 'OperatorSetIdProto', 'repeated'],
    domain: [10, 'string'],
    attributeProto: [11, 'AttributeProto', 'repeated'],
    overload: [13, 'string'],
  },
  ModelProto: {
    irVersion: [1, 'int64'],
    producerName: [2, 'string'],
    producerVersion: [3, 'string'],
    domain: [4, 'string'],
    modelVersion: [5, 'int64'],
    docString: [6, 'string'],
    graph: [7, 'GraphProto'],
    opsetImport: [8, 'OperatorSetIdProto', 'repeated'],
    metadataProps: [14, 'StringStringEntryProto', 'repeated'],
    functions: [25, 'FunctionProto', 'repeated'],
  },
} as const satisfies Record<string, Record<string, Field>>

/** The schema in the form of protobufjs reflection; proto2 tells a field set to 0 from an absent one. */
export const onnxMessages: Record<string, AnyNestedObject> = Object.fromEntries(
  Object.entries(fields).map(([name, byName]) => [name, { edition: 'proto2', fields: describe(byName) }]),
)

function describe(byName: Record<string, Field>) {
  return Object.fromEntries(
    Object.entries(byName).map(([name, [id, type, rule]]) => [
      name,
      {
        id,
        type,
        ...(rule && { rule: 'repeated' as const }),
        ...(rule === 'packed' && { options: { packed: true } }),
      },
    ]),
  )
}
