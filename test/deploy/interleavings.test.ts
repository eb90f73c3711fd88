import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { abortRun, cleanRun, followRun, runState, startRun } from '../../src/deploy/run.ts'
import type { Device } from '../../src/deploy/types.ts'
import { EdgewrightError } from '../../src/error.ts'
import { openTestDevice } from './board.ts'
import { type CuttingProxy, sshdMissing, startProxy, startSshd, type TestSshd } from './sshd.ts'

/** More schedules for a longer look: EDGEWRIGHT_INTERLEAVINGS=50. */
const schedules = Number(process.env.EDGEWRIGHT_INTERLEAVINGS ?? 1)
const runsEach = 5
const faults = ['none', 'cut', 'host gone', 'abort', 'kill command', 'kill supervisor', 'kill all'] as const
type Fault = (typeof faults)[number]

/** Says who measures, ten times a run: the order of the lines is the order in which it happened. */
const benchmark = `id=$1 log=$2 n=0
while [ $n -lt 10 ]; do n=$((n + 1)); echo "$id $n" >>"$log"; echo "sample $n"; sleep 0.04; done
echo "$id done" >>"$log"`

interface Told {
  readonly id: string
  readonly fault: Fault
  readonly bytes: string
  readonly exitCode: number | null
}

describe('two hosts, one board, and what goes wrong at random', {
  skip: sshdMissing,
  timeout: 600_000,
}, () => {
  for (let seed = 1; seed <= schedules; seed++)
    test(`never two benchmarks at once, never a lost result (schedule ${seed})`, async (t) => {
      const sshd = await startSshd()
      t.after(() => sshd.stop())
      const log = join(sshd.folder, 'log')
      writeFileSync(log, '')
      const told = (await Promise.all([host(sshd, 'a', seed, log), host(sshd, 'b', seed + 7919, log)])).flat()
      assert.equal(told.length, 2 * runsEach)
      const lines = readFileSync(log, 'utf8').trim().split('\n')
      for (const [index, line] of lines.entries()) {
        const id = line.split(' ')[0]
        const again =
          index > 0 &&
          lines[index - 1]!.split(' ')[0] !== id &&
          lines.slice(0, index - 1).some((before) => before.split(' ')[0] === id)
        assert.equal(
          again,
          false,
          `${id} measured beside another:\n${lines.slice(Math.max(0, index - 12), index + 3).join('\n')}`,
        )
      }
      const whole = Array.from({ length: 10 }, (_, n) => `sample ${n + 1}\n`).join('')
      for (const { id, fault, bytes, exitCode } of told) {
        assert.ok(whole.startsWith(bytes), `${id} (${fault}): ${JSON.stringify(bytes)}`)
        if (['none', 'cut', 'host gone', 'kill supervisor'].includes(fault))
          assert.deepEqual(
            [bytes, exitCode],
            [whole, fault === 'kill supervisor' ? exitCode : 0],
            `${id} (${fault})`,
          )
      }
    })
})

/** One host: measures again and again, each time with another fault; what it could collect of each run. */
async function host(sshd: TestSshd, name: string, seed: number, log: string): Promise<Told[]> {
  const next = seeded(seed)
  const proxy = await startProxy(sshd.port)
  const told: Told[] = []
  for (let n = 0; n < runsEach; n++) {
    const fault = faults[next() % faults.length]!
    told.push(await measure(sshd, proxy, `${name}${n}`, fault, next() % 400, log))
    await pause(next() % 60)
  }
  await proxy.stop()
  return told
}

async function measure(
  sshd: TestSshd,
  proxy: CuttingProxy,
  id: string,
  fault: Fault,
  delayMs: number,
  log: string,
): Promise<Told> {
  const open = () => openTestDevice(sshd, { port: proxy.port })
  let device = await open()
  const command = ['sh', '-c', benchmark, 'benchmark', id, log]
  await startRun(device, { id, files: new Map(), command, holder: `host of ${id}` }, { waitMs: 120_000 })
  const chunks: Uint8Array[] = []
  const follow = (on: Device, offset = 0) =>
    followRun(on, id, (chunk) => chunks.push(chunk), {
      deadlineMs: 60_000,
      offset,
      ...(fault === 'cut' ? { reconnect: open } : {}),
    })
  const following = follow(device).catch((error: unknown) => {
    if (error instanceof EdgewrightError && error.code === 'DEVICE_LOST') return null
    throw error
  })
  await pause(delayMs)
  if (fault === 'cut' || fault === 'host gone') proxy.cut()
  if (fault === 'abort') await abortRun(device, id, 1000)
  if (fault.startsWith('kill')) kill(device, id, fault)
  let outcome = await following
  if (outcome === null) {
    // the same host again, or another one with the run's name
    device = await open()
    outcome = await follow(device, Buffer.concat(chunks).length)
  }
  device = outcome.device
  // a killed supervisor may leave its command: the board is not free, and not cleaned, before that has ended
  for (let tries = 0; (await runState(device, id)).state === 'lives' && tries < 100; tries++) await pause(50)
  await cleanRun(device, id).catch(() => {})
  await device.connection.close()
  return { id, fault, bytes: Buffer.concat(chunks).toString(), exitCode: outcome.exitCode }
}

function kill(device: Device, id: string, fault: Fault): void {
  const pid = (file: string) => {
    const path = join(device.root, 'runs', id, file)
    return existsSync(path) ? Number(readFileSync(path, 'utf8').split(' ')[0]) : 0
  }
  const victims = [
    ...(fault === 'kill command' || fault === 'kill all' ? [pid('child')] : []),
    ...(fault === 'kill supervisor' || fault === 'kill all' ? [pid('pid')] : []),
  ]
  for (const victim of victims) {
    try {
      if (victim > 1) process.kill(victim, 'SIGKILL')
    } catch {
      // it ended by itself
    }
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs))
}

function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 8
  }
}
