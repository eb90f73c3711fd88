import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MeterSample } from '../../src/measure/collect.ts'
import { encodePlan } from '../../src/measure/encode-plan.ts'
import { parseEvents } from '../../src/measure/events.ts'
import { runnerFailure } from '../../src/measure/runner-failure.ts'
import { execute, plan, runnerMissing, runPlan, temporaryFolder } from './run-runner.ts'

const skip = runnerMissing
/** CLOCK_MONOTONIC, the runner's clock. */
const nowNs = (): number => Number(process.hrtime.bigint())

test('files are sampled on an absolute schedule, in the steps that say so and in no other', {
  skip,
}, async (t) => {
  const folder = temporaryFolder(t)
  const [volts, amperes] = [join(folder, 'in1_input'), join(folder, 'curr1_input')]
  writeFileSync(volts, '5012\n')
  writeFileSync(amperes, '-734\n')
  const { collected, status, events } = await runPlan(
    folder,
    plan(
      [],
      [
        { do: 'idle', seconds: 0.2 },
        { do: 'idle', seconds: 3.2, meters: true },
        { do: 'idle', seconds: 0.2 },
        { do: 'idle', seconds: 0.3, meters: true },
      ],
      {
        meters: [
          { name: 'fast', paths: [volts, amperes], periodMs: 20 },
          { name: 'slow', paths: [volts], periodMs: 500 },
        ],
      },
    ),
  )
  assert.equal(status, 0)
  const fast = samplesOf(collected.meters, 'fast')
  assert.deepEqual([...new Set(fast.map(({ step }) => step))], [1, 3])
  assert.ok(fast.every(({ values }) => values[0] === 5012 && values[1] === -734 && values.length === 2))
  const first = fast.filter(({ step }) => step === 1)
  assert.ok(first.length > 80 && first.length <= 165, `${first.length} samples`)
  // a step that a busy machine ends late has the sample of its end as well
  const slow = samplesOf(collected.meters, 'slow').filter(({ step }) => step === 1).length
  assert.ok(slow >= 5 && slow <= 8, `${slow} samples`)

  // Absolute: however late single samples are, none drifts off the grid of the period.
  const lateness = (gridNs: number) =>
    first.map(({ atNs }) => (((atNs - gridNs) % 2e7) + 2e7) % 2e7).sort((a, b) => a - b)[first.length >> 1]!
  const medianLateNs = Math.min(...first.slice(0, 20).map(({ atNs }) => lateness(atNs)))
  assert.ok(medianLateNs < 5e6, `half of the samples are ${medianLateNs} ns late`)

  const step = collected.steps[1]!
  for (const { atNs, spentNs } of first) {
    assert.ok(atNs > step.startNs - 5e7 && atNs + spentNs < step.startNs + step.elapsedNs! + 5e7)
    assert.ok(spentNs > 0)
  }
  const order = parseEvents(events).map((event) => `${event.type}${'step' in event ? event.step : ''}`)
  assert.ok(
    order.lastIndexOf('meter1') < order.indexOf('done1'),
    'a step is done when its samples are written',
  )
  // two meters at the end of the step and, unless a busy machine stood still for two seconds, before it
  assert.ok(order.filter((type) => type === 'meter1').length >= 4, 'they are written as they come')
})

test('what is no number is null; a file that comes, or comes again, is found', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const names = ['junk', 'empty', 'folder', 'late', 'decimal', 'huge'].map((name) => join(folder, name))
  const [junk, empty, , late, decimal, huge] = names as [string, string, string, string, string, string]
  writeFileSync(junk, 'not a number\n')
  writeFileSync(empty, '')
  writeFileSync(decimal, '0.125 V')
  writeFileSync(huge, '123456789012345678901234567890\n')
  const running = runPlan(
    folder,
    plan([], [{ do: 'idle', seconds: 3, meters: true }], {
      meters: [{ name: 'm', paths: [junk, empty, '/proc/self', late, decimal, huge], periodMs: 20 }],
    }),
  )
  await sleep(500)
  writeFileSync(late, '7\n')
  const { collected } = await running
  const samples = samplesOf(collected.meters, 'm')
  assert.deepEqual(samples[0]!.values, [null, null, null, null, 0.125, 123456789012345680000000000000])
  assert.equal(samples.at(-1)!.values[3], 7)
})

test('a command is read, without input, and what fails or never ends says so', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const sh = (script: string): string[] => ['sh', '-c', script]
  const meter = (name: string, command: string[]) => ({ name, paths: [], command, periodMs: 400 })
  const start = nowNs()
  const { collected, status, events } = await runPlan(
    folder,
    plan([], [{ do: 'idle', seconds: 1, meters: true }], {
      meters: [
        meter('says', sh('cat; echo "VDD_CORE_A current(7)=1.25A"; echo noise >&2')),
        meter('absent', ['/nowhere/vcgencmd', 'pmic_read_adc']),
        meter('fails', sh('echo no; exit 3')),
        meter('floods', ['yes']),
        meter('hangs', sh('echo begun; sleep 60 & sleep 60')),
        meter('binary', sh('printf "a\\033\\377b"')),
      ],
    }),
  )
  assert.equal(status, 0)
  assert.ok(nowNs() - start < 30e9, 'a command that hangs is ended')
  const readings = parseEvents(events).filter((event) => event.type === 'reading')
  const of = (name: string) => readings.filter((reading) => reading.name === name)
  assert.deepEqual(
    [...new Set(of('says').map(({ exit, text }) => `${exit} ${text}`))],
    ['0 VDD_CORE_A current(7)=1.25A\n'],
  )
  assert.ok(of('says').length >= 2 && of('says').length <= 3)
  assert.deepEqual([of('absent')[0]!.exit, of('fails')[0]!.exit, of('floods')[0]!.exit], [-1, 3, -1])
  assert.match(of('absent')[0]!.text, /No such file/)
  assert.equal(of('hangs').length, 1)
  assert.equal(of('hangs')[0]!.exit, -1)
  assert.ok(of('hangs')[0]!.spent > 4e9)
  assert.equal(of('binary')[0]!.text, 'a\u001b\ufffdb')
  const kept = samplesOf(collected.meters, 'fails')[0]!
  assert.deepEqual([kept.text, kept.values], [null, []])
})

