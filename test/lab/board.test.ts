import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { repositoryRoot } from '../fixtures.ts'
import { startBoard } from './board.ts'
import { commandLine, endLeftovers, holders } from './processes.ts'
import { labMissing } from './requirements.ts'

const skip = labMissing()

test('an emulated board answers as an arm64 Raspberry Pi 5 whose user is not root', { skip }, async (t) => {
  const board = await started(t, {})
  const { stdout, exitCode } = await board.ssh(
    'uname -m; id -un; id -u; cat /sys/firmware/devicetree/base/model',
  )
  assert.equal(exitCode, 0)
  assert.equal(stdout, 'aarch64\npi\n1000\nRaspberry Pi 5 Model B Rev 1.0\0')
})

test('the board of each core shows the features that its core has', { skip }, async (t) => {
  const boards = await Promise.all([
    started(t, { model: 'raspberry-pi-5' }),
    started(t, { model: 'raspberry-pi-4b', cpu: 'cortex-a72' }),
  ])
  // the text that probes read and the auxiliary vector that runtimes read (HWCAP bit 20 is ASIMDDP) must agree
  const asked = await Promise.all(
    boards.map((board) =>
      board.ssh("grep -m1 ^Features /proc/cpuinfo; LD_SHOW_AUXV=1 /bin/true | grep '^AT_HWCAP:'"),
    ),
  )
  const dotProduct = asked.map(({ stdout }) => ({
    cpuinfo: /\basimddp\b/.test(stdout),
    hwcap: stdout.includes('asimddp') || (hwcap(stdout) & (1 << 20)) !== 0,
  }))
  assert.deepEqual(dotProduct, [
    { cpuinfo: true, hwcap: true },
    { cpuinfo: false, hwcap: false },
  ])
})

test('the board has no Python and no Node', { skip }, async (t) => {
  const board = await started(t, {})
  const { stdout } = await board.ssh('for p in python python3 node perl6 sh; do command -v $p; done; true')
  assert.match(stdout, /^\S*\/sh\n$/)
})

test('boards of one userland do not see what the other writes', { skip }, async (t) => {
  const [first, second] = await Promise.all([started(t, {}), started(t, {})])
  await first.ssh('echo mine > /home/pi/a; echo mine > /tmp/a')
  const { stdout } = await second.ssh('ls -A /home/pi /tmp')
  assert.equal(stdout, '/home/pi:\n.ssh\n\n/tmp:\n')
  assert.notEqual(first.hostKeyFingerprint, second.hostKeyFingerprint)
})

test('a full disk on the board is a real one, and freeing it works', { skip }, async (t) => {
  const board = await started(t, { homeBytes: 4 << 20 })
  const free = board.fillDisk()
  const full = await board.ssh('head -c 100000 /dev/zero > big')
  assert.notEqual(full.exitCode, 0)
  assert.match(full.stderr, /No space left on device/)
  free()
  assert.equal((await board.ssh('head -c 100000 /dev/zero > big && wc -c < big')).stdout, '100000\n')
})

test('cutting connections ends the session and not what was started outside it', { skip }, async (t) => {
  const board = await started(t, {})
  const session = board.ssh(
    'setsid sh -c "sleep 2; echo survived > late" > /dev/null 2>&1 < /dev/null & echo up > early; sleep 60',
  )
  await appears(board.path('/home/pi/early'))
  board.cutConnections()
  assert.equal((await session).exitCode, 255)
  await appears(board.path('/home/pi/late'))
})

test('a suspended board holds the line silent until it is resumed', { skip }, async (t) => {
  const board = await started(t, {})
  board.suspend()
  const answer = board.ssh('echo back')
  const early = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 1000, 'silent'))])
  assert.equal(early, 'silent')
  board.resume()
  assert.equal((await answer).stdout, 'back\n')
})

test('what the host writes into cpuinfo and sysfs is what the board reads', { skip }, async (t) => {
  const board = await started(t, {})
  board.setCpuInfo('Features\t: fp asimd\n')
  board.setSys('class/thermal/thermal_zone0/temp', '81000\n')
  const { stdout } = await board.ssh('cat /proc/cpuinfo /sys/class/thermal/thermal_zone0/temp')
  assert.equal(stdout, 'Features\t: fp asimd\n81000\n')
})

test('a host key that is not in known_hosts is refused', { skip }, async (t) => {
  const board = await started(t, {})
  writeFileSync(board.knownHostsFile, '')
  const { exitCode, stderr } = await board.ssh('true')
  assert.equal(exitCode, 255)
  assert.match(stderr, /Host key verification failed|No ED25519 host key is known/)
})

test('a bullseye board has glibc 2.31', { skip }, async (t) => {
  const board = await started(t, { suite: 'bullseye' })
  assert.equal((await board.ssh('getconf GNU_LIBC_VERSION')).stdout, 'glibc 2.31\n')
})

test('a stopped board leaves no process and no file', { skip }, async () => {
  const board = await startBoard()
  const folder = dirname(board.identityFile)
  const session = board.ssh('setsid sleep 1000 & sleep 1000')
  await board.ssh('true')
  const processes = holders(folder)
  assert.ok(processes.length >= 2)
  await board.stop()
  await session
  assert.deepEqual(
    processes.map(commandLine).filter((line) => line.includes(folder) || line.includes('sleep 1000')),
    [],
  )
  assert.equal(existsSync(folder), false)
})

test('a test process that is killed takes its boards with it', { skip }, async () => {
  const script =
    "const { startBoard } = await import('./test/lab/board.ts'); const b = await startBoard(); console.log(b.identityFile); setInterval(() => {}, 1000)"
  const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: repositoryRoot,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(owner.stdout, 'data')) as [Buffer]
  const folder = dirname(line.toString().trim())
  assert.ok(holders(folder).length > 0)
  owner.kill('SIGKILL')
  await once(owner, 'exit')
  const deadline = Date.now() + 5000
  while (holders(folder).length > 0 && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(holders(folder), [])
  endLeftovers()
  assert.equal(existsSync(folder), false)
})

function hwcap(auxv: string): number {
  return Number.parseInt(/AT_HWCAP:\s*([0-9a-f]+)/.exec(auxv)?.[1] ?? 'NaN', 16)
}

async function appears(file: string, deadlineMs = 15_000): Promise<void> {
  const deadline = Date.now() + deadlineMs
  while (!existsSync(file)) {
    assert.ok(Date.now() < deadline, `${file} did not appear`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function started(t: TestContext, options: Parameters<typeof startBoard>[0]) {
  const board = await startBoard(options)
  t.after(() => board.stop())
  return board
}
