import type { Op, OpKind, OpOf } from '../graph/ops.ts'
import type { GraphBuilder } from './builder.ts'

/** What a gradient rule is given of the operator that it goes back through. */
export interface Backward {
  readonly b: GraphBuilder
  readonly inputs: readonly (string | null)[]
  readonly outputs: readonly string[]
  /** Of the loss by each output; null where none reaches it. At least one is there. */
  readonly gradients: readonly (string | null)[]
  /** Whether the gradient by an input is asked for: what is not need not be made. */
  wants(input: number): boolean
}

/**
 * Adds to the program what gives the gradient of the loss by each input, in its shape; null where it has none or was
 * not asked for. Source of each rule: the chain rule on ONNX's definition of the operator.
 */
export type GradientRule<O extends Op = Op> = (op: O, backward: Backward) => readonly (string | null)[]

/** Why an operator has no gradient, as a clause: `its output is an index`. */
export interface NoGradient {
  readonly none: string
}

export type GradientTable = { readonly [K in OpKind]: GradientRule<OpOf<K>> | NoGradient }

/** The rules of one family of operators, as a part of the table. */
export type GradientFamily<K extends OpKind> = { readonly [Kind in K]: GradientRule<OpOf<Kind>> | NoGradient }
