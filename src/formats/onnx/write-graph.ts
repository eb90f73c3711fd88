import { EdgewrightError } from '../../error.ts'
import { constantOfNumbers } from '../../graph/encode.ts'
import { realType } from '../../graph/infer.ts'
import type { Constant, Graph, Node, Quantization, TensorType, Value } from '../../graph/types.ts'
import type { DType } from '../../tensor.ts'
import { type OnnxNode, type OnnxTensor, onnxDataTypes, type Partially } from './proto.ts'
import { int, type Spelling } from './write-attributes.ts'
import { type SpelledKind, spellings } from './write-operators.ts'

/** The operator set that a node's own spelling and its quantized values need. */
export function opsetNeededBy(node: Node, graph: Graph, most: number): number {
  const types = [...node.inputs, ...node.outputs].flatMap((name) =>
    name ? [graph.values.get(name)!.type] : [],
  )
  const narrow = types.some(({ dtype, quantization }) => quantization && needsOpset21.has(dtype))
  const spelled =
    node.op.kind === 'Convert' || node.op.kind === 'Opaque' ? 13 : (spell(node, graph, most).since ?? 13)
  return Math.max(spelled, narrow ? 21 : 13)
}

const needsOpset21: ReadonlySet<DType> = new Set(['int16', 'uint16', 'int4', 'uint4'])
const quantizable: ReadonlySet<DType> = new Set(['int8', 'uint8', 'int16', 'uint16', 'int4', 'uint4'])

function spell({ op, inputs, outputs, name }: Node, graph: Graph, opset: number): Spelling {
  const real = (value: string) => realType(graph.values.get(value)!.type)
  const context = {
    opset,
    operands: inputs.map((input) => (input === null ? null : real(input))),
    outputs: outputs.map(real),
  }
  try {
    // the table is keyed by kind, which the compiler cannot follow through a union
    return spellings[op.kind as SpelledKind](op as never, context)
  } catch (error) {
    if (!(error instanceof EdgewrightError) || error.where !== undefined) throw error
    throw new EdgewrightError(error.code, error.message, {
      where: name,
      saw: error.saw,
      hint: error.hint,
      cause: error,
    })
  }
}

export interface GraphSpelling {
  /** Equal constants of the graph become one initializer; parameters always do. */
  readonly shareConstants: boolean
  /** Products of real activations with int8 weights become MatMulInteger. */
  readonly hybridProducts: boolean
  /** Of Q/DQ. */
  readonly scaleType: 'float16' | 'float32'
}

/**
 * Writes nodes in order. Quantized values are said as Q/DQ: every use of one gets a DequantizeLinear of its own, which
 * is the form that ONNX Runtime's fusions look for, and every node that makes one ends in a QuantizeLinear.
 */
export class GraphWriter {
  readonly nodes: Partially<OnnxNode>[] = []
  readonly initializers: Partially<OnnxTensor>[] = []
  readonly #graph: Graph
  readonly #opset: number
  readonly #keptNames: ReadonlySet<string>
  readonly #spelling: GraphSpelling
  readonly #taken: Set<string>
  readonly #nodeNames: Set<string>
  /** Names of written initializers: by value, and by digest for those that may be shared. */
  readonly #byValue = new Map<string, string>()
  readonly #byDigest = new Map<string, string>()
  readonly #dynamic = new Map<string, readonly [string, string, string]>()

  /**
   * @param keptNames values that must be found under their own names
   */
  constructor(graph: Graph, opset: number, keptNames: ReadonlySet<string>, spelling: GraphSpelling) {
    this.#graph = graph
    this.#opset = opset
    this.#keptNames = keptNames
    this.#spelling = spelling
    this.#taken = new Set([...graph.values.keys(), ...keptNames])
    this.#nodeNames = new Set(graph.nodes.filter(({ op }) => op.kind !== 'Convert').map((node) => node.name))
  }

