import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCollector } from '../../../src/measure/collect.ts'
import { blockLatencies } from '../../../src/measure/compare/blocks.ts'
import { comparisonPlan, turnLength } from '../../../src/measure/compare/plan.ts'
import { encodePlan } from '../../../src/measure/encode-plan.ts'
import type { RunnerEvent } from '../../../src/measure/plan.ts'
import { random } from '../noise.ts'

const arms = ['a', 'b', 'control'].map((id) => ({ id, library: '/lib/runtime.so', model: `/blobs/${id}` }))
const warmup = { minCount: 2, minSeconds: 0.2, maxCount: 1_000, maxSeconds: 60 }
const request = { arms, threads: 1, blocks: 12, turn: 7, blockSeconds: 0.5, warmup }

test('with one thread a block is one step of turns there and back, which no maximum cuts', () => {
  const { plan, blocks, orders } = comparisonPlan({ ...request, random: random(1) })
  assert.equal(blocks.length, 12)
  for (const [index, steps] of blocks.entries()) {
    assert.equal(steps.length, 1)
    const step = plan.steps[steps[0]!]!
    assert.ok(step.do === 'interleave')
    assert.deepEqual(
      step.artifacts,
      orders[index]!.map((arm) => `${arm}-t1`),
    )
    assert.deepEqual([step.block, step.minCount, step.minSeconds], [7, 14, 0.5])
    assert.ok(step.maxSeconds >= 1_000)
  }
  assert.equal(new Set(plan.artifacts.map(({ id }) => id)).size, 3)
  encodePlan(plan)
})

test('with several threads, or an accelerator, every turn is a step behind a pause', () => {
  const delegate = { library: '/lib/libedgetpu.so.1', options: {} }
  for (const change of [{ threads: 4 }, { arms: arms.map((arm) => ({ ...arm, delegate })) }]) {
    const { plan, blocks } = comparisonPlan({ ...request, ...change, random: random(1) })
    for (const steps of blocks)
      assert.deepEqual(
        steps.map((index) => plan.steps[index]!.do),
        Array.from({ length: 6 }, () => ['idle', 'measure']).flat(),
      )
  }
})

test('the same seed draws the same orders, another seed others; the order of loading is drawn too', () => {
  const drawn = (seed: number) => comparisonPlan({ ...request, random: random(seed) })
  assert.deepEqual(drawn(1).orders, drawn(1).orders)
  assert.notDeepEqual(drawn(1).orders, drawn(2).orders)
  const first = (seed: number) => (drawn(seed).plan.steps[0] as { artifact: string }).artifact
  assert.equal(new Set(Array.from({ length: 40 }, (_, seed) => first(seed))).size, 3)
})

test('the longest comparison still is a plan that the runner takes', () => {
  encodePlan(comparisonPlan({ ...request, threads: 4, blocks: 60, random: random(1) }).plan)
})

test('a turn is some milliseconds, and at least three inferences', () => {
  assert.equal(turnLength(1e6), 20)
  assert.equal(turnLength(1e9), 3)
  assert.equal(turnLength(10), 500)
  assert.equal(turnLength(0), 500)
})

test('a board that leaves a block out, or says that an inference took no time, is not judged by the rest', () => {
  const steps = (...blocks: number[][]) => {
    const collector = createCollector()
    let seq = 0
    const add = (event: object) => collector.add({ seq: seq++, t: seq, ...event } as RunnerEvent)
    for (const [index, ns] of blocks.entries()) {
      add({ type: 'step', index, do: 'interleave' })
      if (ns.length > 0) add({ type: 'latency', step: index, artifact: 'a-t1', at: seq, ns })
    }
    return collector.result().steps
  }
  const latencies = (...blocks: number[][]) => blockLatencies(steps(...blocks), [[0], [1]], 'a-t1')
  assert.deepEqual(latencies([5, 6], [7]), [Float64Array.of(5, 6), Float64Array.of(7)])
  assert.equal(latencies([5, 6], []), null)
  assert.equal(latencies([5, 6]), null)
  assert.equal(latencies([5, 6], [7, 0]), null)
})
