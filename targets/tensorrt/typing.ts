import { numbersOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Graph, Node } from '../../src/graph/types.ts'
import { perTensor } from '../../src/quantize/affine.ts'
import type { Ranges } from '../../src/quantize/ranges.ts'
import { quantizeLayer, type StoredLayer } from '../../src/quantize/weighted-layer.ts'
import type { TargetOptions } from '../target.ts'
import { roleOf, weightLimit } from './numerics.ts'
import type { Plan } from './plan.ts'
import { ActivationScales } from './scales.ts'
import { weightAxis } from './weight-axis.ts'

/** The typed graph, and which of its values holds each value of the float one. */
export interface TypedGraph {
  readonly graph: Graph
  readonly stored: ReadonlyMap<string, string>
}

/**
 * The float graph with a conversion to int8 on each operand that the plan quantizes and with weights in int8. Every
 * operator gives reals: TensorRT makes int8 of them where the next one wants it, in the same kernel.
 *
 * @throws MODEL_NAN_WEIGHTS where a weight is not finite
 */
export function typeGraph(graph: Graph, plan: Plan, ranges: Ranges, options: TargetOptions): TypedGraph {
  return new Typing(graph, plan, ranges, options).run()
}

class Typing {
  readonly #graph: Graph
  readonly #plan: Plan
  readonly #ranges: Ranges
  readonly #options: TargetOptions
  readonly #scales: ActivationScales
  readonly #editor: GraphEditor
  readonly #converted = new Map<string, string>()
  readonly #constants = new Map<string, string>()

  constructor(graph: Graph, plan: Plan, ranges: Ranges, options: TargetOptions) {
    this.#graph = graph
    this.#plan = plan
    this.#ranges = ranges
    this.#options = options
    this.#scales = new ActivationScales(plan, ranges, options)
    this.#editor = new GraphEditor(graph)
  }

  run(): TypedGraph {
    for (const node of this.#graph.nodes) {
      const { operands } = this.#plan.placements.get(node)!
      if (operands.length === 0) continue
      if (roleOf(node.op) === 'weighted') this.#addWeighted(node)
      else
        this.#editor.updateNode(node, {
          inputs: node.inputs.map((name, position) =>
            operands.includes(position) ? this.#integer(name!) : name,
          ),
        })
    }
    const activations = [...this.#graph.values.values()].filter(({ constant }) => !constant)
    const stored = new Map(activations.map(({ name }) => [name, this.#converted.get(name) ?? name]))
    return { graph: this.#editor.finish(), stored }
  }

  #addWeighted(node: Node): void {
    const [x, w, bias] = node.inputs as [string, string, (string | null)?]
    const { op } = node
    const sizeOf = (name: string) => this.#graph.values.get(name)!.type.shape.slice(2)
    const reals = bias ? this.#biasOf(node, bias) : null
    const stored = quantizeLayer(
      {
        name: node.name,
        op,
        weights: this.#graph.values.get(w)!.constant!,
        bias: reals,
        inputScale: this.#scales.of(x).scale,
        inputMeans: this.#options.correctBias === false ? undefined : this.#ranges.get(x)?.channelMeans,
        spatial: { input: sizeOf(x), output: sizeOf(node.outputs[0]!) },
        tuning: this.#options.layers?.get(node.name),
      },
      {
        method: this.#options.weightRange,
        axis: weightAxis(op, this.#options),
        limit: weightLimit,
        biasType: 'float32',
        scaleGrid: 'float16',
      },
    )
    const inputs = [this.#integer(x), this.#constant(`${w}_int8`, stored.weights)]
    if (bias) inputs.push(reals ? this.#constant(`${bias}_corrected`, stored.bias!) : bias)
    this.#editor.updateNode(node, {
      inputs,
      op: op.kind === 'Gemm' && op.alpha !== 1 ? { ...op, alpha: 1 } : op,
    })
  }

  /** A number for each output channel; null where it is none of these, and then stays as it is. */
  #biasOf({ op, outputs }: Node, name: string): number[] | null {
    const { constant } = this.#graph.values.get(name)!
    if (constant?.dtype !== 'float32' || (op.kind === 'Gemm' && op.beta !== 1)) return null
    const numbers = numbersOf(constant)
    const channels = this.#graph.values.get(outputs[0]!)!.type.shape[1]!
    const isRow = constant.shape.length > 0 && constant.shape.at(-1) === numbers.length
    return isRow && numbers.length === channels ? numbers : null
  }

  /** One conversion for all who read a value in int8. */
  #integer(name: string): string {
    const known = this.#converted.get(name)
    if (known) return known
    const { shape } = this.#graph.values.get(name)!.type
    const made = this.#editor.freshName(`${name}_quantized`)
    this.#editor.addNode({
      name: `quantize_${name}`,
      op: { kind: 'Convert' },
      inputs: [name],
      outputs: [
        { name: made, type: { dtype: 'int8', shape, quantization: perTensor(this.#scales.of(name)) } },
      ],
    })
    this.#converted.set(name, made)
    return made
  }

  /** Once, however many layers share it. */
  #constant(wanted: string, { constant, quantization }: NonNullable<StoredLayer['bias']>): string {
    const key = `${constant.digest} ${JSON.stringify(quantization)}`
    const known = this.#constants.get(key)
    if (known) return known
    const made = this.#editor.addConstant(wanted, constant, quantization)
    this.#constants.set(key, made)
    return made
  }
}
