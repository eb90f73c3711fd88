import { float32Constant } from '../graph/constant.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Node } from '../graph/types.ts'
import {
  constantOperand,
  constantSide,
  onlyReader,
  perChannelNumbers,
  requiresFloat,
  rewriteAll,
} from './match.ts'
import type { Pass, PassNote } from './pass.ts'

/**
 * MatMul with a constant matrix, then Add of one number a column, becomes Gemm. Operands of more than two axes are
 * flattened before and restored after, which moves no data.
 */
export const fuseMatMulAdd: Pass = {
  name: 'fuse-matmul-add',
  requires: requiresFloat,
  run(graph) {
    const editor = new GraphEditor(graph)
    const notes = new Map<string, Omit<PassNote, 'pass'>>()
    const changed = rewriteAll(editor, (node) => {
      if (node.op.kind !== 'MatMul') return false
      const refusal = fuse(editor, node)
      if (refusal !== null) notes.set(node.name, { where: node.name, reason: `kept: ${refusal}` })
      return refusal === null
    })
    return { graph: changed === 0 ? graph : editor.finish(), changed, notes: [...notes.values()] }
  },
}

function fuse(editor: GraphEditor, product: Node): string | null {
  const [a, b] = product.inputs as [string, string]
  const weights = constantOperand(editor, product, 1)
  if (weights?.dtype !== 'float32' || weights.shape.length !== 2)
    return 'its second operand is not a constant matrix'
  const between = product.outputs[0]!
  const { shape } = editor.type(between)
  if (shape.length < 2) return 'its first operand is a vector'
  const add = onlyReader(editor, between)
  if (typeof add === 'string') return add
  const side = add.op.kind === 'Binary' && add.op.fn === 'Add' ? constantSide(editor, add) : null
  if (!side || side.other !== between) return 'no constant is added to its result'
  const bias = perChannelNumbers(side.constant, shape, shape.length - 1)
  if (!bias || !sameShape(editor.type(add.outputs[0]!).shape, shape))
    return 'what is added is not one number a column'
  editor.removeNode(product)
  editor.removeNode(add)
  const output = add.outputs[0]!
  const c = editor.addConstant(`${between}_bias`, float32Constant([bias.length], bias))
  const op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false } as const
  const { name, source } = product
  const type = editor.type(output)
  if (shape.length === 2) {
    const made = editor.freshName(`${output}_gemm`)
    editor.addNode({ name, op, inputs: [a, b, c], outputs: [{ name: made, type }], source })
    takeName(editor, made, output)
    return null
  }
  const rows = shape.slice(0, -1).reduce((x, y) => x * y, 1)
  const [depth, columns] = weights.shape as [number, number]
  const flat = editor.freshName(`${a}_rows`)
  const result = editor.freshName(`${output}_rows`)
  const restored = editor.freshName(`${output}_shaped`)
  const dtype = type.dtype
  editor.addNode({
    name: `${name}_flatten`,
    op: { kind: 'Reshape', shape: [rows, depth] },
    inputs: [a],
    outputs: [{ name: flat, type: { dtype, shape: [rows, depth], quantization: null } }],
  })
  editor.addNode({
    name,
    op,
    inputs: [flat, b, c],
    outputs: [{ name: result, type: { dtype, shape: [rows, columns], quantization: null } }],
    source,
  })
  editor.addNode({
    name: `${name}_restore`,
    op: { kind: 'Reshape', shape },
    inputs: [result],
    outputs: [{ name: restored, type }],
  })
  takeName(editor, restored, output)
  return null
}

/** The node that makes `made` makes `name` instead, whose producer is gone. */
function takeName(editor: GraphEditor, made: string, name: string): void {
  const producer = editor.producer(made)!
  editor.updateNode(producer, { outputs: [name] })
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i])
}
