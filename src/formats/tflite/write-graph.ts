import { EdgewrightError } from '../../error.ts'
import { constantOfNumbers } from '../../graph/encode.ts'
import type { Constant, Graph, Node, Quantization, TensorType, Value } from '../../graph/types.ts'
import { sha256 } from '../../digest.ts'
import { type Table, type UnionTable, unionTable } from './flat-table.ts'
import { type Carried, flowing } from './opaque.ts'
import { extendedCodes, operatorCode } from './operators.ts'
import { type OptionsName, optionsType, optionTables } from './options.ts'
import {
  type TfliteModel,
  type TfliteOperator,
  type TfliteOperatorCode,
  type TfliteQuantization,
  type TfliteTensor,
  tensorTypeOf,
} from './schema.ts'
import type { Turning } from './turn.ts'
import { operatorVersion } from './versions.ts'

/** Options of one operator, by the name of their table. */
export interface Options {
  readonly name: OptionsName
  readonly values: Readonly<Record<string, unknown>>
}

export function options<K extends OptionsName>(
  name: K,
  values: Partial<Table<(typeof optionTables)[K]>>,
): Options {
  return { name, values: values as Record<string, unknown> }
}

type Buffer = NonNullable<TfliteModel['buffers']>[number]

/** A dequantization of a constant, and the operators that it becomes: one for each order that its readers want. */
interface Widening {
  readonly stored: string
  readonly result: string
  readonly operators: TfliteOperator[]
}

/** A .tflite network in the making: tensors, buffers and operators in the order in which they are asked for. */
export class NetworkInWriting {
  readonly graph: Graph
  readonly tensors: TfliteTensor[] = []
  readonly codes: TfliteOperatorCode[] = []
  /** The first is empty: it stands for no data. */
  readonly buffers: Buffer[] = [{ data: null, offset: 0, size: 0 }]
  readonly versions: { opType: string; version: number }[] = []
  /** A widening's place is kept where the graph has it, before all that read it. */
  readonly #places: (TfliteOperator | Widening)[] = []
  readonly #widenings = new Map<string, Widening>()
  readonly #types: TensorType[] = []
  readonly #byValue = new Map<string, number>()
  readonly #byTurning = new Map<string, number>()
  readonly #bufferByDigest = new Map<string, number>()
  readonly #parameters = new Map<string, number>()
  readonly #codeByKey = new Map<string, number>()
  readonly #taken: Set<string>

  constructor(graph: Graph) {
    this.graph = graph
    this.#taken = new Set(graph.values.keys())
  }

  // -- tensors -----------------------------------------------------------------------------------------------------

  value(name: string): Value {
    const value = this.graph.values.get(name)
    if (!value)
      throw new EdgewrightError('GRAPH_INVALID', `No value is named ${JSON.stringify(name)}.`, {
        where: this.graph.name,
      })
    return value
  }

  type(tensor: number): TensorType {
    return this.#types[tensor]!
  }

  /** The tensor of a value. */
  tensor(name: string): number {
    const known = this.#byValue.get(name)
    if (known !== undefined) return known
    const { type, constant } = this.value(name)
    const tensor = this.#add(name, type, constant)
    this.#byValue.set(name, tensor)
    const widening = this.#widenings.get(name)
    if (widening) this.#widen(widening, this.tensor(widening.stored), tensor)
    return tensor
  }

  /** A value that is another's tensor under a second name. */
  alias(name: string, tensor: number): void {
    this.#byValue.set(name, tensor)
  }

  /**
   * A constant in the order of the file, made once for each way of turning it; where it is dequantized while the
   * network runs, what is stored is turned, so that kernels see weights that never change. Null for what is computed.
   */
  turned(name: string, turning: Turning): number | null {
    const widening = this.#widenings.get(name)
    const { type, constant } = this.value(widening?.stored ?? name)
    if (!constant) return null
    const key = `${name} ${turning.name}`
    const known = this.#byTurning.get(key)
    if (known !== undefined) return known
    const like = this.#nameOfTurned(name, turning)
    let tensor: number
    if (widening) {
      const stored = this.turned(widening.stored, turning)!
      tensor = this.#add(like, { ...this.value(name).type, shape: this.type(stored).shape }, null)
      this.#widen(widening, stored, tensor)
    } else {
      const stored = turning.turn(constant)
      const quantization = turning.quantization(type.quantization)
      tensor = this.#add(like, { dtype: stored.dtype, shape: stored.shape, quantization }, stored)
    }
    this.#byTurning.set(key, tensor)
    return tensor
  }

  /** Its own name where nothing else goes by it. */
  #nameOfTurned(name: string, turning: Turning): string {
    const alone =
      !this.#byValue.has(name) &&
      !this.graph.outputs.includes(name) &&
      ![...this.#byTurning.keys()].some((key) => key.startsWith(`${name} `))
    return alone ? name : this.#fresh(`${name}/${turning.name}`)
  }

  /** A constant that the file needs as an operand; equal ones are one tensor. */
  parameter(constant: Constant, like: string, quantization: Quantization | null = null): number {
    const key = `${constant.digest} ${JSON.stringify(quantization)}`
    const known = this.#parameters.get(key)
    if (known !== undefined) return known
    const type = { dtype: constant.dtype, shape: constant.shape, quantization }
    const tensor = this.#add(this.#fresh(like), type, constant)
    this.#parameters.set(key, tensor)
    return tensor
  }

