import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { collect, createCollector } from '../../src/measure/collect.ts'
import type { RunnerEvent } from '../../src/measure/plan.ts'
import { createEventParser, parseEvents } from '../../src/measure/events.ts'

const hello = { seq: 0, t: 1, type: 'hello', runner: '0.1.0', pid: 5, schema: 1 }
const lines = [
  hello,
  { seq: 1, t: 2, type: 'step', index: 0, do: 'measure', artifact: 'é' },
  { seq: 2, t: 3, type: 'latency', step: 0, artifact: 'é', at: 2, ns: [10, 20] },
  { seq: 3, t: 3, type: 'latency', step: 0, artifact: 'é', at: 2, ns: [30] },
  { seq: 4, t: 4, type: 'done', step: 0, count: 3, elapsedNs: 61 },
  { seq: 5, t: 5, type: 'memory', peakRssBytes: 900, rssBytes: 800 },
  { seq: 6, t: 6, type: 'end' },
]

function encode(...events: unknown[]): Buffer {
  return Buffer.from(
    events.map((event) => `${typeof event === 'string' ? event : JSON.stringify(event)}\n`).join(''),
  )
}

function refused(bytes: Uint8Array): string {
  try {
    collect(parseEvents(bytes))
  } catch (error) {
    assert.ok(error instanceof EdgewrightError && error.code === 'DEVICE_ANSWER_INVALID', String(error))
    return error.saw ?? ''
  }
  return assert.fail('taken')
}

test('chunks cut anywhere, even inside a character, give the same events', () => {
  const bytes = encode(...lines)
  for (let size = 1; size < bytes.length; size++) {
    const parser = createEventParser()
    const events = []
    for (let at = 0; at < bytes.length; at += size) events.push(...parser.push(bytes.subarray(at, at + size)))
    assert.deepEqual(events, lines)
    assert.equal(parser.pendingBytes, 0)
  }
})

test('a caller that reuses its buffer does not change a line kept for later', () => {
  const bytes = encode(hello)
  const buffer = Buffer.from(bytes.subarray(0, 20))
  const parser = createEventParser()
  assert.deepEqual(parser.push(buffer), [])
  assert.equal(parser.pendingBytes, 20)
  buffer.fill(0)
  assert.deepEqual(parser.push(bytes.subarray(20)), [hello])
})

test('raw samples are gathered in order', () => {
  const result = collect(parseEvents(encode(...lines)))
  assert.deepEqual([...result.artifacts.get('é')!.latencyNs], [10, 20, 30])
  assert.equal(result.peakRssBytes, 900)
  assert.deepEqual(result.runner, { version: '0.1.0', pid: 5 })
  assert.deepEqual(result.end, { state: 'complete' })
})

test('a missing, repeated or reordered line is seen', () => {
  assert.match(refused(encode(lines[0], lines[2])), /line 1 says it is number 2/)
  assert.match(refused(encode(lines[0], lines[0])), /line 1 says it is number 0/)
})

const hostile: [string, unknown][] = [
  ['no JSON', '{"seq":0,'],
  ['no object', '[]'],
  ['an unknown type', { seq: 0, t: 1, type: 'shell' }],
  ['a negative latency', { seq: 0, t: 1, type: 'latency', step: 0, artifact: 'a', at: 0, ns: [-1] }],
  ['a latency that is a string', { seq: 0, t: 1, type: 'latency', step: 0, artifact: 'a', at: 0, ns: ['1'] }],
  ['an infinite number', '{"seq":0,"t":1e999,"type":"end"}'],
  ['a text without end', { seq: 0, t: 1, type: 'error', code: 'X', message: 'a'.repeat(100_000) }],
  [
    'a rank without end',
    {
      ...hello,
      type: 'loaded',
      artifact: 'a',
      runtime: '1',
      loadNs: 1,
      rssBytes: 1,
      outputs: [],
      inputs: [{ name: 'x', dtype: 'int8', shape: Array(100).fill(1) }],
    },
  ],
  ['an event of a step that never began', { seq: 0, t: 1, type: 'done', step: 4, count: 1, elapsedNs: 1 }],
]
for (const [name, line] of hostile) test(`refused from a board: ${name}`, () => void refused(encode(line)))

test('refused from a board: bytes that are not UTF-8', () => {
  refused(
    Buffer.concat([
      Buffer.from('{"seq":0,"t":1,"type":"error","code":"X","message":"'),
      Buffer.from([0xff]),
      Buffer.from('"}\n'),
    ]),
  )
})

test('refused from a board: a line that never ends, in bounded memory', () => {
  const parser = createEventParser()
  const chunk = Buffer.alloc(1 << 20, 0x20)
  assert.throws(
    () => {
      for (let i = 0; i < 100; i++) parser.push(chunk)
    },
    { code: 'DEVICE_ANSWER_INVALID' },
  )
  assert.ok(parser.pendingBytes < 16 << 20)
})

for (const [what, line] of [
  [
    'readings of a command',
    { type: 'reading', step: 0, name: 'pmic', at: 1, spent: 1, exit: 0, text: 'x'.repeat(16_384) },
  ],
  ['complaints', { type: 'error', code: 'METERS', message: 'x'.repeat(8192) }],
  ['names of sensors', { type: 'sensor', name: 'x'.repeat(8192), value: 1 }],
] as const)
  test(`refused from a board: gigabytes of ${what}`, () => {
    const collector = createCollector()
    collector.add({ seq: 0, t: 1, type: 'step', index: 0, do: 'idle' })
    assert.throws(
      () => {
        for (let seq = 1; seq < 100_000; seq++) collector.add({ seq, t: 1, ...line } as RunnerEvent)
      },
      { code: 'DEVICE_ANSWER_INVALID' },
    )
  })

test('refused from a board: lines after the end, a step that begins twice', () => {
  assert.match(refused(encode({ seq: 0, t: 1, type: 'end' }, { seq: 1, t: 1, type: 'end' })), /after the end/)
  const step = { t: 1, type: 'step', index: 0, do: 'idle' }
  assert.match(refused(encode({ seq: 0, ...step }, { seq: 1, ...step })), /begins twice/)
})

test('an artifact named like a property of every object is a name like others', () => {
  const named = lines.map((line) => ('artifact' in line ? { ...line, artifact: '__proto__' } : line))
  assert.deepEqual(
    [...collect(parseEvents(encode(...named))).artifacts.get('__proto__')!.latencyNs],
    [10, 20, 30],
  )
})

test('how a run ended: complete, interrupted, failed, unfinished', () => {
  const error = (code: string): object => ({ seq: 1, t: 1, type: 'error', code, message: 'm' })
  assert.deepEqual(collect(parseEvents(encode(hello))).end, { state: 'unfinished' })
  assert.deepEqual(collect(parseEvents(encode(hello, error('INTERRUPTED')))).end, {
    state: 'interrupted',
    message: 'm',
  })
  assert.deepEqual(collect(parseEvents(encode(hello, error('RUN_FAILED')))).end, {
    state: 'failed',
    code: 'RUN_FAILED',
    message: 'm',
  })
  const sensors = collect(parseEvents(encode(hello, error('SENSORS'))))
  assert.deepEqual([sensors.end.state, sensors.complaints.length], ['unfinished', 1])
})
