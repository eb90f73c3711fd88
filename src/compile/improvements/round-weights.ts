import { type GramMatrices, GramSums, spreadPositions } from '../../quantize/gram.ts'
import { roundByOutput } from '../../quantize/rounding.ts'
import { timesRows } from '../../quantize/sequential-bias.ts'
import type { RoundWeights } from '../../quantize/weighted-layer.ts'
import { observeQuantized } from '../observe.ts'
import type { Made, Trial } from '../trial.ts'
import { GramProducts } from './gram-products.ts'
import type { Improvement, ImprovementContext } from './improvement.ts'
import { type StoredLayer, storedLayers, storedReals, withShifts } from './stored-layers.ts'

/** Weights rounded by what they do to a layer's outputs, not each to its nearest integer. */
export const roundingByOutput: Improvement = {
  name: 'rounding by output error',
  presets: ['balanced', 'best'],
  marginDb: 0,
  async propose(made, context) {
    if (context.calibration.length < guardEvery)
      return { declined: `${context.calibration.length} calibration samples leave none to guard by` }
    const { layers, others } = storedLayers(made, context.make)
    const most = mostWidth[context.recipe.preset === 'best' ? 'best' : 'balanced']
    const narrow = layers.filter(({ rows }) => rows.width <= most)
    if (narrow.length === 0)
      return { declined: `no layer with integer weights reads rows of at most ${most} inputs` }
    const total = layers.length + others
    const rounded = await roundedLayers(made, narrow, context)
    if (rounded.size === 0)
      return {
        declined: `in none of ${narrow.length} layers is the output error on samples that took no part smaller`,
      }
    const tunings = new Map(made.trial.layers)
    for (const [layer, { integers }] of rounded) {
      const { name } = layer.node
      tunings.set(name, { ...tunings.get(name), round: forTheseScales(layer, integers) })
    }
    const trial = withExactMeans(made, { ...made.trial, layers: tunings }, rounded, context)
    const wide = layers.length - narrow.length
    const left = wide === 0 ? '' : `, ${wide} too wide`
    return {
      trials: [{ name: `rounding of ${rounded.size} of ${total} layers by output error${left}`, trial }],
    }
  },
}

/** Time grows with the square of a layer's inputs: wider ones are left as they are. */
const mostWidth = { balanced: 1152, best: 2304 } as const

/** Of all matrices that are gathered in one pass over the samples. */
const mostMatrixBytes = 256 * 2 ** 20

/** Every so manieth sample only guards what was learnt from the others. */
const guardEvery = 4

interface Rounded {
  readonly integers: Int8Array
  /** Of what the layer reads, one for each group. */
  readonly meanRows: readonly Float64Array[]
}

async function roundedLayers(
  made: Made,
  layers: readonly StoredLayer[],
  context: ImprovementContext,
): Promise<Map<StoredLayer, Rounded>> {
  const rounded = new Map<StoredLayer, Rounded>()
  let done = 0
  for (const batch of batchesOf(layers)) {
    const gathered = await gatherMatrices(made, batch, context)
    for (const [i, layer] of batch.entries()) {
      const found = roundByOutput(layer.request, layer.integers, layer.rows, gathered[i]!)
      if (found) rounded.set(layer, { integers: found.integers, meanRows: gathered[i]!.fit.means })
      context.progress.tick(++done, layers.length, 'layers')
    }
  }
  return rounded
}

/**
 * Rounding about the mean leaves the mean to the biases, and moves it further than the nearest integers do. Where the
 * target's own correction, by means of whole channels, misses by it (a border that is darker than the middle), the
 * biases are shifted by the rest.
 */
function withExactMeans(
  before: Made,
  trial: Trial,
  rounded: ReadonlyMap<StoredLayer, Rounded>,
  { make }: ImprovementContext,
): Trial {
  const after = make(trial)
  const shifts = new Map<StoredLayer, Float64Array>()
  for (const [layer, { meanRows }] of rounded) {
    const [old, now] = [before, after].map(({ typed }) => storedReals(typed.graph, layer))
    if (!old || !now) continue
    const means = [old, now].map(({ weights }) => timesRows(layer.rows, weights, meanRows))
    shifts.set(
      layer,
      means[0]!.map((mean, i) => mean + old.bias[i]! - (means[1]![i]! + now.bias[i]!)),
    )
  }
  return withShifts(trial, shifts)
}

/** What was learnt with some scales says nothing of others. */
function forTheseScales({ request: { scales } }: StoredLayer, integers: Int8Array): RoundWeights {
  return (request) =>
    request.scales.length === scales.length && request.scales.every((scale, i) => scale === scales[i])
      ? integers
      : request.nearest
}

/** Layers whose matrices fit into memory together; a layer that does not fit with another stands alone. */
function* batchesOf(layers: readonly StoredLayer[]): Generator<StoredLayer[]> {
  let batch: StoredLayer[] = []
  let bytes = 0
  for (const layer of layers) {
    const { groups, width } = layer.rows
    const own = 2 * Float64Array.BYTES_PER_ELEMENT * groups * width * width
    if (batch.length > 0 && bytes + own > mostMatrixBytes) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(layer)
    bytes += own
  }
  if (batch.length > 0) yield batch
}

interface Gathered {
  readonly fit: GramMatrices
  readonly guard: GramMatrices
}

/** Of what the layers read in the quantized network. */
async function gatherMatrices(
  made: Made,
  layers: readonly StoredLayer[],
  { board, calibration }: ImprovementContext,
): Promise<Gathered[]> {
  const products = new GramProducts()
  const inputs = layers.map(({ input }) => input)
  const observed = await observeQuantized(made, board, inputs)
  const sums = layers.map(({ rows }) => ({
    fit: new GramSums(rows, products.of),
    guard: new GramSums(rows, products.of),
  }))
  try {
    let index = 0
    for await (const sample of calibration) {
      const part = index % guardEvery === guardEvery - 1 ? 'guard' : 'fit'
      const seen = await observed.run(sample)
      for (const [i, { rows, input }] of layers.entries()) {
        const each = Math.ceil(rowsFor(rows.width) / calibration.length)
        await sums[i]![part].add(seen.get(input)!, spreadPositions(rows.positions, each, index))
      }
      index++
    }
    const gathered: Gathered[] = []
    for (const [i, { fit, guard }] of sums.entries()) {
      // what a bias takes back is no error
      const centred = layers[i]!.bias !== null && made.trial.correctBias
      gathered.push({ fit: await fit.matrices(centred), guard: await guard.matrices(centred) })
    }
    return gathered
  } finally {
    await observed.close()
    await products.close()
  }
}

/** Enough for the correlations of so many inputs. */
function rowsFor(width: number): number {
  return Math.min(32_768, Math.max(4_096, 8 * width))
}
