import { constantOfNumbers } from '../../../src/graph/encode.ts'
import type { DType } from '../../../src/tensor.ts'
import {
  attributeTypes,
  onnxDataTypes,
  type OnnxAttribute,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
  type Partially,
} from '../../../src/formats/onnx/proto.ts'

/** A model as a test writes it down. */
export interface ModelSpec {
  readonly inputs: readonly Partially<OnnxValueInfo>[]
  readonly nodes: readonly Partially<OnnxNode>[]
  /** Names; a runtime finds their types. */
  readonly outputs: readonly (string | Partially<OnnxValueInfo>)[]
  readonly initializers?: readonly Partially<OnnxTensor>[]
  readonly opset?: number
  /** Operator sets of other domains. */
  readonly domains?: Readonly<Record<string, number>>
  readonly valueInfo?: readonly Partially<OnnxValueInfo>[]
}

export function modelOf({
  inputs,
  nodes,
  outputs,
  initializers = [],
  opset = 17,
  domains = {},
  valueInfo = [],
}: ModelSpec): Partially<OnnxModel> {
  return {
    irVersion: opset >= 21 ? 10 : opset >= 19 ? 9 : 8,
    opsetImport: [
      { domain: '', version: opset },
      ...Object.entries(domains).map(([domain, version]) => ({ domain, version })),
    ],
    graph: {
      name: 'test',
      node: nodes,
      initializer: initializers,
      input: inputs,
      output: outputs.map((output) => (typeof output === 'string' ? { name: output } : output)),
      valueInfo,
    },
  }
}

export function node(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  ...rest: (Partially<OnnxAttribute> | { domain: string })[]
): Partially<OnnxNode> {
  const domain = rest.find((part): part is { domain: string } => 'domain' in part)?.domain ?? ''
  return {
    opType,
    input,
    output,
    domain,
    name: `${opType}_${output[0]}`,
    attribute: rest.filter((part): part is Partially<OnnxAttribute> => !('domain' in part)),
  }
}

export const attribute = {
  int: (name: string, i: number) => ({ name, type: attributeTypes.int, i }),
  ints: (name: string, ints: readonly number[]) => ({ name, type: attributeTypes.ints, ints }),
  float: (name: string, f: number) => ({ name, type: attributeTypes.float, f }),
  floats: (name: string, floats: readonly number[]) => ({ name, type: attributeTypes.floats, floats }),
  string: (name: string, text: string) => ({ name, type: attributeTypes.string, s: Buffer.from(text) }),
  tensor: (name: string, t: Partially<OnnxTensor>) => ({ name, type: attributeTypes.tensor, t }),
  graph: (name: string, g: NonNullable<Partially<OnnxModel>['graph']>) => ({
    name,
    type: attributeTypes.graph,
    g,
  }),
}

/** A dimension by size, by symbol, or unknown. */
export function input(
  name: string,
  dtype: DType,
  dims: readonly (number | string | null)[],
): Partially<OnnxValueInfo> {
  const dim = dims.map((size) =>
    typeof size === 'number' ? { dimValue: size } : size === null ? {} : { dimParam: size },
  )
  return { name, type: { tensorType: { elemType: onnxDataTypes[dtype], shape: { dim } } } }
}

export function tensor(
  name: string,
  dtype: DType,
  dims: readonly number[],
  numbers: readonly number[],
): Partially<OnnxTensor> {
  return {
    name,
    dataType: onnxDataTypes[dtype],
    dims,
    rawData: constantOfNumbers(dtype, dims, numbers).bytes(),
  }
}
