import { EdgewrightError } from '../../error.ts'
import { constantOfBytes } from '../../graph/constant.ts'
import { GraphEditor } from '../../graph/edit.ts'
import { evaluateConstantNode } from '../../graph/fold.ts'
import { declaredDtypeKinds, inferTypes, realType } from '../../graph/infer.ts'
import type { Op } from '../../graph/ops.ts'
import type { Constant, Graph, NodeSource, Quantization, TensorType } from '../../graph/types.ts'
import { byteLength } from '../../tensor.ts'
import { NotExpressible } from './read-operator.ts'
import { declaredType } from './read-tensor.ts'
import type { TfliteModel, TfliteTensor } from './schema.ts'
import type { Turning } from './turn.ts'

/** As for other formats: no honest tensor has more axes. */
const mostRank = 64

/** The graph as far as it is read: tensors of the file, by index, to our values. */
export class GraphInReading {
  readonly editor: GraphEditor
  readonly boundBatch: number
  readonly #tensors: readonly TfliteTensor[]
  readonly #buffers: TfliteModel['buffers']
  readonly #fileBytes: Uint8Array
  readonly #names: readonly string[]
  readonly #taken: Set<string>
  readonly #values = new Map<number, string>()
  readonly #turned = new Map<string, string>()
  readonly #nodeNames = new Set<string>()
  readonly #states = new Set<number>()

  constructor(
    name: string,
    tensors: readonly TfliteTensor[],
    names: readonly string[],
    buffers: TfliteModel['buffers'],
    fileBytes: Uint8Array,
    boundBatch: number,
  ) {
    this.editor = GraphEditor.empty(name)
    this.boundBatch = boundBatch
    this.#tensors = tensors
    this.#buffers = buffers
    this.#fileBytes = fileBytes
    this.#names = names
    this.#taken = new Set(names)
  }

  nameOf(tensor: number): string {
    return this.#names[tensor] ?? ''
  }

  tensor(index: number, where: string): TfliteTensor {
    const tensor = this.#tensors[index]
    if (!tensor) throw broken('uses a tensor that the file does not have', where, `number ${index}`)
    return tensor
  }

  /** What the file says of a tensor, an open leading dimension being the batch. */
  declared(index: number, where: string): TensorType {
    return declaredType(this.tensor(index, where), this.boundBatch, `${where}, tensor ${this.nameOf(index)}`)
  }

