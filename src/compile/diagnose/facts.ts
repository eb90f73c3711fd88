import { numbersOf } from '../../graph/constant.ts'
import type { Op, OpKind } from '../../graph/ops.ts'
import type { Constant, Graph, Node } from '../../graph/types.ts'
import { percentileRange } from '../../quantize/activation-range.ts'
import { integerRange } from '../../quantize/affine.ts'
import type { StoredFacts, TensorFacts, WeightFacts } from '../../quantize/causes.ts'
import { describeMixedConcat, type MixedConcat, mixedConcats } from '../../quantize/concat-ranges.ts'
import type { Ranges } from '../../quantize/ranges.ts'
import { dequantizedNumbers } from '../../quantize/weighted-layer.ts'
import { elementCount } from '../../tensor.ts'
import type { Made } from '../trial.ts'
import type { Gathered } from './gather.ts'

/** What the rules of causes ask of every tensor, by name. */
export function factsOf(
  made: Made,
  gathered: readonly Gathered[],
  isKnown: (name: string) => boolean,
): Map<string, TensorFacts> {
  const byName = new Map(gathered.map((one) => [one.name, one]))
  const origins = originsOf(gathered)
  const producers = new Map(
    made.trial.graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node])),
  )
  const concats = new Map(
    concatsOf(made.trial.graph, gathered)
      // a target may have parted the branches already
      .filter(({ output }) => isInteger(byName.get(output)))
      .flatMap((concat) =>
        [concat.output, ...hurtBranches(concat, byName)].map((name) => [name, concat] as const),
      ),
  )
  return new Map(
    gathered.map((one) => {
      const { name, segment, meter } = one
      const nodes = segment?.nodes ?? []
      const concat = concats.get(name)
      const origin = origins.get(name)
      const names = nodes.map((node) => keepFloatName(node, isKnown))
      return [
        name,
        {
          db: meter.whole.db,
          ownDb: meter.own.db,
          storageDb: meter.storage.db,
          stored: storedFactsOf(one),
          seen: seenFactsOf(one),
          calibrated: made.trial.ranges.get(name) ?? null,
          shiftShare: meter.ownShiftShare,
          channels: channelMagnitudes(one),
          weights: weightFactsOf(made, nodes),
          addends: addendsOf(one, byName),
          concat: concat
            ? {
                sentence: describeMixedConcat(concat),
                isOutput: concat.at === 'output',
                keepFloat: concat.keepFloat.filter(isKnown),
              }
            : null,
          fixedBy: nodes.map(({ op }) => op.kind).find((kind) => fixedRange.has(kind)) ?? null,
          curve: curveOf(nodes, producers),
          operandDb: operandDbOf(one, byName),
          origin: origin ? { name: origin.name, ownDb: origin.meter.own.db } : null,
          keepFloat: names.length > 0 && names.every((known) => known !== null) ? names : null,
        },
      ]
    }),
  )
}

function storedFactsOf({ stored, meter }: Gathered): StoredFacts | null {
  if (!stored) return null
  const { dtype, scale, zeroPoint } = stored
  const [low, high] = integerRange[dtype]
  const { count } = meter.histogram
  return {
    min: (low - zeroPoint) * scale,
    max: (high - zeroPoint) * scale,
    bits: dtype.endsWith('16') ? 16 : 8,
    scale,
    clippedShare: meter.clipped / count,
    clippedNoiseShare: meter.storage.noise === 0 ? 0 : meter.clippedNoise / meter.storage.noise,
    zeroedShare: meter.zeroed / count,
  }
}

function seenFactsOf({ meter: { histogram, negatives } }: Gathered): TensorFacts['seen'] {
  const { min, max, count, sumOfSquares } = histogram
  return {
    min,
    max,
    rms: Math.sqrt(sumOfSquares / count),
    bulk: percentileRange(histogram, 99.9),
    negativeShare: negatives / count,
  }
}

function channelMagnitudes({ meter: { channels } }: Gathered): number[] | null {
  if (!channels) return null
  const { min, max } = channels.result()
  return Array.from(max, (high, channel) => Math.max(high, -min[channel]!))
}

/** A name of the operator by which a recipe can keep it in float. */
function keepFloatName(node: Node, isKnown: (name: string) => boolean): string | null {
  return [...node.outputs, node.name].find(isKnown) ?? null
}

// -- weights ---------------------------------------------------------------------------------------------------------

