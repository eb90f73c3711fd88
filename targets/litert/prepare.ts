import { EdgewrightError } from '../../src/error.ts'
import type { Graph } from '../../src/graph/types.ts'
import { convertLayout } from '../../src/passes/layout.ts'
import type { Ranges } from '../../src/quantize/ranges.ts'
import { isStoredScheme } from '../../src/quantize/stored-weights.ts'
import type { Decision, Prepared, TargetOptions } from '../target.ts'
import { brokenConstraint, fileConstraints } from './constraints.ts'
import { lower } from './lower/index.ts'
import { activationTypeOf } from './numerics.ts'
import { planGraph, rangedValues, weightedInputs } from './plan.ts'
import { spellClips } from './spell-clips.ts'
import { storeWeights } from './stored-weights.ts'
import { IntegerTyping } from './typing.ts'

/**
 * The network in the operators of a `.tflite` file, channels last: what ranges are calibrated on and `prepare` takes.
 * A network that already carries quantized types only changes its layout.
 */
export function tailor(graph: Graph, _options: TargetOptions): Graph {
  const last = convertLayout(graph, 'channels-last')
  return isQuantized(last) ? last : lower(last)
}

/** Names of the values of a tailored graph whose range `prepare` will ask for. */
export function wantedTensors(graph: Graph, options: TargetOptions): string[] {
  const activation = activationTypeOf(options)
  if (!activation || isQuantized(graph)) return []
  const plan = planGraph(graph, options, activation)
  return [...new Set([...rangedValues(plan, options), ...weightedInputs(plan)])]
}

/**
 * The typed graph of a tailored one.
 * @throws OPERATOR_UNSUPPORTED naming every operator that TensorFlow Lite lacks
 */
export function prepare(graph: Graph, ranges: Ranges, options: TargetOptions): Prepared {
  refuseUnsupported(graph, options)
  if (isQuantized(graph)) return keepAsQuantized(graph)
  const activation = activationTypeOf(options)
  if (activation) {
    const {
      graph: typed,
      decisions,
      stored,
    } = new IntegerTyping(planGraph(graph, options, activation), ranges, options).run()
    const spelled = spellClips(typed)
    return { graph: spelled, decisions, integerOnly: isIntegerOnly(spelled), stored }
  }
  const { scheme } = options
  const stored = isStoredScheme(scheme) ? storeWeights(graph, scheme, options) : { graph, decisions: [] }
  return { graph: spellClips(stored.graph), decisions: stored.decisions, integerOnly: false }
}

function keepAsQuantized(graph: Graph): Prepared {
  const decisions: Decision[] = [
    {
      where: graph.name,
      reason: 'The file already carries scales and zero points: they are kept as they are.',
    },
  ]
  return { graph, decisions, integerOnly: isIntegerOnly(graph) }
}

export function isQuantized(graph: Graph): boolean {
  for (const value of graph.values.values()) if (value.type.quantization) return true
  return false
}

/** True where reals only stand at the boundary: conversions of inputs and to outputs aside, no node touches one. */
function isIntegerOnly(graph: Graph): boolean {
  const isReal = (name: string) => graph.values.get(name)!.type.dtype === 'float32'
  return graph.nodes.every((node) => {
    if (node.op.kind !== 'Convert')
      return ![...node.inputs, ...node.outputs].some((name) => name !== null && isReal(name))
    return (
      node.inputs.every((name) => !isReal(name!) || graph.inputs.includes(name!)) &&
      node.outputs.every((name) => !isReal(name) || graph.outputs.includes(name))
    )
  })
}

function refuseUnsupported(graph: Graph, options: TargetOptions): void {
  const missing = graph.nodes.flatMap((node) => {
    const broken = brokenConstraint(fileConstraints, node, graph, options)
    return broken ? [{ node, ...broken }] : []
  })
  const [first] = missing
  if (!first) return
  const names = [...new Set(missing.map(({ saw }) => saw))]
  throw new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    'TensorFlow Lite has no operator for a part of this network.',
    {
      where: missing
        .map(({ node }) => node.source?.name || node.name)
        .slice(0, 5)
        .join(', '),
      saw: names.join(', '),
      hint: first.constraint.remedy,
    },
  )
}
