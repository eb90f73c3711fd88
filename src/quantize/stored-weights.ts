import { constantOf, numbersOf } from '../graph/constant.ts'
import { GraphEditor } from '../graph/edit.ts'
import { numberToFloat16 } from '../graph/encode.ts'
import type { Op } from '../graph/ops.ts'
import type { Constant, Graph, Node } from '../graph/types.ts'
import { elementCount } from '../tensor.ts'
import { quantizeConstant } from './constant-weights.ts'
import type { WeightRangeMethod } from './ranges.ts'

/** Smaller weights stay float32: they save next to nothing (as TensorFlow's converter has it). */
export const leastStoredElements = 1024

const largestFloat16 = 65504
/** Below this, a conversion weighs more than the bytes that it saves. */
const leastHalfElements = 8

/** Schemes that leave activations real. */
export type StoredScheme = 'dynamic' | 'weight-only' | 'float16'

export function isStoredScheme(scheme: string): scheme is StoredScheme {
  return scheme === 'dynamic' || scheme === 'weight-only' || scheme === 'float16'
}

/** How a target stores the weights of one operator as symmetric int8. */
export interface StoredWeightForm {
  /** With a scale for each index along it; null: one for all. */
  readonly axis: number | null
  /** Largest stored magnitude. */
  readonly limit: number
  /** A kernel takes float activations and int8 weights as they are; else a conversion to float stands before it. */
  readonly hybrid: boolean
}

export interface StoredWeightRules {
  readonly scheme: StoredScheme
  readonly method: WeightRangeMethod
  /** Names of nodes, or of what they make, that keep float32 weights. */
  readonly keepFloat: readonly string[]
  /** Null where the second operand of a node is no weight. Not asked for `float16`. */
  formOf(node: Node, weights: Constant): StoredWeightForm | null
}

/**
 * The graph with its weights as a scheme stores them: `dynamic` gives int8 weights to hybrid kernels, `weight-only` puts int8 and
 * `float16` half-precision weights behind a conversion to float.
 * @throws MODEL_NAN_WEIGHTS where a weight to be stored as int8 is not finite
 */
export function storeWeights(
  graph: Graph,
  rules: StoredWeightRules,
): { graph: Graph; notes: { where: string; reason: string }[] } {
  const editor = new GraphEditor(graph)
  const notes: { where: string; reason: string }[] = []
  const made = new Map<string, string>()
  for (const node of graph.nodes) {
    // what an operator kept verbatim wants of its constants is not known
    if (node.op.kind === 'Opaque' || isKeptFloat(node, rules.keepFloat)) continue
    for (const [position, name] of node.inputs.entries()) {
      const constant = name === null ? null : graph.values.get(name)!.constant
      if (name === null || constant?.dtype !== 'float32') continue
      const stored =
        rules.scheme === 'float16'
          ? halfPrecision(editor, name, constant, made)
          : position === 1
            ? integers(editor, node, name, constant, rules, made, notes)
            : null
      if (stored === null) continue
      const current = editor
        .consumers(name)
        .find((reader) => reader.name === node.name && reader.outputs[0] === node.outputs[0])!
      editor.updateNode(current, {
        inputs: current.inputs.map((input, i) => (i === position ? stored : input)),
      })
    }
  }
  return { graph: editor.finish(), notes }
}

export function isKeptFloat({ name, outputs }: Node, keepFloat: readonly string[]): boolean {
  return [name, ...outputs].some((kept) => keepFloat.includes(kept))
}

function integers(
  editor: GraphEditor,
  node: Node,
  name: string,
  constant: Constant,
  { method, formOf }: StoredWeightRules,
  made: Map<string, string>,
  notes: { where: string; reason: string }[],
): string | null {
  const form = formOf(node, constant)
  if (!form) return null
  if (elementCount(constant.shape) < leastStoredElements) {
    notes.push({
      where: node.name,
      reason: `float32 weights: fewer than ${leastStoredElements} elements save nothing.`,
    })
    return null
  }
  const { axis, limit, hybrid } = form
  const key = `${constant.digest} ${axis} ${limit} ${hybrid}`
  const known = made.get(key)
  if (known) return known
  const options = { method, axis, limit, factor: 1, floors: [] }
  const { constant: stored, quantization } = quantizeConstant(constant, options, node.name)
  const weights = editor.addConstant(`${name}_int8`, stored, quantization)
  const result = hybrid ? weights : real(editor, weights, constant)
  made.set(key, result)
  return result
}

/** Every float32 constant of more than a few numbers. A value beyond float16's range stays as it is. */
function halfPrecision(
  editor: GraphEditor,
  name: string,
  constant: Constant,
  made: Map<string, string>,
): string | null {
  const known = made.get(constant.digest)
  if (known) return known
  if (elementCount(constant.shape) < leastHalfElements) return null
  const numbers = numbersOf(constant)
  if (numbers.some((x) => !(Math.abs(x) <= largestFloat16))) return null
  const half = constantOf('float16', constant.shape, Uint16Array.from(numbers, numberToFloat16))
  const result = real(editor, editor.addConstant(`${name}_float16`, half), constant)
  made.set(constant.digest, result)
  return result
}

/** The float32 value of a stored constant. */
function real(editor: GraphEditor, stored: string, { shape }: Constant): string {
  const name = editor.freshName(`${stored}_real`)
  const op: Op = editor.type(stored).quantization ? { kind: 'Convert' } : { kind: 'Cast' }
  const type = { dtype: 'float32', shape, quantization: null } as const
  editor.addNode({ name: `dequantize_${stored}`, op, inputs: [stored], outputs: [{ name, type }] })
  return name
}
