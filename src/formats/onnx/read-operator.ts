import { EdgewrightError } from '../../error.ts'
import { constantOf, numbersOf } from '../../graph/constant.ts'
import type { Op } from '../../graph/ops.ts'
import type { Constant, NodeSource, Quantization, TensorType } from '../../graph/types.ts'
import type { DType } from '../../tensor.ts'
import { Attributes } from './read-attributes.ts'
import type { GraphInReading } from './read-graph.ts'
import type { OnnxNode, OnnxTensor } from './proto.ts'
import { constantOfTensor } from './read-tensor.ts'

/** Why an operator cannot be said in our op set as it stands in the file; the operator is then carried verbatim. */
export class NotExpressible extends Error {
  /** The types of its results, where they are known all the same. */
  readonly types: readonly TensorType[] | undefined

  constructor(reason: string, types?: readonly TensorType[]) {
    super(reason)
    this.types = types
  }
}

/** One ONNX operator being read: its operands with their types, and what is made of it. */
export class OnnxOperator {
  readonly attributes: Attributes
  readonly where: string
  readonly #node: OnnxNode
  readonly #graph: GraphInReading
  readonly #source: NodeSource
  /** Operator-set version that this operator is read by. */
  readonly opset: number

  constructor(node: OnnxNode, index: number, opset: number, graph: GraphInReading) {
    this.#node = node
    this.#graph = graph
    this.opset = opset
    this.#source = { opType: node.opType, name: node.name, index }
    this.where = describeNode(node, index)
    this.attributes = new Attributes(node, this.where)
  }

  get opType(): string {
    return this.#node.opType
  }

  /** The batch size that was bound to a dimension that the file leaves open; 1 where none was. */
  get boundBatch(): number {
    return this.#graph.boundBatch
  }

  // -- operands ----------------------------------------------------------------------------------------------------

  get inputCount(): number {
    return this.#node.input.length
  }

  has(index: number): boolean {
    return (this.#node.input[index] ?? '') !== ''
  }

  /** Our name of an operand that must be there. */
  input(index: number): string {
    const name = this.optional(index)
    if (name === null) throw this.broken(`lacks its input ${index}`)
    return name
  }

  optional(index: number): string | null {
    return this.has(index) ? this.#graph.resolve(this.#node.input[index]!) : null
  }

  /** All operands; none may be absent. */
  get inputs(): string[] {
    return this.#node.input.map((_, index) => this.input(index))
  }

  type(index: number): TensorType {
    return this.#graph.editor.type(this.input(index))
  }

  shape(index: number): readonly number[] {
    return this.type(index).shape
  }

  rank(index: number): number {
    return this.shape(index).length
  }

  shapeOf(name: string): readonly number[] {
    return this.#graph.editor.type(name).shape
  }

  typeOf(name: string): TensorType {
    return this.#graph.editor.type(name)
  }

  constant(index: number): Constant | null {
    return this.has(index) ? this.#graph.editor.value(this.input(index)).constant : null
  }

  /** The elements of an operand that we need as a constant; null where the operand is absent. */
  optionalNumbers(index: number, what: string): number[] | null {
    if (!this.has(index)) return null
    const constant = this.constant(index)
    if (!constant) throw new NotExpressible(`its ${what} is computed while the model runs`)
    if (constant.byteLength > 1 << 20) throw this.broken(`has an impossibly long ${what}`)
    return numbersOf(constant)
  }

  numbers(index: number, what: string): number[] {
    return this.optionalNumbers(index, what) ?? this.#lacking(index)
  }

  number(index: number, what: string): number | null {
    const numbers = this.optionalNumbers(index, what)
    if (numbers && numbers.length !== 1) throw this.broken(`has a ${what} that is not one number`)
    return numbers?.[0] ?? null
  }

  #lacking(index: number): never {
    throw this.broken(`lacks its input ${index}`)
  }

  /** An axis counted from the front. */
  axis(axis: number, rank: number): number {
    const front = axis < 0 ? axis + rank : axis
    if (!Number.isInteger(front) || front < 0 || front >= rank)
      throw this.broken('has an axis that its input does not have', `axis ${axis} of rank ${rank}`)
    return front
  }

  axes(axes: readonly number[], rank: number): number[] {
    const front = axes.map((axis) => this.axis(axis, rank))
    if (new Set(front).size !== front.length)
      throw this.broken('names an axis twice', `axes [${axes.join(',')}]`)
    return front
  }