  addNode(node: Node, payload: OnnxNode | undefined): void {
    if (node.op.kind === 'Convert') this.#addConvert(node)
    else if (this.#spelling.hybridProducts && isHybridProduct(node, this.#graph)) this.#addHybridProduct(node)
    else this.#addOperator(node, payload)
  }

  /** The name to use for a value in the file, writing its initializer when it is a constant not yet written. */
  reference(name: string): string {
    const { constant } = this.#value(name)
    if (!constant) return name
    const written = this.#byValue.get(name)
    if (written !== undefined) return written
    const shared = this.#spelling.shareConstants && !this.#keptNames.has(name)
    const initializer = shared ? this.#shared(constant, () => name) : this.#initialize(constant, name)
    this.#byValue.set(name, initializer)
    return initializer
  }

  #addOperator(node: Node, payload: OnnxNode | undefined): void {
    const typesMeet = node.op.kind === 'Identity' && this.#sameQuantization(node.inputs[0]!, node.outputs[0]!)
    const input = node.inputs.map((name) => {
      if (name === null) return ''
      return typesMeet ? this.reference(name) : this.#real(name)
    })
    const quantized: { real: string; value: Value }[] = []
    const output = node.outputs.map((name) => {
      const value = this.#value(name)
      if (!value.type.quantization || typesMeet) return name
      const real = this.#fresh(`${name}_real`)
      quantized.push({ real, value })
      return real
    })
    if (payload) this.nodes.push({ ...payload, name: node.name, input: withoutTail(input), output })
    else this.#addSpelled(node, input, output)
    for (const { real, value } of quantized) this.#addQuantize(real, value)
  }

  #addSpelled(node: Node, operands: string[], output: string[]): void {
    const { opType, attributes = [], parameters = [] } = spell(node, this.#graph, this.#opset)
    const input = [
      ...operands,
      ...parameters.map((constant) =>
        constant ? this.#parameter(constant, `${node.outputs[0]}_${opType.toLowerCase()}`) : '',
      ),
    ]
    const attribute = attributes.filter((entry) => entry !== null)
    this.nodes.push({ name: node.name, opType, input: withoutTail(input), output, attribute })
  }

  /** In the form that ONNX Runtime fuses to DynamicQuantizeMatMul, or to MatMulIntegerToFloat where products share x. */
  #addHybridProduct({ name, inputs, outputs }: Node): void {
    const [x, w] = inputs as [string, string]
    const [result] = outputs as [string]
    const [stored, scale, zeroPoint] = this.#quantizedAsItRuns(x)
    const weightScale = this.#scale(this.#value(w).type.quantization!, w)
    const sums = this.#fresh(`${result}_sums`)
    const unscaled = this.#fresh(`${result}_unscaled`)
    const factor = this.#fresh(`${result}_factor`)
    const attribute = [int('to', onnxDataTypes.float32)]
    this.nodes.push(
      { name, opType: 'MatMulInteger', input: [stored, this.reference(w), zeroPoint], output: [sums] },
      { name: this.#nodeName(unscaled), opType: 'Cast', input: [sums], output: [unscaled], attribute },
      { name: this.#nodeName(factor), opType: 'Mul', input: [scale, weightScale], output: [factor] },
      { name: this.#nodeName(`${name}_scaled`), opType: 'Mul', input: [unscaled, factor], output: [result] },
    )
  }

  /** uint8 form, scale and zero point of a real value, made once for all products that read it. */
  #quantizedAsItRuns(x: string): readonly [string, string, string] {
    const known = this.#dynamic.get(x)
    if (known) return known
    const output = ['uint8', 'scale', 'zero_point'].map((part) => this.#fresh(`${x}_dynamic_${part}`)) as [
      string,
      string,
      string,
    ]
    const name = this.#nodeName(output[0])
    this.nodes.push({ name, opType: 'DynamicQuantizeLinear', input: [this.reference(x)], output })
    this.#dynamic.set(x, output)
    return output
  }

  #addConvert(node: Node): void {
    const [from, to] = [this.#value(node.inputs[0]!), this.#value(node.outputs[0]!)]
    if (!from.type.quantization && !to.type.quantization)
      throw new EdgewrightError(
        'GRAPH_INVALID',
        'A Convert stands between two values that are not quantized.',
        { where: node.name },
      )
    if (to.type.quantization) this.#addQuantize(this.#real(from.name), to)
    else this.#addDequantize(from, to.name)
  }

  /** A name that holds the value as reals: itself, or the result of a DequantizeLinear made for this one use. */
  #real(name: string): string {
    const value = this.#value(name)
    if (!value.type.quantization) return this.reference(name)
    const real = this.#fresh(`${name}_real`)
    this.#addDequantize(value, real)
    return real
  }

