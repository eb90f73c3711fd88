import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Node } from '../../../src/graph/types.ts'

/** What became of a node: rewritten, not this rewrite's business (null), or left with the reason. */
export type Outcome = { readonly changed: true } | { readonly declined: string } | null

/** A change that lets more of a network map. */
export interface Rewrite {
  readonly name: string
  readonly sentence: string
  /** Null: the function stays the same. Else what the user must allow by this name. */
  readonly needs: Allowance | null
  apply(editor: GraphEditor, node: Node): Outcome
}

/** Changes of a network's function that a user can allow. */
export const allowances = {
  relu6: 'Replace hard-swish, swish, Gelu, Elu and leaky ReLU by ReLU6; tune the network afterwards.',
} as const
export type Allowance = keyof typeof allowances

export const changed: Outcome = { changed: true }
export const declined = (reason: string): Outcome => ({ declined: reason })

/** Copies that a repetition may take; beyond it the compiler would get an absurd concatenation. */
export const mostCopies = 64
