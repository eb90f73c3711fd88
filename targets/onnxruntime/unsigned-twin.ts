import { constantOf, numbersOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Graph, TensorType, Value } from '../../src/graph/types.ts'

/** True where nothing computes in float between the conversions at the boundary. */
export function isIntegerOnly(typed: Graph): boolean {
  return typed.nodes.every((node) => {
    if (node.op.kind === 'Convert') {
      const touchesBoundary =
        typed.inputs.includes(node.inputs[0]!) ||
        node.outputs.some((output) => typed.outputs.includes(output))
      return touchesBoundary
    }
    return node.inputs.every((input) => {
      if (input === null) return true
      const { type } = typed.values.get(input)!
      return type.quantization !== null || type.dtype !== 'float32'
    })
  })
}

/**
 * The same network with unsigned activations: every int8 activation becomes uint8 with its zero point + 128. Weights
 * stay signed. It computes the same integers shifted by 128, so it stands in for the signed one on x64. Inputs and
 * outputs keep their type; a Convert shifts there.
 */
export function unsignedTwin(typed: Graph): Graph {
  const weights = weightOperands(typed)
  const editor = GraphEditor.empty(typed.name)
  const renamed = new Map<string, string>()
  const unsigned = (type: TensorType): TensorType => ({
    dtype: 'uint8',
    shape: type.shape,
    quantization: {
      ...type.quantization!,
      zeroPoints: type.quantization!.zeroPoints.map((zero) => zero + 128),
    },
  })
  const shifts = ({ name, type }: Value) =>
    type.dtype === 'int8' &&
    type.quantization !== null &&
    type.quantization.axis === null &&
    !weights.has(name)
  const shift = (from: string, to: string, type: TensorType) =>
    editor.addNode({
      name: `convert_${to}`,
      op: { kind: 'Convert' },
      inputs: [from],
      outputs: [{ name: to, type }],
    })
  const free = (wanted: string) => {
    for (let i = 0; ; i++) {
      const name = i === 0 ? wanted : `${wanted}_${i}`
      if (!typed.values.has(name) && !editor.hasValue(name)) return name
    }
  }
  for (const name of typed.inputs) {
    const value = typed.values.get(name)!
    editor.addInput(name, value.type)
    if (!shifts(value)) continue
    const inside = free(`${name}_unsigned`)
    shift(name, inside, unsigned(value.type))
    renamed.set(name, inside)
  }
  for (const value of typed.values.values()) {
    if (!value.constant) continue
    const stored = shifts(value)
      ? constantOf(
          'uint8',
          value.constant.shape,
          Uint8Array.from(numbersOf(value.constant), (element) => element + 128),
        )
      : value.constant
    editor.addConstant(
      value.name,
      stored,
      shifts(value) ? unsigned(value.type).quantization : value.type.quantization,
    )
  }
  for (const node of typed.nodes) {
    const outputs = node.outputs.map((name) => {
      const value = typed.values.get(name)!
      if (!shifts(value)) return { name, type: value.type }
      if (typed.outputs.includes(name)) renamed.set(name, free(`${name}_unsigned`))
      return { name: renamed.get(name) ?? name, type: unsigned(value.type) }
    })
    editor.addNode({
      name: node.name,
      op: node.op,
      source: node.source,
      inputs: node.inputs.map((name) => (name === null ? null : (renamed.get(name) ?? name))),
      outputs,
    })
  }
  for (const name of typed.outputs) {
    const inside = renamed.get(name)
    if (inside && !typed.inputs.includes(name)) shift(inside, name, typed.values.get(name)!.type)
  }
  editor.outputs = [...typed.outputs]
  return editor.finish()
}

function weightOperands(typed: Graph): ReadonlySet<string> {
  const names = new Set<string>()
  for (const node of typed.nodes) {
    const { kind } = node.op
    if (kind !== 'Conv' && kind !== 'Gemm' && kind !== 'MatMul' && kind !== 'ConvTranspose') continue
    for (const name of node.inputs.slice(1)) if (name && typed.values.get(name)!.constant) names.add(name)
  }
  return names
}
