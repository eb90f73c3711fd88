import type { GraphBuilder } from './builder.ts'
import type { Parameter } from './network.ts'

/** A scalar or tensor that an optimizer keeps of each parameter: in its shape, zero at first. */
export type Slot = string

/** How parameters move against their gradients, as a part of the program. */
export interface Optimizer {
  readonly name: string
  readonly slots: readonly Slot[]
  /** Scalars that differ from step to step besides the learning rate, for the step that comes after `step` others. */
  scalars(step: number): Readonly<Record<string, number>>
  /** Adds one parameter's step. @returns the parameter and its slots afterwards */
  step(b: GraphBuilder, update: Update): { readonly parameter: string; readonly slots: readonly string[] }
}

export interface Update {
  readonly parameter: Parameter
  readonly gradient: string
  /** By the optimizer's own order. */
  readonly slots: readonly string[]
  /** Scalar, the parameter's own factor included. */
  readonly learningRate: string
  readonly scalars: Readonly<Record<string, string>>
}

export interface SgdOptions {
  /** 0 to 1; 0.9 by default. */
  readonly momentum?: number
  readonly nesterov?: boolean
  /** L2 penalty on kernels: its gradient is added to theirs. */
  readonly weightDecay?: number
}

/** Stochastic gradient descent with momentum, as in Sutskever et al. 2013: v ← m·v + g, w ← w − rate·v. */
export function sgd({ momentum = 0.9, nesterov = false, weightDecay = 0 }: SgdOptions = {}): Optimizer {
  return {
    name: 'sgd',
    slots: momentum === 0 ? [] : ['velocity'],
    scalars: () => ({}),
    step(b, { parameter, gradient, slots, learningRate }) {
      const decayed =
        parameter.decay && weightDecay > 0
          ? b.add(gradient, b.mul(parameter.name, b.scalar(weightDecay)))
          : gradient
      const moved = (by: string) => b.sub(parameter.name, b.mul(by, learningRate))
      if (momentum === 0) return { parameter: moved(decayed), slots: [] }
      const velocity = b.add(b.mul(slots[0]!, b.scalar(momentum)), decayed)
      const direction = nesterov ? b.add(decayed, b.mul(velocity, b.scalar(momentum))) : velocity
      return { parameter: moved(direction), slots: [velocity] }
    },
  }
}

export interface AdamOptions {
  readonly beta1?: number
  readonly beta2?: number
  readonly epsilon?: number
  /** Decoupled from the gradient (Loshchilov and Hutter 2019). */
  readonly weightDecay?: number
}

/** Adam (Kingma and Ba 2015) with bias correction; with decay, AdamW. */
export function adam({
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-8,
  weightDecay = 0,
}: AdamOptions = {}): Optimizer {
  return {
    name: 'adam',
    slots: ['mean', 'square'],
    scalars: (step) => ({
      // both corrections at once would lose epsilon its meaning
      correction1: 1 / (1 - beta1 ** (step + 1)),
      correction2: 1 / (1 - beta2 ** (step + 1)),
    }),
    step(b, { parameter, gradient, slots, learningRate, scalars }) {
      const mean = b.add(b.mul(slots[0]!, b.scalar(beta1)), b.mul(gradient, b.scalar(1 - beta1)))
      const square = b.add(
        b.mul(slots[1]!, b.scalar(beta2)),
        b.mul(b.mul(gradient, gradient), b.scalar(1 - beta2)),
      )
      const width = b.add(b.unary('Sqrt', b.mul(square, scalars.correction2!)), b.scalar(epsilon))
      const step = b.div(b.mul(mean, b.mul(learningRate, scalars.correction1!)), width)
      const moved = b.sub(parameter.name, step)
      const decays = parameter.decay && weightDecay > 0
      return {
        parameter: decays
          ? b.sub(moved, b.mul(parameter.name, b.mul(learningRate, b.scalar(weightDecay))))
          : moved,
        slots: [mean, square],
      }
    },
  }
}