function weightFactsOf({ trial, typed }: Made, nodes: readonly Node[]): WeightFacts | null {
  const node = nodes.find(({ op }) => outputAxis(op, 2) !== null)
  const weights = node && trial.graph.values.get(node.inputs[1] ?? '')?.constant
  if (!node || !weights) return null
  const stored = typed.graph.nodes.find(({ name, op }) => name === node.name && op.kind === node.op.kind)
  const value = stored && typed.graph.values.get(stored.inputs[1] ?? '')
  const quantization = value?.type.quantization
  // stored schemes keep weights behind an operator that makes them real
  if (!value?.constant || !quantization || elementCount(weights.shape) !== elementCount(value.constant.shape))
    return null
  const factor = node.op.kind === 'Gemm' ? node.op.alpha : 1
  const reals = numbersOf(weights).map((w) => w * factor)
  const kept = dequantizedNumbers(value.constant, quantization)
  let [signal, noise] = [0, 0]
  for (const [i, real] of reals.entries()) {
    signal += real * real
    noise += (real - kept[i]!) ** 2
  }
  const axis = outputAxis(node.op, weights.shape.length)!
  return {
    perTensor: quantization.axis === null,
    depthwise: isDepthwise(node.op, weights),
    db: noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise),
    magnitudes: magnitudesAlong(reals, weights.shape, axis),
    storedMagnitudes: magnitudesAlong(numbersOf(value.constant), weights.shape, axis),
  }
}

function outputAxis(op: Op, rank: number): number | null {
  switch (op.kind) {
    case 'Conv':
      return 0
    case 'ConvTranspose':
      return 1
    case 'Gemm':
      return op.transB ? 0 : 1
    case 'MatMul':
      return rank - 1
    default:
      return null
  }
}

function isDepthwise(op: Op, weights: Constant): boolean {
  return op.kind === 'Conv' && op.group > 1 && weights.shape[1] === 1
}

function magnitudesAlong(numbers: readonly number[], shape: readonly number[], axis: number): number[] {
  const inner = elementCount(shape.slice(axis + 1))
  const size = shape[axis]!
  const magnitudes = new Array<number>(size).fill(0)
  for (const [i, x] of numbers.entries()) {
    const index = Math.floor(i / inner) % size
    magnitudes[index] = Math.max(magnitudes[index]!, Math.abs(x))
  }
  return magnitudes
}

// -- the network around ----------------------------------------------------------------------------------------------

const fixedRange: ReadonlySet<OpKind> = new Set(['Softmax', 'LogSoftmax', 'Sigmoid', 'Tanh', 'HardSigmoid'])

function curveOf(nodes: readonly Node[], producers: ReadonlyMap<string, Node>): string | null {
  const curve = nodes.find(({ op }) => op.kind === 'HardSwish' || op.kind === 'Gelu' || op.kind === 'Elu')
  if (curve) return curve.op.kind
  return nodes.some((node) => isSwish(node, producers)) ? 'Swish' : null
}

/** Swish has no operator of its own: x times the sigmoid of x. */
function isSwish({ op, inputs }: Node, producers: ReadonlyMap<string, Node>): boolean {
  if (op.kind !== 'Binary' || op.fn !== 'Mul') return false
  return inputs.some((input) => {
    const gate = producers.get(input ?? '')
    return (
      (gate?.op.kind === 'Sigmoid' || gate?.op.kind === 'HardSigmoid') && inputs.includes(gate.inputs[0]!)
    )
  })
}

function addendsOf({ segment }: Gathered, byName: ReadonlyMap<string, Gathered>): TensorFacts['addends'] {
  const add = segment?.nodes.find(({ op }) => op.kind === 'Binary' && (op.fn === 'Add' || op.fn === 'Sub'))
  const read = add?.inputs.map((input) => byName.get(input ?? ''))
  if (!read?.every((one) => one !== undefined)) return []
  return read.map(({ name, meter }) => ({ name, min: meter.histogram.min, max: meter.histogram.max }))
}

function concatsOf(graph: Graph, gathered: readonly Gathered[]): MixedConcat[] {
  const ranges: Ranges = new Map(
    gathered.map(({ name, meter: { histogram } }) => [
      name,
      { min: histogram.min, max: histogram.max, histogram },
    ]),
  )
  const stored = gathered.find((one) => one.stored !== null)?.stored
  return stored ? mixedConcats(graph, ranges, stored.dtype) : []
}

/** Those that a bit and more is lost of, and that are stored so. */
function hurtBranches({ inputs }: MixedConcat, byName: ReadonlyMap<string, Gathered>): string[] {
  return inputs
    .filter(
      ({ name, ownDb, sharedDb }) =>
        ownDb - sharedDb > 6 && (byName.get(name)?.meter.storage.db ?? Infinity) < ownDb - 6,
    )
    .map(({ name }) => name)
}

function isInteger(one: Gathered | undefined): boolean {
  return one !== undefined && one.stored !== null
}

function operandDbOf({ segment }: Gathered, byName: ReadonlyMap<string, Gathered>): number | null {
  const read = (segment?.reads ?? []).flatMap((name) => byName.get(name)?.meter.whole.db ?? [])
  return read.length > 0 ? Math.min(...read) : null
}

/** Of everything that a tensor depends on, what adds most error itself; by tensor, in execution order. */
function originsOf(gathered: readonly Gathered[]): Map<string, Gathered> {
  const byName = new Map(gathered.map((one) => [one.name, one]))
  const origins = new Map<string, Gathered>()
  for (const { name, segment } of gathered)
    for (const read of segment?.reads ?? [])
      for (const before of [byName.get(read), origins.get(read)]) {
        const known = origins.get(name)
        if (before && (!known || before.meter.own.db < known.meter.own.db)) origins.set(name, before)
      }
  return origins
}
