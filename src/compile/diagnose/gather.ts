import type { Sample } from '../../data/types.ts'
import type { IntegerType } from '../../data/quantize-tensor.ts'
import type { Graph, TensorType } from '../../graph/types.ts'
import { type Progress, throwIfAborted } from '../../progress.ts'
import { channelStatisticsOf } from '../../quantize/channel-statistics.ts'
import { elementCount, type Tensor } from '../../tensor.ts'
import type { Board } from '../board.ts'
import { executeGraph } from '../execute-graph.ts'
import { observeFloat, observeQuantized } from '../observe.ts'
import { runnableOf } from '../runnable.ts'
import { type Made, trialOptions } from '../trial.ts'
import { type OpenLoop, openLoop, type Segment, segmentsOf } from './open-loop.ts'
import { realsOf, type Stored, storedAs, TensorMeter } from './tensor-meter.ts'

/** A tensor that both networks compute, with what was seen of it. */
export interface Gathered {
  readonly name: string
  /** What makes it; undefined for an input of the network. */
  readonly segment: Segment | undefined
  /** How the quantized network stores it; null where it is real there too. */
  readonly stored: IntegerType | null
  readonly meter: TensorMeter
}

/** Elements that are looked at in one pass: of each, five forms are alive at a time. */
const mostElements = 6_000_000

/**
 * Float and quantized network side by side over samples, tensor by tensor in execution order: as they run, and with each
 * operator's operands taken from float, so that only what it adds itself is seen. One sample is alive at a time; where
 * all tensors of a network are too many for memory they are gone through in groups, over the same samples again.
 */
export async function gather(
  made: Made,
  board: Board,
  samples: AsyncIterable<Sample> & { readonly length: number },
  progress: Progress,
  elementsAtOnce = mostElements,
): Promise<Gathered[]> {
  const { graph } = made.trial
  const held = heldValues(made)
  const seen = new Set(held.keys())
  const segments = segmentsOf(graph, seen)
  const [values, errors] = [channelStatisticsOf(graph, [], seen), channelStatisticsOf(graph, [], seen)]
  const gathered = [...seen].map((name): Gathered => {
    const stored = integerTypeOf(made.typed.graph.values.get(held.get(name)!)!.type)
    const meter = new TensorMeter(name, stored, {
      values: values.get(name),
      errors: errors.get(name),
    })
    return { name, segment: segments.get(name), stored, meter }
  })
  const groups = groupsOf(graph, gathered, elementsAtOnce)
  for (const [index, group] of groups.entries()) {
    progress.stage(
      'diagnose',
      `${group.length} tensors${groups.length > 1 ? `, part ${index + 1} of ${groups.length}` : ''}`,
    )
    await gatherGroup(made, board, samples, group, held, gathered, progress)
  }
  return gathered.filter(({ meter }) => meter.isFinite)
}

/** Real values of the float graph in execution order, by the value of the typed graph that holds each. */
function heldValues({ trial: { graph }, typed }: Made): Map<string, string> {
  const held = new Map<string, string>()
  const taken = new Set<string>()
  for (const name of [...graph.inputs, ...graph.nodes.flatMap(({ outputs }) => outputs)]) {
    const value = typed.stored ? typed.stored.get(name) : name
    if (value === undefined || taken.has(value)) continue
    const type = typed.graph.values.get(value)
    if (!type || type.constant || graph.values.get(name)!.type.dtype !== 'float32') continue
    held.set(name, value)
    taken.add(value)
  }
  return held
}

function integerTypeOf({ dtype, quantization }: TensorType): IntegerType | null {
  return quantization
    ? {
        dtype: dtype as IntegerType['dtype'],
        scale: quantization.scales[0]!,
        zeroPoint: quantization.zeroPoints[0]!,
      }
    : null
}

function groupsOf(graph: Graph, gathered: readonly Gathered[], most: number): Gathered[][] {
  const groups: Gathered[][] = []
  let elements = Number.POSITIVE_INFINITY
  for (const one of gathered) {
    const count = elementCount(graph.values.get(one.name)!.type.shape)
    if (elements + count > most) {
      groups.push([])
      elements = 0
    }
    groups.at(-1)!.push(one)
    elements += count
  }
  return groups
}

