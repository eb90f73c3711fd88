import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOperatorProfile } from '../../src/measure/operators.ts'

const run = (ts: number): object => ({ cat: 'Session', name: 'model_run', dur: 90, ts, args: {} })
const node = (name: string, operator: string, ts: number, dur: number, index: string): object => ({
  cat: 'Node',
  name: `${name}_kernel_time`,
  dur,
  ts,
  args: { op_name: operator, provider: 'CPUExecutionProvider', node_index: index },
})

const events = [
  { cat: 'Session', name: 'session_initialization', dur: 9999, ts: 0, args: {} },
  node('conv1', 'Conv', 11, 500, '0'),
  run(10),
  node('conv1', 'Conv', 101, 30, '0'),
  node('conv1', 'Conv', 135, 10, '1'),
  node('soft', 'Softmax', 150, 20, '2'),
  run(100),
  node('conv1', 'Conv', 201, 50, '0'),
  node('conv1', 'Conv', 255, 10, '1'),
  node('soft', 'Softmax', 270, 40, '2'),
  run(200),
]
const encode = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

test('time is summed by operator and by node, the first inference left out', () => {
  const { runs, kernelUs, byOperator, byNode } = parseOperatorProfile(encode(events))
  assert.deepEqual([runs, kernelUs], [2, 80])
  assert.deepEqual(byOperator, [
    { operator: 'Conv', nodes: 2, meanUs: 50, share: 0.625 },
    { operator: 'Softmax', nodes: 1, meanUs: 30, share: 0.375 },
  ])
  assert.deepEqual(
    byNode.map(({ node, meanUs }) => [node, meanUs]),
    [
      ['conv1', 40],
      ['soft', 30],
      ['conv1', 10],
    ],
  )
})

test('a profile with one inference keeps it', () => {
  assert.equal(parseOperatorProfile(encode(events.slice(0, 3))).kernelUs, 500)
})

test('the profile of a killed session is read as far as it goes', () => {
  const text = `[\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]\n`
  const cut = text.slice(0, text.lastIndexOf('"Softmax"'))
  assert.deepEqual(
    parseOperatorProfile(Buffer.from(cut)).byOperator.map(({ operator }) => operator),
    ['Conv', 'Softmax'],
  )
})

test('hostile profiles are refused or their odd events ignored', () => {
  for (const bytes of [Buffer.from(''), Buffer.from('{'), encode({}), encode('x'), Buffer.from('null')])
    assert.throws(() => parseOperatorProfile(bytes), { code: 'DEVICE_ANSWER_INVALID' })
  const odd = [
    null,
    5,
    [],
    { cat: 'Node' },
    { cat: 'Node', name: 'x_kernel_time', dur: -5, ts: 0, args: {} },
    { cat: 'Node', name: 'x_kernel_time', dur: 1, ts: 0, args: null },
  ]
  assert.deepEqual(parseOperatorProfile(encode(odd)).byNode, [])
  assert.equal(
    parseOperatorProfile(encode([node('__proto__', 'constructor', 1, 5, '0')])).byOperator[0]?.operator,
    'constructor',
  )
})
