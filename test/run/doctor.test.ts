import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceFacts } from '../../src/deploy/types.ts'
import { judgeFacts } from '../../src/run/doctor/board-facts.ts'
import { describeFindings, type Finding } from '../../src/run/doctor/findings.ts'
import { judgeSurvey } from '../../src/run/doctor/survey.ts'

const root = '/home/pi/.local/share/edgewright'
const now = 1_800_000_000_000
const healthy = [
  'time 1800000003',
  'does write',
  'does hard-links',
  'does symlinks',
  'does execute',
  'half 0',
  'runs 0',
]
const survey = (...lines: string[]) => judgeSurvey([...healthy, ...lines].join('\n'), root, now)
const without = (...gone: string[]) =>
  judgeSurvey(healthy.filter((line) => !gone.includes(line)).join('\n'), root, now)
const bad = (findings: readonly Finding[]) =>
  findings.filter(({ state }) => state !== 'ok').map(({ check, state, fix }) => `${state} ${check}: ${fix}`)

const facts: DeviceFacts = {
  architecture: 'aarch64',
  userlandBits: 64,
  kernel: 'Linux 6.1',
  hostname: 'pi',
  model: null,
  compatible: [],
  cpuModel: null,
  cpuFeatures: [],
  cpuCount: 4,
  memoryBytes: 4e9,
  freeDiskBytes: 8e9,
  libc: { name: 'glibc', version: '2.36' },
  os: null,
  usbIds: [],
  extras: {},
}

test('a healthy board has nothing to mend', () => {
  assert.deepEqual(bad(survey()), [])
  assert.deepEqual(bad(judgeFacts(facts)), [])
  assert.match(describeFindings('pi@board', survey()), /Ready\.$/)
})

test('a missing program is named with the package that has it', () => {
  assert.deepEqual(bad(survey('lacks find', 'lacks sync', 'lacks tail')), [
    'missing programs: sudo apt-get install findutils',
    'missing programs: sudo apt-get install coreutils',
  ])
})

test('a folder that cannot be written, runs no programs or makes no hard links is missing, each told apart', () => {
  const said = (...gone: string[]) =>
    without(...gone)
      .filter(({ state }) => state === 'missing')
      .map(({ message }) => message)
  assert.match(said('does write')[0]!, /cannot be made or written/)
  assert.match(said('does execute')[0]!, /noexec/)
  assert.match(said('does hard-links')[0]!, /no hard links/)
})

test('a run that would end with the connection is warned of', () => {
  assert.deepEqual(bad(survey('logind yes no')), ['warning sessions: loginctl enable-linger'])
  assert.deepEqual(bad(survey('logind yes yes')), [])
  assert.deepEqual(bad(survey('lacks setsid')), ['warning sessions: sudo apt-get install util-linux'])
})

test('a clock that is off, half-made releases and runs that nobody collected are told', () => {
  const findings = judgeSurvey(
    ['time 1700000000', ...healthy.slice(1, 5), 'half 2', 'runs 1'].join('\n'),
    root,
    now,
  )
  assert.match(findings.find(({ check }) => check === 'clock')!.message, /1157 days off/)
  assert.match(
    findings.find(({ check }) => check === 'leftovers')!.message,
    /2 half-made releases and 1 run that was not/,
  )
})

test('an old C library, another libc, 32-bit programs under a 64-bit kernel and a full disk each have their remedy', () => {
  const judged = (change: Partial<DeviceFacts>) => bad(judgeFacts({ ...facts, ...change }))
  assert.match(judged({ libc: { name: 'glibc', version: '2.27' } })[0]!, /^missing libc: Update/)
  assert.match(
    judged({ libc: { name: 'musl', version: '1.2' } })[0]!,
    /^missing libc: Use an image with glibc/,
  )
  assert.match(judged({ userlandBits: 32 })[0]!, /^missing processor: Install the 64-bit image/)
  assert.match(judged({ architecture: 'riscv64' })[0]!, /^missing processor/)
  assert.match(judged({ freeDiskBytes: 5e6 })[0]!, /^warning disk: Free some/)
})

test('an answer full of nonsense is neither believed nor printed as it is', () => {
  const findings = judgeSurvey(
    '\u001b[2J\u0000does write\ntime ∞\nlacks ;rm -rf /\nhalf NaN\n'.repeat(1000),
    root,
    now,
  )
  assert.ok(findings.some(({ state }) => state === 'missing'))
  const text = describeFindings('x\u001b[31m', findings)
  assert.doesNotMatch(text, /\u001b|\u0000/)
})
