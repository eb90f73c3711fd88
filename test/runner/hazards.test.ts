import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCollector } from '../../src/measure/collect.ts'
import { createEventParser } from '../../src/measure/events.ts'
import { encodePlan } from '../../src/measure/encode-plan.ts'
import { runnerFailure } from '../../src/measure/runner-failure.ts'
import { fixturesMissing } from '../fixtures.ts'
import { artifact, execute, kws, mnist, plan, runnerMissing, runPlan, temporaryFolder } from './run-runner.ts'

const skip = fixturesMissing || runnerMissing

const long = plan(
  [artifact('a', mnist)],
  [{ do: 'measure', artifact: 'a', rateHz: 0, minCount: 1, minSeconds: 50, maxCount: 1e9, maxSeconds: 50 }],
)

/** Waits until the events file holds a word. */
async function until(path: string, word: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (statSync(path, { throwIfNoEntry: false }) && readFileSync(path, 'utf8').includes(word)) return
    await sleep(20)
  }
  assert.fail(`no ${word} in ${path}`)
}

test('a killed runner leaves events that parse, with the samples of its past seconds', {
  skip,
}, async (t) => {
  const folder = temporaryFolder(t)
  const { signal, collected } = await runPlan(folder, long, {
    onStart: async (pid) => {
      await until(join(folder, 'events.jsonl'), '"latency"')
      process.kill(pid, 'SIGKILL')
    },
  })
  assert.equal(signal, 'SIGKILL')
  assert.equal(collected.end.state, 'unfinished')
  assert.ok(collected.artifacts.get('a')!.latencyNs.length > 100)
  assert.equal(collected.steps[0]!.elapsedNs, null)
  assert.equal(runnerFailure(collected.end, 'board', null)?.code, 'RUNNER_FAILED')
})

test('SIGTERM finishes the inference under way, keeps every sample and says so', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const { status, signal, collected } = await runPlan(folder, long, {
    onStart: async (pid) => {
      await until(join(folder, 'events.jsonl'), '"first"')
      process.kill(pid, 'SIGTERM')
    },
  })
  assert.deepEqual([status, signal], [5, null])
  assert.ok(collected.end.state === 'interrupted')
  const count = Number(/after (\d+) inferences/.exec(collected.end.message)?.[1])
  assert.equal(collected.artifacts.get('a')!.latencyNs.length, count)
})

test('SIGTERM ends an idle step at once', { skip: runnerMissing }, async (t) => {
  const folder = temporaryFolder(t)
  const start = Date.now()
  const { status } = await runPlan(folder, plan([], [{ do: 'idle', seconds: 50 }]), {
    onStart: async (pid) => {
      await until(join(folder, 'events.jsonl'), '"idle"')
      process.kill(pid, 'SIGTERM')
    },
  })
  assert.equal(status, 5)
  assert.ok(Date.now() - start < 20_000)
})

test('a file cut at any byte parses as far as it goes', { skip }, async (t) => {
  const { events } = await runPlan(
    temporaryFolder(t),
    plan(
      [artifact('a', mnist)],
      [{ do: 'measure', artifact: 'a', rateHz: 0, minCount: 30, minSeconds: 0, maxCount: 30, maxSeconds: 9 }],
    ),
  )
  let seen = 0
  for (let cut = 0; cut <= events.length; cut += 7) {
    const parser = createEventParser()
    const collector = createCollector()
    for (const event of parser.push(events.subarray(0, cut))) collector.add(event)
    const { length } = collector.result().artifacts.get('a')?.latencyNs ?? []
    assert.ok(length === 0 || length === 30)
    seen = Math.max(seen, length)
  }
  assert.equal(seen, 30)
})

test('a model that is missing, or is none, is refused by the runtime’s own words', {
  skip: runnerMissing,
}, async (t) => {
  const folder = temporaryFolder(t)
  const broken = join(folder, 'broken.onnx')
  writeFileSync(broken, Buffer.alloc(5000, 0x5a))
  for (const model of [broken, join(folder, 'missing.onnx')]) {
    const { status, collected } = await runPlan(temporaryFolder(t), plan([artifact('a', model)], []))
    assert.equal(status, 4)
    assert.ok(collected.end.state === 'failed' && collected.end.code === 'MODEL_LOAD')
    assert.equal(runnerFailure(collected.end, 'board', status)?.code, 'RUNNER_FAILED')
  }
})

test('a truncated real model never crashes the runner', { skip }, async (t) => {
  const whole = readFileSync(kws)
  for (const share of [0.01, 0.3, 0.7, 0.99]) {
    const folder = temporaryFolder(t)
    writeFileSync(join(folder, 'cut.onnx'), whole.subarray(0, Math.floor(whole.length * share)))
    const { status, signal } = await runPlan(folder, plan([artifact('a', join(folder, 'cut.onnx'))], []))
    assert.deepEqual([status, signal], [4, null])
  }
})