  tensor(tensor: OnnxTensor): Constant {
    return constantOfTensor(tensor, this.where, this.#graph.folder)
  }

  // -- results -----------------------------------------------------------------------------------------------------

  get outputCount(): number {
    return this.#node.output.length
  }

  usesOutput(index: number): boolean {
    const name = this.#node.output[index] ?? ''
    return name !== '' && this.#graph.isUsed(name)
  }

  /** Refuses to express what only the first output of an operator carries. */
  onlyFirstOutput(what: string): void {
    for (let i = 1; i < this.outputCount; i++)
      if (this.usesOutput(i))
        throw new NotExpressible(`its output ${JSON.stringify(this.#node.output[i])} (${what}) is used`)
  }

  /** Makes the operator's outputs with one of ours. */
  produce(op: Op, inputs: readonly (string | null)[], types?: readonly TensorType[]): void {
    this.#graph.emit(op, inputs, this.#outputNames(), this.#nodeName(), this.#source, types)
  }

  /** Makes the first output only; the others are made otherwise or used by nothing. */
  produceFirst(op: Op, inputs: readonly (string | null)[]): void {
    this.#graph.emit(op, inputs, this.#outputNames().slice(0, 1), this.#nodeName(), this.#source)
  }

  /** An operator in between; gives its value's name. `like` names the value after what it is. */
  step(op: Op, inputs: readonly (string | null)[], like: string, type?: TensorType): string {
    const base = this.#node.output[0] || this.#nodeName()
    const name = this.#graph.freshName(`${base}/${like}`)
    this.#graph.emit(
      op,
      inputs,
      [name],
      this.#graph.freshNodeName(`${this.#nodeName()}/${like}`),
      this.#source,
      type && [type],
    )
    return name
  }

  /** The output is another value as it is. */
  alias(name: string, output = 0): void {
    const own = this.#node.output[output] ?? ''
    if (own !== '') this.#graph.alias(own, name)
  }

  produceConstant(constant: Constant, output = 0): void {
    const own = this.#node.output[output] ?? ''
    if (own !== '') this.#graph.define(own, constant)
  }

  addConstant(like: string, constant: Constant, quantization: Quantization | null = null): string {
    const name = this.#graph.freshName(`${this.#node.output[0] || this.#nodeName()}/${like}`)
    return this.#graph.editor.addConstant(name, constant, quantization)
  }

  /** Gives a value that has no quantization yet one; false where something has read it already. */
  quantize(name: string, quantization: Quantization): boolean {
    return this.#graph.quantize(name, quantization)
  }

  /** Whether something reads the output's integers as they are, so that they cannot stand for reals. */
  isReadRaw(output: number): boolean {
    return this.#graph.isRaw(this.#node.output[output] ?? '')
  }

  #outputNames(): string[] {
    return this.#node.output.map((name) => name || this.#graph.freshName(`${this.#nodeName()}/unused`))
  }

  #nodeName(): string {
    return this.#node.name || `${this.#node.opType}_${this.#source.index}`
  }

  broken(message: string, saw?: string): EdgewrightError {
    return new EdgewrightError('MODEL_BROKEN', `The operator ${message}.`, { where: this.where, saw })
  }
}

export function describeNode(
  node: { opType: string; name: string; domain: string; output: readonly string[] },
  index: number,
): string {
  const name = node.name || node.output.find((output) => output !== '') || `number ${index}`
  return `${node.domain ? `${node.domain}.` : ''}${node.opType} ${JSON.stringify(name)}`
}

export function int64Constant(shape: readonly number[], numbers: readonly number[]): Constant {
  return constantOf('int64', shape, BigInt64Array.from(numbers, BigInt))
}

/** One number in a float type; small integers and the like, exact in all of them. */
export function scalarConstant(dtype: DType, value: number): Constant | null {
  switch (dtype) {
    case 'float32':
      return constantOf(dtype, [], Float32Array.of(value))
    case 'float64':
      return constantOf(dtype, [], Float64Array.of(value))
    case 'bfloat16':
      return constantOf(dtype, [], Uint16Array.of(new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16))
    case 'float16':
      return constantOf(dtype, [], Uint16Array.of(smallFloat16(value)))
    default:
      return null
  }
}

/** Positive normal numbers with at most 11 significant bits. */
function smallFloat16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!
  return ((((bits >>> 23) & 255) - 112) << 10) | ((bits >>> 13) & 1023)
}
