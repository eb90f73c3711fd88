import assert from 'node:assert/strict'
import type { Graph } from '../../../src/graph/types.ts'

/**
 * Asserts that two graphs compute the same with the same operators, attributes, constants, types and order of inputs
 * and outputs; names of inner values may differ.
 */
export function assertSameGraph(actual: Graph, expected: Graph, what: string): void {
  const [left, right] = [plain(actual), plain(expected)]
  assert.deepEqual(
    left.nodes.map(({ kind }) => kind),
    right.nodes.map(({ kind }) => kind),
    `${what}: operators`,
  )
  for (const [i, node] of left.nodes.entries()) assert.deepEqual(node, right.nodes[i], `${what}: node ${i}`)
  assert.deepEqual(left, right, what)
}

/** A graph without the names that it gives to what is inside. */
function plain(graph: Graph) {
  const numbers = new Map<string, string>()
  const number = (name: string) => {
    if (!numbers.has(name)) numbers.set(name, `value ${numbers.size}`)
    return numbers.get(name)!
  }
  const value = (name: string | null) => {
    if (name === null) return null
    const { type, constant } = graph.values.get(name)!
    return constant ? { type, digest: constant.digest } : { type, value: number(name) }
  }
  const inputs = graph.inputs.map(value)
  const nodes = graph.nodes.map(({ op, inputs: operands, outputs }) => ({
    kind: op.kind,
    op: 'payload' in op ? { ...op, payload: Buffer.from(op.payload).toString('hex') } : op,
    inputs: operands.map(value),
    outputs: outputs.map(value),
  }))
  return { inputNames: graph.inputs, inputs, nodes, outputs: graph.outputs.map(value) }
}
