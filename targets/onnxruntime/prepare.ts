import { constantOf, numbersOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Constant, Graph, Node, Quantization, TensorType } from '../../src/graph/types.ts'
import { EdgewrightError } from '../../src/error.ts'
import type { OpKind } from '../../src/graph/ops.ts'
import { type Affine, affineOf, integerRange, perTensor, quantizeNumber } from '../../src/quantize/affine.ts'
import type { Ranges } from '../../src/quantize/ranges.ts'
import { isStoredScheme } from '../../src/quantize/stored-weights.ts'
import { quantizeLayer } from '../../src/quantize/weighted-layer.ts'
import type { Decision, Prepared, TargetOptions } from '../target.ts'
import { conversionDecisions, islandDecisions } from './decisions.ts'
import { type Dialect, dialectOf } from './numerics.ts'
import { needsInt8, type Plan, planGraph, weightedInputs } from './plan.ts'
import { isQuantized, keepAsQuantized } from './quantized-file.ts'
import { ActivationScales } from './scales.ts'
import { storeWeights } from './stored-weights.ts'
import { isIntegerOnly } from './unsigned-twin.ts'
import { perChannelRefusal, weightAxis } from './weight-axis.ts'

/**
 * The typed graph for ONNX Runtime's CPU provider: integer regions without conversions inside, float islands between
 * explicit Converts; or the float graph with its weights stored smaller. A graph that already carries quantized types keeps them exactly.
 */
export function prepare(graph: Graph, ranges: Ranges, options: TargetOptions): Prepared {
  if (options.scheme === 'float') return { graph, decisions: [], integerOnly: false }
  if (isQuantized(graph)) return keepAsQuantized(graph, options)
  if (isStoredScheme(options.scheme))
    return { ...storeWeights(graph, options.scheme, options), integerOnly: false }
  return new Typing(graph, ranges, options).run()
}

/** Names of the float values whose range `prepare` will ask for. */
export function wantedTensors(graph: Graph, options: TargetOptions): string[] {
  if (options.scheme !== 'full-int8' || isQuantized(graph)) return []
  const plan = planGraph(graph, options)
  return [...new Set([...[...plan.sources.values()].flat(), ...weightedInputs(graph, plan)])]
}

/**
 * ONNX Runtime quantizes the float weights of these by itself when they stand between DequantizeLinear and
 * QuantizeLinear, per tensor and without asking (seen in 1.30): a layer kept in float would not be.
 */
const requantizedOnLoad: ReadonlySet<OpKind> = new Set<OpKind>(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])

/** Turns a float graph into the typed one, operator by operator. */
class Typing {
  readonly #graph: Graph
  readonly #ranges: Ranges
  readonly #options: TargetOptions
  readonly #plan: Plan
  readonly #dialect: Dialect
  readonly #editor: GraphEditor
  readonly #decisions: Decision[] = []
  readonly #scales: ActivationScales
  /** Float value → its name in each form in the typed graph. */
  readonly #floatNames = new Map<string, string>()
  readonly #intNames = new Map<string, string>()
  readonly #readers = new Map<string, Node[]>()
  readonly #constants = new Map<string, string>()
  readonly #guards = new Map<string, string>()
  /** Names that subgraphs use: they must stay float values under the same name. */
  readonly #captured: ReadonlySet<string>

  constructor(graph: Graph, ranges: Ranges, options: TargetOptions) {
    this.#graph = graph
    this.#ranges = ranges
    this.#options = options
    this.#plan = planGraph(graph, options)
    this.#dialect = dialectOf(options.cpu)
    this.#scales = new ActivationScales(this.#plan, ranges, options, this.#dialect.activations)
    this.#editor = GraphEditor.empty(graph.name)
    this.#captured = new Set(graph.nodes.flatMap(({ op }) => (op.kind === 'Opaque' ? op.captures : [])))
    for (const node of graph.nodes)
      for (const input of node.inputs)
        if (input !== null) this.#readers.set(input, [...(this.#readers.get(input) ?? []), node])
  }

