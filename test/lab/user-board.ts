import type { ChildProcess } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { repositoryRoot } from '../fixtures.ts'
import { registerArm64 } from './binfmt.ts'
import type { Board, BoardOptions } from './board.ts'
import { type BoardCpu, type BoardModel, coreOf, cpuInfo, kernelRelease, sysFiles } from './identity.ts'
import { makeKeys, trustHostKey } from './keys.ts'
import { openSsh, openSshOptions } from './open-ssh.ts'
import { freePort, waitForSsh } from './ports.ts'
import { boardFolder, commandLine, descendants, endProcess, startProcess } from './processes.ts'
import { userland } from './rootfs.ts'

const upDeadlineMs = 30_000

/** An arm64 Debian userland with its own SSH server, in namespaces of this computer's kernel. */
export async function startUserBoard(options: BoardOptions): Promise<Board> {
  registerArm64()
  const lower = await userland(options.suite ?? 'bookworm')
  const model = options.model ?? 'raspberry-pi-5'
  const folder = boardFolder()
  const { fingerprint } = await makeKeys(folder)
  writeBoardFiles(folder, model, options.cpu ?? coreOf[model], options.password)
  const { child, port } = await boot(folder, lower, options.homeBytes ?? 512 << 20)
  trustHostKey(folder, port)
  return describe(child, folder, port, fingerprint)
}

function writeBoardFiles(folder: string, model: BoardModel, cpu: BoardCpu, password?: string): void {
  writeFileSync(join(folder, 'cpuinfo'), cpuInfo(model, cpu))
  for (const [path, content] of Object.entries(sysFiles(model))) {
    const file = join(folder, 'sys', path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  const sshd = [`SetEnv QEMU_CPU=${cpu} QEMU_UNAME=${kernelRelease(model)}`]
  if (password !== undefined) {
    // sshd takes the first value that it reads: this one stands before the userland's own file
    sshd.push('PasswordAuthentication yes')
    const hash = execFileSync('openssl', ['passwd', '-6', '-stdin'], {
      input: password,
      encoding: 'utf8',
    }).trim()
    writeFileSync(join(folder, 'shadow'), `pi:${hash}:19000:0:99999:7:::\n`, { mode: 0o600 })
  }
  writeFileSync(join(folder, 'sshd_config'), `${sshd.join('\n')}\n`)
}

/** Another program may take the free port before the board does: tried again, with another one. */
async function boot(
  folder: string,
  lower: string,
  homeBytes: number,
): Promise<{ child: ChildProcess; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const child = startProcess(folder, [
      ...[
        'unshare',
        '--mount',
        '--pid',
        '--uts',
        '--ipc',
        '--fork',
        '--kill-child',
        '--propagation',
        'private',
      ],
      ...[
        'sh',
        join(repositoryRoot, 'test/lab/board-init.sh'),
        lower,
        folder,
        String(port),
        String(homeBytes),
      ],
    ])
    if (await waitForSsh(port, upDeadlineMs, () => child.exitCode !== null || child.signalCode !== null))
      return { child, port }
    const log = readFileSync(join(folder, 'log'), 'utf8').slice(-2000)
    if (attempt < 3 && log.includes('Address already in use')) continue
    await endProcess(child, folder)
    throw new Error(`the emulated board did not come up: ${log}`)
  }
}

function describe(child: ChildProcess, folder: string, port: number, hostKeyFingerprint: string): Board {
  const sshOptions = openSshOptions(folder)
  const init = descendants(child.pid!)[0]!
  const path = (onBoard: string) => join(`/proc/${init}/root`, onBoard)
  // the processes of a stopped board must not be looked for: their ids may be others' by then
  const signal = (pids: readonly number[], name: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) for (const pid of pids) kill(pid, name)
  }
  const systemOnly = (): never => {
    throw new Error('only a board of kind system can do this')
  }
  return {
    kind: 'user',
    host: '127.0.0.1',
    port,
    user: 'pi',
    home: '/home/pi',
    spec: `ssh://pi@127.0.0.1:${port}`,
    identityFile: join(folder, 'identity'),
    knownHostsFile: join(folder, 'known_hosts'),
    hostKeyFingerprint,
    sshOptions,
    ssh: (command, deadlineMs = 60_000) => openSsh(sshOptions, port, command, deadlineMs),
    path,
    setSys: (name, content) => overwrite(join(folder, 'sys', name), content),
    setCpuInfo: (text) => overwrite(join(folder, 'cpuinfo'), text),
    fillDisk: (leaveBytes = 0) => fill(path('/home/pi'), leaveBytes),
    cutConnections: () =>
      signal(
        descendants(init).filter((pid) => commandLine(pid).includes(' /usr/sbin/sshd ')),
        'SIGKILL',
      ),
    get power(): never {
      throw new Error('only a system board with sensors has power')
    },
    temperature: systemOnly,
    clockCap: systemOnly,
    powerCut: systemOnly,
    powerOn: systemOnly,
    suspend: () => signal([init, ...descendants(init)], 'SIGSTOP'),
    resume: () => signal([init, ...descendants(init)], 'SIGCONT'),
    stop: () => endProcess(child, folder),
  }
}

/** In place: the board has the file bind-mounted, a new one would not be seen there. */
function overwrite(file: string, content: string): void {
  truncateSync(file)
  writeFileSync(file, content)
}

function fill(home: string, leaveBytes: number): () => void {
  const file = join(home, '.filler')
  const { bavail, bsize } = statfsSync(home)
  const bytes = Math.max(0, bavail * bsize - leaveBytes)
  try {
    writeFileSync(file, Buffer.alloc(bytes))
  } catch (error) {
    // An upload under way took some of it first: the disk is as full as was asked for.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
  return () => rmSync(file, { force: true })
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it ended by itself
  }
}
