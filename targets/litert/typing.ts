import { EdgewrightError } from '../../src/error.ts'
import { constantOf, numbersOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Constant, Graph, Node, Quantization, TensorType } from '../../src/graph/types.ts'
import { type Affine, integerRange, perTensor, quantizeNumber } from '../../src/quantize/affine.ts'
import type { Ranges } from '../../src/quantize/ranges.ts'
import { quantizeLayer } from '../../src/quantize/weighted-layer.ts'
import type { Decision, TargetOptions } from '../target.ts'
import { weightLimit } from './numerics.ts'
import type { Plan } from './plan.ts'
import { ActivationScales } from './scales.ts'
import { weightAxis } from './weight-axis.ts'

/** Turns a tailored float graph into the typed one, operator by operator. */
export class IntegerTyping {
  readonly #graph: Graph
  readonly #plan: Plan
  readonly #options: TargetOptions
  readonly #ranges: Ranges
  readonly #scales: ActivationScales
  readonly #editor: GraphEditor
  readonly #decisions: Decision[] = []
  readonly #real = new Map<string, string>()
  readonly #integer = new Map<string, string>()
  /** Requantized forms and constants, by value and parameters. */
  readonly #forms = new Map<string, string>()

  constructor(plan: Plan, ranges: Ranges, options: TargetOptions) {
    this.#graph = plan.graph
    this.#plan = plan
    this.#options = options
    this.#ranges = ranges
    this.#scales = new ActivationScales(plan, ranges, options)
    this.#editor = GraphEditor.empty(plan.graph.name)
  }

