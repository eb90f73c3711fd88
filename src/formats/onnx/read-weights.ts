import { EdgewrightError } from '../../error.ts'
import type { Constant, Graph } from '../../graph/types.ts'
import { viewAs } from '../../tensor.ts'

/** Kinds whose constants are weights: an infinity among them is as broken as a NaN. Elsewhere it may be a bound or a mask. */
const weighted = new Set([
  'Conv',
  'ConvTranspose',
  'Gemm',
  'MatMul',
  'BatchNormalization',
  'LayerNormalization',
  'InstanceNormalization',
  'PRelu',
])

/** @throws MODEL_NAN_WEIGHTS naming the tensor */
export function requireFiniteWeights(graph: Graph): void {
  const checked = new Map<Constant, 'finite' | 'infinite'>()
  for (const node of graph.nodes) {
    for (const name of node.inputs) {
      const constant = name === null ? null : graph.values.get(name)!.constant
      if (!constant) continue
      if (!checked.has(constant)) checked.set(constant, extremeOf(constant, name!))
      if (checked.get(constant) === 'infinite' && weighted.has(node.op.kind))
        throw notFinite(name!, 'infinity')
    }
  }
}

function extremeOf(constant: Constant, name: string): 'finite' | 'infinite' {
  const found =
    constant.dtype === 'float16' || constant.dtype === 'bfloat16'
      ? extremeOfHalves(constant)
      : extremeOfFloats(constant)
  if (found === 'nan') throw notFinite(name, 'NaN')
  return found
}

type Extreme = 'finite' | 'infinite' | 'nan'

function extremeOfFloats(constant: Constant): Extreme {
  if (constant.dtype !== 'float32' && constant.dtype !== 'float64') return 'finite'
  const data = viewAs(constant.dtype, constant.bytes()) as Float32Array | Float64Array
  let infinite = false
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!
    if (Number.isFinite(value)) continue
    if (Number.isNaN(value)) return 'nan'
    infinite = true
  }
  return infinite ? 'infinite' : 'finite'
}

function extremeOfHalves(constant: Constant): Extreme {
  const [exponent, fraction] = constant.dtype === 'float16' ? [0x7c00, 0x3ff] : [0x7f80, 0x7f]
  let infinite = false
  for (const bits of viewAs(constant.dtype, constant.bytes()) as Uint16Array) {
    if ((bits & exponent) !== exponent) continue
    if (bits & fraction) return 'nan'
    infinite = true
  }
  return infinite ? 'infinite' : 'finite'
}

function notFinite(name: string, saw: string): EdgewrightError {
  return new EdgewrightError(
    'MODEL_NAN_WEIGHTS',
    `The weights ${JSON.stringify(name)} of the model are not all finite numbers.`,
    {
      where: name,
      saw,
      hint: 'Training diverged, or the file is damaged: export the model again from a sound checkpoint.',
    },
  )
}
