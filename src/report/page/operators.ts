import type { OperatorTime } from '../../store/document.ts'

/**
 * What an operator of the int8 network does: computes on integers, converts between integers and reals, computes in
 * float because nothing integer was there for it, or only moves values (any type).
 */
export type OperatorKind = 'integer' | 'conversion' | 'float' | 'movement'

/** One operator of both networks, e.g. Conv beside QLinearConv. */
export interface OperatorPair {
  readonly name: string
  readonly floatNs: number
  readonly int8Ns: number
  /** Of the int8 side; of the float side where int8 has none. */
  readonly kind: OperatorKind
}

export interface OperatorSplit {
  /** Costliest first. */
  readonly pairs: readonly OperatorPair[]
  readonly floatNs: number
  readonly int8Ns: number
  /** Time of the int8 network by kind. */
  readonly int8ByKind: Readonly<Record<OperatorKind, number>>
}

const shown = 12

/** Puts the operators of the int8 network beside those of the float network that they stand for. */
export function splitOperators(float: readonly OperatorTime[], int8: readonly OperatorTime[]): OperatorSplit {
  const pairs = new Map<string, { floatNs: number; int8Ns: number; kind: OperatorKind }>()
  const pairOf = (operator: string) => {
    const name = baseName(operator)
    const pair = pairs.get(name) ?? { floatNs: 0, int8Ns: 0, kind: kindOf(operator) }
    pairs.set(name, pair)
    return pair
  }
  for (const { operator, meanNs } of float) pairOf(operator).floatNs += meanNs
  const byKind: Record<OperatorKind, number> = { integer: 0, conversion: 0, float: 0, movement: 0 }
  const most = new Map<string, number>()
  for (const { operator, meanNs } of int8) {
    const pair = pairOf(operator)
    pair.int8Ns += meanNs
    byKind[kindOf(operator)] += meanNs
    // Where some convolutions are integer and some are not, the costlier part names the pair.
    if (meanNs >= (most.get(baseName(operator)) ?? 0)) {
      most.set(baseName(operator), meanNs)
      pair.kind = kindOf(operator)
    }
  }
  const sorted = [...pairs]
    .map(([name, pair]) => ({ name, ...pair }))
    .sort((a, b) => Math.max(b.floatNs, b.int8Ns) - Math.max(a.floatNs, a.int8Ns))
  const rest = sorted.slice(shown)
  const other = {
    name: `${rest.length} others`,
    floatNs: total(rest.map((pair) => pair.floatNs)),
    int8Ns: total(rest.map((pair) => pair.int8Ns)),
    kind: 'movement' as const,
  }
  return {
    pairs: rest.length > 1 ? [...sorted.slice(0, shown), other] : sorted,
    floatNs: total(float.map(({ meanNs }) => meanNs)),
    int8Ns: total(int8.map(({ meanNs }) => meanNs)),
    int8ByKind: byKind,
  }
}

/** Names of ONNX Runtime's kernels, brought back to the operator they stand for. */
export function baseName(operator: string): string {
  if (/^(Dynamic)?(Quantize|Dequantize)Linear$/.test(operator)) return 'Quantize and Dequantize'
  if (/^Reorder(Input|Output)$/.test(operator)) return 'Reorder'
  return operator
    .replace(/^(QLinear|Nhwc|Fused|NhwcFused|Q)(?=[A-Z])/, '')
    .replace(/^Fused(?=[A-Z])/, '')
    .replace(/(Integer|IntegerToFloat)$/, '')
}

const movement = new Set(
  'Reshape Transpose Squeeze Unsqueeze Flatten Concat Split Slice Gather Expand Tile Identity MaxPool Pad Resize DepthToSpace SpaceToDepth ReorderInput ReorderOutput Shape NhwcMaxPool'.split(
    ' ',
  ),
)

export function kindOf(operator: string): OperatorKind {
  if (/^(Dynamic)?(Quantize|Dequantize)Linear$/.test(operator)) return 'conversion'
  if (/^(QLinear|Q(Gemm|Attention|MoE)\b|ConvInteger|MatMulInteger|DynamicQuantize)/.test(operator))
    return 'integer'
  return movement.has(operator) ? 'movement' : 'float'
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
