import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { ConnectOptions } from './connect.ts'
import type { ConnectionSpec } from './connection-spec.ts'
import { pause } from './deadline.ts'
import { lastLine, printable } from './printable.ts'

/** OpenSSH's own client, connected and waiting at a control socket; commands go through it without another log-in. */
export interface OpenSshMaster {
  readonly label: string
  /** Words that make `ssh` speak through this connection, and through nothing else where it is gone. */
  readonly through: readonly string[]
  /** Why it ended, or null while it lives. */
  ended(): string | null
  close(): Promise<void>
}

const defaultConnectTimeoutMs = 15_000
/** Somebody may have to find a token, touch it and type. */
const questionTimeoutMs = 120_000

/**
 * Connects with OpenSSH, which reads its own configuration: ProxyCommand, certificates, hardware keys, PKCS#11. Questions
 * (passphrases, touch, unknown host keys) are its own, on the terminal, where there is one; else nothing is asked and
 * unknown keys are refused.
 *
 * @throws EdgewrightError DEVICE_UNSUPPORTED (no `ssh` here), DEVICE_AUTH, DEVICE_HOST_KEY_UNKNOWN, DEVICE_HOST_KEY_CHANGED,
 * DEVICE_UNREACHABLE, INTERRUPTED
 */
export async function startOpenSsh(
  spec: Extract<ConnectionSpec, { kind: 'ssh' }>,
  options: ConnectOptions,
): Promise<OpenSshMaster> {
  const label = `${spec.user === undefined ? '' : `${spec.user}@`}${spec.host}${spec.port === undefined ? '' : `:${spec.port}`}`
  const environment = options.environment ?? process.env
  // of our own and closed to others: whoever reaches the socket reaches the board
  const folder = await mkdtemp(join(tmpdir(), 'ew-ssh-'))
  const socket = join(folder, 's')
  const interactive = options.prompt !== undefined || options.confirmHostKey !== undefined
  try {
    const trust = await trustOptions(folder, options, interactive)
    const secrets = await secretOptions(folder, environment, interactive)
    const timeoutMs = options.connectTimeoutMs ?? defaultConnectTimeoutMs
    const { intervalMs, countMax } = options.keepalive ?? { intervalMs: 3000, countMax: 4 }
    const child = spawn(
      'ssh',
      [
        ...(options.configPath === undefined ? [] : ['-F', options.configPath]),
        ...['-N', '-M', '-S', socket, '-o', 'ControlPersist=no'],
        ...['-o', `ConnectTimeout=${Math.max(1, Math.ceil(timeoutMs / 1000))}`],
        ...['-o', `ServerAliveInterval=${Math.max(1, Math.ceil(intervalMs / 1000))}`],
        ...['-o', `ServerAliveCountMax=${countMax}`],
        ...['-o', 'ClearAllForwardings=yes', '-o', 'ForwardAgent=no', '-o', 'ForwardX11=no'],
        ...['-o', 'PermitLocalCommand=no', '-o', 'RemoteCommand=none', '-o', 'RequestTTY=no'],
        // tells which key the board shows
        ...['-o', 'LogLevel=DEBUG1', ...trust, ...secrets.options],
        ...(options.identity === undefined ? [] : ['-i', options.identity]),
        ...(spec.user === undefined ? [] : ['-l', spec.user]),
        ...(spec.port === undefined ? [] : ['-p', String(spec.port)]),
        ...['--', spec.host],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { ...environment, ...secrets.environment } },
    )
    const said = gather(child)
    const ended = () =>
      child.exitCode !== null || child.signalCode !== null || said.failure !== null
        ? said.text() || 'it ended'
        : null
    const close = async () => {
      child.kill('SIGTERM')
      for (let waitedMs = 0; ended() === null && waitedMs < 1000; waitedMs += 20) await pause(20)
      child.kill('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    }
    try {
      await untilConnected(
        label,
        socket,
        ended,
        said,
        timeoutMs + (interactive ? questionTimeoutMs : 2000),
        options,
      )
    } catch (error) {
      await close()
      throw error
    }
    // no configuration and no way of its own: where the socket is gone, ssh must fail and not connect anew
    const through = [
      '-F',
      '/dev/null',
      '-S',
      socket,
      '-o',
      'ControlMaster=no',
      '-o',
      'ProxyCommand=false',
      '-T',
      '--',
      'board',
    ]
    return { label, through, ended, close }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** Whether OpenSSH's client is on PATH. */
export function hasOpenSsh(environment: NodeJS.ProcessEnv): boolean {
  return (environment.PATH ?? '')
    .split(':')
    .some((folder) => folder !== '' && existsSync(join(folder, 'ssh')))
}

/** Keys are always checked, whatever the configuration says; a pinned key is the only one that counts. */
async function trustOptions(
  folder: string,
  options: ConnectOptions,
  interactive: boolean,
): Promise<string[]> {
  if (options.hostKey !== undefined) {
    if (!/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(options.hostKey))
      throw new EdgewrightError('USAGE', 'A host key is given as SHA256:… .', {
        where: '--host-key',
        saw: printable(options.hostKey),
      })
    const script = join(folder, 'pin')
    const pin = options.hostKey.replace(/=$/, '')
    await writeFile(script, `[ "$1" = '${pin}' ] && printf '%s %s %s\\n' "$4" "$2" "$3"\nexit 0\n`, {
      mode: 0o600,
    })
    return [
      ...[
        '-o',
        'StrictHostKeyChecking=yes',
        '-o',
        'UserKnownHostsFile=none',
        '-o',
        'GlobalKnownHostsFile=none',
      ],
      ...['-o', `KnownHostsCommand=/bin/sh ${script} %f %t %K %H`],
    ]
  }
  return [
    ...['-o', `StrictHostKeyChecking=${interactive ? 'ask' : 'yes'}`],
    ...(options.knownHostsPath === undefined
      ? []
      : ['-o', `UserKnownHostsFile=${quotePath(options.knownHostsPath)}`]),
  ]
}

/** ssh splits the value at spaces outside quotes. */
function quotePath(path: string): string {
  return `"${path.replaceAll('"', '')}"`
}

/** The password of the environment is answered once; it is in no argument and no file. */
async function secretOptions(
  folder: string,
  environment: NodeJS.ProcessEnv,
  interactive: boolean,
): Promise<{ options: string[]; environment: NodeJS.ProcessEnv }> {
  if (environment.EDGEWRIGHT_SSH_PASSWORD !== undefined) {
    const script = join(folder, 'ask')
    await writeFile(script, '#!/bin/sh\nprintf \'%s\\n\' "$EDGEWRIGHT_SSH_PASSWORD"\n', { mode: 0o700 })
    return {
      options: ['-o', 'NumberOfPasswordPrompts=1', '-o', 'StrictHostKeyChecking=yes'],
      environment: { SSH_ASKPASS: script, SSH_ASKPASS_REQUIRE: 'force' },
    }
  }
  return { options: interactive ? [] : ['-o', 'BatchMode=yes'], environment: {} }
}

interface Said {
  failure: Error | null
  /** Without the lines of debugging. */
  text(): string
  /** `ssh-ed25519 SHA256:…`, where the hosts got so far. */
  hostKey: string | null
}

function gather(child: ChildProcess): Said {
  let stderr = ''
  const said: Said = {
    failure: null,
    text: () => said.failure?.message ?? stderr.replace(/^debug\d: .*$\n?/gm, '').trim(),
    hostKey: null,
  }
  child.stderr!.on('data', (chunk: Buffer) => {
    stderr = `${stderr}${chunk.toString('utf8')}`.slice(-32_000)
    // a jump's key comes first, the board's last
    said.hostKey = /.*Server host key: (\S+ SHA256:\S+)/s.exec(stderr)?.[1] ?? said.hostKey
  })
  child.on('error', (error) => {
    said.failure = error
  })
  return said
}

/** The socket is there once the log-in is done. */
async function untilConnected(
  label: string,
  socket: string,
  ended: () => string | null,
  said: Said,
  timeoutMs: number,
  options: ConnectOptions,
): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs
  while (!existsSync(socket)) {
    if (ended() !== null) {
      // its last words may arrive after its end
      await pause(30)
      throw refusal(label, said, options.hostKey)
    }
    if (performance.now() > giveUpAt)
      throw unreachable(label, `no connection within ${Math.round(timeoutMs / 1000)} s`)
    await pause(20, options.progress?.signal)
  }
}

function refusal(label: string, said: Said, pin: string | undefined): EdgewrightError {
  const text = said.text()
  const saw = printable(lastLine(text), 400)
  if ((said.failure as NodeJS.ErrnoException | null)?.code === 'ENOENT')
    return new EdgewrightError('DEVICE_UNSUPPORTED', 'OpenSSH is not installed on this computer.', {
      where: label,
      hint: 'Install the ssh client, or use ssh:// in place of openssh://.',
    })
  if (/HOST IDENTIFICATION HAS CHANGED/.test(text))
    return new EdgewrightError('DEVICE_HOST_KEY_CHANGED', `The host key of ${label} has changed.`, {
      where: label,
      saw: printable(/Offending .*/.exec(text)?.[0] ?? saw, 400),
      hint: `If the board was installed anew: ssh-keygen -R ${printable(label.replace(/^.*@/, ''))}; else somebody may be in between.`,
    })
  if (/host key is known for|Host key verification failed/.test(text))
    return new EdgewrightError(
      pin === undefined ? 'DEVICE_HOST_KEY_UNKNOWN' : 'DEVICE_HOST_KEY_CHANGED',
      pin === undefined
        ? `The host key of ${label} is not known.`
        : `The host key of ${label} is not the one that was given.`,
      {
        where: label,
        saw: said.hostKey ?? saw,
        hint: `Compare it with what the board prints for \`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\`; if it is the same, pass --host-key ${said.hostKey?.split(' ')[1] ?? 'SHA256:…'}`,
      },
    )
  if (/Permission denied|Too many authentication failures|no such identity/i.test(text))
    return new EdgewrightError('DEVICE_AUTH', `${label} does not let us in.`, {
      where: label,
      saw,
      hint: `See what is offered: ssh -v ${printable(label)} true`,
    })
  return unreachable(label, saw)
}

function unreachable(label: string, saw: string): EdgewrightError {
  return new EdgewrightError('DEVICE_UNREACHABLE', `${label} cannot be reached with OpenSSH.`, {
    where: label,
    saw,
    hint: 'Check that the board is on, and that `ssh` reaches it by the same name.',
  })
}
