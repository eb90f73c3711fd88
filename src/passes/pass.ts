import { EdgewrightError } from '../error.ts'
import type { Graph } from '../graph/types.ts'
import { verifyGraph } from '../graph/verify.ts'

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

/**
 * Runs passes in order, verifying the graph after each that changed it.
 * @throws INTERNAL naming the pass that broke the graph or its own promise
 */
export async function runPasses(
  graph: Graph,
  passes: readonly Pass[],
  onNote: (note: PassNote) => void = () => {},
): Promise<Graph> {
  let current = graph
  for (const pass of passes) {
    const refusal = pass.requires?.(current) ?? null
    if (refusal !== null) {
      onNote({ pass: pass.name, where: current.name, reason: refusal })
      continue
    }
    const { graph: result, changed, notes } = await pass.run(current)
    for (const note of notes) onNote({ pass: pass.name, ...note })
    if (changed === 0) continue
    check(pass, result, current)
    current = result
  }
  return current
}

function check(pass: Pass, result: Graph, before: Graph): void {
  const broken = pass.ensures?.(result) ?? boundaryChange(before, result)
  if (broken !== null)
    throw new EdgewrightError(
      'INTERNAL',
      `Internal error: the pass ${pass.name} broke its promise: ${broken}`,
      { where: result.name },
    )
  try {
    verifyGraph(result)
  } catch (cause) {
    const saw =
      cause instanceof EdgewrightError
        ? [cause.message, cause.where, cause.saw].filter(Boolean).join(' ')
        : String(cause)
    throw new EdgewrightError('INTERNAL', `Internal error: the pass ${pass.name} left an invalid graph.`, {
      where: result.name,
      saw,
      cause,
    })
  }
}

function boundaryChange(before: Graph, after: Graph): string | null {
  if (before.inputs.join('\0') !== after.inputs.join('\0')) return 'it changed the inputs.'
  if (before.outputs.join('\0') !== after.outputs.join('\0')) return 'it changed the outputs.'
  return null
}
