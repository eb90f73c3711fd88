import { encodeNode } from '../formats/onnx/proto.ts'
import { type Attribute, float, int, ints, text } from '../formats/onnx/write-attributes.ts'
import { constantOf } from '../graph/constant.ts'
import { GraphEditor } from '../graph/edit.ts'
import { constantOfNumbers } from '../graph/encode.ts'
import { inferTypes } from '../graph/infer.ts'
import type { Op, OpOf } from '../graph/ops.ts'
import type { Constant, Graph, Node, TensorType } from '../graph/types.ts'
import type { DType } from '../tensor.ts'
import type { Backward } from './gradient.ts'

/** An attribute of an ONNX operator that the IR lacks. */
export type StockAttribute =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly text: string }

/** A sub-graph that counts as one operator where gradients are taken. */
export interface CustomGradient {
  readonly inputs: readonly string[]
  rule(backward: Backward): readonly (string | null)[]
}

type Binary = OpOf<'Binary'>['fn']
type Unary = OpOf<'Unary'>['fn']
type Comparison = OpOf<'Comparison'>['fn']
type Reduction = OpOf<'Reduce'>['fn']

/**
 * Writes programs of the IR operator by operator: types are inferred, names found. Activations are channels first.
 * Every method gives the name of the value that it made.
 */
export class GraphBuilder {
  readonly editor: GraphEditor
  readonly #custom: Map<string, CustomGradient>
  readonly #scalars = new Map<number, string>()
  #prefix = ''

  /** @param custom gradients of sub-graphs that are in the graph already, by the value that they make */
  constructor(graph: Graph, custom: ReadonlyMap<string, CustomGradient> = new Map()) {
    this.editor = new GraphEditor(graph)
    this.#custom = new Map(custom)
  }

  static empty(name: string): GraphBuilder {
    return new GraphBuilder({ name, inputs: [], outputs: [], values: new Map(), nodes: [] })
  }

  /** Names of what is made inside begin with it, so that a printed program can be read. */
  within<T>(prefix: string, make: () => T): T {
    const before = this.#prefix
    this.#prefix = `${before}${prefix}/`
    try {
      return make()
    } finally {
      this.#prefix = before
    }
  }

  // -- what is there -----------------------------------------------------------------------------------------------

  type(name: string): TensorType {
    return this.editor.type(name)
  }

  shape(name: string): readonly number[] {
    return this.editor.type(name).shape
  }

  isFloat(name: string): boolean {
    return this.editor.type(name).dtype === 'float32'
  }

  get customGradients(): ReadonlyMap<string, CustomGradient> {
    return this.#custom
  }

  customGradientOf(output: string): CustomGradient | undefined {
    return this.#custom.get(output)
  }

  /** Gradients of `output` go to `inputs` as the rule says, whatever stands between. */
  customGradient(output: string, inputs: readonly string[], rule: CustomGradient['rule']): string {
    this.#custom.set(output, { inputs, rule })
    return output
  }

  // -- leaves ------------------------------------------------------------------------------------------------------

  input(name: string, shape: readonly number[], dtype: DType = 'float32'): string {
    return this.editor.addInput(name, { dtype, shape, quantization: null })
  }

