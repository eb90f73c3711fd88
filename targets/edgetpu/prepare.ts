import type { Graph } from '../../src/graph/types.ts'
import type { PassNote } from '../../src/passes/pass.ts'
import type { Ranges } from '../../src/quantize/ranges.ts'
import {
  isQuantized,
  prepare as prepareLitert,
  tailor as tailorLitert,
  wantedTensors as wantedByLitert,
} from '../litert/prepare.ts'
import type { Decision, Prepared, TargetOptions } from '../target.ts'
import { edgeTpuPasses } from './rewrites/index.ts'

/** The allowance that keeps float inputs and outputs. */
export const floatBoundary = 'float-io'

/**
 * What LiteRT is asked for: float inputs and outputs would be conversions on the CPU, and a softmax in float beside
 * them, so they are int8 unless the user allows otherwise.
 */
export function litertOptions(options: TargetOptions): TargetOptions {
  const io = options.io === 'float' && !options.allow?.includes(floatBoundary) ? 'int8' : options.io
  return { ...options, io, preferIntegers: true }
}

/** The network in operators of a `.tflite` file that the Edge TPU maps, as far as rewrites lead. */
export function tailor(graph: Graph, options: TargetOptions): Graph {
  return tailorWithNotes(graph, options).graph
}

/** As `tailor`, with what was rewritten and what was left, and why. */
export function tailorWithNotes(
  graph: Graph,
  options: TargetOptions,
): { readonly graph: Graph; readonly notes: readonly PassNote[] } {
  let current = tailorLitert(graph, litertOptions(options))
  const notes: PassNote[] = []
  if (isQuantized(current)) return { graph: current, notes }
  for (const pass of edgeTpuPasses(options.allow ?? [])) {
    const { graph: result, notes: made } = pass.run(current)
    notes.push(...made.map((note) => ({ pass: pass.name, ...note })))
    current = result
  }
  return { graph: current, notes }
}

export function wantedTensors(graph: Graph, options: TargetOptions): string[] {
  return wantedByLitert(graph, litertOptions(options))
}

export function prepare(graph: Graph, ranges: Ranges, options: TargetOptions): Prepared {
  const wanted = litertOptions(options)
  const prepared = prepareLitert(graph, ranges, wanted)
  if (wanted.io === options.io || isQuantized(graph)) return prepared
  const boundary: Decision = {
    where: [...graph.inputs, ...graph.outputs].join(', '),
    reason: `Inputs and outputs are int8: conversions of floats would run on the CPU (the allowance ${floatBoundary} keeps them).`,
  }
  return { ...prepared, decisions: [boundary, ...prepared.decisions] }
}