  run(): { graph: Graph; decisions: Decision[]; stored: ReadonlyMap<string, string> } {
    for (const name of this.#graph.inputs) this.#addInput(name)
    for (const node of this.#graph.nodes) {
      const { how } = this.#plan.placements.get(node)!
      if (how === 'integer') this.#addInteger(node)
      else if (how === 'float') this.#addReal(node)
    }
    this.#editor.outputs = this.#graph.outputs.map((name) => this.#output(name))
    return {
      graph: this.#editor.finish(),
      decisions: [...this.#plan.decisions, ...this.#decisions],
      stored: new Map([...this.#real, ...this.#integer]),
    }
  }

  // -- boundary ----------------------------------------------------------------------------------------------------

  #addInput(name: string): void {
    const { type } = this.#graph.values.get(name)!
    const { io } = this.#options
    if (type.dtype !== 'float32' || io === 'float') {
      this.#editor.addInput(name, type)
      this.#real.set(name, name)
      return
    }
    this.#editor.addInput(name, this.#boundaryType(name))
    if (io === this.#plan.activation) this.#integer.set(name, name)
    else
      this.#integer.set(
        name,
        this.#convert(name, this.#fresh(`${name}_${this.#plan.activation}`), this.#type(name)),
      )
  }

  #output(name: string): string {
    const { type, constant } = this.#graph.values.get(name)!
    const { io } = this.#options
    if (constant || type.dtype !== 'float32' || io === 'float') return this.#asReal(name)
    const stored = this.#asInteger(name)
    if (io === this.#plan.activation) return stored
    return this.#convert(stored, this.#fresh(name, name), this.#boundaryType(name))
  }

  /** What applications see: uint8 holds the same reals as int8, shifted; 16-bit activations keep 16 bits. */
  #boundaryType(name: string): TensorType {
    const own = this.#type(name)
    if (this.#plan.activation === 'int16' || this.#options.io === 'int8') return own
    const { scale, zeroPoint } = this.#scales.of(name)
    return { ...own, dtype: 'uint8', quantization: perTensor({ scale, zeroPoint: zeroPoint + 128 }) }
  }

  // -- operators ---------------------------------------------------------------------------------------------------

  #addReal(node: Node): void {
    const inputs = node.inputs.map((input) => (input === null ? null : this.#asReal(input)))
    for (const output of node.outputs) this.#real.set(output, output)
    this.#add(
      node,
      inputs,
      node.outputs.map((name) => ({ name, type: this.#graph.values.get(name)!.type })),
    )
  }

  #addInteger(node: Node): void {
    const { signature } = this.#plan.placements.get(node)!
    switch (signature.role) {
      case 'weighted':
        this.#addWeighted(node)
        return
      case 'saturate':
        this.#addClip(node)
        return
      case 'index': {
        const inputs = node.inputs.map((input) => this.#operand(input))
        for (const output of node.outputs) this.#real.set(output, output)
        this.#add(
          node,
          inputs,
          node.outputs.map((name) => ({ name, type: this.#graph.values.get(name)!.type })),
        )
        return
      }
      case 'same': {
        const affine = this.#scales.of(node.outputs[0]!)
        this.#addProducer(
          this.#withStoredPadding(node, affine),
          node.inputs.map((input) => this.#operand(input, affine)),
        )
        return
      }
      default:
        this.#addProducer(
          node,
          node.inputs.map((input) => this.#operand(input)),
        )
    }
  }

  /** Real operands in integers, `affine` where the kernel wants them alike; indices and conditions as they are. */
  #operand(input: string | null, affine?: Affine): string | null {
    if (input === null) return null
    return this.#graph.values.get(input)!.type.dtype === 'float32'
      ? this.#asInteger(input, affine)
      : this.#asReal(input)
  }

  /** Below everything means the lowest that the type holds. */
  #withStoredPadding(node: Node, { scale, zeroPoint }: Affine): Node {
    const { op } = node
    if (op.kind !== 'Pad' || Number.isFinite(op.value)) return node
    const [low, high] = integerRange[this.#plan.activation]
    const end = op.value < 0 ? low : high
    return { ...node, op: { ...op, value: (end - zeroPoint) * scale } }
  }

  /** A clip that stands alone: a requantization to a range that ends where it clips. */
  #addClip(node: Node): void {
    const output = node.outputs[0]!
    if (this.#plan.activation === 'int16') {
      this.#addProducer(node, [this.#asInteger(node.inputs[0]!)])
      return
    }
    this.#convert(this.#asInteger(node.inputs[0]!), this.#integerOutput(output), this.#type(output), node)
  }

  #addWeighted(node: Node): void {
    const [x, w, bias] = node.inputs as [string, string, string | null | undefined]
    const weights = this.#graph.values.get(w)!.constant!
    const inputs = [this.#asInteger(x)]
    const offsets = bias ? numbersOf(this.#graph.values.get(bias)!.constant!) : null
    const sizeOf = (name: string) => this.#graph.values.get(name)!.type.shape.slice(1, -1)
    const stored = quantizeLayer(
      {
        name: node.name,
        op: node.op,
        weights,
        bias: offsets,
        inputScale: this.#scales.of(x).scale,
        inputMeans: this.#options.correctBias === false ? undefined : this.#ranges.get(x)?.channelMeans,
        spatial: { input: sizeOf(x), output: sizeOf(node.outputs[0]!) },
        tuning: this.#options.layers?.get(node.name),
      },
      {
        method: this.#options.weightRange,
        axis: this.#axisOf(node, weights),
        limit: weightLimit,
        biasType: this.#plan.activation === 'int16' ? 'int64' : 'int32',
      },
    )
    inputs.push(this.#constant(w, stored.weights.constant, stored.weights.quantization))
    if (bias && stored.bias) inputs.push(this.#constant(bias, stored.bias.constant, stored.bias.quantization))
    this.#addProducer(node, inputs)
  }

  #axisOf(node: Node, weights: Constant): number | null {
    const narrowed = this.#options.constraints.find(
      (constraint) =>
        constraint.kind === 'per-tensor-weights' ||
        (constraint.kind === 'per-channel-only' && !constraint.operators.includes(node.op.kind)),
    )
    if (narrowed) this.#decisions.push({ where: node.name, reason: narrowed.sentence })
    return narrowed ? null : weightAxis(node.op, weights, this.#options)
  }

  /** Adds an operator whose results are integers of their classes, with the clip that it does. */
  #addProducer(node: Node, inputs: (string | null)[]): void {
    const clip = this.#plan.fused.get(node.outputs[0]!)
    if (!clip) {
      this.#add(
        node,
        inputs,
        node.outputs.map((output) => ({ name: this.#integerOutput(output), type: this.#type(output) })),
      )
      return
    }
    const type = this.#type(clip.output)
    if (!clip.attribute || this.#scales.saturates(clip.output, clip)) {
      this.#add(node, inputs, [{ name: this.#integerOutput(clip.output), type }])
      return
    }
    // a pair of one type is written as one operator with a fused activation
    const between = this.#fresh(node.outputs[0]!, node.outputs[0]!)
    this.#add(node, inputs, [{ name: between, type }])
    this.#add(clip.attribute, [between], [{ name: this.#integerOutput(clip.output), type }])
  }

  #add(
    { name, op, source }: Node,
    inputs: (string | null)[],
    outputs: { name: string; type: TensorType }[],
  ): void {
    this.#editor.addNode({ name, op, source, inputs, outputs })
  }

  // -- values ------------------------------------------------------------------------------------------------------

  /** A value in integers, under other parameters than its class's where `affine` says so. */
  #asInteger(name: string, affine?: Affine): string {
    const { constant } = this.#graph.values.get(name)!
    const own = affine && constant ? affine : this.#scales.of(name)
    if (constant) return this.#integerConstant(name, constant, own)
    const stored =
      this.#integer.get(name) ??
      this.#convert(this.#asReal(name), this.#fresh(`${name}_quantized`), this.#type(name))
    this.#integer.set(name, stored)
    if (!affine || (affine.scale === own.scale && affine.zeroPoint === own.zeroPoint)) return stored
    const key = `${name} ${affine.scale} ${affine.zeroPoint}`
    const made =
      this.#forms.get(key) ??
      this.#convert(stored, this.#fresh(`${name}_requantized`), this.#type(name, affine))
    this.#forms.set(key, made)
    return made
  }

  #asReal(name: string): string {
    const known = this.#real.get(name)
    if (known) return known
    const { constant, type } = this.#graph.values.get(name)!
    const stored = this.#integer.get(name)
    if (!constant && !stored)
      throw new EdgewrightError('INTERNAL', 'Internal error: a value is used before it is made.', {
        where: name,
      })
    const own = this.#graph.outputs.includes(name) ? name : undefined
    const made = constant
      ? this.#constant(name, constant, type.quantization)
      : this.#convert(stored!, this.#fresh(own ?? `${name}_float`, own), type)
    this.#real.set(name, made)
    return made
  }

  #integerConstant(name: string, constant: Constant, affine: Affine): string {
    const dtype = this.#plan.activation
    const [low, high] = integerRange[dtype]
    const stored = numbersOf(constant).map((x) => quantizeNumber(x, affine, low, high))
    const data = dtype === 'int8' ? Int8Array.from(stored) : Int16Array.from(stored)
    return this.#constant(name, constantOf(dtype, constant.shape, data), perTensor(affine))
  }

  /** Claims the name of a value that an integer operator makes; outputs in another type keep theirs for that. */
  #integerOutput(name: string): string {
    const converted = this.#options.io !== this.#plan.activation && this.#graph.outputs.includes(name)
    const made = this.#fresh(converted ? `${name}_quantized` : name, converted ? undefined : name)
    this.#integer.set(name, made)
    return made
  }

  #convert(from: string, to: string, type: TensorType, node?: Node): string {
    this.#editor.addNode({
      name: node?.name ?? `convert_${to}`,
      op: { kind: 'Convert' },
      inputs: [from],
      outputs: [{ name: to, type }],
      source: node?.source ?? null,
    })
    return to
  }

  /** A name not taken yet; names of the float graph are reserved for their own values. */
  #fresh(wanted: string, own?: string): string {
    const free = (name: string) =>
      !this.#editor.hasValue(name) && (!this.#graph.values.has(name) || name === own)
    if (free(wanted)) return wanted
    for (let i = 1; ; i++) if (free(`${wanted}_${i}`)) return `${wanted}_${i}`
  }

  /** Adds a constant once, however often it is used with the same scales. */
  #constant(name: string, constant: Constant, quantization: Quantization | null): string {
    const key = `${constant.digest} ${JSON.stringify(quantization)}`
    const known =
      this.#forms.get(key) ?? this.#editor.addConstant(this.#fresh(name, name), constant, quantization)
    this.#forms.set(key, known)
    return known
  }

  #type(name: string, affine = this.#scales.of(name)): TensorType {
    const { shape } = this.#graph.values.get(name)!.type
    return { dtype: this.#plan.activation, shape, quantization: perTensor(affine) }
  }
}
