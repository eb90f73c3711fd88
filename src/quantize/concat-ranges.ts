import { numbersOf } from '../graph/constant.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { OpKind, OpOf } from '../graph/ops.ts'
import type { Graph, Node } from '../graph/types.ts'
import { CumulativeHistogram, quantizationError } from './activation-range.ts'
import { affineOf, type QuantizedType, symmetricAffineOf } from './affine.ts'
import { Histogram } from './histogram.ts'
import type { Ranges, TensorRange } from './ranges.ts'

/** A branch that loses its signal at the scale that a concatenation gives to all of its inputs. */
export interface MixedConcat {
  /** Name of the node, and of the value that it makes. */
  readonly node: string
  readonly output: string
  readonly inputs: readonly ConcatBranch[]
  /** The widest branch's span over the narrowest's. */
  readonly spread: number
  /** Indices of neighbouring inputs that do well under one scale. */
  readonly groups: readonly (readonly number[])[]
  /**
   * `output`: no convolution or product follows. `split`: slices part the branches again. `inside`: what follows reads
   * them as one tensor, so that it needs one scale and only a change of the network helps.
   */
  readonly at: 'output' | 'split' | 'inside'
  /**
   * Values whose makers stay in float, so that each branch keeps its own scale: the concatenation and what follows it;
   * empty for `inside`. Helps where outputs are float: an integer output has one scale again.
   */
  readonly keepFloat: readonly string[]
  /**
   * More values to keep so where boxes are to be exact: the arithmetic that makes coordinates of what the last
   * convolution gives (anchors, strides), whose results span the whole picture. Empty unless `at` is `output`.
   */
  readonly decoding: readonly string[]
}

export interface ConcatBranch {
  readonly name: string
  readonly min: number
  readonly max: number
  /** Variation of the branch over its rounding error, in dB: at the scale of its own range, and at the shared one. */
  readonly ownDb: number
  readonly sharedDb: number
}

/** Below this the rounding error is over a tenth of what the branch varies by. */
const leastSharedDb = 20
/** A bit: what its own scale must gain. */
const leastGainDb = 6

/**
 * The concatenations that hurt a branch by giving it one scale with the others, as that of boxes in pixels and scores
 * in 0..1 that ends YOLO networks. A branch is hurt where its error at the shared scale is over a tenth of its own
 * variation and a bit more than at its own scale, by the calibration histograms (uniform where there is none). A branch
 * whose range is not known, directly or through moves, leaves its concatenation unjudged.
 */
export function mixedConcats(graph: Graph, ranges: Ranges, dtype: QuantizedType = 'int8'): MixedConcat[] {
  const editor = new GraphEditor(graph)
  const seenOf = observations(graph, ranges)
  return graph.nodes.flatMap((node) => {
    if (node.op.kind !== 'Concat') return []
    const seen = node.inputs.map((name) => (name === null ? null : seenOf(name)))
    if (seen.length < 2 || !seen.every((range) => range !== null)) return []
    const whole = unionOf(seen)
    if (!seen.some((range) => isHurt(range, whole, dtype))) return []
    const spans = seen.map(spanOf).filter((span) => span > 0)
    return [
      {
        node: node.name,
        output: node.outputs[0]!,
        inputs: seen.map((range, index) => ({
          name: node.inputs[index]!,
          min: range.min,
          max: range.max,
          ownDb: fidelityDb(range, range, dtype),
          sharedDb: fidelityDb(range, whole, dtype),
        })),
        spread: Math.max(...spans) / Math.min(...spans),
        groups: groupsOf(seen, dtype),
        ...remedyOf(editor, node),
      },
    ]
  })
}

/** For reports: what is wrong, in one sentence. */
export function describeMixedConcat({ inputs, spread }: MixedConcat): string {
  const hurt = inputs.filter(({ ownDb, sharedDb }) => isLoss(ownDb, sharedDb))
  const worst = hurt.reduce((a, b) => (b.sharedDb < a.sharedDb ? b : a))
  const number = (value: number) => String(Number(value.toPrecision(3)))
  return `One scale for branches whose ranges differ ${number(spread)} times: ${worst.name} (${number(worst.min)} to ${number(worst.max)}) keeps ${worst.sharedDb.toFixed(0)} of ${worst.ownDb.toFixed(0)} dB.`
}

