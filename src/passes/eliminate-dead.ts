import { GraphEditor } from '../graph/edit.ts'
import type { Pass } from './pass.ts'

/** Drops operators and constants that no output needs. */
export const eliminateDead: Pass = {
  name: 'eliminate-dead',
  run(graph) {
    const kept = new GraphEditor(graph).finish()
    const changed = graph.nodes.length - kept.nodes.length + (graph.values.size - kept.values.size)
    return { graph: changed === 0 ? graph : kept, changed, notes: [] }
  },
}
