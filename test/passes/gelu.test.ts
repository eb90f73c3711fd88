import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../src/graph/ops.ts'
import { canonicalActivations } from '../../src/passes/canonical-activations.ts'
import { SmallGraph } from '../targets/small-graphs.ts'
import { runPass } from './run-pass.ts'

const binary = (fn: 'Add' | 'Mul' | 'Div'): Op => ({ kind: 'Binary', fn })

/** 1 + erf(x / √2), by a division or a product. */
function gateOf(g: SmallGraph, x: string, fn: 'Div' | 'Mul' = 'Div', one = 1): string {
  const scaled = g.node(binary(fn), [x, g.constant([], [fn === 'Div' ? Math.SQRT2 : Math.SQRT1_2])])
  return g.node(binary('Add'), [g.node({ kind: 'Unary', fn: 'Erf' }, [scaled]), g.constant([], [one])])
}

const spellings: Record<string, (g: SmallGraph, x: string) => string> = {
  '(x · gate) · ½': (g, x) =>
    g.node(binary('Mul'), [g.node(binary('Mul'), [x, gateOf(g, x)]), g.constant([], [0.5])]),
  '(x · ½) · gate': (g, x) =>
    g.node(binary('Mul'), [g.node(binary('Mul'), [x, g.constant([], [0.5])]), gateOf(g, x, 'Mul')]),
  'x · (½ · gate)': (g, x) =>
    g.node(binary('Mul'), [x, g.node(binary('Mul'), [g.constant([], [0.5]), gateOf(g, x)])]),
}

test('Gelu as exporters spell it becomes Gelu', async () => {
  for (const [spelling, build] of Object.entries(spellings)) {
    const g = new SmallGraph()
    const { kinds } = await runPass(canonicalActivations, g.finish(build(g, g.input('x', 1, 4, 8))))
    assert.deepEqual(kinds, ['Gelu'], spelling)
  }
})

test('a gate of another operand, or around another number, is not Gelu', async () => {
  for (const build of [
    (g: SmallGraph, x: string) => [x, gateOf(g, g.input('y', 1, 4, 8))],
    (g: SmallGraph, x: string) => [x, gateOf(g, x, 'Div', 2)],
  ]) {
    const g = new SmallGraph()
    const product = g.node(binary('Mul'), build(g, g.input('x', 1, 4, 8)))
    const y = g.node(binary('Mul'), [product, g.constant([], [0.5])])
    const { changed } = await runPass(canonicalActivations, g.finish(y))
    assert.equal(changed, 0)
  }
})
