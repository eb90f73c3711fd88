import {
  decodeModel,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
} from '../../../src/formats/onnx/proto.ts'
import { readOnnx } from '../../../src/formats/onnx/read.ts'
import { float16ToNumber } from '../../../src/graph/constant.ts'

const float32 = 1
const int8 = 3
const float16 = 10

const weighted = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])
/** What may read a dequantized activation. */
const quantizable = new Set([...weighted, 'Add', 'AveragePool', 'GlobalAveragePool'])
/** What only moves or compares: conversions pass it. */
const commuting = new Set([
  'MaxPool',
  'Concat',
  'Split',
  'Slice',
  'Reshape',
  'Transpose',
  'DepthToSpace',
  'Expand',
  'Tile',
])
/** What TensorRT's parser refuses, or what another runtime's quantizer writes. */
const foreign = /^(QLinear|ConvInteger$|MatMulInteger$|DynamicQuantizeLinear$)/

interface Pair {
  readonly quantize: OnnxNode
  readonly dequantize: readonly OnnxNode[]
  /** The value before the pair. */
  readonly from: string
  readonly scales: readonly number[]
  readonly axis: number
}

/** What a file says of its Q/DQ, read from its bytes alone, without a look at how it was made. */
export interface Placement {
  readonly violations: readonly string[]
  /** Nodes by operator that read a quantized activation. */
  readonly int8: Readonly<Record<string, number>>
  /** Values with a pair. */
  readonly quantized: readonly string[]
  readonly scales: ReadonlyMap<string, number>
  readonly opset: number
  readonly irVersion: number
  readonly nodes: readonly OnnxNode[]
}

/**
 * Holds an ONNX file to what NVIDIA documents for explicit quantization.
 *
 * @param reals element type of everything that is not quantized, inputs and outputs aside
 * @param readable whether our reader takes the file, and tells shapes
 */
export async function checkRules(
  bytes: Uint8Array,
  reals: 'float32' | 'float16' = 'float32',
  readable = reals === 'float32',
): Promise<Placement> {
  const model = decodeModel(bytes)
  const graph = model.graph!
  const shapes = readable ? await shapesOf(bytes) : new Map()
  const checker = new Checker(graph, reals, shapes)
  checker.check()
  const opset = Number(model.opsetImport.find(({ domain }) => domain === '')!.version)
  for (const { domain } of model.opsetImport)
    if (domain !== '') checker.violations.push(`operator domain ${domain}`)
  return {
    violations: checker.violations,
    int8: checker.int8,
    quantized: checker.activations.map(({ from }) => from),
    scales: new Map(checker.activations.map(({ from, scales }) => [from, scales[0]!])),
    opset,
    irVersion: Number(model.irVersion),
    nodes: graph.node,
  }
}

async function shapesOf(bytes: Uint8Array): Promise<Map<string, readonly number[]>> {
  const [graph] = (await readOnnx({ bytes })).graphs.values()
  return new Map([...graph!.values.values()].map(({ name, type }) => [name, type.shape]))
}

class Checker {
  readonly violations: string[] = []
  readonly int8: Record<string, number> = {}
  activations: Pair[] = []
  readonly #graph: OnnxGraph
  readonly #real: number
  readonly #shapes: ReadonlyMap<string, readonly number[]>
  readonly #constants: Map<string, OnnxTensor>
  readonly #makers = new Map<string, OnnxNode>()
  readonly #readers = new Map<string, OnnxNode[]>()

  constructor(
    graph: OnnxGraph,
    reals: 'float32' | 'float16',
    shapes: ReadonlyMap<string, readonly number[]>,
  ) {
    this.#graph = graph
    this.#real = reals === 'float32' ? float32 : float16
    this.#shapes = shapes
    this.#constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]))
    for (const node of graph.node) {
      for (const name of node.output) this.#makers.set(name, node)
      for (const name of node.input) this.#readers.set(name, [...(this.#readers.get(name) ?? []), node])
    }
  }