/** Neighbouring inputs by whether all of them do well at one scale. */
function groupsOf(seen: readonly TensorRange[], dtype: QuantizedType): number[][] {
  const groups: number[][] = []
  for (const index of seen.keys()) {
    const last = groups.at(-1)
    const joined = [...(last ?? []), index].map((member) => seen[member]!)
    const whole = unionOf(joined)
    if (last && !joined.some((range) => isHurt(range, whole, dtype))) last.push(index)
    else groups.push([index])
  }
  return groups
}

function isHurt(range: TensorRange, whole: Bounds, dtype: QuantizedType): boolean {
  return isLoss(fidelityDb(range, range, dtype), fidelityDb(range, whole, dtype))
}

function isLoss(ownDb: number, sharedDb: number): boolean {
  return sharedDb < leastSharedDb && ownDb - sharedDb > leastGainDb
}

interface Bounds {
  readonly min: number
  readonly max: number
}

/** Variance over mean squared error of a tensor quantized over `bounds`, in dB; Infinity where it does not vary. */
function fidelityDb({ min, max, histogram }: TensorRange, bounds: Bounds, dtype: QuantizedType): number {
  const affine = dtype.endsWith('16')
    ? symmetricAffineOf(bounds.min, bounds.max, dtype)
    : affineOf(bounds.min, bounds.max, dtype)
  if (!histogram || histogram.count === 0) {
    const variance = (max - min) ** 2 / 12
    // steps wider than the range lose all of it, but no more
    return ratioDb(variance, Math.min(affine.scale ** 2 / 12, variance))
  }
  const { count, mean, sumOfSquares } = histogram
  const error = quantizationError(new CumulativeHistogram(histogram), affine.scale, affine.zeroPoint, dtype)
  return ratioDb(sumOfSquares / count - mean * mean, error / count)
}

function ratioDb(signal: number, noise: number): number {
  if (!(signal > 0) || !(noise > 0)) return Number.POSITIVE_INFINITY
  return 10 * Math.log10(signal / noise)
}

// -- ranges ----------------------------------------------------------------------------------------------------------

const moves: ReadonlySet<OpKind> = new Set([
  ...(['Reshape', 'Transpose', 'Slice', 'Split', 'Gather', 'Expand', 'Tile', 'Pad', 'Identity'] as const),
  ...(['Resize', 'DepthToSpace', 'SpaceToDepth', 'MaxPool', 'Convert'] as const),
])

/** What was seen of each value, or of the one that it is a moved, clipped or squashed form of; null where nothing was. */
function observations({ nodes, values }: Graph, ranges: Ranges): (name: string) => TensorRange | null {
  const derived = new Map<string, TensorRange | null>()
  const seenOf = (name: string): TensorRange | null => {
    const known = ranges.get(name) ?? derived.get(name)
    if (known !== undefined) return known
    const { constant, type } = values.get(name)!
    const range = constant && type.dtype === 'float32' ? rangeOfNumbers(name, numbersOf(constant)) : null
    derived.set(name, range)
    return range
  }
  // in topological order: what a node reads is known before it
  for (const node of nodes)
    for (const output of node.outputs)
      if (!ranges.has(output)) derived.set(output, derivedRange(node, seenOf))
  return seenOf
}

function derivedRange(
  { op, inputs }: Node,
  seenOf: (name: string) => TensorRange | null,
): TensorRange | null {
  if (op.kind === 'Sigmoid' || op.kind === 'Softmax') return { min: 0, max: 1 }
  if (op.kind === 'Concat') {
    const seen = inputs.map((input) => (input === null ? null : seenOf(input)))
    return seen.every((range) => range !== null) ? unionOf(seen) : null
  }
  const [input] = inputs
  const passes = moves.has(op.kind) || op.kind === 'Relu' || op.kind === 'Clip'
  const range = passes && input ? seenOf(input) : null
  if (range === null || moves.has(op.kind)) return range
  return op.kind === 'Clip' ? clipped(range, op) : clipped(range, { min: 0, max: Number.POSITIVE_INFINITY })
}

