import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fingerprintOf } from '../../src/deploy/known-hosts.ts'
import type { ConnectOptions } from '../../src/deploy/connect.ts'

const sshdPath = '/usr/sbin/sshd'

/** False where a real sshd can be started, else why not. */
export const sshdMissing: string | false = existsSync(sshdPath)
  ? false
  : "needs OpenSSH's sshd at /usr/sbin/sshd (apt-get install openssh-server)"

export interface TestSshd {
  readonly folder: string
  readonly port: number
  readonly user: string
  /** `ssh://user@127.0.0.1:port` */
  readonly spec: string
  readonly identity: string
  readonly knownHostsPath: string
  readonly fingerprint: string
  readonly hostKeyPublic: string
  readonly pid: number
  /** What a client needs to get in without looking at the user's own files. */
  readonly options: ConnectOptions
  stop(): Promise<void>
}

/** A real sshd on 127.0.0.1 with keys and configuration of its own. `lines` go into sshd_config. */
export async function startSshd(lines: readonly string[] = [], port?: number): Promise<TestSshd> {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-sshd-'))
  const user = userInfo().username
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true })
  const usedPort = port ?? (await freePort())
  const key = (name: string, type = 'ed25519', passphrase = '') =>
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-f', join(folder, name)])
  key('host')
  key('user')
  writeFileSync(join(folder, 'authorized_keys'), readFileSync(join(folder, 'user.pub')), { mode: 0o600 })
  const config = [
    `HostKey ${join(folder, 'host')}`,
    'ListenAddress 127.0.0.1',
    `Port ${usedPort}`,
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    'PermitRootLogin yes',
    'UsePAM no',
    'UseDNS no',
    'StrictModes no',
    'PidFile none',
    'PrintMotd no',
    'LogLevel VERBOSE',
    ...(lines.some((line) => line.startsWith('Subsystem')) ? [] : ['Subsystem sftp internal-sftp']),
    ...lines.filter((line) => line !== 'Subsystem none'),
  ]
  const configPath = join(folder, 'sshd_config')
  writeFileSync(configPath, `${config.join('\n')}\n`)
  writeFileSync(join(folder, 'ssh_config'), '')
  const child = spawn(sshdPath, ['-D', '-e', '-f', configPath], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk) => {
    log = `${log}${chunk}`.slice(-20_000)
  })
  await untilListening(usedPort, child, () => log)
  const hostKeyPublic = readFileSync(join(folder, 'host.pub'), 'utf8').trim()
  const [type, base64] = hostKeyPublic.split(' ')
  const knownHostsPath = join(folder, 'known_hosts')
  writeFileSync(knownHostsPath, `[127.0.0.1]:${usedPort} ${type} ${base64}\n`, { mode: 0o600 })
  const identity = join(folder, 'user')
  return {
    folder,
    port: usedPort,
    user,
    spec: `ssh://${user}@127.0.0.1:${usedPort}`,
    identity,
    knownHostsPath,
    fingerprint: fingerprintOf(Buffer.from(base64!, 'base64')),
    hostKeyPublic,
    pid: child.pid!,
    options: {
      identity,
      knownHostsPath,
      configPath: join(folder, 'ssh_config'),
      environment: { HOME: folder, PATH: process.env.PATH },
    },
    stop: async () => {
      await endChild(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Ends the sessions of a running test sshd: the processes that it forked, not the listener. */
export function killSessions(sshd: TestSshd): void {
  const children = readFileSync(`/proc/${sshd.pid}/task/${sshd.pid}/children`, 'utf8').trim()
  for (const pid of children === '' ? [] : children.split(' ')) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has just ended.
    }
  }
}

export interface CuttingProxy {
  readonly port: number
  /** From now on: cut every connection after this many bytes from the client; Infinity lets all pass. */
  cutAfter(bytes: number): void
  /** Cuts all connections now. */
  cut(): void
  /** Stops moving bytes but leaves connections open: a cable pulled. */
  freeze(): void
  stop(): Promise<void>
}

/** A TCP proxy in front of a port, whose connections can be cut or frozen. */
export async function startProxy(toPort: number): Promise<CuttingProxy> {
  let limitBytes = Number.POSITIVE_INFINITY
  let frozen = false
  const open = new Set<() => void>()
  const server = createServer((near) => {
    const far = connect(toPort, '127.0.0.1')
    let passed = 0
    const cut = () => {
      open.delete(cut)
      near.destroy()
      far.destroy()
    }
    open.add(cut)
    near.on('data', (chunk) => {
      if (frozen) return
      passed += chunk.length
      if (passed > limitBytes) return cut()
      if (!far.write(chunk)) {
        near.pause()
        far.once('drain', () => near.resume())
      }
    })
    far.on('data', (chunk) => {
      if (!frozen) near.write(chunk)
    })
    for (const socket of [near, far]) {
      socket.setNoDelay(true)
      socket.on('error', cut)
      socket.on('close', cut)
    }
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    port,
    cutAfter(bytes) {
      limitBytes = bytes
    },
    cut() {
      for (const one of [...open]) one()
    },
    freeze() {
      frozen = true
    },
    stop: () => {
      for (const one of [...open]) one()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

async function untilListening(port: number, child: ChildProcess, log: () => string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`sshd ended at once: ${log()}`)
    if (await accepts(port)) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`sshd did not listen within 5 s: ${log()}`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

function endChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.on('exit', () => resolve())
    child.kill('SIGTERM')
  })
}
