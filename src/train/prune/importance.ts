import { strides } from '../../graph/fold-index.ts'
import type { ChannelMap } from './channel-map.ts'
import {
  type ChannelImportance,
  randomImportance as random,
  weightImportance as ofWeights,
} from './channels/importance.ts'
import { madeAxis } from './channels/makers.ts'
import type { Cut } from './channels/structure.ts'

export { TaylorSums } from './channels/importance.ts'

/** What each removable channel is worth, by id: what is lost without it, in no unit. */
export type Importance = ChannelImportance

/** Chance: what a choice must beat. */
export function randomImportance({ tied }: ChannelMap, seed: number): Importance {
  return random([...tied.values()], seed)
}

/** Relative L2 norm of the weights of a channel, in all layers that it is tied to. */
export function weightImportance({ graph, tied }: ChannelMap): Importance {
  return ofWeights(graph, [...tied.values()])
}

/**
 * First-order Taylor expansion of the loss around a channel at zero (Molchanov et al. 2019, equation 8) from the gradients
 * of what is there: the square of Σ gradient · weight over everything that makes the channel, summed over batches. Where
 * batch norm is not folded its scale and shift are the gate; else weights and bias are. Exact for what is positively
 * homogeneous behind them (ReLU); `gatedGraph` with `TaylorSums` is exact behind anything.
 */
export class TaylorImportance {
  readonly #map: ChannelMap
  readonly #gates: readonly { readonly parameter: string; readonly cut: Cut }[]
  readonly #sums = new Map<number, number>()

  /** @param nameOf the parameter that a constant operand became; null where it is not learned */
  constructor(map: ChannelMap, nameOf: (use: Cut) => string | null) {
    this.#map = map
    this.#gates = gatesOf(map).flatMap((cut) => {
      const parameter = nameOf(cut)
      return parameter === null ? [] : [{ parameter, cut }]
    })
  }

  /** Values and gradients of parameters by name, in the shape of the constants. */
  add(values: ReadonlyMap<string, Float32Array>, gradients: ReadonlyMap<string, Float32Array>): void {
    const { graph } = this.#map
    const gates = new Map<number, number>()
    for (const { parameter, cut } of this.#gates) {
      const [value, gradient] = [values.get(parameter), gradients.get(parameter)]
      if (!value || !gradient) continue
      const { shape } = graph.values.get(cut.node.inputs[cut.input]!)!.type
      const axis = madeAxis(cut)!
      const groups = cut.axes[axis]!
      const step = strides(shape)[axis]!
      value.forEach((w, element) => {
        const group = groups[Math.floor(element / step) % groups.length]!
        gates.set(group, (gates.get(group) ?? 0) + w * gradient[element]!)
      })
    }
    for (const [group, gate] of gates) this.#sums.set(group, (this.#sums.get(group) ?? 0) + gate * gate)
  }

  result(): Importance {
    return new Map([...this.#map.tied.keys()].map((id) => [id, this.#sums.get(id) ?? 0]))
  }
}

/** Constants whose product with their gradients is the gradient of a gate on what they make. */
function gatesOf({ structure: { cuts } }: ChannelMap): Cut[] {
  const normalized = new Set(
    cuts.flatMap(({ node }) => (node.op.kind === 'BatchNormalization' ? [node.inputs[0]!] : [])),
  )
  return cuts.filter((cut) => {
    const { node, input } = cut
    if (node.op.kind === 'BatchNormalization') return input === 1 || input === 2
    // behind it batch norm undoes what a gate before it would do
    return madeAxis(cut) !== null && !normalized.has(node.outputs[0]!)
  })
}
