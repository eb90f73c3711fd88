import { numbersOf, tensorOf } from '../../graph/constant.ts'
import type { Constant, Graph, Node } from '../../graph/types.ts'
import type { GraphBuilder } from '../builder.ts'
import type { Network, NetworkValues, Parameter } from '../network.ts'

/** A batch normalization behind a convolution, by its running statistics: y = γ · (x − mean) / deviation + β. */
export interface FoldedNorm {
  /** Of the convolution, in the folded graph too. */
  readonly node: string
  /** Weights before they were folded: they are trained, and not what γ made of them. */
  readonly weights: Float32Array
  readonly gamma: Float32Array
  readonly beta: Float32Array
  /** 1 / deviation, and mean / deviation with the convolution's own bias in the mean. */
  readonly inverse: Float32Array
  readonly shift: Float32Array
}

/** What differs by more is not what was folded: another rewrite has changed the weights since. */
const tolerance = 1e-4

/**
 * Finds the batch norms behind the convolutions of a graph, by the names of these.
 * @param unfolded the network before its batch norms were folded
 */
export function foldableNorms(unfolded: Graph): FoldedNorm[] {
  const readers = new Map<string, Node[]>()
  for (const node of unfolded.nodes)
    for (const name of node.inputs) if (name) readers.set(name, [...(readers.get(name) ?? []), node])
  return unfolded.nodes.flatMap((node) => {
    if (node.op.kind !== 'Conv') return []
    const [norm, other] = readers.get(node.outputs[0]!) ?? []
    if (norm?.op.kind !== 'BatchNormalization' || other || norm.inputs[0] !== node.outputs[0]) return []
    return normOf(unfolded, node, norm, norm.op.epsilon) ?? []
  })
}

function normOf(graph: Graph, conv: Node, norm: Node, epsilon: number): FoldedNorm | null {
  const constants = [conv.inputs[1], ...norm.inputs.slice(1)].map((name) => graph.values.get(name!)!.constant)
  if (constants.some((constant) => constant?.dtype !== 'float32')) return null
  const [weights, gamma, beta, mean, variance] = constants.map((constant) => floats(constant!)) as [
    Float32Array,
    ...Float32Array[],
  ]
  const bias = conv.inputs[2] ? graph.values.get(conv.inputs[2])!.constant : null
  if (conv.inputs[2] && !bias) return null
  const offsets = bias ? numbersOf(bias) : []
  const inverse = variance!.map((v) => 1 / Math.sqrt(v + epsilon))
  return {
    node: conv.name,
    weights,
    gamma: gamma!,
    beta: beta!,
    inverse,
    shift: mean!.map((m, channel) => (m - (offsets[channel] ?? 0)) * inverse[channel]!),
  }
}

function isNear(a: Float32Array, b: Float32Array): boolean {
  const largest = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  return a.every((x, i) => Math.abs(x - b[i]!) <= tolerance * largest)
}

/** The folded weights and biases, in the same steps of float32 as in the program. */
export function foldNorm(
  { inverse, shift }: FoldedNorm,
  weights: Float32Array,
  gamma: Float32Array,
  beta: Float32Array,
): { readonly weights: Float32Array; readonly bias: Float32Array } {
  const factors = gamma.map((g, channel) => g * inverse[channel]!)
  const width = weights.length / gamma.length
  return {
    weights: weights.map((w, i) => w * factors[Math.floor(i / width)]!),
    bias: beta.map((b, channel) => b - Math.fround(gamma[channel]! * shift[channel]!)),
  }
}

/**
 * Folds in the loop (Krishnamoorthi 2018, section 3.2; by running statistics, as after its freeze): weights, γ and β are
 * trained, and each step rounds what they fold to. Parameters of weights and biases keep their names, and mean W and β.
 */
export class NormFolding {
  readonly #b: GraphBuilder
  readonly #norms: ReadonlyMap<string, FoldedNorm>
  readonly #own: ReadonlyMap<string, Float32Array>
  readonly gammas: Parameter[] = []
  /** Other initial values of parameters that the network has. */
  readonly initial = new Map<string, Float32Array>()
  readonly #names = new Map<string, { weights: string; bias: string; gamma: string }>()

  /** @param own parameters of the network, as they start folded */
  constructor(b: GraphBuilder, norms: readonly FoldedNorm[], own: Network['parameters']) {
    this.#b = b
    this.#own = new Map(own.map(({ name, initial }) => [name, initial]))
    this.#norms = new Map(norms.map((norm) => [norm.node, norm]))
  }

  /**
   * @returns the folded operands of a layer; what was given where no batch norm was folded into it, as its numbers say
   */
  fold(node: string, weights: string, bias: string | null): { weights: string; bias: string | null } {
    const b = this.#b
    const norm = this.#norms.get(node)
    if (!norm || bias === null || !this.#isFold(norm, weights, bias)) return { weights, bias }
    const channels = norm.gamma.length
    const name = `gamma/${node}`
    this.#names.set(node, { weights, bias, gamma: name })
    this.initial.set(weights, norm.weights).set(bias, norm.beta)
    return b.within(`fold/${node}`, () => {
      const gamma = b.input(name, [channels])
      this.gammas.push({ name, shape: [channels], initial: norm.gamma, trainable: true, decay: false })
      const factors = b.mul(gamma, b.floats(norm.inverse))
      const shape = b.shape(weights).map((_, axis) => (axis === 0 ? channels : 1))
      return {
        weights: b.mul(weights, b.reshape(factors, shape)),
        bias: b.sub(bias, b.mul(gamma, b.floats(norm.shift))),
      }
    })
  }

  #isFold(norm: FoldedNorm, weights: string, bias: string): boolean {
    const [w, c] = [this.#own.get(weights), this.#own.get(bias)]
    if (w?.length !== norm.weights.length || c?.length !== norm.beta.length) return false
    // what another layer takes too must stay what it is
    if ([weights, bias].some((name) => this.#b.editor.consumers(name).length > 1)) return false
    const made = foldNorm(norm, norm.weights, norm.gamma, norm.beta)
    return isNear(made.weights, w) && isNear(made.bias, c)
  }

  /** Values of a network whose weights are folded. */
  foldedValues(values: NetworkValues): NetworkValues {
    const folded = new Map(values)
    for (const [node, { weights, bias, gamma }] of this.#names) {
      const made = foldNorm(
        this.#norms.get(node)!,
        values.get(weights)!,
        values.get(gamma)!,
        values.get(bias)!,
      )
      folded.set(weights, made.weights).set(bias, made.bias)
    }
    return folded
  }

  /** Of the network, as they start unfolded. */
  parameters(own: Network['parameters']): Parameter[] {
    return [
      ...own.map((parameter) => ({
        ...parameter,
        initial: this.initial.get(parameter.name) ?? parameter.initial,
      })),
      ...this.gammas,
    ]
  }
}

function floats(constant: Constant): Float32Array {
  return tensorOf(constant).data as Float32Array
}