  addInput(index: number, type: TensorType): void {
    if (this.#values.has(index)) throw broken('lists an input twice', 'the subgraph', this.nameOf(index))
    this.#values.set(index, this.editor.addInput(this.nameOf(index), type))
  }

  /** Our value of a tensor; a constant comes to be when it is first used. */
  resolve(index: number, where: string): string {
    const known = this.#values.get(index)
    if (known !== undefined) return known
    const constant = this.#constant(index, where)
    const type = this.declared(index, where)
    const name = this.editor.addConstant(this.nameOf(index), constant, type.quantization)
    this.#values.set(index, name)
    return name
  }

  /** A constant tensor, or the dequantization of one, turned for our op set; null where it is computed. */
  turned(index: number, turning: Turning, where: string): string | null {
    const key = `${index} ${turning.name}`
    const known = this.#turned.get(key)
    if (known !== undefined) return known
    const value = this.#values.get(index)
    if (value !== undefined && !this.editor.value(value).constant) {
      const name = this.#turnedWidening(value, turning)
      if (name !== null) this.#turned.set(key, name)
      return name
    }
    const constant = turning.turn(this.#constant(index, where))
    const { quantization } = this.declared(index, where)
    const plain = this.nameOf(index)
    const wanted = this.editor.hasValue(plain) ? this.#fresh(`${plain}/${turning.name}`) : plain
    const name = this.editor.addConstant(wanted, constant, turning.quantization(quantization))
    this.#turned.set(key, name)
    return name
  }

  /** The dequantization again, of what it reads turned; the one as it stands goes where nothing else reads it. */
  #turnedWidening(value: string, turning: Turning): string | null {
    const node = this.editor.producer(value)
    const kind = node?.op.kind
    if (!node || (kind !== 'Cast' && kind !== 'Convert')) return null
    const { constant, type: stored } = this.editor.value(node.inputs[0]!)
    const type = this.editor.type(value)
    if (!constant || type.dtype !== 'float32') return null
    const turned = turning.turn(constant)
    const source = this.editor.addConstant(
      this.#fresh(`${node.inputs[0]}/${turning.name}`),
      turned,
      turning.quantization(stored.quantization),
    )
    const name = this.#fresh(`${value}/${turning.name}`)
    this.editor.addNode({
      ...node,
      name: this.#freshNodeName(name),
      inputs: [source],
      outputs: [{ name, type: { ...type, shape: turned.shape } }],
    })
    return name
  }

  define(index: number, constant: Constant, where: string): void {
    this.#requireNew(index, where)
    this.#values.set(index, this.editor.addConstant(this.nameOf(index), constant))
  }

  /** Whether a tensor is an operator's own: a state, or scratch space that nothing fills before it. */
  isOwn(index: number, where: string): boolean {
    const { isVariable, buffer } = this.tensor(index, where)
    if (isVariable) return true
    if (this.#values.has(index)) return false
    const stored = this.#buffers?.[buffer]
    return !stored || (!stored.data?.byteLength && stored.offset <= 1)
  }

  /** A state is one operator's alone. */
  claimState(index: number, where: string): void {
    if (this.#states.has(index))
      throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'Two operators of the model share one state.', {
        where,
        saw: this.nameOf(index),
      })
    this.#states.add(index)
  }

  /** Bytes of the file outside its tables. */
  bytesAt(offset: number, size: number, where: string): Uint8Array {
    if (offset + size > this.#fileBytes.byteLength)
      throw broken('uses bytes outside itself', where, `${size} bytes at ${offset}`)
    return this.#fileBytes.subarray(offset, offset + size)
  }

  addConstant(near: number, like: string, constant: Constant): string {
    return this.editor.addConstant(this.#fresh(`${this.nameOf(near)}/${like}`), constant)
  }

  /** Adds an operator whose results are tensors of the file; integers made of constants only become constants. */
  emit(
    op: Op,
    inputs: readonly (string | null)[],
    outputs: readonly number[],
    source: NodeSource,
    where: string,
    stated?: readonly TensorType[],
  ): void {
    for (const output of outputs) this.#requireNew(output, where)
    const types =
      stated ?? this.#fit(op, this.#infer(op, inputs, outputs.length, where), outputs, inputs, where)
    const folded = this.#folded(op, inputs, types)
    if (folded) {
      for (const [i, output] of outputs.entries()) this.define(output, folded[i]!, where)
      return
    }
    this.editor.addNode({
      name: this.#freshNodeName(source.name || `${source.opType}_${source.index}`),
      op,
      inputs,
      outputs: outputs.map((output, i) => ({ name: this.nameOf(output), type: types[i]! })),
      source,
    })
    for (const output of outputs) this.#values.set(output, this.nameOf(output))
  }

  /** Adds an operator whose results the file does not name. */
  emitSteps(
    op: Op,
    inputs: readonly (string | null)[],
    near: number,
    like: string,
    quantizations: readonly (Quantization | null)[],
    source: NodeSource,
    where: string,
  ): string[] {
    const dtype = this.declared(near, where).dtype
    const inferred = this.#infer(op, inputs, quantizations.length, where)
    const types = inferred.map((type, i): TensorType => {
      const quantization = quantizations[i] ?? null
      if (!quantization) return type
      const kept = this.editor.type(inputs[0]!)
      // either the operand's own integers moved, or the ones of the result to come
      return { ...type, dtype: kept.quantization === quantization ? kept.dtype : dtype, quantization }
    })
    const folded = this.#folded(op, inputs, types)
    const names = types.map((_, i) =>
      this.#fresh(`${this.nameOf(near)}/${like}${types.length > 1 ? `_${i}` : ''}`),
    )
    if (folded) return folded.map((constant, i) => this.editor.addConstant(names[i]!, constant))
    this.editor.addNode({
      name: this.#freshNodeName(`${source.name || source.opType}/${like}`),
      op,
      inputs,
      outputs: names.map((name, i) => ({ name, type: types[i]! })),
      source,
    })
    return names
  }

  /** The finished graph. An output that is an input or a constant is made by an Identity. */
  finish(outputs: readonly number[]): Graph {
    const where = 'the outputs of the subgraph'
    this.editor.outputs = outputs.map((index) => {
      const value = this.resolve(index, where)
      const { constant, type } = this.editor.value(value)
      if (!constant && !this.editor.inputs.includes(value)) return value
      const name = this.#fresh(`${value}/output`)
      this.editor.addNode({
        name: this.#freshNodeName(name),
        op: { kind: 'Identity' },
        inputs: [value],
        outputs: [{ name, type }],
      })
      return name
    })
    return this.editor.finish()
  }

  #constant(index: number, where: string): Constant {
    const tensor = this.tensor(index, where)
    const name = JSON.stringify(this.nameOf(index))
    if (tensor.hasSparsity)
      throw new EdgewrightError(
        'OPERATOR_UNSUPPORTED',
        `The weights ${name} are stored as a sparse tensor.`,
        {
          where,
          hint: 'Convert the model without sparsity, so that its weights are dense.',
        },
      )
    const { dtype, shape } = this.declared(index, where)
    if (dtype === 'string')
      throw new EdgewrightError('OPERATOR_UNSUPPORTED', `The constant ${name} holds text.`, { where })
    const buffer = this.#buffers?.[tensor.buffer]
    if (!buffer) throw broken(`uses the buffer ${tensor.buffer}, which is none`, where, name)
    // files over 2 GB keep their constants behind the tables
    const data =
      buffer.offset > 1 ? this.bytesAt(buffer.offset, buffer.size, where) : (buffer.data ?? new Uint8Array())
    if (data.byteLength !== byteLength(dtype, shape)) {
      if (data.byteLength === 0) throw broken(`uses ${name}, which nothing makes`, where)
      throw broken(
        `uses ${name}, whose buffer has another size than its shape says`,
        where,
        `${data.byteLength} bytes for ${dtype}[${shape.join(',')}]`,
      )
    }
    return constantOfBytes(dtype, shape, data)
  }

  #infer(op: Op, inputs: readonly (string | null)[], count: number, where: string): TensorType[] {
    const operands = inputs.map((name) => (name === null ? null : this.editor.value(name)))
    const types = inferTypes(op, operands, count, where)
    if (types.some(({ shape }) => shape.length > mostRank))
      throw broken(`makes a tensor of more than ${mostRank} dimensions`, where)
    return types
  }

  /** Shapes as we infer them, element types and quantization as the file declares them. */
  #fit(
    op: Op,
    inferred: readonly TensorType[],
    outputs: readonly number[],
    inputs: readonly (string | null)[],
    where: string,
  ): TensorType[] {
    return inferred.map(({ dtype, shape }, i) => {
      const declared = this.declared(outputs[i]!, where)
      const type: TensorType = { dtype: declared.dtype, shape, quantization: declared.quantization }
      const { axis } = type.quantization ?? { axis: null }
      if (axis !== null && type.quantization!.scales.length !== shape[axis])
        throw new NotExpressible('its result has scales for another shape')
      if (!declaredDtypeKinds.has(op.kind) && realType(type).dtype !== dtype)
        throw new NotExpressible(`its result is declared as ${declared.dtype} where ${dtype} comes out`)
      const operand = inputs[0] ? this.editor.type(inputs[0]) : null
      if (op.kind === 'Cast' && (type.quantization || operand?.quantization))
        throw new NotExpressible('it casts quantized integers')
      return type
    })
  }

  /** Shapes and indices that the file computes, not weights. */
  #folded(op: Op, inputs: readonly (string | null)[], types: readonly TensorType[]): Constant[] | null {
    if (op.kind === 'Opaque' || types.some(({ dtype, quantization }) => quantization || !isIndex(dtype)))
      return null
    const operands = inputs.map((name) => (name === null ? null : this.editor.value(name)))
    if (operands.length === 0 || operands.some((operand) => !operand?.constant || operand.type.quantization))
      return null
    if (operands.some((operand) => operand!.constant!.byteLength > 1 << 16)) return null
    return evaluateConstantNode(
      op,
      operands.map((operand) => operand!.constant),
      types,
    )
  }

  #requireNew(index: number, where: string): void {
    this.tensor(index, where)
    if (this.#values.has(index))
      throw broken(`makes ${JSON.stringify(this.nameOf(index))}, which is there already`, where)
  }

  #fresh(wanted: string): string {
    for (let i = 0; ; i++) {
      const name = i === 0 ? wanted : `${wanted}_${i}`
      if (this.#taken.has(name)) continue
      this.#taken.add(name)
      return name
    }
  }

  #freshNodeName(wanted: string): string {
    for (let i = 0; ; i++) {
      const name = i === 0 ? wanted : `${wanted}_${i}`
      if (this.#nodeNames.has(name)) continue
      this.#nodeNames.add(name)
      return name
    }
  }
}

function isIndex(dtype: string): boolean {
  return dtype === 'int32' || dtype === 'int64'
}

function broken(message: string, where: string, saw?: string): EdgewrightError {
  return new EdgewrightError('MODEL_BROKEN', `The file ${message}.`, { where, saw })
}