/** Null where no histogram can hold them: masks of infinities. */
function rangeOfNumbers(name: string, numbers: readonly number[]): TensorRange | null {
  if (!numbers.every(Number.isFinite)) return null
  const histogram = new Histogram(name)
  histogram.observe(Float32Array.from(numbers))
  return { min: histogram.min, max: histogram.max, histogram }
}

function clipped({ min, max }: Bounds, clip: Bounds): TensorRange {
  return {
    min: Math.min(Math.max(min, clip.min), clip.max),
    max: Math.min(Math.max(max, clip.min), clip.max),
  }
}

/** What tensors have seen together. */
function unionOf(seen: readonly TensorRange[]): TensorRange {
  const range = {
    min: Math.min(...seen.map(({ min }) => min)),
    max: Math.max(...seen.map(({ max }) => max)),
  }
  if (seen.some(({ histogram }) => !histogram)) return range
  const histogram = new Histogram('concatenation')
  for (const one of seen) histogram.merge(one.histogram!)
  return { ...range, histogram }
}

/** Of what is quantized: 0 is always in it. */
function spanOf({ min, max }: Bounds): number {
  return Math.max(0, max) - Math.min(0, min)
}

// -- what follows ----------------------------------------------------------------------------------------------------

const weighted: ReadonlySet<OpKind> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])

function remedyOf(editor: GraphEditor, node: Node): Pick<MixedConcat, 'at' | 'keepFloat' | 'decoding'> {
  const all = following(editor, node, () => true)
  if (!all.some(({ op }) => weighted.has(op.kind)))
    return { at: 'output', keepFloat: outputsOf(all), decoding: decodingOf(editor, node, all) }
  const { axis } = node.op as OpOf<'Concat'>
  const isMove = ({ op }: Node) => moves.has(op.kind) || op.kind === 'Concat'
  const isPart = ({ op }: Node) =>
    ((op.kind === 'Split' || op.kind === 'Gather') && op.axis === axis) ||
    (op.kind === 'Slice' && op.axes.includes(axis))
  const whole = following(editor, node, (reader) => isMove(reader) && !isPart(reader))
  const readers = outputsOf(whole).flatMap((name) => editor.consumers(name))
  // a transpose would give the axis another number
  const parted = readers.every(isMove) && !whole.some(({ op }) => op.kind === 'Transpose')
  return parted
    ? { at: 'split', keepFloat: outputsOf(following(editor, node, isMove)), decoding: [] }
    : { at: 'inside', keepFloat: [], decoding: [] }
}

const arithmetic: ReadonlySet<OpKind> = new Set(['Binary', 'Unary'])
/** What is cheap on the few numbers of a head; a pool or a resize of features is not. */
const mapsOneByOne: ReadonlySet<OpKind> = new Set([
  ...[...moves].filter((kind) => kind !== 'MaxPool' && kind !== 'Resize'),
  ...arithmetic,
  ...(['Concat', 'Sigmoid', 'Softmax'] as const),
])

/** Of the branches with arithmetic: all that only the float tail reads, back to the last product, pool or activation. */
function decodingOf(editor: GraphEditor, concat: Node, tail: readonly Node[]): string[] {
  const inFloat = new Set(tail)
  const found: Node[] = []
  for (const input of new Set(concat.inputs)) {
    const branch: Node[] = []
    const pending = [input]
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const node = name === null ? null : editor.producer(name)
      if (!node || inFloat.has(node) || !mapsOneByOne.has(node.op.kind)) continue
      const readers = outputsOf([node]).flatMap((output) => editor.consumers(output))
      if (!readers.every((reader) => inFloat.has(reader))) continue
      inFloat.add(node)
      branch.push(node)
      pending.push(...node.inputs)
    }
    if (branch.some(({ op }) => arithmetic.has(op.kind))) found.push(...branch)
    else for (const node of branch) inFloat.delete(node)
  }
  return outputsOf(found)
}

function outputsOf(nodes: readonly Node[]): string[] {
  return nodes.flatMap(({ outputs }) => outputs)
}

/** The node and what its result reaches, as far as `through` lets it. */
function following(editor: GraphEditor, start: Node, through: (node: Node) => boolean): Node[] {
  const reached = new Set([start])
  for (const node of reached)
    for (const output of node.outputs)
      for (const reader of editor.consumers(output)) if (through(reader)) reached.add(reader)
  return [...reached]
}
