import { GraphEditor } from '../../src/graph/edit.ts'
import type { Graph, TensorType } from '../../src/graph/types.ts'
import { FreshNames } from './fresh-names.ts'

/**
 * A network in float16 as one in float32 that rounds every result to float16, for a computer without float16
 * arithmetic. ONNX Runtime runs a float16 file there in float32 from end to end, which shows neither the rounding nor
 * an overflow. Sums inside an operator are float32 in both, as on a GPU.
 */
export function emulateHalf(half: Graph): Graph {
  const editor = GraphEditor.empty(half.name)
  const values = new FreshNames(half.values.keys())
  const nodes = new FreshNames(half.nodes.map(({ name }) => name))
  const rounded = new Map<string, string>()
  const cast = (from: string, to: string, type: TensorType) => {
    const name = nodes.make(`round_${to}`)
    editor.addNode({ name, op: { kind: 'Cast' }, inputs: [from], outputs: [{ name: to, type }] })
    return to
  }
  const typeOf = (name: string) => half.values.get(name)!.type
  const isHalf = (name: string) => typeOf(name).dtype === 'float16'
  for (const name of half.inputs) editor.addInput(name, typeOf(name))
  for (const { name, type, constant } of half.values.values()) {
    if (!constant) continue
    editor.addConstant(name, constant, type.quantization)
    if (isHalf(name)) rounded.set(name, cast(name, values.make(`${name}_full`), asFull(type)))
  }
  for (const node of half.nodes) {
    const exact = node.outputs.map((name) => (isHalf(name) ? values.make(`${name}_exact`) : name))
    editor.addNode({
      ...node,
      inputs: node.inputs.map((name) => (name === null ? null : (rounded.get(name) ?? name))),
      outputs: node.outputs.map((name, i) => ({ name: exact[i]!, type: asFull(typeOf(name)) })),
    })
    for (const [i, name] of node.outputs.entries())
      if (isHalf(name))
        cast(cast(exact[i]!, values.make(`${name}_half`), typeOf(name)), name, asFull(typeOf(name)))
  }
  editor.outputs = [...half.outputs]
  return editor.finish()
}

function asFull(type: TensorType): TensorType {
  return type.dtype === 'float16' ? { ...type, dtype: 'float32' } : type
}
