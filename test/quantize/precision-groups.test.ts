import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { chooseBoard } from '../../src/compile/board.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import type { Graph } from '../../src/graph/types.ts'
import { silentProgress } from '../../src/progress.ts'
import { floatCost, precisionGroups } from '../../src/quantize/precision-groups.ts'
import { SmallGraph } from '../targets/small-graphs.ts'

/** conv → relu → max pool → conv, then two branches that a concatenation joins, then a product. */
function branched(): Graph {
  const small = new SmallGraph()
  const stem = small.conv(small.input('x', 1, 3, 8, 8), 4, {}, 'stem')
  const relu = small.node({ kind: 'Relu' }, [stem], 'relu')
  const pool = small.node(
    {
      kind: 'MaxPool',
      layout: 'channels-first',
      kernel: [2, 2],
      strides: [2, 2],
      dilations: [1, 1],
      padsBegin: [0, 0],
      padsEnd: [0, 0],
      ceilMode: false,
    },
    [relu],
    'pool',
  )
  const left = small.node({ kind: 'Relu' }, [small.conv(pool, 4, {}, 'left')], 'left_relu')
  const right = small.conv(pool, 4, { kernel: 1, pad: 0 }, 'right')
  const joined = small.node({ kind: 'Concat', axis: 1 }, [left, right], 'joined')
  const flat = small.node({ kind: 'Reshape', shape: [1, 128] }, [joined], 'flat')
  return small.finish(small.node({ kind: 'MatMul' }, [flat, small.weights([128, 5])], 'product'))
}

function typedBy(target: string, keepFloat: readonly string[] = []) {
  const recipe = parseRecipe({}, 'test')
  const board = chooseBoard({ profile: 'generic-x64', target, recipe }, silentProgress())
  const options = { ...board.options, keepFloat }
  const graph = board.target.tailor!(branched(), options)
  const ranges = new Map(
    [...graph.values.keys()].map((name, i) => [name, { min: -1 - i / 8, max: 1 + i / 4 }]),
  )
  const typed = board.target.prepare(graph, ranges, options)
  return { graph, typed: { graph: typed.graph, stored: typed.stored! } }
}

for (const target of ['litert', 'onnxruntime'])
  describe(target, () => {
    test('an activation goes with its layer, moves with what they move, branches apart', () => {
      const { graph, typed } = typedBy(target)
      const groups = precisionGroups(graph, typed).map(({ nodes }) => nodes.map(({ name }) => name))
      const of = (name: string) => groups.find((names) => names.includes(name))
      for (const name of ['relu', 'pool']) assert.deepEqual(of(name), of('stem'))
      assert.deepEqual(of('left_relu'), of('left'))
      assert.ok(!of('right')!.includes('left'))
      assert.deepEqual(of('flat'), of('joined'))
      assert.ok(!of('joined')!.includes('left') && !of('joined')!.includes('product'))
      const all = groups.flat()
      assert.equal(new Set(all).size, all.length)
    })

    test('what is in float already is in no group', () => {
      const { graph, typed } = typedBy(target, ['left', 'left_relu'])
      const nodes = precisionGroups(graph, typed).flatMap((group) => group.nodes.map(({ name }) => name))
      assert.ok(!nodes.includes('left') && !nodes.includes('left_relu'))
      assert.ok(nodes.includes('stem') && nodes.includes('right') && nodes.includes('product'))
    })

    test('what float costs is read off the typed network', () => {
      const whole = floatCost(typedBy(target).typed.graph)
      assert.equal(whole.macShare, 0)
      const part = floatCost(typedBy(target, ['left', 'left_relu']).typed.graph)
      const macs = { stem: 64 * 4 * 27, left: 16 * 4 * 36, right: 16 * 4 * 4, product: 128 * 5 }
      const all = Object.values(macs).reduce((sum, one) => sum + one, 0)
      assert.ok(Math.abs(part.macShare - macs.left / all) < 1e-12)
      // into the branch and out of it: 4 channels of 4×4 each
      assert.equal(part.conversions - whole.conversions, 2)
      assert.equal(part.convertedElements - whole.convertedElements, 2 * 64)
    })
  })
