import type { Duplex } from 'node:stream'
import ssh2, { type Client, type ConnectConfig } from 'ssh2'
import { EdgewrightError } from '../error.ts'
import type { ConnectionSpec } from './connection-spec.ts'
import { parseConnectionSpec } from './connection-spec.ts'
import { dial } from './dial.ts'
import { type HostKeyPolicy, hostKeyCheck } from './host-key.ts'
import { printable } from './printable.ts'
import { Authentication, type AuthOptions, type SecretPrompt } from './ssh-auth.ts'
import { resolveSshSettings, type SshConfigOptions, type SshSettings } from './ssh-config.ts'

export interface SshConnectOptions extends AuthOptions, SshConfigOptions {
  readonly hostKey?: string
  readonly knownHostsPath?: string
  readonly confirmHostKey?: HostKeyPolicy['confirm']
  readonly note?: (text: string) => void
  /** TCP and handshake, time for questions aside. Default: ConnectTimeout of ssh_config, else 15 s. */
  readonly connectTimeoutMs?: number
  /** A silent link counts as lost after intervalMs × countMax. Default 3 s × 4. */
  readonly keepalive?: { readonly intervalMs: number; readonly countMax: number }
  /** Ciphers, most wanted first; default AES-GCM, then what ssh2 has. */
  readonly ciphers?: readonly string[]
  readonly signal?: AbortSignal
}

export interface SshLink {
  readonly client: Client
  readonly settings: SshSettings
  /** Clients of the jumps, nearest first; they end with the link. */
  readonly jumps: readonly Client[]
}

const maxJumps = 8

/** Connects, through ProxyJump where ssh_config says so; every host's key is checked under its own name. */
export async function connectSsh(
  spec: Extract<ConnectionSpec, { kind: 'ssh' }>,
  options: SshConnectOptions,
): Promise<SshLink> {
  const jumps: Client[] = []
  try {
    const settings = await resolveSshSettings(spec, options)
    const hops = await jumpChain(settings, options, 0)
    for (const hop of hops) {
      // What the user gives for the board (its key, its password) is not meant for a jump host.
      const { hostKey: _pin, password: _password, ...rest } = options
      jumps.push(await connectHost(hop, rest, jumps.at(-1)))
    }
    const client = await connectHost(settings, options, jumps.at(-1))
    return { client, settings, jumps }
  } catch (error) {
    for (const jump of jumps.reverse()) jump.destroy()
    throw error
  }
}

/** The jump hosts in the order in which they are passed; the first one's own ProxyJump goes before it. */
async function jumpChain(
  settings: SshSettings,
  options: SshConnectOptions,
  depth: number,
): Promise<SshSettings[]> {
  if (settings.proxyCommand !== null)
    throw new EdgewrightError(
      'DEVICE_UNSUPPORTED',
      `ssh_config sets a ProxyCommand for ${settings.alias}, which needs OpenSSH’s client.`,
      {
        where: settings.alias,
        saw: printable(settings.proxyCommand),
        hint: 'Install the ssh client, or use ProxyJump, which goes through the same host without a local command.',
      },
    )
  if (settings.proxyJump.length === 0) return []
  if (depth >= maxJumps || settings.proxyJump.length > maxJumps)
    throw new EdgewrightError('CONFIG_INVALID', 'ProxyJump goes in circles or through too many hosts.', {
      where: settings.alias,
      saw: printable(settings.proxyJump.join(',')),
    })
  const chain: SshSettings[] = []
  for (const [index, jump] of settings.proxyJump.entries()) {
    const spec = parseConnectionSpec(jump)
    if (spec.kind !== 'ssh')
      throw new EdgewrightError('CONFIG_INVALID', 'ProxyJump names something that is not a host.', {
        where: settings.alias,
        saw: printable(jump),
      })
    const hop = await resolveSshSettings(spec, options)
    if (index === 0) chain.push(...(await jumpChain(hop, options, depth + 1)))
    chain.push(hop)
  }
  return chain
}

