import type { Graph } from '../../graph/types.ts'
import type { Ranges } from '../../quantize/ranges.ts'
import type { Ties } from '../../quantize/ties.ts'

/** A typed graph, as a target makes it of a float one. */
export interface TypedGraph {
  readonly graph: Graph
  /** By value of the float graph: the value of `graph` that holds it, in integers where it is in both. */
  readonly stored?: ReadonlyMap<string, string>
}

/** All that training needs to know of a target and what it was told. */
export interface QuantizationTarget {
  /** Float values whose range `prepare` asks for. */
  readonly wanted: readonly string[]
  /**
   * Activations over exactly the ranges given (min-max), weights over theirs (min-max), to the nearest integer, no bias
   * corrected: nothing but the graph and the ranges decides.
   */
  prepare(graph: Graph, ranges: Ranges): TypedGraph
  /** Kernels that round halves otherwise than to the even integer. */
  readonly ties?: Ties
}
