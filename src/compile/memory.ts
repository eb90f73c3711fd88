import { EdgewrightError } from '../error.ts'
import type { Graph } from '../graph/types.ts'
import { byteLength } from '../tensor.ts'
import type { Board } from './board.ts'

/**
 * Bytes of activations that live at once, running nodes in order and dropping each value after its last reader: the
 * least a runtime without in-place operators needs.
 */
export function peakActivationBytes(graph: Graph): number {
  const lastReader = new Map<string, number>()
  for (const [index, node] of graph.nodes.entries())
    for (const input of node.inputs) if (input !== null) lastReader.set(input, index)
  const bytes = (name: string) => {
    const value = graph.values.get(name)
    return !value || value.constant || value.type.dtype === 'string'
      ? 0
      : byteLength(value.type.dtype, value.type.shape)
  }
  let live = graph.inputs.reduce((sum, name) => sum + bytes(name), 0)
  let peak = live
  for (const [index, node] of graph.nodes.entries()) {
    live += node.outputs.reduce((sum, name) => sum + bytes(name), 0)
    peak = Math.max(peak, live)
    const done = new Set([...node.inputs, ...node.outputs].filter((name): name is string => name !== null))
    for (const name of done)
      if ((lastReader.get(name) ?? index) === index && !graph.outputs.includes(name)) live -= bytes(name)
  }
  return peak
}

/** Refuses a network that the board's memory cannot hold: model file and live activations together. */
export function requireMemory(board: Board, modelBytes: number, activationBytes: number): void {
  const limit = board.constraints.memoryLimitBytes
  if (limit === null || modelBytes + activationBytes <= limit) return
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
  throw new EdgewrightError(
    'TARGET_CANNOT_RUN',
    `The network does not fit the memory of ${board.profile.name}.`,
    {
      where: board.profile.id,
      saw: `model ${megabytes(modelBytes)} and activations ${megabytes(activationBytes)}, limit ${megabytes(limit)}`,
      hint: 'Take a smaller network or input, or a board with more memory (a profile of your own may state another limit).',
    },
  )
}