async function connectHost(
  settings: SshSettings,
  options: SshConnectOptions,
  through: Client | undefined,
): Promise<Client> {
  const label = `${settings.user}@${settings.hostName}:${settings.port}`
  const deadlineMs = options.connectTimeoutMs ?? settings.connectTimeoutMs ?? 15_000
  const clock = new PausableDeadline(deadlineMs)
  const hostKey = hostKeyCheck(settings, {
    pin: options.hostKey,
    knownHostsPath: options.knownHostsPath,
    confirm:
      options.confirmHostKey === undefined
        ? undefined
        : (question) => clock.pausedFor(() => options.confirmHostKey!(question)),
    note: options.note,
  })
  const prompt: SecretPrompt | undefined =
    options.prompt === undefined ? undefined : (question) => clock.pausedFor(() => options.prompt!(question))
  const authentication = new Authentication(settings, { ...options, prompt })
  const sock = await openTransport(settings, through, clock, label, options.signal)
  const client = new ssh2.Client()

  return new Promise<Client>((resolve, reject) => {
    let refusal: EdgewrightError | null = null
    let authenticating = false
    const fail = (error: EdgewrightError) => {
      settle()
      client.destroy()
      reject(error)
    }
    const onAbort = () =>
      fail(new EdgewrightError('INTERRUPTED', 'Interrupted while connecting.', { where: label }))
    const onError = (error: Error & { level?: string; code?: string }) => {
      if (error.level === 'agent') authentication.tried.push('agent (did not answer)')
      else fail(refusal ?? explain(error, label, authenticating, authentication.tried))
    }
    const onClose = () =>
      fail(
        refusal ??
          (authenticating
            ? refused(label, authentication.tried, 'the board closed the connection')
            : unreachable(label, 'the connection was closed before the handshake was done')),
      )
    const settle = () => {
      clock.stop()
      options.signal?.removeEventListener('abort', onAbort)
      client.removeListener('close', onClose)
      client.removeListener('error', onError)
      client.on('error', () => {})
    }
    clock.onExpiry(() =>
      fail(
        authenticating
          ? new EdgewrightError(
              'DEVICE_TIMEOUT',
              `${label} did not finish the login within ${deadlineMs} ms.`,
              { where: label },
            )
          : unreachable(label, `no SSH handshake within ${deadlineMs} ms`),
      ),
    )
    if (options.signal?.aborted) return onAbort()
    options.signal?.addEventListener('abort', onAbort, { once: true })
    client.on('error', onError)
    client.on('close', onClose)
    client.on('ready', () => {
      settle()
      client.setNoDelay(true)
      resolve(client)
    })
    const keepalive = options.keepalive ?? { intervalMs: 3000, countMax: 4 }
    client.connect({
      sock: sock as never,
      username: settings.user,
      readyTimeout: 0,
      keepaliveInterval: keepalive.intervalMs,
      keepaliveCountMax: keepalive.countMax,
      algorithms: {
        serverHostKey: hostKey.algorithms as never,
        cipher: (options.ciphers ?? defaultCiphers) as never,
      },
      hostVerifier: (key: Buffer, accept: (ok: boolean) => void) => {
        hostKey.verify(key).then(
          () => accept(true),
          (error: EdgewrightError) => {
            refusal = error
            accept(false)
          },
        )
      },
      authHandler: (methodsLeft: never, partial: never, next: never) => {
        authenticating = true
        authentication.handler(methodsLeft, partial, next)
      },
    } as unknown as ConnectConfig)
  })
}

/** AES-GCM first: authenticated, in hardware on most boards, and the fastest through node:crypto. */
const defaultCiphers = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
]

