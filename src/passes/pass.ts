import type { Graph } from '../graph/types.ts'

/** What a pass did, or declined to do, at one place. */
export interface PassNote {
  readonly pass: string
  /** Node or value the note is about. */
  readonly where: string
  readonly reason: string
}

export interface PassResult {
  readonly graph: Graph
  /** Rewrites made; 0 means the graph is the one that came in. */
  readonly changed: number
  readonly notes: readonly Omit<PassNote, 'pass'>[]
}

/**
 * One rewrite. It keeps what the graph computes up to float rounding, the names of inputs and outputs, and says for
 * every place that it looked at and left alone why.
 */
export interface Pass {
  readonly name: string
  /** Why the pass does not apply to this graph, or null. */
  requires?(graph: Graph): string | null
  run(graph: Graph): PassResult | Promise<PassResult>
  /** What must hold afterwards; returns the sentence that is broken, or null. */
  ensures?(graph: Graph): string | null
}