async function gatherGroup(
  made: Made,
  board: Board,
  samples: AsyncIterable<Sample> & { readonly length: number },
  group: readonly Gathered[],
  held: ReadonlyMap<string, string>,
  all: readonly Gathered[],
  progress: Progress,
): Promise<void> {
  const names = group.map(({ name }) => name)
  const inGroup = new Set(names)
  const reads = new Set(group.flatMap(({ segment }) => segment?.reads ?? []))
  const open: { close(): Promise<void> }[] = []
  const opened = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
    const one = await opening
    open.push(one)
    return one
  }
  try {
    const float = await opened(observeFloat(made.trial.graph, [...new Set([...names, ...reads])]))
    const quantized = await opened(observeQuantized(made, board, names))
    const alone = await opened(openAlone(made, board, group, held))
    const known = new Map(all.map((one) => [one.name, one]))
    let done = 0
    for await (const sample of samples) {
      throwIfAborted(progress.signal)
      const reals = await float.run(sample)
      const candidates = await quantized.run(sample)
      const stored = new Map<string, Stored>()
      for (const [name, real] of reals) {
        const one = known.get(name)!
        stored.set(name, storedAs(one.stored, real, made.trial.graph.values.get(name)!.type.shape))
        // those that the group only reads are counted in their own
        if (inGroup.has(name)) one.meter.addFloat(real, stored.get(name)!.reals)
      }
      for (const { name, meter, segment } of group) {
        meter.addQuantized(reals.get(name)!, candidates.get(name)!)
        if (!segment) meter.addOwn(reals.get(name)!, stored.get(name)!.reals)
      }
      for (const { name, reference, candidate } of await alone.run(stored, sample))
        known.get(name)!.meter.addOwn(reference, candidate)
      progress.tick(++done, samples.length, 'samples')
    }
  } finally {
    for (const one of open) await one.close()
  }
}

/** The operators of a group on stored operands that are given them, in float and as the target computes them. */
async function openAlone(
  made: Made,
  board: Board,
  group: readonly Gathered[],
  held: ReadonlyMap<string, string>,
) {
  const { graph } = made.trial
  const computed = group.filter(({ segment }) => segment !== undefined).map(({ name }) => name)
  const float = openLoop(graph, new Map([...held.keys()].map((name) => [name, name])), computed)
  const typed = made.typed.graph
  const cuts = new Map([...held].map(([name, value]) => [value, name]))
  // where a float operator's result is also read as real, those readers are given what the others are
  for (const [name, value] of held)
    if (name !== value && typed.values.get(name)?.constant === null) cuts.set(name, name)
  const loop = openLoop(
    typed,
    cuts,
    computed.map((name) => held.get(name)!),
    ({ op, inputs, outputs }) =>
      op.kind === 'Convert' && cuts.get(inputs[0]!) === inputs[0] && held.get(inputs[0]!) === outputs[0],
  )
  const reference = computed.length > 0 ? await executeGraph(float.graph) : null
  const runnable =
    computed.length > 0
      ? await runnableOf(board.target.emit(loop.graph, trialOptions(made.trial, board)), board)
      : null
  const integers = new Set(runnable?.inputs.filter(({ stored }) => stored !== null).map(({ name }) => name))
  const types = new Map(runnable?.outputs.map((one) => [one.name, one.stored]))
  return {
    async run(stored: ReadonlyMap<string, Stored>, sample: Sample) {
      if (!reference || !runnable) return []
      const expected = await reference.run(feedsFor(float, new Set(), stored, sample), computed)
      const results = await runnable.evaluator.run(feedsFor(loop, integers, stored, sample))
      return computed.map((name) => ({
        name,
        reference: realsOf(expected.get(name)!, null),
        candidate: realsOf(results.get(held.get(name)!)!, types.get(held.get(name)!) ?? null),
      }))
    },
    async close() {
      await reference?.close()
      await runnable?.evaluator.close()
    },
  }
}

/** @param integers inputs that take what is stored; the others take what it means */
function feedsFor(
  { feeds }: OpenLoop,
  integers: ReadonlySet<string>,
  stored: ReadonlyMap<string, Stored>,
  sample: Sample,
): Map<string, Tensor> {
  return new Map(
    [...feeds].map(([input, name]): [string, Tensor] => {
      const one = stored.get(name)
      if (!one) return [input, sample.inputs.get(name)!]
      const { shape } = one.tensor
      return [input, integers.has(input) ? one.tensor : { dtype: 'float32', shape, data: one.reals }]
    }),
  )
}
