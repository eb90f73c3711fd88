import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseLayers, tabulateLayers } from '../../../src/measure/trtexec/layers.ts'
import { parseTimes } from '../../../src/measure/trtexec/times.ts'
import { coefficientOfVariation, planTurns } from '../../../src/measure/trtexec/turns.ts'

const inference = (startMs: number, computeMs: number, more: Record<string, unknown> = {}) => ({
  startEnqMs: startMs - 0.05,
  endEnqMs: startMs - 0.01,
  startH2dMs: startMs,
  endH2dMs: startMs + 0.1,
  startComputeMs: startMs + 0.1,
  endComputeMs: startMs + 0.1 + computeMs,
  startD2hMs: startMs + 0.1 + computeMs,
  endD2hMs: startMs + 0.15 + computeMs,
  h2dMs: 0.1,
  computeMs,
  d2hMs: 0.05,
  latencyMs: 0.15 + computeMs,
  ...more,
})

describe('--exportTimes', () => {
  test('gives latency, its parts and when each began, in nanoseconds', () => {
    const [time] = parseTimes(JSON.stringify([inference(600, 1.25)]), 500)
    assert.deepEqual(time, {
      startNs: 600_000_000,
      latencyNs: 1_400_000,
      computeNs: 1_250_000,
      toDeviceNs: 100_000,
      fromDeviceNs: 50_000,
      enqueueNs: 40_000,
    })
  })

  test('the warm-up that older releases write into it is left out by the rule of trtexec itself', () => {
    const rows = [inference(100, 9), inference(499.95, 9), inference(501, 1), inference(502, 1)]
    assert.deepEqual(
      parseTimes(JSON.stringify(rows), 500).map(({ computeNs }) => computeNs),
      [9_000_000, 1_000_000, 1_000_000],
      'compute that begins at 500.05 ms counts',
    )
    assert.equal(parseTimes(JSON.stringify(rows), 501).length, 2)
  })

  test('endToEndMs of TensorRT 8.0 is not latency: it holds the wait for the inference before', () => {
    const [time] = parseTimes(JSON.stringify([inference(600, 1, { endToEndMs: 2.3 })]), 0)
    assert.equal(time!.latencyNs, 1_150_000)
  })

  for (const [name, text] of [
    ['nothing', ''],
    ['a file cut in the middle', JSON.stringify([inference(600, 1), inference(601, 1)]).slice(0, 300)],
    ['no list', '{"a":1}'],
    ['a list of numbers', '[1,2]'],
    ['a missing field', JSON.stringify([{ startComputeMs: 600, computeMs: 1 }])],
    ['text for a number', JSON.stringify([inference(600, 1, { latencyMs: '1.2' })])],
    ['a negative time', JSON.stringify([inference(600, -1)])],
    ['a time of years', JSON.stringify([inference(600, 1, { latencyMs: 1e18 })])],
    ['NaN', '[{"startComputeMs":nan}]'],
  ] as const)
    test(`${name} is refused`, () => {
      assert.throws(() => parseTimes(text, 0), { code: 'DEVICE_ANSWER_INVALID' })
    })

  test('what a refusal shows of the file is printable and short', () => {
    assert.throws(
      () => parseTimes(`${'x'.repeat(1e6)}\u001b[2J\u0007`, 0),
      (error: Error & { saw?: string }) => {
        assert.doesNotMatch(error.saw!, /[\u0000-\u001f]/)
        return error.saw!.length < 300
      },
    )
  })
})

describe('--exportProfile', () => {
  const file = (rows: readonly string[]) =>
    `[\n  { "count" : 20 }\n${rows.map((row) => `, ${row}\n`).join('')}]\n`
  const row = (name: string, ms: number) =>
    `{ "name" : "${name}", "timeMs" : ${ms * 20}, "averageMs" : ${ms}, "medianMs" : ${ms}, "percentage" : 1 }`

  test('names that trtexec does not escape are read all the same', () => {
    const layers = parseLayers(file([row('conv1/"Relu" + \\x, "timeMs" : 3', 0.5), row('dense', 0.25)]))
    assert.deepEqual(
      layers.map(({ name, meanNs, medianNs }) => [name, meanNs, medianNs]),
      [
        ['conv1/"Relu" + \\x, "timeMs" : 3', 500_000, 500_000],
        ['dense', 250_000, 250_000],
      ],
    )
  })

  test('releases before 8.4 tell no median', () => {
    const [layer] = parseLayers(
      file(['{ "name" : "a", "timeMs" : 20, "averageMs" : 1, "percentage" : 100 }']),
    )
    assert.deepEqual(layer, { name: 'a', meanNs: 1e6, medianNs: null })
  })

  test('escape sequences in a name are gone', () => {
    const [layer] = parseLayers(file([row('a\u001b[31mb', 1)]))
    assert.equal(layer!.name, 'ab')
  })

  for (const [name, text] of [
    ['nothing', ''],
    ['another JSON', '{"count":1}'],
    ['a list without a count', '[\n]'],
    [
      'no number',
      file(['{ "name" : "a", "timeMs" : 1, "averageMs" : -nan, "medianMs" : 1, "percentage" : 1 }']),
    ],
  ] as const)
    test(`${name} is refused`, () => {
      assert.throws(() => parseLayers(text), { code: 'DEVICE_ANSWER_INVALID' })
    })

  test('copies between layouts are one row, the long tail another', () => {
    const layers = [
      { name: 'Reformatting CopyNode for Input Tensor 0 to a', meanNs: 10, medianNs: null },
      { name: 'Reformatting CopyNode for Output Tensor 0 to b', meanNs: 15, medianNs: null },
      { name: 'never ran', meanNs: 0, medianNs: null },
      ...Array.from({ length: 50 }, (_, i) => ({ name: `layer ${i}`, meanNs: 100 + i, medianNs: null })),
    ]
    const rows = tabulateLayers(layers, 3)
    assert.deepEqual(
      rows.map(({ operator, calls }) => [operator, calls]),
      [
        ['layer 49', 1],
        ['layer 48', 1],
        ['layer 47', 1],
        ['other layers', 49],
      ],
    )
    const sum = (list: readonly { meanNs: number }[]) => list.reduce((total, { meanNs }) => total + meanNs, 0)
    assert.equal(sum(rows), sum(layers))
  })
})

describe('turns', () => {
  test('go forth and back, each engine as often as the others, the middle of its turns at the same time', () => {
    for (const engines of [1, 2, 3])
      for (const seconds of [2, 10, 1800]) {
        const { order, secondsPerTurn } = planTurns({
          engines,
          seconds,
          count: 100,
          warmUpSeconds: 0.2,
          windows: 1,
        })
        const places = Array.from({ length: engines }, (_, engine) =>
          order.flatMap((one, place) => (one === engine ? [place] : [])),
        )
        for (const each of places) {
          assert.ok(each.length * secondsPerTurn >= seconds)
          const middle = each.reduce((sum, place) => sum + place, 0) / each.length
          assert.equal(middle, (order.length - 1) / 2)
        }
      }
  })

  test('windows of a preset are turns of their own length', () => {
    const plan = planTurns({ engines: 1, seconds: 10, count: 10, warmUpSeconds: 0.5, windows: 5 })
    assert.deepEqual([plan.order.length, plan.secondsPerTurn, plan.iterationsPerTurn], [5, 10, 10])
  })

  test('variation is the standard deviation by the mean', () => {
    assert.equal(coefficientOfVariation([]), 0)
    assert.equal(coefficientOfVariation([5]), 0)
    assert.ok(Math.abs(coefficientOfVariation([9, 10, 11]) - 0.1) < 1e-12)
  })
})
