import type { Graph } from '../../graph/types.ts'
import { GraphEditor } from '../../graph/edit.ts'
import { biasShifts, MeanInput, meanOutputs } from '../../quantize/sequential-bias.ts'
import { elementCount } from '../../tensor.ts'
import { type Observed, observeFloat, observeQuantized } from '../observe.ts'
import type { Made } from '../trial.ts'
import type { Improvement, ImprovementContext } from './improvement.ts'
import { type StoredLayer, storedLayers, storedReals, withShifts } from './stored-layers.ts'

/**
 * Takes back in each bias what the quantized network, run as the board runs it, is off by on average before the bias:
 * what its own weights lose and what the layers before have lost. Activations that are fused do not hide it.
 */
export const biasesBySamples: Improvement = {
  name: 'sequential bias correction',
  presets: ['balanced', 'best'],
  marginDb: 0,
  async propose(made, context) {
    if (context.calibration.length < 2)
      return { declined: 'a single calibration sample does not tell an error from chance' }
    const layers = storedLayers(made, context.make).layers.filter(({ bias }) => bias !== null)
    if (layers.length === 0) return { declined: 'no layer with integer weights has a bias' }
    const { graph } = made.trial
    const stages = stagesOf(graph, layers, mostDepths[context.recipe.preset === 'best' ? 'best' : 'balanced'])
    const corrected = stages.flat()
    const float = await meansOf(
      await observeFloat(graph, inputsOf(corrected)),
      new Map(corrected.map((layer) => [layer, { weights: layer.request.weights, bias: layer.bias! }])),
      graph,
      context,
    )
    let best = made
    const changed = new Set<StoredLayer>()
    for (const [done, stage] of stages.entries()) {
      const shifts = await stageShifts(best, stage, float, context)
      for (const layer of shifts.keys()) changed.add(layer)
      if (shifts.size > 0) best = context.make(withShifts(best.trial, shifts))
      context.progress.tick(done + 1, stages.length, 'depths')
    }
    if (changed.size === 0)
      return { declined: `no layer is off on average by more than chance and the rounding of its bias` }
    const name = `biases of ${changed.size} of ${layers.length} layers corrected one after the other`
    return { trials: [{ name, trial: best.trial }] }
  },
}

/** Parts of the samples whose mean errors are compared: what differs between them is chance. */
const mostFolds = 8

/** Of more depths than that, so many are corrected, evenly spread: each takes back what all before it have lost. */
const mostDepths = { balanced: 8, best: 32 } as const

/** Layers of one depth do not read one another; every depth comes after what lies before it is corrected. */
function stagesOf(graph: Graph, layers: readonly StoredLayer[], most: number): StoredLayer[][] {
  const depths = depthsOf(graph, layers)
  const distinct = [...new Set(layers.map(({ input }) => depths.get(input)!))].sort((a, b) => a - b)
  const count = Math.min(most, distinct.length)
  // the last is always one of them
  const chosen = Array.from(
    { length: count },
    (_, i) => distinct[Math.ceil(((i + 1) * distinct.length) / count) - 1]!,
  )
  return chosen.map((depth) => layers.filter(({ input }) => depths.get(input) === depth))
}

/** By value: the most of these layers that lie before it on any way. */
function depthsOf(graph: Graph, layers: readonly StoredLayer[]): Map<string, number> {
  const counted = new Set(layers.map(({ node }) => node))
  const depths = new Map<string, number>(graph.inputs.map((name) => [name, 0]))
  for (const node of graph.nodes) {
    const before = node.inputs.reduce((depth, input) => Math.max(depth, depths.get(input ?? '') ?? 0), 0)
    for (const output of node.outputs) depths.set(output, before + (counted.has(node) ? 1 : 0))
  }
  return depths
}

/** Mean output of each channel with the bias, by layer and fold. */
type Means = Map<StoredLayer, Float64Array[]>

async function stageShifts(
  made: Made,
  stage: readonly StoredLayer[],
  float: Means,
  context: ImprovementContext,
): Promise<Map<StoredLayer, Float64Array>> {
  const { graph } = made.typed
  const stored = new Map(
    stage.flatMap((layer) => {
      const reals = storedReals(graph, layer)
      return reals ? [[layer, reals] as const] : []
    }),
  )
  const inputs = inputsOf(stored.keys())
  const observed = await observeQuantized(upTo(made, inputs), context.board, inputs)
  const means = await meansOf(observed, stored, made.trial.graph, context)
  const shifts = new Map<StoredLayer, Float64Array>()
  for (const [layer, { steps }] of stored) {
    const errors = means
      .get(layer)!
      .map((fold, i) => fold.map((mean, channel) => mean - float.get(layer)![i]![channel]!))
    const found = biasShifts(errors, steps)
    if (found.some((shift) => shift !== 0)) shifts.set(layer, found)
  }
  return shifts
}

/** The part of the quantized network that makes these values. */
function upTo(made: Made, values: readonly string[]): Made {
  const { graph, stored } = made.typed
  const needed = values.map((name) => stored?.get(name) ?? name)
  const inner = needed.filter((name) => graph.values.has(name) && !graph.inputs.includes(name))
  if (inner.length === 0) return made
  const editor = new GraphEditor(graph)
  editor.outputs = [...new Set(inner)]
  return { ...made, typed: { ...made.typed, graph: editor.finish() } }
}

interface Reals {
  readonly weights: ArrayLike<number>
  readonly bias: readonly number[]
}

/** Closes what it observes. */
async function meansOf(
  observed: Observed,
  reals: ReadonlyMap<StoredLayer, Reals>,
  graph: Graph,
  { calibration }: ImprovementContext,
): Promise<Means> {
  const means: Means = new Map([...reals.keys()].map((layer) => [layer, []]))
  const inputs = new Map(
    observed.names.map((name) => [name, new MeanInput(elementCount(graph.values.get(name)!.type.shape))]),
  )
  const folds = Math.min(mostFolds, calibration.length)
  let done = 0
  try {
    for await (const sample of calibration) {
      for (const [name, x] of await observed.run(sample)) inputs.get(name)!.add(x)
      done++
      const fold = Math.floor((done * folds) / calibration.length)
      if (fold === Math.floor(((done - 1) * folds) / calibration.length)) continue
      const taken = new Map([...inputs].map(([name, input]) => [name, input.take()]))
      for (const [layer, { weights, bias }] of reals) {
        const products = meanOutputs(layer.rows, weights, taken.get(layer.input)!)
        means.get(layer)!.push(products.map((product, channel) => product + bias[channel]!))
      }
    }
  } finally {
    await observed.close()
  }
  return means
}

function inputsOf(layers: Iterable<StoredLayer>): string[] {
  return [...new Set([...layers].map(({ input }) => input))]
}
