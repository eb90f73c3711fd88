import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peakActivationBytes } from '../../src/compile/memory.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { TensorType } from '../../src/graph/types.ts'

const floats = (count: number): TensorType => ({ dtype: 'float32', shape: [count], quantization: null })

test('a chain holds two neighbours at a time', () => {
  const editor = GraphEditor.empty('g')
  editor.addInput('x', floats(10))
  editor.addNode({
    name: 'a',
    op: { kind: 'Relu' },
    inputs: ['x'],
    outputs: [{ name: 'y', type: floats(10) }],
  })
  editor.addNode({
    name: 'b',
    op: { kind: 'Relu' },
    inputs: ['y'],
    outputs: [{ name: 'z', type: floats(10) }],
  })
  editor.outputs = ['z']
  assert.equal(peakActivationBytes(editor.finish()), 80)
})

test('a residual branch is held until it is added', () => {
  const editor = GraphEditor.empty('g')
  editor.addInput('x', floats(10))
  editor.addNode({
    name: 'a',
    op: { kind: 'Relu' },
    inputs: ['x'],
    outputs: [{ name: 'y', type: floats(10) }],
  })
  editor.addNode({
    name: 'b',
    op: { kind: 'Relu' },
    inputs: ['y'],
    outputs: [{ name: 'z', type: floats(10) }],
  })
  editor.addNode({
    name: 'c',
    op: { kind: 'Binary', fn: 'Add' },
    inputs: ['x', 'z'],
    outputs: [{ name: 's', type: floats(10) }],
  })
  editor.outputs = ['s']
  assert.equal(peakActivationBytes(editor.finish()), 120)
})
