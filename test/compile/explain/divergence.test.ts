import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstDivergence } from '../../../src/compile/explain/divergence.ts'
import { GraphEditor } from '../../../src/graph/edit.ts'
import type { Graph } from '../../../src/graph/types.ts'

const type = { dtype: 'float32', shape: [1, 4], quantization: null } as const

/** Every value is one operator over the named others. */
function graphOf(values: Record<string, readonly string[]>, outputs: readonly string[]): Graph {
  const editor = GraphEditor.empty('net')
  editor.addInput('x', type)
  for (const [name, inputs] of Object.entries(values))
    editor.addNode({
      name,
      op: inputs.length === 2 ? { kind: 'Binary', fn: 'Add' } : { kind: 'Relu' },
      inputs: [...inputs],
      outputs: [{ name, type }],
    })
  editor.outputs = [...outputs]
  return editor.finish()
}

/** A computation in which one operator is wrong: all that depends on it differs, but for what is healed. */
function wrongAt(graph: Graph, wrong: string, healed: readonly string[] = []) {
  const different = new Set<string>()
  for (const { inputs, outputs } of graph.nodes)
    if (
      (outputs[0] === wrong || inputs.some((name) => different.has(name!))) &&
      !healed.includes(outputs[0]!)
    )
      different.add(outputs[0]!)
  let asked = 0
  return {
    asked: () => asked,
    compare: async (value: string) => {
      asked++
      return different.has(value) ? { steps: 2, seen: value } : null
    },
  }
}

const chain = Object.fromEntries(
  Array.from({ length: 200 }, (_, i) => [`v${i}`, [i === 0 ? 'x' : `v${i - 1}`]]),
)

test('in a chain of 200 operators the wrong one is found in at most ten comparisons, wherever it is', async () => {
  const graph = graphOf(chain, ['v199'])
  for (const at of [0, 1, 77, 198, 199]) {
    const { compare, asked } = wrongAt(graph, `v${at}`)
    const found = await firstDivergence(graph, compare)
    assert.equal(found!.value, `v${at}`)
    assert.equal(found!.operator, 'Relu')
    assert.ok(asked() <= 10, `${asked()} comparisons`)
    assert.equal(found!.comparisons, asked())
  }
})

test('between branches the operator is found whose operands all agree', async () => {
  // in order: left1, right1, left2, right2, join; only the left is wrong, so that the prefix agrees again at right1
  const graph = graphOf(
    {
      left1: ['x'],
      right1: ['x'],
      left2: ['left1'],
      right2: ['right1'],
      join: ['left2', 'right2'],
      end: ['join'],
    },
    ['end'],
  )
  for (const wrong of ['left1', 'left2', 'right1', 'right2', 'join', 'end'])
    assert.equal((await firstDivergence(graph, wrongAt(graph, wrong).compare))!.value, wrong)
})

test('where the outputs agree nothing is looked for, though a value inside differs', async () => {
  const graph = graphOf(chain, ['v199'])
  const { compare, asked } = wrongAt(graph, 'v50', ['v51'])
  assert.equal(await firstDivergence(graph, compare), null)
  assert.equal(asked(), 1)
})
