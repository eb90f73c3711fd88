import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Quantization } from '../../src/graph/types.ts'
import { classNoise, otherMethods } from '../../src/quantize/class-ranges.ts'
import { storedClasses } from '../../src/quantize/stored-classes.ts'
import { Histogram } from '../../src/quantize/histogram.ts'
import type { ActivationRangeMethod, Ranges } from '../../src/quantize/ranges.ts'

const methods: readonly ActivationRangeMethod[] = [
  { kind: 'min-max' },
  { kind: 'mse' },
  { kind: 'percentile', percentile: 99 },
]

function seen(name: string, elements: readonly number[]): Ranges {
  const histogram = new Histogram(name)
  histogram.observe(Float32Array.from(elements))
  return new Map([[name, { min: histogram.min, max: histogram.max, histogram }]])
}

/** Values in a row, `x` first, each made of the one before it. */
function chain(steps: readonly (readonly [name: string, op: Op, quantization: Quantization | null])[]) {
  const editor = GraphEditor.empty('chain')
  const type = { dtype: 'float32', shape: [1, 4], quantization: null } as const
  editor.addInput('x', type)
  let last = 'x'
  for (const [name, op, quantization] of steps) {
    const dtype = quantization ? 'int8' : 'float32'
    editor.addNode({
      name,
      op,
      inputs: [last],
      outputs: [{ name, type: { ...type, dtype, quantization } }],
    })
    last = name
  }
  editor.outputs = [last]
  return editor.finish()
}

const six: Quantization = { scales: [6 / 255], zeroPoints: [-128], axis: null }
const four: Quantization = { scales: [4 / 255], zeroPoints: [-128], axis: null }
const relu6: Op = { kind: 'Clip', min: 0, max: 6 }
const same: Op = { kind: 'Identity' }

test('values on both sides of an operator that keeps its scale are one class, two clips at 6 are two', () => {
  const graph = chain([
    ['a', relu6, six],
    ['b', same, six],
    ['c', relu6, six],
    ['d', relu6, four],
    ['e', { kind: 'Sigmoid' }, null],
  ])
  const stored = new Map(['a', 'b', 'c', 'd', 'e'].map((name) => [name, name]))
  const classes = storedClasses(graph, { graph, stored })
  assert.deepEqual(
    classes.map(({ names }) => names),
    [['a', 'b'], ['c'], ['d']],
  )
  assert.deepEqual(
    classes.map(({ scale }) => scale),
    [6 / 255, 6 / 255, 4 / 255],
  )
})

test('an operator whose two sides are stored differently joins nothing', () => {
  const graph = chain([
    ['a', relu6, six],
    ['b', same, four],
  ])
  const stored = new Map(['a', 'b'].map((name) => [name, name]))
  assert.equal(storedClasses(graph, { graph, stored }).length, 2)
})

test('only methods that give another range are worth a try, one for each range', () => {
  // one element in a thousand far out: it is min-max alone that spans it
  const elements = Array.from({ length: 1000 }, (_, i) => (i === 0 ? 100 : (i % 100) / 100))
  const ranges = seen('x', elements)
  const found = otherMethods({ names: ['x'], dtype: 'int8' }, ranges, methods[0]!, methods)
  assert.ok(found.length >= 1)
  assert.ok(!found.some(({ kind }) => kind === 'min-max'))
  // back from the percentile, min-max is another again
  const back = otherMethods({ names: ['x'], dtype: 'int8' }, ranges, methods[2]!, methods)
  assert.ok(back.some(({ kind }) => kind === 'min-max'))
})

test('a tensor of two numbers has one range, whatever the method', () => {
  const ranges = seen('x', [0, 1, 0, 1])
  assert.deepEqual(otherMethods({ names: ['x'], dtype: 'int8' }, ranges, methods[0]!, methods), [])
  const unseen: Ranges = new Map([['x', { min: 0, max: 1 }]])
  assert.deepEqual(otherMethods({ names: ['x'], dtype: 'int8' }, unseen, methods[0]!, methods), [])
})

test('the noise of a class is its rounding and clipping error over its power', () => {
  // 1 is stored as 1, 0.5 lies between 0 and 1, 300 is clipped at 127: (0.25 + 173²) / (1 + 0.25 + 300²)
  const ranges = seen('x', [1, 0.5, 300])
  const noise = classNoise({ names: ['x'], dtype: 'int8', scale: 1, zeroPoint: 0 }, ranges)
  // a bin of the histogram is 512 / 8192 wide
  assert.ok(Math.abs(noise - (0.25 + 173 ** 2) / (1.25 + 300 ** 2)) < 2e-3)
  assert.equal(classNoise({ names: ['y'], dtype: 'int8', scale: 1, zeroPoint: 0 }, ranges), 0)
})
