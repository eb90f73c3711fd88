import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { acquireLock, type LockHolder } from '../../src/deploy/lock.ts'
import { abortRun, followRun, startRun } from '../../src/deploy/run.ts'
import type { Device } from '../../src/deploy/types.ts'
import { openTestDevice } from './board.ts'
import { sshdMissing, startSshd, type TestSshd } from './sshd.ts'

describe('one benchmark at a time on a board', { skip: sshdMissing }, () => {
  let sshd: TestSshd
  let anna: Device
  let ben: Device
  const held = () => {
    const [name] = readdirSync(join(anna.root, 'lock')).filter((one) => one.startsWith('held.'))
    return join(anna.root, 'lock', name!)
  }

  before(async () => {
    sshd = await startSshd()
    anna = await openTestDevice(sshd)
    ben = await openTestDevice(sshd)
  })
  after(async () => {
    for (const device of [anna, ben]) await device?.connection.close()
    await sshd?.stop()
  })

  test('a second host is told who holds the board and since when', async () => {
    const lock = await acquireLock(anna, { holder: 'anna@desk (process 1)' })
    await assert.rejects(acquireLock(ben, { holder: 'ben@lab' }), {
      code: 'DEVICE_BUSY',
      message: /is held by anna@desk \(process 1\) since \d{4}-\d\d-\d\dT/,
    })
    await lock.release()
    const next = await acquireLock(ben, { holder: 'ben@lab' })
    assert.ok(next.fence > lock.fence)
    await next.release()
  })

  test('a second host that waits gets the board when the first is done', async () => {
    const lock = await acquireLock(anna, { holder: 'anna@desk' })
    const waitedFor: LockHolder[] = []
    const waiting = acquireLock(ben, {
      holder: 'ben@lab',
      waitMs: 10_000,
      onWaiting: (other) => waitedFor.push(other),
    })
    setTimeout(() => lock.release(), 600)
    await (await waiting).release()
    assert.equal(waitedFor[0]?.holder, 'anna@desk')
  })

  test('of ten that want it at once, one gets it', async () => {
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => acquireLock(i % 2 ? anna : ben, { holder: `host ${i}` })),
    )
    const winners = tries.filter((one) => one.status === 'fulfilled')
    assert.equal(winners.length, 1)
    for (const one of tries) if (one.status === 'rejected') assert.equal(one.reason.code, 'DEVICE_BUSY')
    await winners[0]!.value.release()
  })

  test('a lock whose lease ran out is taken over, and its old holder learns of it', async () => {
    const old = await acquireLock(anna, { holder: 'anna@desk', ttlSeconds: 1 })
    const next = await acquireLock(ben, { holder: 'ben@lab', waitMs: 8000 })
    await assert.rejects(old.renew(), { code: 'DEVICE_BUSY' })
    await old.release()
    await assert.rejects(acquireLock(anna, { holder: 'anna@desk' }), {
      code: 'DEVICE_BUSY',
      message: /ben@lab/,
    })
    await next.release()
  })

  test('a renewed lease goes on', async () => {
    const lock = await acquireLock(anna, { holder: 'anna@desk', ttlSeconds: 2 })
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 700))
      await lock.renew()
    }
    await assert.rejects(acquireLock(ben, { holder: 'ben@lab' }), { code: 'DEVICE_BUSY' })
    await lock.release()
  })

  test('a lock from before a reboot is no lock', async () => {
    await acquireLock(anna, { holder: 'anna@desk', ttlSeconds: 3600 })
    const path = held()
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    writeFileSync(path, readFileSync(path, 'utf8').replace(boot, '00000000-0000-0000-0000-000000000000'))
    await (await acquireLock(ben, { holder: 'ben@lab' })).release()
  })

  test('a run holds the board as long as it lives, its host gone or not', async () => {
    const gone = await openTestDevice(sshd)
    await startRun(gone, { id: 'held', files: new Map(), command: ['sleep', '2'], holder: 'gone@host' })
    await gone.connection.close()
    await assert.rejects(acquireLock(ben, { holder: 'ben@lab' }), {
      code: 'DEVICE_BUSY',
      message: /gone@host/,
    })
    const lock = await acquireLock(ben, { holder: 'ben@lab', waitMs: 15_000 })
    assert.equal((await followRun(anna, 'held', () => {})).exitCode, 0)
    await lock.release()
  })

  test('two hosts that run at once measure one after the other', async () => {
    const run = async (device: Device, id: string) => {
      const command = ['sh', '-c', 'cat /proc/uptime; sleep 0.5; cat /proc/uptime']
      await startRun(device, { id, files: new Map(), command, holder: id }, { waitMs: 20_000 })
      let text = ''
      await followRun(device, id, (chunk) => {
        text += Buffer.from(chunk).toString()
      })
      return text
        .trim()
        .split('\n')
        .map((line) => Number(line.split(' ')[0])) as [number, number]
    }
    const [a, b] = await Promise.all([run(anna, 'first'), run(ben, 'second')])
    assert.ok(a[1] <= b[0] || b[1] <= a[0], `${a} overlaps ${b}`)
  })

  test('a run killed in the middle frees the board', async () => {
    await startRun(anna, { id: 'middle', files: new Map(), command: ['sleep', '60'], holder: 'anna@desk' })
    const [pid] = readFileSync(join(anna.root, 'runs/middle/pid'), 'utf8').split(' ')
    process.kill(-Number(pid), 'SIGKILL')
    await (await acquireLock(ben, { holder: 'ben@lab', waitMs: 5000 })).release()
    await abortRun(anna, 'middle')
  })

  test('a holder name cannot speak to a shell or a terminal', async () => {
    const lock = await acquireLock(anna, { holder: '$(touch x)\u001b[31m\n`id`' })
    await assert.rejects(acquireLock(ben, { holder: 'ben' }), {
      code: 'DEVICE_BUSY',
      message: /held by \$\(touch x\) `id` since/,
    })
    await lock.release()
  })
})
