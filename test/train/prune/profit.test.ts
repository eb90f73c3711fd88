import assert from 'node:assert/strict'
import { test } from 'node:test'
import { profitOf } from '../../../src/train/prune/profit.ts'
import { targets } from '../../../targets/index.ts'

test('every target and kind has one sentence and a source', () => {
  for (const target of Object.keys(targets))
    for (const kind of ['channels', 'magnitude', '2:4'] as const) {
      const { sentence, source } = profitOf(kind, target)
      assert.match(sentence, /^[A-Z].*\.$/)
      assert.doesNotMatch(sentence, /\. [A-Z]/, 'more than one sentence')
      assert.ok(source.length > 0)
    }
})

test('every target profits from fewer channels, and none that runs today from scattered zeros', () => {
  for (const [name, target] of Object.entries(targets)) {
    assert.ok(profitOf('channels', name).profits)
    if (target.available !== false) assert.ok(!profitOf('magnitude', name).profits, name)
  }
})

test('2:4 needs sparse tensor cores: Orin has them, Nano and Xavier do not', () => {
  const capable = (computeCapability?: string) => profitOf('2:4', 'tensorrt', { computeCapability }).profits
  assert.deepEqual(['5.3', '7.2', '8.0', '8.7', '10.1'].map(capable), [false, false, true, true, true])
  assert.match(profitOf('2:4', 'tensorrt').sentence, /8\.0/)
  for (const target of ['onnxruntime', 'litert', 'edgetpu']) assert.ok(!profitOf('2:4', target).profits)
})
