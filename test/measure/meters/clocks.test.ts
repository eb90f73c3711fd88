import assert from 'node:assert/strict'
import { test } from 'node:test'
import { intersectOffsets, spanOffsets } from '../../../src/measure/meters/board-clock.ts'
import { alignPulses, pulsesOf } from '../../../src/measure/meters/marker.ts'
import { createStreamClock } from '../../../src/measure/meters/stream-clock.ts'
import { seededGenerator } from '../../../src/data/generator.ts'

const ms = 1e6

test('arrivals that are late by chance tell when samples were taken, within the stated bound', () => {
  const { next: random } = seededGenerator(7)
  for (const ppm of [-80, 0, 120]) {
    const periodNs = 10_000 * (1 + ppm * 1e-6)
    // asked at 0, the first sample is taken 3 ms later; chunks of 1 to 4 ms arrive 0.3 to 40 ms late
    const clock = createStreamClock(0, 10_000)
    let index = 0
    while (index < 3_000_000) {
      index += 100 + Math.floor(random() * 300)
      clock.arrived(index, 3 * ms + index * periodNs + 0.3 * ms + 40 * ms * random() ** 4)
    }
    const time = clock.fit([], 64)
    for (const at of [0, 1_000_000, 2_900_000]) {
      const error = time.at(at) - (3 * ms + at * periodNs)
      assert.ok(
        Math.abs(error) <= time.boundNs + 0.1 * ms,
        `${ppm} ppm: off by ${error} ns, bound ${time.boundNs}`,
      )
    }
    assert.ok(time.boundNs < 2.5 * ms)
    assert.ok(Math.abs(time.periodNs / periodNs - 1) < 3e-6)
  }
})

test('a gap of whole cycles of the counter is found in the arrivals', () => {
  const clock = createStreamClock(0, 10_000)
  for (let taken = 0; taken < 1_000_000; taken += 100) {
    // 64 · 50 + 7 samples are lost at 500,000: the counter knows of 7
    const known = taken < 500_000 ? taken : taken - 64 * 50
    clock.arrived(known, taken * 10_000 + 0.2 * ms)
  }
  const time = clock.fit([496_800], 64)
  assert.deepEqual(time.lostCycles, [50])
  assert.ok(Math.abs(time.at(800_000 - 3_200) - 800_000 * 10_000) <= time.boundNs + 1000)
})

test('the board’s clock lies where every question and answer allows it', () => {
  const { next: random } = seededGenerator(3)
  const offset = 123_456_789_012
  const readings = Array.from({ length: 20 }, (_, i) => {
    const sentNs = i * 50 * ms
    const there = random() * 20 * ms
    const back = random() * 20 * ms
    return { sentNs, stampNs: sentNs + there + offset, receivedNs: sentNs + there + back }
  })
  const found = intersectOffsets(readings)!
  assert.ok(found.lowNs <= offset && offset <= found.highNs)
  assert.ok(found.highNs - found.lowNs < 8 * ms)
  // a board that was suspended: no offset fits
  const jumped = readings.map((reading, i) =>
    i < 10 ? reading : { ...reading, stampNs: reading.stampNs + 1e9 },
  )
  assert.equal(intersectOffsets(jumped), null)
  assert.deepEqual(spanOffsets({ lowNs: 1, highNs: 5 }, { lowNs: 3, highNs: 8 }), { lowNs: 1, highNs: 8 })
})

test('steps are found among the pulses of the marker by how long they were', () => {
  const steps = [
    [1000, 3500],
    [5000, 9000],
    [9800, 13_900],
    [16_000, 18_500],
  ].map(([from, to]) => ({ fromNs: from! * ms, toNs: to! * ms }))
  const offset = 987_654 * ms
  // seen with what came before: a blink of another program's, and a pulse of another length
  const seen = [[10, 30], [400, 900], ...steps.map(({ fromNs, toNs }) => [fromNs / ms, toNs / ms + 0.4])].map(
    ([from, to]) => ({ fromNs: from! * ms - offset, toNs: to! * ms - offset }),
  )
  const edges = seen.flatMap(({ fromNs, toNs }) => [
    { pin: 3, rising: true, atNs: fromNs },
    { pin: 5, rising: true, atNs: fromNs + 1 },
    { pin: 3, rising: false, atNs: toNs },
  ])
  const found = alignPulses(steps, pulsesOf(edges, 3))!
  assert.ok(found.lowNs <= offset && offset <= found.highNs)
  assert.ok(found.highNs - found.lowNs < 4 * ms)
  // one missing, one of another length, nothing at all: no offset rather than a wrong one
  assert.equal(alignPulses(steps, pulsesOf(edges.slice(0, -3), 3)), null)
  assert.equal(alignPulses(steps.with(2, { fromNs: 9800 * ms, toNs: 14_200 * ms }), pulsesOf(edges, 3)), null)
  assert.equal(alignPulses([], pulsesOf(edges, 3)), null)
  assert.equal(alignPulses(steps, []), null)
  // two places that fit: neither
  const alike = [0, 10_000, 20_000].map((at) => ({ fromNs: at * ms, toNs: (at + 500) * ms }))
  assert.equal(alignPulses(alike.slice(0, 1), alike), null)
})