  check(): void {
    for (const node of this.#graph.node) {
      if (foreign.test(node.opType)) this.#fail(`${node.opType} ${node.name}`)
      if (node.opType === 'DequantizeLinear' && this.#makers.get(node.input[0]!)?.opType !== 'QuantizeLinear')
        this.#fail(`${node.name} dequantizes what no QuantizeLinear made`)
    }
    for (const { name, type } of [...this.#graph.input, ...this.#graph.output])
      if (type!.tensorType!.elemType !== float32) this.#fail(`${name} is not float32`)
    const pairs = this.#graph.node
      .filter(({ opType }) => opType === 'QuantizeLinear')
      .map((node) => this.#pair(node))
    this.activations = pairs.filter(({ from }) => !this.#constants.has(from))
    for (const pair of pairs) this.#checkPair(pair)
    for (const pair of pairs.filter(({ from }) => this.#constants.has(from))) this.#checkWeights(pair)
    for (const pair of this.activations) this.#checkActivation(pair)
    for (const node of this.#graph.node) this.#checkNode(node)
    this.#checkScales()
  }

  #pair(quantize: OnnxNode): Pair {
    const [from, scale] = quantize.input as [string, string]
    return {
      quantize,
      from,
      dequantize: this.#readersOf(quantize.output[0]!),
      scales: this.#numbers(scale),
      axis: Number(quantize.attribute.find(({ name }) => name === 'axis')?.i ?? 1),
    }
  }

  #checkPair({ quantize, dequantize, scales }: Pair): void {
    const [, scale, zero] = quantize.input as [string, string, string]
    const zeros = this.#constants.get(zero)
    if (zeros?.dataType !== int8) this.#fail(`${quantize.name} is not int8`)
    if (zeros?.rawData.some((byte) => byte !== 0)) this.#fail(`${quantize.name} has a zero point`)
    if (this.#constants.get(scale)?.dataType !== this.#real)
      this.#fail(`the scale of ${quantize.name} is of another type`)
    if (scales.some((x) => !(x > 0 && x < Number.POSITIVE_INFINITY)))
      this.#fail(`${quantize.name} has a scale of ${scales}`)
    if (dequantize.length === 0) this.#fail(`nothing dequantizes ${quantize.name}`)
    for (const node of dequantize) {
      if (node.opType !== 'DequantizeLinear')
        this.#fail(`${node.opType} reads the integers of ${quantize.name}`)
      if (node.input[1] !== scale || node.input[2] !== zero) this.#fail(`${node.name} undoes another scale`)
      if (String(axisOf(node)) !== String(axisOf(quantize))) this.#fail(`${node.name} undoes another axis`)
    }
  }

  #checkWeights({ quantize, dequantize, scales, axis, from }: Pair): void {
    const tensor = this.#constants.get(from)!
    if (tensor.dataType !== this.#real) this.#fail(`the weights ${from} are of another type`)
    for (const reader of this.#realReaders(dequantize)) {
      if (!weighted.has(reader.opType)) this.#fail(`${reader.opType} reads quantized weights`)
      if (!dequantize.some(({ output }) => output[0] === reader.input[1]))
        this.#fail(`${from} is no weight of ${reader.name}`)
      const wanted = { Conv: 0, ConvTranspose: 1, Gemm: attribute(reader, 'transB') ? 0 : 1, MatMul: 1 }[
        reader.opType
      ]
      const channels = Number(tensor.dims[wanted!])
      if (scales.length !== channels)
        this.#fail(`${scales.length} scales for ${channels} channels of ${reader.name}`)
      if (scales.length > 1 && axis !== wanted) this.#fail(`scales of ${reader.name} along axis ${axis}`)
    }
    const dims = tensor.dims.map(Number)
    const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1)
    const steps = this.#numbers(from).map((w, i) => w / scales[Math.floor(i / inner) % scales.length]!)
    // float16 holds 127 steps to a sixteenth
    const slack = this.#real === float16 ? 0.13 : 1e-4
    if (steps.some((q) => Math.abs(q) > 127 + slack)) this.#fail(`${quantize.name} clips a weight`)
    if (steps.some((q) => Math.abs(q - Math.round(q)) > slack))
      this.#fail(`${quantize.name} rounds: the builder could differ`)
  }

  #checkActivation({ from, dequantize, scales }: Pair): void {
    if (scales.length !== 1) this.#fail(`${scales.length} scales for the activation ${from}`)
    for (const reader of this.#realReaders(dequantize)) {
      this.int8[reader.opType] = (this.int8[reader.opType] ?? 0) + 1
      if (!quantizable.has(reader.opType)) this.#fail(`Q/DQ before ${reader.opType} ${reader.name}`)
      const position = reader.input.findIndex((name) => dequantize.some(({ output }) => output[0] === name))
      if (weighted.has(reader.opType) && position !== 0)
        this.#fail(`Q/DQ on operand ${position} of ${reader.name}`)
    }
    const followers = this.#readersOf(from).map(({ opType }) => opType)
    const maker = this.#makers.get(from)?.opType
    if (
      (maker === 'Conv' || maker === 'ConvTranspose') &&
      followers.some((name) => /^(Relu|Clip|BatchNorm)/.test(name))
    )
      this.#fail(`Q/DQ between ${maker} and what is fused into it: ${from}`)
    if (this.activations.filter((pair) => pair.from === from).length > 1)
      this.#fail(`${from} is quantized twice`)
  }

  #checkNode(node: OnnxNode): void {
    if (weighted.has(node.opType)) this.#checkWeighted(node)
    if (node.opType === 'Add') this.#checkAdd(node)
    if (node.opType === 'BatchNormalization' && this.#isSingle(node.input[0]!, 'Conv'))
      this.#fail(`batch normalization ${node.name} was not folded`)
  }

  #checkWeighted(node: OnnxNode): void {
    const [x, w, bias] = node.input
    if (this.#isDequantized(x!) !== this.#isDequantized(w!))
      this.#fail(`${node.name} is quantized on one side only`)
    if (bias && this.#isDequantized(bias)) this.#fail(`the bias of ${node.name} is quantized`)
    if (!this.#isDequantized(x!)) return
    if (bias && this.#constants.get(bias)?.dataType !== this.#real)
      this.#fail(`the bias of ${node.name} is not real`)
    const shape = this.#shapes.get(node.output[0]!)
    if (!shape || node.opType.startsWith('Conv')) return
    const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1)
    if (rows === 1 || shape.at(-1) === 1) this.#fail(`${node.name} multiplies a vector in int8`)
  }

  /** A convolution takes in an addition where it makes one operand for it alone and the other is in int8. */
  #checkAdd(node: OnnxNode): void {
    const quantized = node.input.map((name) => this.#isDequantized(name))
    const convolved = node.input.map((name) => this.#isSingle(name, 'Conv') && this.#reads(name))
    if (quantized[0] && quantized[1]) this.#fail(`both operands of ${node.name} are quantized`)
    if (quantized.includes(true) && !convolved[quantized[0] ? 1 : 0])
      this.#fail(`${node.name} is quantized, and no convolution takes it in`)
    const shapes = node.input.map((name) => String(this.#shapes.get(name)))
    const isResidual = node.input.every((name) => !this.#constants.has(name)) && shapes[0] === shapes[1]
    if (isResidual && convolved.includes(true) && !quantized.includes(true))
      this.#fail(
        `${node.name} could be taken in by its convolution, but its residual branch is not quantized`,
      )
  }

  /** What moves or compares has one scale on all its sides. */
  #checkScales(): void {
    const scaleOf = new Map(this.activations.map(({ from, scales }) => [from, scales[0]!]))
    const groups = new Map<string, Set<string>>()
    for (const node of this.#graph.node) {
      if (!commuting.has(node.opType)) continue
      const names = [...node.output, ...(node.opType === 'Concat' ? node.input : node.input.slice(0, 1))]
      const joined = new Set(names.flatMap((name) => [...(groups.get(name) ?? [name])]))
      for (const name of joined) groups.set(name, joined)
    }
    for (const group of new Set(groups.values())) {
      const scales = new Set(
        [...group].map((name) => scaleOf.get(name)).filter((scale) => scale !== undefined),
      )
      if (scales.size > 1) this.#fail(`${[...group].join(', ')} have ${scales.size} scales`)
    }
  }

  /** Made by one operator of a kind, for one reader. */
  #isSingle(name: string, opType: string): boolean {
    const isOutput = this.#graph.output.some((output) => output.name === name)
    return this.#makers.get(name)?.opType === opType && this.#readersOf(name).length === 1 && !isOutput
  }

  #reads(name: string): boolean {
    return this.#isDequantized(this.#makers.get(name)!.input[0]!)
  }

  #isDequantized(name: string): boolean {
    return this.#makers.get(name)?.opType === 'DequantizeLinear'
  }

  #realReaders(dequantize: readonly OnnxNode[]): OnnxNode[] {
    return dequantize.flatMap(({ output }) => this.#readersOf(output[0]!))
  }

  #readersOf(name: string): OnnxNode[] {
    return this.#readers.get(name) ?? []
  }

  #numbers(name: string): number[] {
    const tensor = this.#constants.get(name)
    if (!tensor) return []
    const { buffer, byteOffset, byteLength } = Uint8Array.from(tensor.rawData)
    const bytes = buffer.slice(byteOffset, byteOffset + byteLength)
    if (tensor.dataType === float16) return Array.from(new Uint16Array(bytes), float16ToNumber)
    return Array.from(new Float32Array(bytes))
  }

  #fail(violation: string): void {
    this.violations.push(violation)
  }
}

function axisOf(node: OnnxNode): bigint | number | undefined {
  return node.attribute.find(({ name }) => name === 'axis')?.i
}

function attribute(node: OnnxNode, wanted: string): boolean {
  return Number(node.attribute.find(({ name }) => name === wanted)?.i ?? 0) !== 0
}
