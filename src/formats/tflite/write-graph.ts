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

/** A .tflite network in the making: tensors, buffers and operators in the order in which they are asked for. */
export class NetworkInWriting {
  readonly graph: Graph
  readonly tensors: TfliteTensor[] = []
  readonly operators: TfliteOperator[] = []
  readonly codes: TfliteOperatorCode[] = []
  /** The first is empty: it stands for no data. */
  readonly buffers: Buffer[] = [{ data: null, offset: 0, size: 0 }]
  readonly versions: { opType: string; version: number }[] = []
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
    return tensor
  }

  /** A value that is another's tensor under a second name. */
  alias(name: string, tensor: number): void {
    this.#byValue.set(name, tensor)
  }

  /** A constant value in the order of the file, made once for each way of turning it. */
  turned(
    name: string,
    how: string,
    turn: (constant: Constant) => Constant,
    quantization: Quantization | null,
  ): number {
    const key = `${name} ${how}`
    const known = this.#byTurning.get(key)
    if (known !== undefined) return known
    const constant = turn(this.value(name).constant!)
    const alone =
      !this.#byValue.has(name) && ![...this.#byTurning.keys()].some((k) => k.startsWith(`${name} `))
    const type = { dtype: constant.dtype, shape: constant.shape, quantization }
    const tensor = this.#add(alone ? name : this.#fresh(`${name}/${how}`), type, constant)
    this.#byTurning.set(key, tensor)
    return tensor
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

  /** Adds a built-in operator in the version that its types and options need; −1 is an absent operand. */
  add(opType: string, inputs: readonly number[], outputs: readonly number[], given?: Options): void {
    const version = operatorVersion(opType, {
      inputs: inputs.map((tensor) => (tensor < 0 ? null : this.type(tensor))),
      outputs: outputs.map((tensor) => this.type(tensor)),
      options: given?.values ?? {},
    })
    this.versions.push({ opType, version })
    const code = operatorCode(opType)
    this.#push(
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
    this.#push(code, {
      ...operator,
      inputs,
      outputs: node.outputs.map((name) => this.tensor(name)),
      intermediates: operator.intermediates?.map((tensor) => (tensor < 0 ? -1 : own[tensor]!)) ?? null,
    })
  }

  #push(code: TfliteOperatorCode, operator: Partial<TfliteOperator>): void {
    const key = JSON.stringify(code)
    let opcodeIndex = this.#codeByKey.get(key)
    if (opcodeIndex === undefined) {
      opcodeIndex = this.codes.push(code) - 1
      this.#codeByKey.set(key, opcodeIndex)
    }
    // fields that are left out are absent
    this.operators.push({ ...operator, opcodeIndex } as TfliteOperator)
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