  #addDequantize({ name, type }: Value, output: string): void {
    const input = [this.reference(name), ...this.#scaleAndZeroPoint(type, name)]
    this.nodes.push({
      name: this.#nodeName(output),
      opType: 'DequantizeLinear',
      input,
      output: [output],
      attribute: axisOf(type.quantization!),
    })
  }

  #addQuantize(real: string, { name, type }: Value): void {
    if (!quantizable.has(type.dtype))
      throw new EdgewrightError('GRAPH_INVALID', `QuantizeLinear cannot make ${type.dtype}.`, { where: name })
    const input = [real, ...this.#scaleAndZeroPoint(type, name)]
    this.nodes.push({
      name: this.#nodeName(`${name}_quantize`),
      opType: 'QuantizeLinear',
      input,
      output: [name],
      attribute: axisOf(type.quantization!),
    })
  }

  #scaleAndZeroPoint({ dtype, quantization }: TensorType, name: string): [string, string] {
    const { zeroPoints, axis } = quantization!
    const shape = axis === null ? [] : [zeroPoints.length]
    return [
      this.#scale(quantization!, name),
      this.#parameter(constantOfNumbers(dtype, shape, zeroPoints), `${name}_zero_point`),
    ]
  }

  #scale({ scales, axis }: Quantization, name: string): string {
    const shape = axis === null ? [] : [scales.length]
    return this.#parameter(constantOfNumbers(this.#spelling.scaleType, shape, scales), `${name}_scale`)
  }

  #parameter(constant: Constant, wanted: string): string {
    return this.#shared(constant, () => this.#fresh(wanted))
  }

  #shared(constant: Constant, nameIt: () => string): string {
    const known = this.#byDigest.get(constant.digest)
    if (known !== undefined) return known
    const name = this.#initialize(constant, nameIt())
    this.#byDigest.set(constant.digest, name)
    return name
  }

  #initialize(constant: Constant, name: string): string {
    this.initializers.push({
      dims: constant.shape,
      dataType: onnxDataTypes[constant.dtype],
      name,
      rawData: constant.bytes(),
    })
    return name
  }

  #sameQuantization(a: string, b: string): boolean {
    const [left, right] = [this.#value(a).type, this.#value(b).type]
    return (
      left.dtype === right.dtype && JSON.stringify(left.quantization) === JSON.stringify(right.quantization)
    )
  }

  #value(name: string): Value {
    const value = this.#graph.values.get(name)
    if (!value)
      throw new EdgewrightError('GRAPH_INVALID', `No value is named ${JSON.stringify(name)}.`, {
        where: this.#graph.name,
      })
    return value
  }

  #fresh(wanted: string): string {
    return untaken(wanted, this.#taken)
  }

  /** Operators of the graph keep their names, by which users know them; a value may be called like one. */
  #nodeName(wanted: string): string {
    return untaken(wanted, this.#nodeNames)
  }
}

function untaken(wanted: string, taken: Set<string>): string {
  let name = wanted
  for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`
  taken.add(name)
  return name
}

/** float32 x times a matrix of symmetric int8 with one scale, or one for each column. */
function isHybridProduct({ op, inputs, outputs }: Node, graph: Graph): boolean {
  if (op.kind !== 'MatMul') return false
  const [x, w, y] = [...inputs, ...outputs].map((name) => graph.values.get(name!)!.type)
  const quantization = w!.quantization
  return (
    x!.dtype === 'float32' &&
    y!.dtype === 'float32' &&
    w!.dtype === 'int8' &&
    w!.shape.length === 2 &&
    quantization !== null &&
    (quantization.axis === null || quantization.axis === 1) &&
    quantization.zeroPoints.every((zero) => zero === 0)
  )
}

function axisOf({ axis }: Quantization) {
  return axis === null ? [] : [int('axis', axis)]
}

/** Absent inputs at the end are left out, as ONNX wants them. */
function withoutTail(input: string[]): string[] {
  return input.slice(0, input.findLastIndex((name) => name !== '') + 1)
}