test('the marker is 1 while a metered step runs and 0 at every other time', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const marker = join(folder, 'value')
  writeFileSync(marker, '0')
  const edges: { at: number; to: string }[] = []
  const watch = setInterval(() => {
    const to = readFileSync(marker, 'utf8')
    if (to !== (edges.at(-1)?.to ?? '0')) edges.push({ at: nowNs(), to })
  }, 2)
  t.after(() => clearInterval(watch))
  const steps = [false, true, false, true].map((meters) => ({ do: 'idle', seconds: 0.4, meters }) as const)
  const { collected } = await runPlan(folder, plan([], steps, { marker }))
  await sleep(50)
  assert.deepEqual(
    edges.map(({ to }) => to),
    ['1', '0', '1', '0'],
  )
  const up = edges[0]!
  const down = edges[1]!
  const step = collected.steps[1]!
  assert.ok(up.at >= step.startNs && up.at < step.startNs + 3e8)
  assert.ok(down.at >= step.startNs + step.elapsedNs! && down.at < step.startNs + step.elapsedNs! + 3e8)
})

test('an interrupted step clears the marker and ends its command', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const marker = join(folder, 'value')
  writeFileSync(marker, '0')
  const { status, collected } = await runPlan(
    folder,
    plan([], [{ do: 'idle', seconds: 50, meters: true }], {
      marker,
      meters: [
        { name: 'c', paths: [], command: ['sleep', '40'], periodMs: 1000 },
        { name: 'f', paths: ['/proc/uptime'], periodMs: 10 },
      ],
    }),
    {
      onStart: async (pid) => {
        while (readFileSync(marker, 'utf8') !== '1') await sleep(10)
        await sleep(300)
        process.kill(pid, 'SIGTERM')
      },
    },
  )
  assert.equal(status, 5)
  assert.equal(readFileSync(marker, 'utf8'), '0')
  assert.ok(samplesOf(collected.meters, 'f').length > 5)
})

test('a killed runner leaves the samples of its past seconds', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const { signal, collected } = await runPlan(
    folder,
    plan([], [{ do: 'idle', seconds: 50, meters: true }], {
      meters: [{ name: 'f', paths: ['/proc/uptime'], periodMs: 1 }],
    }),
    { onStart: (pid) => void setTimeout(() => process.kill(pid, 'SIGKILL'), 2800) },
  )
  assert.equal(signal, 'SIGKILL')
  assert.ok(samplesOf(collected.meters, 'f').length > 600)
})

test('a marker that is not there is a complaint, not the end of the run', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const marker = join(folder, 'absent')
  const { status, collected } = await runPlan(
    folder,
    plan([], [{ do: 'idle', seconds: 0.01, meters: true }], { marker }),
  )
  assert.deepEqual([status, collected.end.state], [0, 'complete'])
  assert.deepEqual(
    collected.complaints.map(({ code }) => code),
    ['METERS'],
  )
  assert.match(collected.complaints[0]!.message, /cannot open the marker .*absent/)
  assert.equal(runnerFailure(collected.end, 'board', status), null)
  assert.throws(() => readFileSync(marker), 'a misspelt path is not made')
  rmSync(folder, { recursive: true })
})

test('--clock says the runner’s clock, a line as soon as it was read', { skip }, async () => {
  const before = nowNs()
  const { stdout, status } = await execute(['--clock', '5'])
  const after = nowNs()
  const times = stdout.trimEnd().split('\n').map(Number)
  assert.deepEqual([status, times.length], [0, 5])
  for (const [i, time] of times.entries()) {
    assert.ok(time > before && time < after)
    if (i > 0) assert.ok(time - times[0]! >= 20e6 * i - 1)
  }
  for (const wrong of ['0', '-1', 'x', '99999']) assert.equal((await execute(['--clock', wrong])).status, 2)
})

test('a plan of meters that the runner would refuse is refused before it is sent', () => {
  const meter = { name: 'm', paths: ['/x'], periodMs: 10 }
  const refused: [RegExp, object[]][] = [
    [/17 meters/, Array.from({ length: 17 }, (_, i) => ({ ...meter, name: `m${i}` }))],
    [/no plain word/, [{ ...meter, name: 'VDD IN' }]],
    [/twice/, [meter, meter]],
    [/either files or a command/, [{ ...meter, command: ['true'] }]],
    [/either files or a command/, [{ ...meter, paths: [] }]],
    [/9 files/, [{ ...meter, paths: Array(9).fill('/x') }]],
    [/17 words/, [{ ...meter, paths: [], command: Array(17).fill('x') }]],
    [/period of meter m is 0 ms/, [{ ...meter, periodMs: 0 }]],
  ]
  for (const [reason, meters] of refused)
    assert.throws(() => encodePlan(plan([], [], { meters: meters as never })), {
      code: 'USAGE',
      message: reason,
    })
})

function samplesOf(meters: readonly MeterSample[], name: string): MeterSample[] {
  return meters.filter((sample) => sample.name === name)
}