  integers(numbers: readonly number[], like: string, shape: readonly number[] = [numbers.length]): number {
    return this.parameter(constantOfNumbers('int32', shape, numbers), like)
  }

  /** A result that the graph has no value for. */
  temporary(like: string, type: TensorType): number {
    return this.#add(this.#fresh(like), type, null)
  }

  #add(name: string, { dtype, shape, quantization }: TensorType, constant: Constant | null): number {
    this.tensors.push({
      shape,
      type: tensorTypeOf(dtype),
      buffer: constant ? this.#buffer(constant) : 0,
      name,
      quantization: quantization && quantizationTable(quantization),
      isVariable: false,
      hasSparsity: false,
      shapeSignature: null,
      hasRank: true,
    })
    this.#types.push({ dtype, shape, quantization })
    return this.tensors.length - 1
  }

  /** Equal bytes are kept once, whatever their type. */
  #buffer(constant: Constant): number {
    return constant.byteLength === 0 ? this.addBuffer(new Uint8Array()) : this.addBuffer(constant.bytes())
  }

  addBuffer(data: Uint8Array): number {
    const digest = sha256(data)
    const known = this.#bufferByDigest.get(digest)
    if (known !== undefined) return known
    this.buffers.push({ data, offset: 0, size: 0 })
    this.#bufferByDigest.set(digest, this.buffers.length - 1)
    return this.buffers.length - 1
  }

  #fresh(wanted: string): string {
    for (let i = 0; ; i++) {
      const name = i === 0 ? wanted : `${wanted}_${i}`
      if (this.#taken.has(name)) continue
      this.#taken.add(name)
      return name
    }
  }

  // -- operators ---------------------------------------------------------------------------------------------------

  /** In the order of the graph. A widening that nothing asked for is written as it stands. */
  finishOperators(): TfliteOperator[] {
    for (const { result, operators } of this.#widenings.values())
      if (operators.length === 0) this.tensor(result)
    return this.#places.flatMap((place) => ('stored' in place ? place.operators : [place]))
  }

  /** Keeps a place for the dequantization of a constant, which is written in the orders that are asked for. */
  addWidening(stored: string, result: string): void {
    const widening = { stored, result, operators: [] }
    this.#widenings.set(result, widening)
    this.#places.push(widening)
  }

  #widen({ operators }: Widening, stored: number, result: number): void {
    operators.push(this.#builtIn('DEQUANTIZE', [stored], [result]))
  }

  /** Adds a built-in operator in the version that its types and options need; −1 is an absent operand. */
  add(opType: string, inputs: readonly number[], outputs: readonly number[], given?: Options): void {
    this.#places.push(this.#builtIn(opType, inputs, outputs, given))
  }

  #builtIn(
    opType: string,
    inputs: readonly number[],
    outputs: readonly number[],
    given?: Options,
  ): TfliteOperator {
    const version = operatorVersion(opType, {
      inputs: inputs.map((tensor) => (tensor < 0 ? null : this.type(tensor))),
      outputs: outputs.map((tensor) => this.type(tensor)),
      options: given?.values ?? {},
    })
    this.versions.push({ opType, version })
    const code = operatorCode(opType)
    return this.#coded(
      {
        deprecatedBuiltinCode: Math.min(code, extendedCodes),
        builtinCode: code,
        customCode: null,
        version,
      },
      {
        inputs,
        outputs,
        optionsType: given ? optionsType(given.name) : 0,
        options: given ? (unionTable(optionTables[given.name], given.values) as UnionTable) : null,
      },
    )
  }

  /** Adds an operator as it stood in the file that it was read from. */
  addCarried({ code, operator, tensors }: Carried, node: Node): void {
    const own = tensors.map((tensor) => {
      const name = this.#fresh(tensor.name || `${node.name}/own`)
      this.tensors.push({ ...tensor, name, buffer: 0 })
      this.#types.push({ dtype: 'float32', shape: tensor.shape ?? [], quantization: null })
      return this.tensors.length - 1
    })
    const inputs = (operator.inputs ?? []).map((input, i) => {
      if (input !== flowing) return input < 0 ? -1 : own[input]!
      const name = node.inputs[i] ?? null
      return name === null ? -1 : this.tensor(name)
    })
    this.versions.push({ opType: node.op.kind === 'Opaque' ? node.op.opType : '', version: code.version })
    const outputs = node.outputs.map((name) => this.tensor(name))
    const intermediates = operator.intermediates?.map((tensor) => (tensor < 0 ? -1 : own[tensor]!)) ?? null
    this.#places.push(this.#coded(code, { ...operator, inputs, outputs, intermediates }))
  }

  #coded(code: TfliteOperatorCode, operator: Partial<TfliteOperator>): TfliteOperator {
    const key = JSON.stringify(code)
    let opcodeIndex = this.#codeByKey.get(key)
    if (opcodeIndex === undefined) {
      opcodeIndex = this.codes.push(code) - 1
      this.#codeByKey.set(key, opcodeIndex)
    }
    // fields that are left out are absent
    return { ...operator, opcodeIndex } as TfliteOperator
  }
}

function quantizationTable({ scales, zeroPoints, axis }: Quantization): TfliteQuantization {
  return {
    min: null,
    max: null,
    scale: scales,
    zeroPoint: zeroPoints,
    detailsType: 0,
    quantizedDimension: axis ?? 0,
  }
}
