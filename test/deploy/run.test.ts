import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { acquireLock } from '../../src/deploy/lock.ts'
import { abortRun, cleanRun, collectRun, followRun, runState, startRun } from '../../src/deploy/run.ts'
import type { Device } from '../../src/deploy/types.ts'
import { EdgewrightError } from '../../src/error.ts'
import { silentProgress } from '../../src/progress.ts'
import { openTestDevice } from './board.ts'
import { killSessions, sshdMissing, startProxy, startSshd, type TestSshd } from './sshd.ts'

/** A runner in miniature: numbered lines, one every 20 ms. */
const counting =
  'i=0; while [ $i -lt $1 ]; do echo "{\\"seq\\":$i}"; i=$((i+1)); sleep 0.02; done; echo made >result.txt'
const count = (n: number) => ['sh', '-c', counting, 'sh', String(n)]
const lines = (n: number) => Array.from({ length: n }, (_, i) => `{"seq":${i}}\n`).join('')

function collector(): { push: (chunk: Uint8Array) => void; text: () => string } {
  const chunks: Uint8Array[] = []
  return { push: (chunk) => chunks.push(chunk), text: () => Buffer.concat(chunks).toString('utf8') }
}

describe('detached runs', { skip: sshdMissing }, () => {
  let sshd: TestSshd
  let device: Device
  const holder = 'anna@desk'
  const start = (id: string, command: readonly string[], on = device) =>
    startRun(
      on,
      { id, files: new Map([['plan.json', Buffer.from('{"x":1}')]]), command, holder },
      { waitMs: 10_000 },
    )

  before(async () => {
    sshd = await startSshd()
    device = await openTestDevice(sshd)
  })
  after(async () => {
    await device?.connection.close()
    await sshd?.stop()
  })

  test('Ctrl-C in the moment of the start leaves no run on a board that is free', async () => {
    const real = device.connection
    const connection = new Proxy(real, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key)
        if (typeof value !== 'function') return value
        if (key !== 'script') return value.bind(target)
        return async (...args: Parameters<typeof real.script>) => {
          const answer = await real.script(...args)
          if (args[0].includes('the supervisor did not start'))
            throw new EdgewrightError('INTERRUPTED', 'Interrupted.')
          return answer
        }
      },
    })
    await assert.rejects(start('cut-at-start', ['sleep', '60'], { ...device, connection }), {
      code: 'INTERRUPTED',
    })
    const lock = await acquireLock(device, { holder: 'next', waitMs: 0 })
    assert.equal((await runState(device, 'cut-at-start')).state, 'absent')
    await lock.release()
  })

  test('a run of a name that is there already is left as it is', async () => {
    await start('twice', count(2))
    const before = collector()
    await followRun(device, 'twice', before.push)
    await assert.rejects(start('twice', count(2)))
    assert.equal((await runState(device, 'twice')).state, 'exited')
    await cleanRun(device, 'twice')
  })

  test('a run gives its events, exit code, standard error and files, and is cleaned', async () => {
    const folder = join(device.root, 'runs/one')
    await start('one', ['sh', '-c', `cat ${folder}/plan.json; echo oops >&2; echo out >out.bin; exit 3`])
    const seen = collector()
    const outcome = await followRun(device, 'one', seen.push)
    assert.equal(seen.text(), '{"x":1}')
    assert.deepEqual([outcome.ended, outcome.exitCode, outcome.stderr], ['exited', 3, 'oops\n'])
    assert.equal(
      Buffer.from((await collectRun(device, 'one', ['out.bin'])).get('out.bin')!).toString(),
      'out\n',
    )
    await cleanRun(device, 'one')
    assert.equal(existsSync(folder), false)
  })

  test('starting returns at once, before the run ends', async () => {
    const begin = Date.now()
    await start('slow', ['sleep', '20'])
    assert.ok(Date.now() - begin < 5000)
    assert.equal((await runState(device, 'slow')).state, 'lives')
    await assert.rejects(cleanRun(device, 'slow'), { code: 'DEVICE_BUSY' })
    await abortRun(device, 'slow')
    await cleanRun(device, 'slow')
  })

  test('command words reach the command as they are', async () => {
    const words = ["it's", '$(id)', 'a b', '', ';']
    await start('words', ['printf', '%s|', ...words])
    const seen = collector()
    await followRun(device, 'words', seen.push)
    assert.equal(seen.text(), words.map((word) => `${word}|`).join(''))
  })

  test('a connection cut during the run loses no sample: following connects again', async () => {
    const proxy = await startProxy(sshd.port)
    const shaky = await openTestDevice(sshd, { port: proxy.port })
    await start('cut', count(100), shaky)
    const seen = collector()
    setTimeout(() => proxy.cut(), 500)
    setTimeout(() => proxy.cut(), 1300)
    const opened: Device[] = []
    const outcome = await followRun(shaky, 'cut', seen.push, {
      reconnect: async () => {
        opened.push(await openTestDevice(sshd, { port: proxy.port }))
        return opened.at(-1)!
      },
    })
    assert.equal(seen.text(), lines(100))
    assert.ok(outcome.reconnects >= 1)
    assert.equal(outcome.exitCode, 0)
    for (const one of [...opened, shaky]) await one.connection.close()
    await proxy.stop()
  })

  test('a connection that is lost before the following begins is opened again', async () => {
    const proxy = await startProxy(sshd.port)
    const shaky = await openTestDevice(sshd, { port: proxy.port })
    await start('cut-at-once', count(20), shaky)
    proxy.cut()
    const seen = collector()
    const opened: Device[] = []
    const outcome = await followRun(shaky, 'cut-at-once', seen.push, {
      reconnect: async () => {
        opened.push(await openTestDevice(sshd, { port: proxy.port }))
        return opened.at(-1)!
      },
    })
    assert.deepEqual([seen.text(), outcome.exitCode], [lines(20), 0])
    for (const one of [...opened, shaky]) await one.connection.close()
    await proxy.stop()
  })

  test('a run outlives its SSH session being killed, and is collected by attaching again', async () => {
    const first = await openTestDevice(sshd)
    await start('outlives', count(50), first)
    killSessions(sshd)
    await assert.rejects(first.connection.exec(['true']), { code: 'DEVICE_LOST' })
    device = await openTestDevice(sshd)
    const seen = collector()
    const outcome = await followRun(device, 'outlives', seen.push)
    assert.equal(seen.text(), lines(50))
    assert.equal(outcome.exitCode, 0)
    assert.equal(readFileSync(join(device.root, 'runs/outlives/result.txt'), 'utf8'), 'made\n')
  })

  test('following from an offset gives the rest only', async () => {
    const seen = collector()
    const outcome = await followRun(device, 'outlives', seen.push, { offset: 10 })
    assert.equal(seen.text(), lines(50).slice(10))
    assert.equal(outcome.bytes, lines(50).length)
  })

  test('a runner killed by the board ends the run with its signal', async () => {
    await start('killed', ['sh', '-c', 'echo begun; kill -9 $$'])
    const seen = collector()
    const outcome = await followRun(device, 'killed', seen.push)
    assert.deepEqual([seen.text(), outcome.ended, outcome.exitCode], ['begun\n', 'exited', 137])
  })

  test('a supervisor killed with its runner (out of memory, reboot) is noticed', async () => {
    await start('vanish', ['sleep', '30'])
    const [pid] = readFileSync(join(device.root, 'runs/vanish/pid'), 'utf8').split(' ')
    process.kill(-Number(pid), 'SIGKILL')
    const outcome = await followRun(device, 'vanish', () => {})
    assert.deepEqual([outcome.ended, outcome.exitCode], ['vanished', null])
  })

  test('a supervisor killed alone neither frees a board that is measured nor loses what is measured', async () => {
    // well beyond two looks at whether it lives
    const command = 'for n in 1 2 3 4 5 6 7 8 9 10; do echo $n; sleep 0.7; done'
    await start('orphan', ['sh', '-c', command])
    const folder = join(device.root, 'runs/orphan')
    while (!existsSync(join(folder, 'child'))) await new Promise((resolve) => setTimeout(resolve, 10))
    await new Promise((resolve) => setTimeout(resolve, 200))
    const [pid] = readFileSync(join(folder, 'pid'), 'utf8').split(' ')
    process.kill(Number(pid), 'SIGKILL')
    await assert.rejects(acquireLock(device, { holder: 'bert@lab' }), { code: 'DEVICE_BUSY' })
    assert.equal((await runState(device, 'orphan')).state, 'lives')
    await assert.rejects(cleanRun(device, 'orphan'), { code: 'DEVICE_BUSY' })
    const seen = collector()
    const outcome = await followRun(device, 'orphan', seen.push)
    assert.deepEqual([seen.text(), outcome.ended], ['1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n', 'vanished'])
    await (await acquireLock(device, { holder: 'bert@lab' })).release()
  })

  test('abort ends a run that heeds TERM, with its children', async () => {
    await start('term', ['sh', '-c', 'sleep 30 & echo $!; wait'])
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.deepEqual(await abortRun(device, 'term'), { state: 'exited', exitCode: 143 })
    const seen = collector()
    await followRun(device, 'term', seen.push)
    assert.equal(await ended(Number(seen.text())), true)
  })

  test('abort kills a run that ignores TERM', async () => {
    await start('stubborn', ['sh', '-c', 'trap "" TERM; echo $$; while :; do sleep 1; done'])
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.deepEqual(await abortRun(device, 'stubborn', 500), { state: 'killed' })
    const seen = collector()
    assert.equal((await followRun(device, 'stubborn', seen.push)).ended, 'killed')
    assert.equal(await ended(Number(seen.text())), true)
  })

  test('abort leaves a process alone that has the pid of a run long gone', async () => {
    await start('gone', ['true'])
    await followRun(device, 'gone', () => {})
    const bystander = (
      await device.connection.script('sleep 30 </dev/null >/dev/null 2>&1 & echo $!', [])
    ).stdout.trim()
    const folder = join(device.root, 'runs/gone')
    writeFileSync(join(folder, 'pid'), `${bystander} 12345 session\n`)
    writeFileSync(join(folder, 'child'), `${bystander} 12345\n`)
    await device.connection.exec(['rm', join(folder, 'status')])
    await abortRun(device, 'gone', 300)
    assert.equal(existsSync(`/proc/${bystander}`), true)
    process.kill(Number(bystander), 'SIGKILL')
  })

  test('a board without setsid runs with nohup and says so', async () => {
    const progress = silentProgress()
    const script = device.connection.script.bind(device.connection)
    const bare = { ...device, connection: Object.create(device.connection) as Device['connection'] }
    // The same board, whose shell does not find setsid.
    bare.connection.script = (text, args, options) =>
      script(text.replaceAll('command -v setsid', 'command -v no-such-setsid'), args, options)
    bare.connection.uploadBytes = (bytes, path) => device.connection.uploadBytes(bytes, path)
    await startRun(bare, { id: 'nohup', files: new Map(), command: count(10), holder }, { progress })
    const seen = collector()
    assert.equal((await followRun(device, 'nohup', seen.push)).exitCode, 0)
    assert.equal(seen.text(), lines(10))
    assert.deepEqual(
      progress.warnings.map((warning) => warning.code),
      ['NO_SETSID'],
    )
  })

  test('a run that is not there is told', async () => {
    await assert.rejects(
      followRun(device, 'never', () => {}),
      { code: 'RUN_NOT_FOUND' },
    )
    await assert.rejects(abortRun(device, 'never'), { code: 'RUN_NOT_FOUND' })
  })

  test('an id that leaves the runs folder is refused', async () => {
    for (const id of ['../x', 'a/b', '', '.']) await assert.rejects(start(id, ['true']), { code: 'USAGE' })
  })

  test('an id is used once', async () => {
    await assert.rejects(start('gone', ['true']), { code: 'DEVICE_COMMAND_FAILED' })
  })
})

async function ended(pid: number): Promise<boolean> {
  assert.ok(pid > 1)
  for (let attempt = 0; attempt < 40; attempt++) {
    if (!existsSync(`/proc/${pid}`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}
