import { seededGenerator } from '../../data/generator.ts'
import { numbersOf } from '../../graph/constant.ts'
import { elementCount } from '../../tensor.ts'
import type { ChannelMap, ConstantUse } from './channel-map.ts'

/** What each removable channel is worth, by representative: what is lost without it, in no unit. */
export type Importance = ReadonlyMap<number, number>

/** Chance: what a choice must beat. */
export function randomImportance({ groups }: ChannelMap, seed: number): Importance {
  const random = seededGenerator(seed)
  return new Map(groups.flatMap(({ channels }) => channels.map((id) => [id, random.next()] as const)))
}

/**
 * L2 norm of the weights that make a channel, all layers that it is tied to together, relative to the mean of its layer
 * (Li et al. 2017, with the normalization across layers of Molchanov et al. 2017).
 */
export function weightImportance(map: ChannelMap): Importance {
  const squares = new Map<number, number>()
  for (const use of map.constants.filter(makesChannels)) {
    const { node, input, axes } = use
    const constant = map.graph.values.get(node.inputs[input]!)!.constant!
    const made = sumAlong(
      numbersOf(constant).map((w) => w * w),
      constant.shape,
      axes[madeAxis(use)]!.axis,
    )
    const mean = made.reduce((a, b) => a + b, 0) / made.length || 1
    axes[madeAxis(use)]!.ids.forEach((id, index) => {
      const root = map.find(id)
      squares.set(root, (squares.get(root) ?? 0) + made[index]! / mean)
    })
  }
  return new Map(
    map.groups.flatMap(({ channels }) =>
      channels.map((id) => [id, Math.sqrt(squares.get(id) ?? 0)] as const),
    ),
  )
}

/**
 * First-order Taylor expansion of the loss around a channel at zero (Molchanov et al. 2019, equation 8 with a gate on
 * everything that the channel is made by): the square of Σ gradient · weight, summed over batches. Where batch norm is not
 * folded its scale and shift are the gate; else weights and bias are.
 */
export class TaylorImportance {
  readonly #map: ChannelMap
  readonly #gates: readonly { readonly parameter: string; readonly use: ConstantUse }[]
  readonly #sums = new Map<number, number>()

  /** @param nameOf the parameter that a constant operand became; null where it is not learned */
  constructor(map: ChannelMap, nameOf: (use: ConstantUse) => string | null) {
    this.#map = map
    this.#gates = gatesOf(map).flatMap((use) => {
      const parameter = nameOf(use)
      return parameter === null ? [] : [{ parameter, use }]
    })
  }

  /** Values and gradients of parameters by name, in the shape of the constants. */
  add(values: ReadonlyMap<string, Float32Array>, gradients: ReadonlyMap<string, Float32Array>): void {
    const { graph } = this.#map
    const gates = new Map<number, number>()
    for (const { parameter, use } of this.#gates) {
      const [value, gradient] = [values.get(parameter)!, gradients.get(parameter)]
      if (!gradient) continue
      const { shape } = graph.values.get(use.node.inputs[use.input]!)!.type
      const { axis, ids } = use.axes[madeAxis(use)]!
      const products = Array.from(value, (w, i) => w * gradient[i]!)
      sumAlong(products, shape, axis).forEach((sum, index) => {
        const root = this.#map.find(ids[index]!)
        gates.set(root, (gates.get(root) ?? 0) + sum)
      })
    }
    for (const [root, gate] of gates) this.#sums.set(root, (this.#sums.get(root) ?? 0) + gate * gate)
  }

  result(): Importance {
    return new Map(
      this.#map.groups.flatMap(({ channels }) =>
        channels.map((id) => [id, this.#sums.get(id) ?? 0] as const),
      ),
    )
  }
}

/** Constants whose product with their gradients is the gradient of a gate on what they make. */
function gatesOf(map: ChannelMap): ConstantUse[] {
  const normalized = new Set(
    map.constants.flatMap(({ node }) => (node.op.kind === 'BatchNormalization' ? [node.inputs[0]!] : [])),
  )
  return map.constants.filter(({ node, input }) => {
    if (node.op.kind === 'BatchNormalization') return input === 1 || input === 2
    if (!isLayer(node.op.kind)) return false
    // behind it batch norm undoes what a gate before it would do
    return input >= 1 && !normalized.has(node.outputs[0]!)
  })
}

function makesChannels({ node, input }: ConstantUse): boolean {
  return isLayer(node.op.kind) && input === 1
}

function isLayer(kind: string): boolean {
  return kind === 'Conv' || kind === 'ConvTranspose' || kind === 'Gemm' || kind === 'MatMul'
}

/** Which of a use's axes is that of the channels that its layer makes. */
function madeAxis({ node, input, axes }: ConstantUse): number {
  if (input !== 1 || axes.length === 1) return 0
  // a convolution's first axis is its outputs; the others list where they come from first
  return node.op.kind === 'Conv' ? 0 : 1
}

function sumAlong(numbers: ArrayLike<number>, shape: readonly number[], axis: number): number[] {
  const inner = elementCount(shape.slice(axis + 1))
  const sums = new Array<number>(shape[axis]!).fill(0)
  for (let i = 0; i < numbers.length; i++) sums[Math.floor(i / inner) % shape[axis]!]! += numbers[i]!
  return sums
}
