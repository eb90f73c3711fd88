import { constantOf, numbersOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import { numberToFloat16 } from '../../src/graph/encode.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Constant, Graph, Node } from '../../src/graph/types.ts'
import { quantizeConstant } from '../../src/quantize/constant-weights.ts'
import { elementCount } from '../../src/tensor.ts'
import type { Decision, TargetOptions } from '../target.ts'
import { weightLimit } from './numerics.ts'
import { hasWeights, weightAxis } from './weight-axis.ts'

/** Smaller weights stay float32: they save next to nothing (as TensorFlow's converter has it). */
const leastElements = 1024

/** Operators with kernels for float activations and int8 weights, which quantize the activations on the way. */
const hybridKernels = new Set(['Conv', 'Gemm'])

/**
 * Schemes that leave activations real: `dynamic` gives int8 weights to hybrid kernels, `weight-only` puts int8 and
 * `float16` half-precision weights behind a dequantization.
 */
export function storeWeights(graph: Graph, options: TargetOptions): { graph: Graph; decisions: Decision[] } {
  const editor = new GraphEditor(graph)
  const decisions: Decision[] = []
  const made = new Map<string, string>()
  for (const node of graph.nodes) {
    if (options.keepFloat.includes(node.name)) continue
    for (const [position, name] of node.inputs.entries()) {
      const constant = name === null ? null : graph.values.get(name)!.constant
      if (name === null || constant?.dtype !== 'float32') continue
      const stored = storedForm(editor, node, position, name, constant, options, made, decisions)
      if (stored === null) continue
      const current = editor
        .consumers(name)
        .find((reader) => reader.name === node.name && reader.outputs[0] === node.outputs[0])!
      editor.updateNode(current, {
        inputs: current.inputs.map((input, i) => (i === position ? stored : input)),
      })
    }
  }
  return { graph: editor.finish(), decisions }
}

function storedForm(
  editor: GraphEditor,
  node: Node,
  position: number,
  name: string,
  constant: Constant,
  options: TargetOptions,
  made: Map<string, string>,
  decisions: Decision[],
): string | null {
  if (options.scheme === 'float16') return halfPrecision(editor, name, constant, made)
  if (!hasWeights(node.op) || position !== 1) return null
  if (elementCount(constant.shape) < leastElements) {
    decisions.push({
      where: node.name,
      reason: `float32 weights: fewer than ${leastElements} elements save nothing.`,
    })
    return null
  }
  const axis = weightAxis(node.op, constant, options)
  const hybrid = options.scheme === 'dynamic' && hybridKernels.has(node.op.kind)
  const key = `${constant.digest} ${axis} ${hybrid}`
  const known = made.get(key)
  if (known) return known
  const weightOptions = {
    method: options.weightRange,
    axis,
    limit: weightLimit,
    factor: 1,
    floors: [],
  }
  const { constant: stored, quantization } = quantizeConstant(constant, weightOptions, node.name)
  const weights = editor.addConstant(`${name}_int8`, stored, quantization)
  const result = hybrid ? weights : dequantized(editor, weights, constant)
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
  if (elementCount(constant.shape) < 8) return null
  const numbers = numbersOf(constant)
  if (numbers.some((x) => !(Math.abs(x) <= 65504))) return null
  const half = constantOf('float16', constant.shape, Uint16Array.from(numbers, numberToFloat16))
  const result = dequantized(editor, editor.addConstant(`${name}_float16`, half), constant)
  made.set(constant.digest, result)
  return result
}

function dequantized(editor: GraphEditor, stored: string, { shape }: Constant): string {
  const name = editor.freshName(`${stored}_real`)
  const op: Op = editor.type(stored).quantization ? { kind: 'Convert' } : { kind: 'Cast' }
  const type = { dtype: 'float32', shape, quantization: null } as const
  editor.addNode({ name: `dequantize_${stored}`, op, inputs: [stored], outputs: [{ name, type }] })
  return name
}
