import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePlan } from '../../src/measure/encode-plan.ts'
import type { PlanArtifact, PlanStep } from '../../src/measure/plan.ts'
import { busyPlan, memoryPlan, presets, standardPlan } from '../../src/measure/standard-plan.ts'

const float = { id: 'float', library: '/l', model: '/f.onnx' }
const int8 = { id: 'int8', library: '/l', model: '/i.onnx' }

const kinds = (steps: readonly PlanStep[]) =>
  steps.map((step) => ('artifact' in step ? `${step.do} ${step.artifact}` : step.do))

test('with one thread, float and int8 are warmed up, then measured in fine mirrored turns', () => {
  const { steps } = standardPlan({ subjects: [float, int8], threads: [1], preset: 'standard' })
  assert.deepEqual(kinds(steps), ['warmup float-t1', 'warmup int8-t1', 'interleave'])
  const [, , turns] = steps
  assert.deepEqual(turns?.do === 'interleave' && turns.artifacts, [
    'float-t1',
    'int8-t1',
    'int8-t1',
    'float-t1',
  ])
})

test('with several threads, the spinning workers of one session do not meet the other: long turns with pauses', () => {
  const { steps, artifacts } = standardPlan({ subjects: [float, int8], threads: [1, 4], preset: 'standard' })
  assert.deepEqual(
    artifacts.map(({ id, threads }) => [id, threads]),
    [
      ['float-t1', 1],
      ['int8-t1', 1],
      ['float-t4', 4],
      ['int8-t4', 4],
    ],
  )
  assert.deepEqual(kinds(steps).slice(5), [
    'idle',
    'measure float-t4',
    'idle',
    'measure int8-t4',
    'idle',
    'measure int8-t4',
    'idle',
    'measure float-t4',
  ])
  const ofFloat = steps
    .filter((step) => step.do === 'measure')
    .filter(({ artifact }) => artifact === 'float-t4')
  assert.equal(
    ofFloat.reduce((sum, { minSeconds }) => sum + minSeconds, 0),
    presets.standard.measure.minSeconds,
  )
})

test('operator times come from sessions of their own, after the latencies', () => {
  const { steps, artifacts } = standardPlan({
    subjects: [int8],
    threads: [2],
    preset: 'quick',
    operators: true,
    rateHz: 10,
  })
  assert.deepEqual(
    artifacts.map(({ id, profile }) => [id, profile]),
    [
      ['int8-t2', false],
      ['int8-t2-operators', true],
    ],
  )
  assert.deepEqual(
    steps.map((step) => [step.do, 'rateHz' in step ? step.rateHz : null]),
    [
      ['warmup', null],
      ['measure', 0],
      ['measure', 10],
      ['measure', 0],
    ],
  )
})

test('the standard preset takes enough samples to state p99 where time allows', () => {
  assert.ok(presets.standard.measure.minCount >= 299)
  assert.ok(presets.standard.measure.minSeconds >= 10)
})

test('memory is taken with one model alone in its process', () => {
  assert.equal(memoryPlan({}, int8, 1).artifacts.length, 1)
})

test('a plan that the runner would refuse is not sent', () => {
  const plan = memoryPlan({}, int8, 1)
  const renamed = (id: string): PlanArtifact => ({ ...plan.artifacts[0]!, id })
  const refused = { code: 'USAGE' }
  assert.throws(() => encodePlan({ ...plan, artifacts: [renamed('a/b')] }), refused)
  assert.throws(() => encodePlan({ ...plan, artifacts: [renamed('..')] }), refused)
  assert.throws(() => encodePlan({ ...plan, artifacts: [...plan.artifacts, ...plan.artifacts] }), refused)
  assert.throws(() => encodePlan({ ...plan, artifacts: [] }), refused)
  assert.throws(
    () => encodePlan({ ...plan, artifacts: [{ ...plan.artifacts[0]!, inputs: ['x'.repeat(2 << 20)] }] }),
    refused,
  )
})

test('tiny measures in five windows of at least ten seconds and ten inferences each, also at a rate', () => {
  const windows = (rateHz: number) =>
    standardPlan({ subjects: [int8], threads: [1], preset: 'tiny', rateHz }).steps.filter(
      (step) => step.do === 'measure' && step.rateHz === rateHz,
    )
  for (const rateHz of [0, 10]) {
    assert.equal(windows(rateHz).length, 5)
    for (const step of windows(rateHz))
      assert.ok(step.do === 'measure' && step.minSeconds >= 10 && step.minCount >= 10)
  }
  const { steps } = standardPlan({ subjects: [float, int8], threads: [1], preset: 'tiny' })
  assert.equal(steps.filter((step) => step.do === 'interleave').length, 5)
})

test('sustained takes half an hour in all, however many are compared', () => {
  for (const subjects of [[int8], [float, int8]]) {
    const { steps } = standardPlan({ subjects, threads: [1], preset: 'sustained' })
    const seconds = steps
      .filter((step) => step.do === 'measure' || step.do === 'interleave')
      .map((step) => step.minSeconds * subjects.length)
    assert.deepEqual(seconds, [1800])
  }
})

test('what warms a board up does as the measurement does, for as long as was asked', () => {
  const { steps, artifacts } = busyPlan({ subjects: [float, int8], threads: [1, 2], preset: 'sustained' }, 30)
  assert.deepEqual(
    artifacts.map(({ id }) => id),
    ['float-t2', 'int8-t2'],
  )
  const seconds = steps.filter((step) => step.do === 'measure').map(({ maxSeconds }) => maxSeconds)
  assert.equal(
    seconds.reduce((sum, each) => sum + each, 0),
    30,
  )
})
