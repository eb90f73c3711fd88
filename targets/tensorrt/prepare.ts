import { EdgewrightError } from '../../src/error.ts'
import type { Graph } from '../../src/graph/types.ts'
import { convertLayout } from '../../src/passes/layout.ts'
import { largestFloat16 } from '../../src/quantize/float16-grid.ts'
import type { Ranges } from '../../src/quantize/ranges.ts'
import type { Decision, Prepared, TargetOptions } from '../target.ts'
import { brokenConstraint, fileConstraints } from './constraints.ts'
import { dlaDecisions } from './dla.ts'
import { lower } from './lower.ts'
import { type Plan, planGraph } from './plan.ts'
import { typeGraph } from './typing.ts'

/** The network channels first, in operators that every TensorRT from 8 on parses: what ranges are calibrated on. */
export function tailor(graph: Graph, options: TargetOptions): Graph {
  if (isQuantized(graph)) return graph
  const isLast = graph.nodes.some(({ op }) => 'layout' in op && op.layout === 'channels-last')
  return lower(isLast ? convertLayout(graph, 'channels-first') : graph, options)
}

/** Names of the values of a tailored graph whose range `prepare` will ask for. */
export function wantedTensors(graph: Graph, options: TargetOptions): string[] {
  if (options.scheme === 'float' || isQuantized(graph)) return []
  if (options.scheme === 'float16') return realActivations(graph)
  return [...planGraph(graph, options).quantized]
}

/** What float16 must hold. */
function realActivations(graph: Graph): string[] {
  return [...graph.values.values()]
    .filter(({ type, constant }) => type.dtype === 'float32' && !constant)
    .map(({ name }) => name)
}

/** What samples may not have shown. */
const headroom = 2

function beyondFloat16(ranges: Ranges, graph: Graph): Set<string> {
  const limit = largestFloat16 / headroom
  const names = realActivations(graph).filter((name) => {
    const seen = ranges.get(name)
    return seen !== undefined && Math.max(-seen.min, seen.max) > limit
  })
  return new Set(names)
}

/**
 * The typed graph of a tailored one: Q/DQ as TensorRT's explicit quantization wants them. Under `float16` and `float`
 * the graph as it is: the precision is the engine's.
 *
 * @throws OPERATOR_UNSUPPORTED naming every operator that TensorRT's parser lacks; TARGET_CANNOT_RUN for inputs and
 * outputs in integers, and for a network with scales of its own
 */
export function prepare(graph: Graph, ranges: Ranges, options: TargetOptions): Prepared {
  refuseQuantized(graph)
  refuseUnparsed(graph, options)
  refuseIntegerBoundary(options)
  const beyond = options.scheme === 'float' ? new Set<string>() : beyondFloat16(ranges, graph)
  const shared = [...rangeDecisions(beyond), ...dlaDecisions(options, graph.name)]
  if (options.scheme !== 'full-int8')
    return {
      graph,
      decisions: [...floatDecisions(graph, options), ...shared],
      integerOnly: false,
      beyondFloat16: beyond,
    }
  const plan = planGraph(graph, options)
  return {
    ...typeGraph(graph, plan, ranges, options),
    decisions: [...planDecisions(graph, plan), ...shared],
    integerOnly: false,
    beyondFloat16: beyond,
  }
}

/** True for a network that came with scales and zero points of its own. */
function isQuantized(graph: Graph): boolean {
  for (const { type } of graph.values.values()) if (type.quantization) return true
  return false
}

function refuseQuantized(graph: Graph): void {
  if (!isQuantized(graph)) return
  throw new EdgewrightError(
    'TARGET_CANNOT_RUN',
    'The file already carries scales and zero points, placed for another runtime.',
    {
      where: graph.name,
      hint: 'TensorRT wants zero points of 0 and Q/DQ in places of its own: give the float network. A file that was quantized for TensorRT already can go to trtexec as it is.',
    },
  )
}

function refuseUnparsed(graph: Graph, options: TargetOptions): void {
  const refused = graph.nodes.flatMap((node) => {
    const broken = brokenConstraint(fileConstraints, node, graph, options)
    return broken ? [{ node, broken }] : []
  })
  if (refused.length === 0) return
  const [{ broken }] = refused as [(typeof refused)[number]]
  throw new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    refused.length === 1
      ? 'TensorRT cannot take an operator of the network.'
      : `TensorRT cannot take ${refused.length} operators of the network.`,
    {
      where: refused
        .map(({ node }) => node.name || node.outputs[0]!)
        .slice(0, 5)
        .join(', '),
      saw: `${broken.constraint.sentence} Saw: ${[...new Set(refused.map((one) => one.broken.saw))].slice(0, 5).join(', ')}.`,
      hint: broken.constraint.remedy,
    },
  )
}

function refuseIntegerBoundary({ io }: TargetOptions): void {
  if (io === 'float') return
  throw new EdgewrightError(
    'TARGET_CANNOT_RUN',
    `The target tensorrt takes no inputs and outputs in ${io}.`,
    {
      where: 'io',
      saw: io,
      hint: 'Leave --io float: the engine converts on the GPU. uint8 is no type of a quantized tensor in TensorRT.',
    },
  )
}

function rangeDecisions(beyond: ReadonlySet<string>): Decision[] {
  return [...beyond].map((where) => ({
    where,
    reason:
      'It was seen near or beyond the largest float16: the operators beside it stay float32 in the file that states its types, and builders that choose types may not choose float16.',
  }))
}

function planDecisions(graph: Graph, plan: Plan): Decision[] {
  const inFloat = graph.nodes.filter((node) => {
    const { how, basis, reason } = plan.placements.get(node)!
    return how === 'float' && (basis !== null || reason.startsWith('The recipe'))
  })
  const nothing = plan.quantized.size === 0
  return [
    {
      where: graph.name,
      reason: nothing
        ? 'No operator of it computes in int8 here: the engine is one of float16.'
        : `${plan.quantized.size} activations in symmetric int8 (zero point 0), weights too, biases real; all that is not quantized runs in float16. The files hold weights as reals behind Q/DQ, since TensorRT 8 has no int8 constants; the engine holds the integers.`,
    },
    ...inFloat.map((node) => ({ where: node.name, reason: `float16: ${plan.placements.get(node)!.reason}` })),
  ]
}

function floatDecisions(graph: Graph, { scheme }: TargetOptions): Decision[] {
  const reason =
    scheme === 'float16'
      ? 'Two files: one in float32, of which TensorRT before 11 makes float16 itself, and one that states float16, for those that take types as the file has them.'
      : 'float32 as the file has it; GPUs from compute capability 8.0 on compute it in TensorFloat-32 unless that is switched off.'
  return [{ where: graph.name, reason }]
}