  run(): Prepared {
    this.#decisions.push({
      where: this.#graph.name,
      reason: `${this.#dialect.activations} activations: ${this.#dialect.reason}.`,
    })
    for (const name of this.#graph.inputs) this.#addInput(name)
    for (const node of this.#graph.nodes) {
      const planned = this.#plan.placements.get(node)!
      if (planned.how === 'int8') this.#addInteger(node)
      else if (planned.how === 'float') this.#addFloat(node)
    }
    this.#editor.outputs = this.#graph.outputs.map((name) => this.#output(name))
    const graph = this.#editor.finish()
    this.#decisions.push(
      ...this.#plan.decisions,
      ...islandDecisions(this.#graph, this.#plan),
      ...conversionDecisions(graph),
    )
    const stored = new Map([...this.#floatNames, ...this.#intNames])
    return { graph, decisions: this.#decisions, integerOnly: isIntegerOnly(graph), stored }
  }

  // -- boundary ----------------------------------------------------------------------------------------------------

  #addInput(name: string): void {
    const { type } = this.#graph.values.get(name)!
    if (type.dtype !== 'float32' || this.#options.io === 'float' || this.#captured.has(name)) {
      this.#editor.addInput(name, type)
      this.#floatNames.set(name, name)
      return
    }
    const affine = this.#scales.of(name)
    const typed = shiftedTo(affine, this.#dialect.activations, this.#options.io)
    this.#editor.addInput(name, {
      dtype: this.#options.io,
      shape: type.shape,
      quantization: perTensor(typed),
    })
    if (this.#options.io === this.#dialect.activations) this.#intNames.set(name, name)
    else
      this.#intNames.set(
        name,
        this.#convert(name, this.#fresh(`${name}_${this.#dialect.activations}`), this.#intType(name)),
      )
  }

  #output(name: string): string {
    const { type, constant } = this.#graph.values.get(name)!
    if (constant || type.dtype !== 'float32' || this.#options.io === 'float') return this.#asFloat(name)
    const stored = this.#asInteger(name)
    if (this.#options.io === this.#dialect.activations) return stored
    const typed = shiftedTo(this.#scales.of(name), this.#dialect.activations, this.#options.io)
    return this.#convert(stored, this.#fresh(name, name), {
      dtype: this.#options.io,
      shape: type.shape,
      quantization: perTensor(typed),
    })
  }

  // -- operators ---------------------------------------------------------------------------------------------------

  #addFloat(node: Node): void {
    const inputs = node.inputs.map((input) => (input === null ? null : this.#asFloat(input)))
    if (requantizedOnLoad.has(node.op.kind) && this.#intNames.has(node.inputs[0]!))
      inputs[0] = this.#guarded(node.inputs[0]!)
    if (node.op.kind === 'Opaque') for (const capture of node.op.captures) this.#asFloat(capture)
    const outputs = node.outputs.map((output) => ({
      name: output,
      type: this.#graph.values.get(output)!.type,
    }))
    for (const output of node.outputs) this.#floatNames.set(output, output)
    this.#editor.addNode({ name: node.name, op: node.op, inputs, outputs, source: node.source })
  }

  /** The value behind a Clip to all that its integers can mean: nothing changes, but the pattern is broken. */
  #guarded(name: string): string {
    const known = this.#guards.get(name)
    if (known) return known
    const type = this.#graph.values.get(name)!.type
    const { scale, zeroPoint } = this.#scales.of(name)
    const [low, high] = integerRange[this.#dialect.activations]
    const made = this.#fresh(`${name}_guarded`)
    const op = {
      kind: 'Clip',
      min: Math.fround((low - zeroPoint) * scale),
      max: Math.fround((high - zeroPoint) * scale),
    } as const
    this.#editor.addNode({
      name: `guard_${name}`,
      op,
      inputs: [this.#asFloat(name)],
      outputs: [{ name: made, type }],
    })
    this.#guards.set(name, made)
    return made
  }

  #addInteger(node: Node): void {
    const { signature } = this.#plan.placements.get(node)!
    switch (signature.role) {
      case 'weighted':
        this.#addWeighted(node)
        return
      case 'saturate': {
        const name = this.#integerOutput(node.outputs[0]!)
        this.#convert(this.#asInteger(node.inputs[0]!), name, this.#intType(node.outputs[0]!), node)
        return
      }
      case 'index': {
        const outputs = node.outputs.map((output) => ({
          name: output,
          type: this.#graph.values.get(output)!.type,
        }))
        for (const output of node.outputs) this.#floatNames.set(output, output)
        this.#editor.addNode({ ...copyOf(node), inputs: [this.#asInteger(node.inputs[0]!)], outputs })
        return
      }
      default: {
        const inputs = node.inputs.map((input, index) => {
          if (input === null) return null
          // Gather's indices are what they are
          return node.op.kind === 'Gather' && index === 1 ? this.#asFloat(input) : this.#asInteger(input)
        })
        this.#addNode(node, inputs)
      }
    }
  }

  #addNode(node: Node, inputs: (string | null)[]): void {
    const outputs = node.outputs.map((output) => {
      const made = this.#plan.fused.get(output)?.output ?? output
      return { name: this.#integerOutput(made), type: this.#intType(made) }
    })
    this.#editor.addNode({ ...copyOf(node), inputs, outputs })
  }

  #addWeighted(node: Node): void {
    const [x, w, bias] = node.inputs as [string, string, (string | null)?]
    const weights = this.#graph.values.get(w)!.constant
    if (!weights || this.#graph.values.get(x)!.constant) {
      const inputs = [this.#asInteger(x), this.#asInteger(w)]
      this.#addProduct(node, inputs)
      return
    }
    const refusal = perChannelRefusal(node, this.#options)
    if (refusal !== null) this.#decide(node.name, refusal)
    const inputs: (string | null)[] = [this.#asInteger(x)]
    const sizeOf = (name: string) => this.#graph.values.get(name)!.type.shape.slice(2)
    const stored = quantizeLayer(
      {
        name: node.name,
        op: node.op,
        weights,
        bias: bias ? this.#biasOf(node, bias) : null,
        inputScale: this.#scales.of(x).scale,
        inputMeans: this.#options.correctBias === false ? undefined : this.#ranges.get(x)?.channelMeans,
        spatial: { input: sizeOf(x), output: sizeOf(node.outputs[0]!) },
        tuning: this.#options.layers?.get(node.name),
      },
      {
        method: this.#options.weightRange,
        axis: weightAxis(node, weights, this.#options),
        limit: this.#dialect.weightLimit,
        biasType: 'int32',
      },
    )
    inputs.push(this.#constant(w, stored.weights.constant, stored.weights.quantization))
    if (bias && stored.bias) inputs.push(this.#constant(bias, stored.bias.constant, stored.bias.quantization))
    const alpha = node.op.kind === 'Gemm' ? node.op.alpha : 1
    const op = node.op.kind === 'Gemm' && alpha !== 1 ? { ...node.op, alpha: 1 } : node.op
    this.#addProduct({ ...node, op }, inputs, node)
  }

  /** `planned`: the node as the plan knows it, where `node` is a changed copy. */
  #addProduct(node: Node, inputs: (string | null)[], planned: Node = node): void {
    const output = node.outputs[0]!
    const made = this.#plan.fused.get(output)?.output ?? output
    const { signature } = this.#plan.placements.get(planned)!
    const context = {
      readersOf: (name: string) => this.#readers.get(name) ?? [],
      outputs: new Set(this.#graph.outputs),
    }
    if (made !== output || needsInt8(made, signature, context, this.#plan.placements, this.#options)) {
      this.#addNode(node, inputs)
      return
    }
    this.#floatNames.set(output, output)
    this.#editor.addNode({
      ...copyOf(node),
      inputs,
      outputs: [{ name: output, type: this.#graph.values.get(output)!.type }],
    })
  }

  #biasOf(node: Node, name: string): number[] {
    const numbers = numbersOf(this.#graph.values.get(name)!.constant!)
    const channels = this.#graph.values.get(node.outputs[0]!)!.type.shape[1]!
    return numbers.length === channels ? numbers : new Array<number>(channels).fill(numbers[0]!)
  }

  // -- values ------------------------------------------------------------------------------------------------------

  /** The name of a value in integers, converted where only float exists. */
  #asInteger(name: string): string {
    const known = this.#intNames.get(name)
    if (known) return known
    const constant = this.#graph.values.get(name)!.constant
    const made = constant
      ? this.#integerConstant(name, constant)
      : this.#convert(this.#asFloat(name), this.#fresh(`${name}_quantized`), this.#intType(name))
    this.#intNames.set(name, made)
    return made
  }

  #asFloat(name: string): string {
    const known = this.#floatNames.get(name)
    if (known) return known
    const { constant, type } = this.#graph.values.get(name)!
    const stored = this.#intNames.get(name)
    let made: string
    if (constant) made = this.#constant(name, constant, type.quantization)
    else if (stored)
      made = this.#convert(
        stored,
        // an output in integers has that name already
        (this.#options.io === 'float' && this.#graph.outputs.includes(name)) || this.#captured.has(name)
          ? name
          : this.#fresh(`${name}_float`),
        type,
      )
    else
      throw new EdgewrightError('INTERNAL', 'Internal error: a value is used before it is made.', {
        where: name,
      })
    this.#floatNames.set(name, made)
    return made
  }

  #integerConstant(name: string, constant: Constant): string {
    const numbers = numbersOf(constant)
    const { activations } = this.#dialect
    const affine = affineOf(
      numbers.reduce((a, b) => Math.min(a, b), 0),
      numbers.reduce((a, b) => Math.max(a, b), 0),
      activations,
    )
    this.#scales.fix(name, affine)
    const [low, high] = integerRange[activations]
    const stored = numbers.map((x) => quantizeNumber(x, affine, low, high))
    const data = activations === 'int8' ? Int8Array.from(stored) : Uint8Array.from(stored)
    return this.#constant(name, constantOf(activations, constant.shape, data), perTensor(affine))
  }

  /** Claims the name of a value that an integer operator makes; float outputs of the graph keep their own name. */
  #integerOutput(name: string): string {
    const isFloatOutput = this.#options.io === 'float' && this.#graph.outputs.includes(name)
    const isShiftedOutput =
      this.#options.io !== this.#dialect.activations && this.#graph.outputs.includes(name)
    const made =
      isFloatOutput || isShiftedOutput || this.#captured.has(name) ? this.#fresh(`${name}_quantized`) : name
    this.#intNames.set(name, made)
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
    const known = this.#constants.get(key)
    if (known && !this.#captured.has(name)) return known
    const made = this.#editor.addConstant(this.#fresh(name, name), constant, quantization)
    this.#constants.set(key, made)
    return made
  }

  #intType(name: string): TensorType {
    const { shape } = this.#graph.values.get(name)!.type
    return { dtype: this.#dialect.activations, shape, quantization: perTensor(this.#scales.of(name)) }
  }

  #decide(where: string, reason: string): void {
    this.#decisions.push({ where, reason })
  }
}

function copyOf(node: Node): Pick<Node, 'name' | 'op' | 'source'> {
  return { name: node.name, op: node.op, source: node.source }
}

/** The same real numbers in the other signedness: exact. */
function shiftedTo(affine: Affine, from: 'int8' | 'uint8', to: 'int8' | 'uint8'): Affine {
  const shift = from === to ? 0 : to === 'uint8' ? 128 : -128
  return { scale: affine.scale, zeroPoint: affine.zeroPoint + shift }
}
