import { seededGenerator } from '../../../data/generator.ts'
import { EdgewrightError } from '../../../error.ts'
import { numbersOf } from '../../../graph/constant.ts'
import type { Graph } from '../../../graph/types.ts'
import { strides } from '../../../graph/fold-index.ts'
import type { Gate } from './gates.ts'
import type { ChannelGroup, ChannelSlice } from './groups.ts'

/** By id of a group of channels, what is lost without it, in no unit: 0 or more. */
export type ChannelImportance = ReadonlyMap<number, number>

/**
 * Norm of the weights that a group has in all layers that it is tied to (Li et al. 2017), each relative to the mean of
 * its tensor, so that layers can be compared, and then averaged. Where a batch normalization follows, what it scales a
 * channel by counts.
 */
export function weightImportance(
  graph: Graph,
  groups: readonly ChannelGroup[],
  norm: 'l1' | 'l2' = 'l2',
): ChannelImportance {
  const normsOf = relativeNorms(graph, groups, norm)
  return new Map(
    groups.map(({ id, slices }) => {
      const norms = slices.flatMap((slice) => normsOf(slice))
      return [id, norms.length === 0 ? 0 : norms.reduce((a, b) => a + b) / norms.length]
    }),
  )
}

function relativeNorms(graph: Graph, groups: readonly ChannelGroup[], norm: 'l1' | 'l2') {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
  const scales = normalizingScales(graph)
  const all = new Map<string, readonly number[]>()
  for (const { constant, node, input, axis } of groups.flatMap(({ slices }) => slices)) {
    const key = `${node} ${input} ${axis}`
    const kind = nodes.get(node)!.op.kind
    const isKernel = kind === 'Conv' || kind === 'ConvTranspose' || kind === 'Gemm' || kind === 'MatMul'
    if (all.has(key) || !isKernel || input > 1) continue
    const tensor = graph.values.get(constant)!.constant!
    const scale = kind === 'Conv' ? scales.get(nodes.get(node)!.outputs[0]!) : undefined
    const norms = normsAlong(numbersOf(tensor), tensor.shape, axis, norm, scale)
    const mean = norms.reduce((a, b) => a + b, 0) / norms.length || 1
    all.set(
      key,
      norms.map((one) => one / mean),
    )
  }
  return ({ node, input, axis, indices }: ChannelSlice): number[] => {
    const norms = all.get(`${node} ${input} ${axis}`)
    return norms ? indices.map((index) => norms[index]!) : []
  }
}

/** By value that a batch normalization takes, what it multiplies each channel by. */
function normalizingScales(graph: Graph): ReadonlyMap<string, readonly number[]> {
  const numbers = (name: string | null | undefined) => {
    const constant = graph.values.get(name ?? '')?.constant
    return constant ? numbersOf(constant) : null
  }
  return new Map(
    graph.nodes.flatMap(({ op, inputs }) => {
      const [scale, variance] = [numbers(inputs[1]), numbers(inputs[4])]
      if (op.kind !== 'BatchNormalization' || !scale || !variance) return []
      return [[inputs[0]!, scale.map((s, i) => s / Math.sqrt(variance[i]! + op.epsilon))] as const]
    }),
  )
}

/** Norm of what each index along an axis has; `scale` is of the first axis. */
function normsAlong(
  numbers: readonly number[],
  shape: readonly number[],
  axis: number,
  norm: 'l1' | 'l2',
  scale: readonly number[] | undefined,
): number[] {
  const steps = strides(shape)
  const sums = new Array<number>(shape[axis]!).fill(0)
  numbers.forEach((w, element) => {
    const scaled = w * (scale?.[Math.floor(element / steps[0]!)] ?? 1)
    sums[Math.floor(element / steps[axis]!) % shape[axis]!]! += norm === 'l1' ? Math.abs(scaled) : scaled ** 2
  })
  return norm === 'l1' ? sums : sums.map(Math.sqrt)
}

/** Chance, the control that every other importance has to beat: uniform, the same for the same seed. */
export function randomImportance(groups: readonly ChannelGroup[], seed: number): ChannelImportance {
  const random = seededGenerator(seed)
  return new Map(groups.map(({ id }) => [id, random.next()]))
}

/**
 * First-order Taylor importance (Molchanov et al. 2019, equation 8): the square of what the loss changes by when a group
 * goes, to first order, as the mean over batches. All gates of a group go together, so their gradients are added before
 * they are squared.
 */
export class TaylorSums {
  readonly #gates: readonly Gate[]
  readonly #squares = new Map<number, number>()
  #batches = 0

  constructor(gates: readonly Gate[]) {
    this.#gates = gates
  }

  /**
   * @param gradients of one batch's loss by the gates, by name of the gate
   * @throws INTERNAL where that of a gate is missing: without it channels would seem to be worth nothing
   */
  add(gradients: ReadonlyMap<string, Float32Array>): void {
    const sums = new Map<number, number>()
    for (const { name, groups } of this.#gates) {
      const gradient = gradients.get(name)
      if (gradient?.length !== groups.length)
        throw new EdgewrightError('INTERNAL', 'Internal error: a gate has no gradient.', { where: name })
      groups.forEach((group, index) => {
        sums.set(group, (sums.get(group) ?? 0) + gradient[index]!)
      })
    }
    for (const [group, sum] of sums) this.#squares.set(group, (this.#squares.get(group) ?? 0) + sum ** 2)
    this.#batches++
  }

  /** Of every group; 0 for one that no gate stands for. */
  importance(groups: readonly ChannelGroup[]): ChannelImportance {
    return new Map(groups.map(({ id }) => [id, (this.#squares.get(id) ?? 0) / Math.max(1, this.#batches)]))
  }
}