test('a library that is missing is named', { skip: runnerMissing }, async (t) => {
  const missing = artifact('a', '/nowhere/model.onnx', { library: '/nowhere/libonnxruntime.so.1' })
  const { collected, status } = await runPlan(temporaryFolder(t), plan([missing], []))
  assert.equal(status, 4)
  assert.ok(collected.end.state === 'failed' && collected.end.code === 'LIBRARY_OPEN')
  assert.equal(runnerFailure(collected.end, 'board', status)?.code, 'RUNTIME_MISSING')
})

function planWith(rest: object): string {
  return JSON.stringify({ ...plan([], []), ...rest })
}

const refused: [string, string, RegExp][] = [
  ['empty', '', /not JSON/],
  ['cut', '{"schema":1,', /not JSON/],
  ['deep', '['.repeat(100_000), /too deep/],
  ['wide', `[${'1,'.repeat(100_000)}1]`, /too many values/],
  ['huge', `{"x":"${'a'.repeat(1 << 20)}"}`, /cannot read the plan: File too large/],
  ['NUL in a string', '{"schema":1,"artifacts":[{"id":"a\\u0000b"}]}', /invalid character or escape/],
  ['number overflow', '{"schema":1e999}', /not a number that can be held/],
  ['another schema', '{"schema":2}', /schema: must be a whole number in range/],
  ['unknown member', '{"schema":1,"colour":1}', /does not know/],
  [
    'a meter of nothing',
    planWith({ meters: [{ name: 'a', paths: [], periodMs: 1 }] }),
    /either paths or a command/,
  ],
  [
    'a meter too fast',
    planWith({ meters: [{ name: 'a', paths: ['/x'], periodMs: 0.1 }] }),
    /meters\[0\]\.periodMs: must be a number in range/,
  ],
  [
    'a meter twice',
    planWith({ meters: Array(2).fill({ name: 'a', paths: ['/x'], periodMs: 9 }) }),
    /meters\[1\]\.name: stands there twice/,
  ],
  [
    'a meter’s name',
    planWith({ meters: [{ name: '../a', paths: ['/x'], periodMs: 9 }] }),
    /meters\[0\]\.name: must be letters/,
  ],
  ['an empty marker', planWith({ marker: '' }), /marker: must be a string/],
  ['repeated member', '{"schema":1,"schema":1}', /one twice/],
]

for (const [name, text, reason] of refused) {
  test(`a plan is refused: ${name}`, { skip: runnerMissing }, async (t) => {
    const { status, collected } = await runPlan(temporaryFolder(t), text)
    assert.equal(status, 3)
    assert.ok(collected.end.state === 'failed' && collected.end.code === 'PLAN_INVALID')
    assert.match(collected.end.message, reason)
  })
}

test('300 damaged plans end in an answer, none in a crash', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const bounds = { minCount: 1, minSeconds: 0, maxCount: 2, maxSeconds: 0.01 }
  const whole = encodePlan(
    plan(
      [artifact('a', mnist, { shapes: [[1, 1, 28, 28]], affinity: [0] })],
      [
        { do: 'warmup', artifact: 'a', ...bounds },
        { do: 'interleave', artifacts: ['a', 'a'], block: 1, ...bounds, meters: true },
        { do: 'idle', seconds: 0.001 },
      ],
      {
        sensors: [{ name: 'load', path: '/proc/loadavg' }],
        sensorPeriodMs: 1,
        meters: [
          { name: 'load', paths: ['/proc/loadavg', '/proc/uptime'], periodMs: 1 },
          { name: 'said', paths: [], command: ['true'], periodMs: 5 },
        ],
      },
    ),
  )
  let state = 20261122
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const scraps = [
    '{',
    '}',
    '[',
    ']',
    '"',
    ',',
    ':',
    '\\',
    '\\u',
    '\\ud800',
    '-',
    '1e9',
    '0.5',
    'null',
    'true',
    '\xff',
    '\n',
    '99999999999999999999',
  ]
  const statuses = new Map<number | null, number>()
  const planPath = join(folder, 'plan.json')
  for (let i = 0; i < 300; i++) {
    let text = whole
    for (let damage = random(3); damage >= 0; damage--) {
      const at = random(text.length)
      const scrap = random(4) === 0 ? '' : scraps[random(scraps.length)]!
      text = text.slice(0, at) + scrap + text.slice(at + random(4))
    }
    // Waiting is not the hazard here.
    writeFileSync(
      planPath,
      text.replace(/("(?:seconds|minSeconds|maxSeconds)":)[^,}]*/g, '$10.001'),
      'latin1',
    )
    const { status, signal, stdout } = await execute([planPath, '-'])
    assert.equal(signal, null, text)
    const parser = createEventParser()
    assert.doesNotThrow(() => parser.push(Buffer.from(stdout)), text)
    assert.equal(parser.pendingBytes, 0)
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  assert.deepEqual(
    [...statuses.keys()].filter((status) => ![0, 3, 4].includes(status!)),
    [],
  )
  assert.ok(statuses.get(3)! > 100, 'most damage is seen by the plan reader')
})

test('arguments that make no sense are a usage error', { skip: runnerMissing }, async () => {
  assert.equal((await execute([])).status, 2)
  assert.equal((await execute(['--what', 'x'])).status, 2)
  assert.equal((await execute(['/nowhere/plan.json', '/nowhere/events.jsonl'])).status, 6)
})
