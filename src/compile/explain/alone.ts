import { GraphEditor } from '../../graph/edit.ts'
import type { Graph, Node } from '../../graph/types.ts'
import type { TargetOptions } from '../../../targets/target.ts'
import type { Board } from '../board.ts'
import { type Made, trialOptions } from '../trial.ts'
import { type Unit, unitsOf } from './units.ts'

/** One unit of a network cut out, float and as compiled: the same work by itself. */
export interface AloneUnit {
  readonly unit: Unit
  readonly float: Uint8Array
  readonly int8: Uint8Array
}

/**
 * Cuts each unit out of the float network and out of the compiled one, for runtimes that do not time their operators.
 * Units that only move values, or that the target left out, are not there.
 */
export function unitsAlone({ trial, typed }: Made, board: Board): AloneUnit[] {
  const floatOptions: TargetOptions = { ...board.options, scheme: 'float', io: 'float' }
  const float = board.target.prepare(trial.graph, new Map(), floatOptions).graph
  const compiledOptions = trialOptions(trial, board)
  return unitsOf(trial.graph).flatMap((unit): AloneUnit[] => {
    const names = new Set(unit.nodes.map(({ name }) => name))
    const pick = (graph: Graph) =>
      graph.nodes.filter(({ name, op }) => names.has(name) && op.kind !== 'Convert')
    const [floatNodes, int8Nodes] = [pick(float), pick(typed.graph)]
    if (floatNodes.length === 0 || int8Nodes.length === 0) return []
    return [
      {
        unit,
        float: modelOf(cut(float, floatNodes, unit.name), board, floatOptions),
        int8: modelOf(cut(typed.graph, int8Nodes, unit.name), board, compiledOptions),
      },
    ]
  })
}

function modelOf(graph: Graph, board: Board, options: TargetOptions): Uint8Array {
  const emitted = board.target.emit(graph, options)
  return emitted.files.get(emitted.model)!
}

/** Some operators of a graph as a graph of their own: what they read from outside are its inputs. */
export function cut(graph: Graph, nodes: readonly Node[], name: string): Graph {
  const editor = GraphEditor.empty(name)
  const made = new Set(nodes.flatMap(({ outputs }) => outputs))
  const readInside = new Set(nodes.flatMap(({ inputs }) => inputs))
  for (const { inputs } of nodes)
    for (const input of inputs) {
      if (input === null || made.has(input) || editor.hasValue(input)) continue
      const { type, constant } = graph.values.get(input)!
      if (constant) editor.addConstant(input, constant, type.quantization)
      else editor.addInput(input, type)
    }
  for (const node of nodes)
    editor.addNode({
      ...node,
      outputs: node.outputs.map((output) => ({ name: output, type: graph.values.get(output)!.type })),
    })
  const outside = [...made].filter((output) => !readInside.has(output) || graph.outputs.includes(output))
  editor.outputs = outside
  return editor.finish()
}
