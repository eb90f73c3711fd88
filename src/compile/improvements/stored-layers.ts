import { numbersOf } from '../../graph/constant.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { layerRows, type LayerRows } from '../../quantize/gram-rows.ts'
import { dequantizedNumbers, type LayerTunings, type RoundingRequest } from '../../quantize/weighted-layer.ts'
import type { Made, Trial } from '../trial.ts'

/** A layer whose weights a target stores as integers. */
export interface StoredLayer {
  readonly node: Node
  /** As the target rounds it: with the scales that it chose. */
  readonly request: RoundingRequest
  /** What the target stores now. */
  readonly integers: Int8Array
  readonly rows: LayerRows
  readonly input: string
  readonly output: string
  /** By output channel; null where the layer has none. */
  readonly bias: readonly number[] | null
}

/** Those layers of a trial, in its order, that are a product of rows and weights; with the number of the others. */
export function storedLayers(
  { trial }: Made,
  make: (trial: Trial) => Made,
): { layers: StoredLayer[]; others: number } {
  const seen = new Map<string, { request: RoundingRequest; integers: Int8Array }>()
  const { graph } = trial
  const recording: LayerTunings = new Map(
    graph.nodes.map(({ name }) => {
      const tuning = trial.layers.get(name)
      const round = (request: RoundingRequest) => {
        const integers = tuning?.round?.(request) ?? request.nearest
        seen.set(name, { request, integers })
        return integers
      }
      return [name, { ...tuning, round }]
    }),
  )
  make({ ...trial, layers: recording })
  const shapeOf = (name: string) => graph.values.get(name)!.type.shape
  const layers: StoredLayer[] = []
  for (const node of graph.nodes) {
    const stored = seen.get(node.name)
    const [input, , bias] = node.inputs
    const [output] = node.outputs
    if (!stored || !input || !output) continue
    const rows = layerRows(node, stored.request.shape, shapeOf(input), shapeOf(output))
    const numbers = bias ? numbersOf(graph.values.get(bias)!.constant!) : null
    if (rows)
      layers.push({
        node,
        ...stored,
        rows,
        input,
        output,
        bias: numbers && Array.from({ length: rows.channels }, (_, i) => numbers[i % numbers.length]!),
      })
  }
  return { layers, others: seen.size - layers.length }
}

/** What a typed graph really holds of a layer with a bias; undefined where the layer is no longer there as such. */
export function storedReals(typed: Graph, { node }: Pick<StoredLayer, 'node'>) {
  const found = typed.nodes.find(({ name, op }) => name === node.name && op.kind === node.op.kind)
  const [weights, bias] = [1, 2].map((at) => typed.values.get(found?.inputs[at] ?? ''))
  if (!weights?.constant || !weights.type.quantization || !bias?.constant) return undefined
  // a bias that is stored as reals has neither steps nor rounding
  const scales = bias.type.quantization?.scales ?? [0]
  const unit = bias.type.quantization ? scales : [1]
  return {
    weights: dequantizedNumbers(weights.constant, weights.type.quantization),
    bias: numbersOf(bias.constant).map((stored, i) => stored * unit[i % unit.length]!),
    steps: scales,
  }
}

/** Biases shifted on top of what was shifted before. */
export function withShifts(trial: Trial, shifts: ReadonlyMap<StoredLayer, Float64Array>): Trial {
  const layers = new Map(trial.layers)
  for (const [{ node }, shift] of shifts) {
    const tuning = layers.get(node.name)
    const before = tuning?.biasShift
    layers.set(node.name, { ...tuning, biasShift: shift.map((one, i) => one + (before?.[i] ?? 0)) })
  }
  return { ...trial, layers }
}
