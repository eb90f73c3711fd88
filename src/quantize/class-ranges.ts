import type { OpKind } from '../graph/ops.ts'
import type { Graph } from '../graph/types.ts'
import { activationRange, CumulativeHistogram, quantizationError } from './activation-range.ts'
import { integerRange, type QuantizedType } from './affine.ts'
import { type ActivationRangeMethod, describeRangeMethod, type Ranges, type TensorRange } from './ranges.ts'
import { ScaleClasses } from './scale-classes.ts'

/** Values that a typed graph stores with one scale and zero point because an operator between them wants it. */
export interface StoredClass {
  /** Of the float graph. */
  readonly names: readonly string[]
  readonly dtype: QuantizedType
  readonly scale: number
  readonly zeroPoint: number
}

/** Operators whose results have the scale of their operands where a target stores both alike. */
export const keepsScale: ReadonlySet<OpKind> = new Set([
  ...(['MaxPool', 'AveragePool', 'GlobalMaxPool', 'GlobalAveragePool', 'Resize', 'Pad', 'Concat'] as const),
  ...(['Reshape', 'Transpose', 'Slice', 'Split', 'Gather', 'Expand', 'Tile', 'Identity'] as const),
  ...(['DepthToSpace', 'SpaceToDepth'] as const),
])

/**
 * The classes that a target made, read off its typed graph: values stored alike on both sides of an operator that
 * keeps its operands' scale are in one. Two Relu6 apart are two classes, though both end at 6.
 *
 * @param stored by value of the float graph, the one of the typed graph that holds it
 */
export function storedClasses(
  graph: Graph,
  typed: { readonly graph: Graph; readonly stored: ReadonlyMap<string, string> },
): StoredClass[] {
  const classes = new ScaleClasses()
  for (const { op, inputs, outputs } of graph.nodes) {
    if (!keepsScale.has(op.kind)) continue
    const names = [...inputs, ...outputs].filter((name): name is string => name !== null)
    const alike = names.filter((name) => isSameType(storedType(name, typed), storedType(outputs[0]!, typed)))
    for (const name of alike) classes.unite(alike[0]!, name)
  }
  const found = new Map<string, StoredClass & { names: string[] }>()
  for (const name of typed.stored.keys()) {
    const type = storedType(name, typed)
    const root = classes.find(name)
    if (type) found.set(root, { ...type, names: [...(found.get(root)?.names ?? []), name] })
  }
  return [...found.values()]
}

type StoredType = Omit<StoredClass, 'names'>

function storedType(
  name: string,
  { graph, stored }: { readonly graph: Graph; readonly stored: ReadonlyMap<string, string> },
): StoredType | null {
  const { type, constant } = graph.values.get(stored.get(name) ?? '') ?? {}
  const quantization = type?.quantization
  if (constant || !quantization || quantization.axis !== null || !isQuantizedType(type.dtype)) return null
  return { dtype: type.dtype, scale: quantization.scales[0]!, zeroPoint: quantization.zeroPoints[0]! }
}

function isSameType(a: StoredType | null, b: StoredType | null): boolean {
  return a !== null && b !== null && a.dtype === b.dtype && a.scale === b.scale && a.zeroPoint === b.zeroPoint
}

function isQuantizedType(dtype: string): dtype is QuantizedType {
  return dtype in integerRange
}

/** Ends that differ by less than this share of the span round alike. */
const sameEnds = 0.01

/**
 * Those of the methods that would give a class another range than `current`, one for each range that is different
 * enough to matter. Members without a histogram know min-max only.
 */
export function otherMethods(
  { names, dtype }: Pick<StoredClass, 'names' | 'dtype'>,
  ranges: Ranges,
  current: ActivationRangeMethod,
  methods: readonly ActivationRangeMethod[],
): ActivationRangeMethod[] {
  const seen = histogramsOf(names, ranges)
  if (seen.length === 0) return []
  const endsOf = (method: ActivationRangeMethod) => {
    const all = seen.map((range) =>
      activationRange(range, method, { dtype, symmetric: dtype.endsWith('16') }),
    )
    return {
      min: Math.min(...all.map(({ min }) => min)),
      max: Math.max(...all.map(({ max }) => max)),
    }
  }
  const known = [endsOf(current)]
  return methods.filter((method) => {
    if (describeRangeMethod(method) === describeRangeMethod(current)) return false
    const ends = endsOf(method)
    const different = known.every(({ min, max }) => {
      const least = sameEnds * (max - min)
      return Math.abs(ends.min - min) > least || Math.abs(ends.max - max) > least
    })
    if (different) known.push(ends)
    return different
  })
}

/** Rounding and clipping error of a class's members over their power, by their histograms; 0 where there is none. */
export function classNoise({ names, dtype, scale, zeroPoint }: StoredClass, ranges: Ranges): number {
  let noise = 0
  let signal = 0
  for (const { histogram } of histogramsOf(names, ranges)) {
    noise += quantizationError(new CumulativeHistogram(histogram!), scale, zeroPoint, dtype)
    signal += histogram!.sumOfSquares
  }
  return signal > 0 ? noise / signal : 0
}

function histogramsOf(names: readonly string[], ranges: Ranges): TensorRange[] {
  return names.flatMap((name) => {
    const range = ranges.get(name)
    return range?.histogram && range.histogram.count > 0 ? [range] : []
  })
}