/** The bytes under SSH: a TCP connection, or a channel of the jump host before. */
async function openTransport(
  settings: SshSettings,
  through: Client | undefined,
  clock: PausableDeadline,
  label: string,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  const late = () => unreachable(label, 'no answer in time')
  if (through !== undefined) return clock.race(forward(through, settings), late, signal)
  const dialing = dial(settings.hostName, settings.port)
  try {
    return await clock.race(dialing.socket, late, signal)
  } catch (error) {
    dialing.giveUp()
    throw error instanceof EdgewrightError ? error : explain(error as Error, label, false, [])
  }
}

function forward(through: Client, settings: SshSettings): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    through.forwardOut('127.0.0.1', 0, settings.hostName, settings.port, (error, channel) => {
      if (error === undefined) resolve(channel)
      else
        reject(
          unreachable(
            `${settings.hostName}:${settings.port}`,
            `the jump host cannot reach it: ${printable(error.message)}`,
          ),
        )
    })
  })
}

/** All knowledge of what ssh2's and the system's connect errors mean stands here. */
function explain(
  error: Error & { level?: string; code?: string | number },
  label: string,
  authenticating: boolean,
  tried: readonly string[],
): EdgewrightError {
  const code = String(error.code ?? '')
  const reason = printable(error.message)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || error.level === 'client-dns')
    return unreachable(label, 'its name is not known to DNS', error)
  if (code === 'ECONNREFUSED')
    return unreachable(label, 'connection refused: is sshd running, and is it this port?', error)
  if (error.level === 'client-authentication' || authenticating) return refused(label, tried, reason)
  if (/no matching/i.test(reason))
    return new EdgewrightError('DEVICE_UNSUPPORTED', `${label} and this program share no SSH algorithm.`, {
      where: label,
      saw: reason,
      hint: 'Update the SSH server on the board.',
      cause: error,
    })
  return unreachable(label, reason, error)
}

function unreachable(label: string, saw: string, cause?: unknown): EdgewrightError {
  return new EdgewrightError('DEVICE_UNREACHABLE', `${label} cannot be reached.`, {
    where: label,
    saw,
    hint: `Check that the board is on, and that this works: ssh -p ${label.slice(label.lastIndexOf(':') + 1)} ${label.slice(0, label.lastIndexOf(':'))} true`,
    cause,
  })
}

function refused(label: string, tried: readonly string[], saw: string): EdgewrightError {
  return new EdgewrightError('DEVICE_AUTH', `${label} refused the login.`, {
    where: label,
    saw: `${saw}; tried: ${tried.length === 0 ? 'nothing, as no key, agent or password was at hand' : tried.join(', ')}`,
    hint: 'Pass --identity KEYFILE, start an agent, or set EDGEWRIGHT_SSH_PASSWORD.',
  })
}

/** A deadline that stands still while the user thinks. */
class PausableDeadline {
  #leftMs: number
  #since = Date.now()
  #timer: NodeJS.Timeout | undefined
  #paused = 0
  #expire: () => void = () => {}

  constructor(durationMs: number) {
    this.#leftMs = durationMs
    this.#start()
  }

  onExpiry(expire: () => void): void {
    this.#expire = expire
  }

  async pausedFor<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#paused++ === 0) {
      clearTimeout(this.#timer)
      this.#leftMs -= Date.now() - this.#since
    }
    try {
      return await ask()
    } finally {
      if (--this.#paused === 0) this.#start()
    }
  }

  race<T>(work: Promise<T>, late: () => Error, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(new EdgewrightError('INTERRUPTED', 'Interrupted while connecting.'))
      this.onExpiry(() => reject(late()))
      if (signal?.aborted) onAbort()
      signal?.addEventListener('abort', onAbort, { once: true })
      work
        .then(resolve, (error) => {
          this.stop()
          reject(error)
        })
        .finally(() => signal?.removeEventListener('abort', onAbort))
    })
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#paused = Number.POSITIVE_INFINITY
  }

  #start(): void {
    this.#since = Date.now()
    this.#timer = setTimeout(() => this.#expire(), Math.max(this.#leftMs, 1))
  }
}
