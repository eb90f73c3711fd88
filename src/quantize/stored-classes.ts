import type { OpKind } from '../graph/ops.ts'
import type { Graph } from '../graph/types.ts'
import { integerRange, type QuantizedType } from './affine.ts'
import { ScaleClasses } from './scale-classes.ts'

/** What a target made of a float graph. */
export interface TypedForm {
  readonly graph: Graph
  /** By value of the float graph: the value of `graph` that holds it. */
  readonly stored: ReadonlyMap<string, string>
}

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
 */
export function storedClasses(graph: Graph, typed: TypedForm): StoredClass[] {
  const classes = new ScaleClasses()
  for (const { op, inputs, outputs } of graph.nodes) {
    if (!keepsScale.has(op.kind)) continue
    const names = [...inputs, ...outputs].filter((name): name is string => name !== null)
    const alike = names.filter((name) =>
      isStoredAlike(storedTypeOf(name, typed), storedTypeOf(outputs[0]!, typed)),
    )
    for (const name of alike) classes.unite(alike[0]!, name)
  }
  const found = new Map<string, StoredClass & { names: string[] }>()
  for (const name of typed.stored.keys()) {
    const type = storedTypeOf(name, typed)
    const root = classes.find(name)
    if (type) found.set(root, { ...type, names: [...(found.get(root)?.names ?? []), name] })
  }
  return [...found.values()]
}

export type StoredType = Omit<StoredClass, 'names'>

/** How a value of the float graph is stored; null where it is not in integers. */
export function storedTypeOf(name: string, { graph, stored }: TypedForm): StoredType | null {
  const { type, constant } = graph.values.get(stored.get(name) ?? '') ?? {}
  const quantization = type?.quantization
  if (constant || !quantization || quantization.axis !== null || !isQuantizedType(type.dtype)) return null
  return { dtype: type.dtype, scale: quantization.scales[0]!, zeroPoint: quantization.zeroPoints[0]! }
}

export function isStoredAlike(a: StoredType | null, b: StoredType | null): boolean {
  return a !== null && b !== null && a.dtype === b.dtype && a.scale === b.scale && a.zeroPoint === b.zeroPoint
}

function isQuantizedType(dtype: string): dtype is QuantizedType {
  return dtype in integerRange
}
