import { EdgewrightError } from '../../error.ts'
import { numbersOf } from '../../graph/constant.ts'
import type { Op } from '../../graph/ops.ts'
import type { Constant, Quantization, TensorType } from '../../graph/types.ts'
import type { Table } from './flat-table.ts'
import { type FusedActivation, fusedActivations, type OptionsName, optionTables } from './options.ts'
import type { GraphInReading } from './read-graph.ts'
import type { TfliteOperator } from './schema.ts'
import type { Turning } from './turn.ts'

/** Why an operator cannot be said in our op set as it stands in the file; it is then carried verbatim. */
export class NotExpressible extends Error {}

/** One operator being read: its operands with their types, and what is made of it. */
export class OperatorInReading {
  readonly opType: string
  readonly where: string
  readonly #operator: TfliteOperator
  readonly #index: number
  readonly #graph: GraphInReading

  constructor(operator: TfliteOperator, index: number, opType: string, graph: GraphInReading) {
    this.#operator = operator
    this.#index = index
    this.#graph = graph
    this.opType = opType
    this.where = `${opType} number ${index}`
  }

  /** The operator's options; defaults where the file has none. */
  options<K extends OptionsName>(name: K): Table<(typeof optionTables)[K]> {
    const spec = optionTables[name]
    return (
      this.#operator.options
        ? this.#operator.options.as(spec)
        : Object.fromEntries(Object.entries(spec).map(([field, { absent }]) => [field, absent]))
    ) as Table<(typeof optionTables)[K]>
  }

  get hasOptions(): boolean {
    return this.#operator.options !== null
  }

  // -- operands ----------------------------------------------------------------------------------------------------

  get inputCount(): number {
    return this.#operator.inputs?.length ?? 0
  }

  get outputCount(): number {
    return this.#operator.outputs?.length ?? 0
  }

  has(index: number): boolean {
    return (this.#operator.inputs?.[index] ?? -1) >= 0
  }

  /** Our name of an operand that must be there. */
  input(index: number): string {
    return this.#graph.resolve(this.#tensor(index), this.where)
  }

  optional(index: number): string | null {
    return this.has(index) ? this.input(index) : null
  }

  get inputs(): string[] {
    return Array.from({ length: this.inputCount }, (_, index) => this.input(index))
  }

  type(index: number): TensorType {
    return this.#graph.editor.type(this.input(index))
  }

  shape(index: number): readonly number[] {
    return this.type(index).shape
  }

  typeOf(name: string): TensorType {
    return this.#graph.editor.type(name)
  }

  constant(index: number): Constant | null {
    return this.has(index) ? this.#graph.editor.value(this.input(index)).constant : null
  }

  /** The elements of an operand that we need as a constant. */
  numbers(index: number, what: string): number[] {
    if (!this.has(index)) throw this.broken(`lacks its ${what}`)
    const constant = this.constant(index)
    if (!constant) throw new NotExpressible(`its ${what} is computed while the model runs`)
    if (constant.byteLength > 1 << 20) throw this.broken(`has an impossibly long ${what}`)
    return numbersOf(constant)
  }

  /** A constant operand in the order that our op set has it; what is not constant cannot be turned. */
  turned(index: number, turning: Turning): string {
    const name = this.#graph.turned(this.#tensor(index), turning, this.where)
    if (name === null) throw new NotExpressible(`its input ${index} is computed while the model runs`)
    return name
  }

  /** An axis counted from the front. */
  axis(axis: number, rank: number): number {
    const front = axis < 0 ? axis + rank : axis
    if (!Number.isInteger(front) || front < 0 || front >= rank)
      throw this.broken('has an axis that its input does not have', `axis ${axis} of rank ${rank}`)
    return front
  }

  // -- results -----------------------------------------------------------------------------------------------------

  /** What the file says of a result. */
  declared(output = 0): TensorType {
    return this.#graph.declared(this.#output(output), this.where)
  }

  /** Makes the operator's results with one of ours. */
  produce(op: Op, inputs: readonly (string | null)[]): void {
    const outputs = Array.from({ length: this.outputCount }, (_, i) => this.#output(i))
    this.#graph.emit(op, inputs, outputs, this.source, this.where)
  }

  /** Makes one of several results. */
  produceOne(output: number, op: Op, inputs: readonly (string | null)[]): void {
    this.#graph.emit(op, inputs, [this.#output(output)], this.source, this.where)
  }

  /** Makes the result with one of ours, then the activation that the file fuses into it. */
  produceActivated(op: Op, inputs: readonly (string | null)[], activation: number): void {
    const after = this.#activation(activation)
    // one rescaling to the result's own type, then the clamp: what a fused kernel does
    if (after) this.produce(after, this.steps(op, inputs, 'linear', [this.declared().quantization]))
    else this.produce(op, inputs)
  }

  /** As `produceActivated`, for what is still to be moved into the result. */
  activatedStep(op: Op, inputs: readonly (string | null)[], like: string, activation: number): string {
    const after = this.#activation(activation)
    const { quantization } = this.declared()
    const made = this.steps(op, inputs, after ? 'linear' : like, [quantization])
    return after ? this.steps(after, made, like, [quantization])[0]! : made[0]!
  }

  /** Operators in between; gives their values' names, which `like` says what they are. */
  steps(
    op: Op,
    inputs: readonly (string | null)[],
    like: string,
    quantizations: readonly (Quantization | null)[],
  ): string[] {
    return this.#graph.emitSteps(op, inputs, this.#output(0), like, quantizations, this.source, this.where)
  }

  /** One operator in between that keeps its first operand's quantization. */
  step(op: Op, inputs: readonly (string | null)[], like: string): string {
    const { quantization } = this.typeOf(inputs[0]!)
    return this.steps(op, inputs, like, [quantization])[0]!
  }

  produceConstant(constant: Constant): void {
    this.#graph.define(this.#output(0), constant, this.where)
  }

  addConstant(like: string, constant: Constant): string {
    return this.#graph.addConstant(this.#output(0), like, constant)
  }

  /** Whether an operand or a result stands for reals. */
  get quantized(): boolean {
    const operands = Array.from({ length: this.inputCount }, (_, i) => (this.has(i) ? this.type(i) : null))
    return [...operands, this.declared()].some((type) => type?.quantization)
  }

  get boundBatch(): number {
    return this.#graph.boundBatch
  }

  get source() {
    const [output] = this.#operator.outputs ?? []
    const name = output === undefined ? '' : this.#graph.nameOf(output)
    return { opType: this.opType, name, index: this.#index }
  }

  #activation(code: number): Op | null {
    const name: FusedActivation | undefined = fusedActivations[code]
    switch (name) {
      case 'NONE':
        return null
      case 'RELU':
        return { kind: 'Relu' }
      case 'RELU_N1_TO_1':
        return { kind: 'Clip', min: -1, max: 1 }
      case 'RELU6':
        return { kind: 'Clip', min: 0, max: 6 }
      default:
        throw new NotExpressible(`it fuses the activation ${name ?? code}`)
    }
  }

  #tensor(index: number): number {
    const tensor = this.#operator.inputs?.[index] ?? -1
    if (tensor < 0) throw this.broken(`lacks its input ${index}`)
    return tensor
  }

  #output(index: number): number {
    const tensor = this.#operator.outputs?.[index] ?? -1
    if (tensor < 0) throw this.broken(`lacks its output ${index}`)
    return tensor
  }

  broken(message: string, saw?: string): EdgewrightError {
    return new EdgewrightError('MODEL_BROKEN', `The operator ${message}.`, { where: this.where, saw })
  }
}
