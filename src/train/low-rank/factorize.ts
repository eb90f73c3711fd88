import { constantOf, numbersOf } from '../../graph/constant.ts'
import { GraphEditor } from '../../graph/edit.ts'
import { inferTypes } from '../../graph/infer.ts'
import type { Op, OpOf } from '../../graph/ops.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { verifyGraph } from '../../graph/verify.ts'
import { byInput, byRows, type Candidate, type Option } from './candidates.ts'
import type { ChosenRanks } from './choose-ranks.ts'
import { transposed } from './layers.ts'
import type { OutputMoments } from './moments.ts'
import { basis, projected } from './subspace.ts'

/** A layer to be made: the operator, its weights, and what is added to its outputs. */
interface Part {
  readonly op: Op
  readonly shape: readonly number[]
  readonly weights: ArrayLike<number>
  readonly bias: ArrayLike<number> | null
}

/** The network with factors in the place of layers. @param moments by node name: what rounding the rank shifts is put into biases */
export function factorize(
  graph: Graph,
  chosen: ChosenRanks,
  moments: ReadonlyMap<string, OutputMoments> = new Map(),
): Graph {
  const editor = new GraphEditor(graph)
  for (const node of graph.nodes) {
    const choice = chosen.get(node.name)
    if (!choice) continue
    const bias = addedTo(node, graph, choice.candidate.layer.outputs)
    const parts = partsOf(node, choice.candidate, choice.option, bias, moments.get(node.name) ?? null)
    replaceNode(editor, node, parts, labelOf(choice.option))
  }
  const made = editor.finish()
  verifyGraph(made)
  return made
}

/** What the layer adds to each of its outputs; null where nothing. */
function addedTo({ op, inputs }: Node, graph: Graph, outputs: number): number[] | null {
  if (!inputs[2]) return null
  const numbers = numbersOf(graph.values.get(inputs[2])!.constant!)
  const factor = op.kind === 'Gemm' ? op.beta : 1
  return Array.from({ length: outputs }, (_, i) => factor * numbers[numbers.length === outputs ? i : 0]!)
}

function labelOf({ factors }: Option): string {
  return factors.method === 'tucker' ? `rank${factors.inputRank}x${factors.rank}` : `rank${factors.rank}`
}

function replaceNode(editor: GraphEditor, node: Node, parts: readonly Part[], label: string): void {
  let x = node.inputs[0]!
  parts.forEach(({ op, shape, weights, bias }, index) => {
    const name = `${node.name}/${label}_${'abc'[index]}`
    const w = editor.addConstant(`${name}/weights`, constantOf('float32', shape, Float32Array.from(weights)))
    const inputs = [x, w]
    if (bias)
      inputs.push(
        editor.addConstant(`${name}/bias`, constantOf('float32', [bias.length], Float32Array.from(bias))),
      )
    if (index === parts.length - 1) {
      editor.updateNode(node, { name, op, inputs })
      return
    }
    const operands = inputs.map((input) => editor.value(input))
    const [type] = inferTypes(op, operands, 1, name)
    const output = editor.freshName(`${name}/output`)
    editor.addNode({ name, op, inputs, outputs: [{ name: output, type: type! }], source: node.source })
    x = output
  })
}

function partsOf(
  node: Node,
  candidate: Candidate,
  { factors }: Option,
  bias: readonly number[] | null,
  moments: OutputMoments | null,
): Part[] {
  const { layer } = candidate
  const { inputs, kernel, matrix } = layer
  const { rank } = factors
  if (factors.method === 'spatial') return spatialParts(node.op as OpOf<'Conv'>, candidate, rank, bias)
  const middle = middleOf(candidate, rank, bias, moments)
  if (node.op.kind !== 'Conv') return matrixParts(node.op as OpOf<'Gemm' | 'MatMul'>, candidate, middle)
  const conv = node.op
  const ones = kernel.map(() => 1)
  const none = kernel.map(() => 0)
  const pointwise: Op = { ...conv, strides: ones, dilations: ones, padsBegin: none, padsEnd: none }
  const expand = {
    op: pointwise,
    shape: [layer.outputs, rank, ...ones],
    weights: middle.up,
    bias: middle.offset,
  }
  if (factors.method === 'output')
    return [
      {
        op: conv,
        shape: [rank, inputs, ...kernel],
        weights: middle.down(matrix),
        bias: middle.shift,
      },
      expand,
    ]
  const { inputRank } = factors
  const { outputs } = layer
  const space = candidate.inputSpace!
  const taps = kernel.reduce((product, size) => product * size, 1)
  // inputRank × (outputs · taps), then outputs first again
  const inner = projected(space, inputRank, byInput(layer))
  const turned: number[] = []
  for (let output = 0; output < outputs; output++)
    for (let r = 0; r < inputRank; r++)
      for (let tap = 0; tap < taps; tap++) turned.push(inner[(r * outputs + output) * taps + tap]!)
  return [
    {
      op: pointwise,
      shape: [inputRank, inputs, ...ones],
      weights: space.directions.slice(0, inputRank * inputs),
      bias: null,
    },
    {
      op: conv,
      shape: [rank, inputRank, ...kernel],
      weights: middle.down(turned),
      bias: middle.shift,
    },
    expand,
  ]
}