  constant(constant: Constant, wanted = 'constant'): string {
    return this.editor.addConstant(this.#fresh(wanted), constant)
  }

  /** A float32 scalar, one for each number. */
  scalar(number: number): string {
    const known = this.#scalars.get(number)
    if (known !== undefined) return known
    const name = this.editor.addConstant(
      this.editor.freshName(`scalar_${number}`),
      constantOf('float32', [], Float32Array.of(number)),
    )
    this.#scalars.set(number, name)
    return name
  }

  floats(numbers: ArrayLike<number>, shape: readonly number[] = [numbers.length]): string {
    return this.constant(constantOf('float32', shape, Float32Array.from(numbers)))
  }

  integers(numbers: readonly number[], shape: readonly number[] = [numbers.length]): string {
    return this.constant(constantOfNumbers('int64', shape, numbers))
  }

  // -- operators ---------------------------------------------------------------------------------------------------

  op(op: Op, inputs: readonly (string | null)[], wanted: string = op.kind.toLowerCase()): string {
    return this.ops(op, inputs, 1, wanted)[0]!
  }

  /** An operator with several outputs. */
  ops(op: Op, inputs: readonly (string | null)[], outputCount: number, wanted: string): string[] {
    const name = this.#fresh(wanted)
    const operands = inputs.map((input) => (input === null ? null : { type: this.type(input) }))
    const types = inferTypes(op, operands, outputCount, name)
    return this.#add(name, op, inputs, types)
  }

  /** An operator whose output element type is declared: Cast. */
  cast(x: string, dtype: DType): string {
    if (this.type(x).dtype === dtype) return x
    const name = this.#fresh('cast')
    return this.#add(name, { kind: 'Cast' }, [x], [{ dtype, shape: this.shape(x), quantization: null }])[0]!
  }

  /** A stock ONNX operator that the IR lacks, kept verbatim. @param opset at which it means what is wanted */
  stock(
    opType: string,
    inputs: readonly (string | null)[],
    outputs: readonly { readonly shape: readonly number[]; readonly dtype?: DType }[],
    attributes: Readonly<Record<string, StockAttribute>> = {},
    opset = 13,
  ): string[] {
    const name = this.#fresh(opType.toLowerCase())
    const attribute = Object.entries(attributes).map(([key, value]) => attributeOf(key, value))
    const payload = encodeNode({
      name,
      opType,
      input: inputs.map((input) => input ?? ''),
      output: outputs.map((_, index) => `${index}`),
      attribute,
    })
    const op: Op = { kind: 'Opaque', format: 'onnx', domain: '', opType, opset, payload, captures: [] }
    const types = outputs.map(({ shape, dtype = 'float32' }) => ({ dtype, shape, quantization: null }))
    return this.#add(name, op, inputs, types)
  }

  /** Adds a copy of a node of another graph under its own output names, its operands renamed. */
  copy(node: Node, rename: (name: string) => string): void {
    const inputs = node.inputs.map((input) => (input === null ? null : rename(input)))
    const operands = inputs.map((input) => (input === null ? null : { type: this.type(input) }))
    const types = inferTypes(node.op, operands, node.outputs.length, node.name)
    this.editor.addNode({
      name: node.name,
      op: node.op,
      inputs,
      outputs: node.outputs.map((name, index) => ({ name, type: types[index]! })),
      source: node.source,
    })
  }

  binary(fn: Binary, a: string, b: string): string {
    return this.op({ kind: 'Binary', fn }, [a, b], fn.toLowerCase())
  }
  add(a: string, b: string): string {
    return this.binary('Add', a, b)
  }
  sub(a: string, b: string): string {
    return this.binary('Sub', a, b)
  }
  mul(a: string, b: string): string {
    return this.binary('Mul', a, b)
  }
  div(a: string, b: string): string {
    return this.binary('Div', a, b)
  }
  unary(fn: Unary, x: string): string {
    return this.op({ kind: 'Unary', fn }, [x], fn.toLowerCase())
  }
  compare(fn: Comparison, a: string, b: string): string {
    return this.op({ kind: 'Comparison', fn }, [a, b], fn.toLowerCase())
  }
  /** 1 where the comparison holds, else 0. */
  mask(fn: Comparison, a: string, b: string): string {
    return this.cast(this.compare(fn, a, b), 'float32')
  }
  where(condition: string, a: string, b: string): string {
    return this.op({ kind: 'Where' }, [condition, a, b])
  }
  clip(x: string, min: number, max: number): string {
    return this.op({ kind: 'Clip', min, max }, [x])
  }
  reduce(fn: Reduction, x: string, axes: readonly number[], keepDims = false): string {
    return this.op({ kind: 'Reduce', fn, axes, keepDims }, [x], fn.toLowerCase())
  }
  /** Over all axes, to a scalar. */
  reduceAll(fn: Reduction, x: string): string {
    return this.reduce(
      fn,
      x,
      this.shape(x).map((_, axis) => axis),
    )
  }
  reshape(x: string, shape: readonly number[]): string {
    return same(shape, this.shape(x)) ? x : this.op({ kind: 'Reshape', shape }, [x])
  }
  transpose(x: string, perm: readonly number[]): string {
    return perm.every((axis, index) => axis === index) ? x : this.op({ kind: 'Transpose', perm }, [x])
  }
  expand(x: string, shape: readonly number[]): string {
    return same(shape, this.shape(x)) ? x : this.op({ kind: 'Expand', shape }, [x])
  }
  matMul(a: string, b: string): string {
    return this.op({ kind: 'MatMul' }, [a, b])
  }
  slice(x: string, axis: number, start: number, end: number): string {
    return this.op({ kind: 'Slice', axes: [axis], starts: [start], ends: [end], steps: [1] }, [x])
  }
  zerosLike(x: string): string {
    return this.expand(this.scalar(0), this.shape(x))
  }

  /** Sums a gradient over what broadcasting repeated: gives it the shape of the operand. */
  unbroadcast(gradient: string, shape: readonly number[]): string {
    const from = this.shape(gradient)
    const lead = from.length - shape.length
    const axes = from.flatMap((size, axis) =>
      axis < lead || (shape[axis - lead] === 1 && size !== 1) ? [axis] : [],
    )
    return this.reshape(axes.length === 0 ? gradient : this.reduce('Sum', gradient, axes, true), shape)
  }

  finish(outputs: readonly string[]): Graph {
    this.editor.outputs = [...outputs]
    return this.editor.finish()
  }

  #add(name: string, op: Op, inputs: readonly (string | null)[], types: readonly TensorType[]): string[] {
    const outputs = types.map((type, index) => ({ name: index === 0 ? name : `${name}_${index}`, type }))
    this.editor.addNode({ name, op, inputs, outputs })
    return outputs.map((output) => output.name)
  }

  readonly #next = new Map<string, number>()
  /** Like the editor's, without looking through all the names again: programs are long. */
  #fresh(wanted: string): string {
    const base = `${this.#prefix}${wanted}`
    for (let i = this.#next.get(base) ?? 0; ; i++) {
      const name = i === 0 ? base : `${base}_${i}`
      if (this.editor.hasValue(name)) continue
      this.#next.set(base, i + 1)
      return name
    }
  }
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}

function attributeOf(name: string, value: StockAttribute): Attribute {
  if ('int' in value) return int(name, value.int)
  if ('ints' in value) return ints(name, value.ints)
  return 'float' in value ? float(name, value.float) : text(name, value.text)
}