/** What stands between the last two factors, and how they make and read it. */
interface Middle {
  /** The factor that makes it, of the layer's weights (or what is left of them). */
  down(matrix: ArrayLike<number>): Float64Array
  readonly shift: Float64Array | null
  /** outputs × rank. */
  readonly up: Float64Array
  readonly offset: ArrayLike<number> | null
}

/** Below this share of the strongest a direction is not scaled up any more. */
const weakest = 1e-4

/**
 * y ≈ U Uᵀ (y − mean) + mean. What is between has mean 0 on the samples where a bias can shift it, and each of its
 * directions the root of its own deviation: half of the spread goes to either factor. The next factor then learns as from
 * inputs around 0, and in integers neither the one scale of the channels between nor those of the weights is wide.
 */
function middleOf(
  { layer, outputSpace }: Candidate,
  rank: number,
  bias: readonly number[] | null,
  moments: OutputMoments | null,
): Middle {
  const strongest = outputSpace.values.reduce((most, value) => Math.max(most, value), 0)
  const least = strongest * weakest ** 2
  const scale = Float64Array.from(outputSpace.values.subarray(0, rank), (value) =>
    strongest > 0 ? Math.max(value, least) ** 0.25 : 1,
  )
  const up = basis(outputSpace, rank).map((value, i) => value * scale[i % rank]!)
  const down = (matrix: ArrayLike<number>) => {
    const made = projected(outputSpace, rank, matrix)
    const columns = made.length / rank
    return made.map((value, i) => value / scale[Math.floor(i / columns)]!)
  }
  if (!layer.takesBias || !moments?.mean.every(Number.isFinite))
    return { down, shift: null, up, offset: bias }
  const { mean } = moments
  const shift = projected(
    outputSpace,
    rank,
    mean.map((value, i) => value - (bias?.[i] ?? 0)),
  ).map((value, r) => -value / scale[r]!)
  return { down, shift, up, offset: mean }
}

function spatialParts(
  conv: OpOf<'Conv'>,
  candidate: Candidate,
  rank: number,
  bias: readonly number[] | null,
): Part[] {
  const { layer, spatialSpace } = candidate
  const { outputs, inputs, kernel } = layer
  const [height, width] = kernel as [number, number]
  const along = (axis: 0 | 1, ofAxis: readonly number[], other: number) =>
    axis === 0 ? [ofAxis[0]!, other] : [other, ofAxis[1]!]
  const part = (axis: 0 | 1): Op => ({
    ...conv,
    strides: along(axis, conv.strides, 1),
    dilations: along(axis, conv.dilations, 1),
    padsBegin: along(axis, conv.padsBegin, 0),
    padsEnd: along(axis, conv.padsEnd, 0),
  })
  // rank × (outputs · width) → outputs × rank × width
  const second = projected(spatialSpace!, rank, byRows(layer))
  const turned: number[] = []
  for (let output = 0; output < outputs; output++)
    for (let r = 0; r < rank; r++)
      for (let column = 0; column < width; column++)
        turned.push(second[(r * outputs + output) * width + column]!)
  return [
    {
      op: part(0),
      shape: [rank, inputs, height, 1],
      weights: spatialSpace!.directions.slice(0, rank * inputs * height),
      bias: null,
    },
    { op: part(1), shape: [outputs, rank, 1, width], weights: turned, bias },
  ]
}

function matrixParts(op: OpOf<'Gemm' | 'MatMul'>, { layer }: Candidate, middle: Middle): Part[] {
  const { outputs, inputs, matrix } = layer
  const down = middle.down(matrix)
  const { up, shift, offset } = middle
  const rank = down.length / inputs
  if (op.kind === 'MatMul')
    return [
      { op, shape: [inputs, rank], weights: transposed(down, rank, inputs), bias: null },
      { op, shape: [rank, outputs], weights: transposed(up, outputs, rank), bias: null },
    ]
  const first: Op = { ...op, beta: 1, transB: true }
  const second: Op = { ...op, alpha: 1, beta: 1, transB: true }
  return [
    { op: first, shape: [rank, inputs], weights: down, bias: shift },
    { op: second, shape: [outputs, rank], weights: up, bias: offset },
  ]
}
