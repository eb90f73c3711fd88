import { existsSync } from 'node:fs'
import type { Progress } from '../progress.ts'
import { parseConnectionSpec } from './connection-spec.ts'
import type { HostKeyQuestion } from './host-key.ts'
import { LocalConnection } from './local-connection.ts'
import { OpenSshConnection } from './openssh-connection.ts'
import { hasOpenSsh, startOpenSsh } from './openssh-master.ts'
import type { SecretPrompt } from './ssh-auth.ts'
import { resolveSshSettings, type SshSettings } from './ssh-config.ts'
import { connectSsh } from './ssh-connect.ts'
import { SshConnection } from './ssh-connection.ts'
import type { Connection } from './types.ts'

export interface ConnectOptions {
  /** A private key file, tried first. */
  readonly identity?: string
  /** `SHA256:…` of the host key to trust, for where nobody can be asked. */
  readonly hostKey?: string
  readonly knownHostsPath?: string
  /** Another ssh_config than ~/.ssh/config. */
  readonly configPath?: string
  /** Asks the user for a password or passphrase without echo; absent where nobody can answer. */
  readonly prompt?: SecretPrompt
  /** Asks the user whether an unknown host key is right; absent where nobody can answer. */
  readonly confirmHostKey?: (question: HostKeyQuestion) => Promise<boolean>
  readonly progress?: Progress
  readonly connectTimeoutMs?: number
  readonly keepalive?: { readonly intervalMs: number; readonly countMax: number }
  readonly ciphers?: readonly string[]
  /** Where HOME, SSH_AUTH_SOCK and EDGEWRIGHT_SSH_PASSWORD come from; default process.env. */
  readonly environment?: NodeJS.ProcessEnv
}

/** What ssh2 does not know: a command as the way there, certificates, keys on a token. */
function needsOpenSsh({ proxyCommand, identityFiles, certificateFiles }: SshSettings): boolean {
  return (
    proxyCommand !== null ||
    certificateFiles.length > 0 ||
    identityFiles.some((file) => existsSync(`${file}-cert.pub`) || (/_sk$/.test(file) && existsSync(file)))
  )
}

/**
 * Opens `local:`, `ssh://user@host:port`, `user@host` or a Host of ssh_config; `openssh://…`, or what only OpenSSH
 * knows (ProxyCommand, certificates, hardware keys), through OpenSSH's own client.
 * Errors: DEVICE_UNKNOWN, DEVICE_UNREACHABLE, DEVICE_AUTH, DEVICE_HOST_KEY_UNKNOWN, DEVICE_HOST_KEY_CHANGED,
 * DEVICE_UNSUPPORTED, CONFIG_INVALID, INTERRUPTED.
 */
export async function openConnection(spec: string, options: ConnectOptions = {}): Promise<Connection> {
  const parsed = parseConnectionSpec(spec)
  if (parsed.kind === 'local') return new LocalConnection()
  const { progress, environment = process.env, ...rest } = options
  if (parsed.openSsh || (hasOpenSsh(environment) && needsOpenSsh(await resolveSshSettings(parsed, options))))
    return new OpenSshConnection(await startOpenSsh(parsed, { ...options, environment }))
  const link = await connectSsh(parsed, {
    ...rest,
    environment,
    password: environment.EDGEWRIGHT_SSH_PASSWORD,
    signal: progress?.signal,
    note: (text) =>
      progress?.warn({
        code: 'KNOWN_HOSTS_NOTE',
        message: text,
        hint: 'The rest of the file is used as it is.',
      }),
  })
  return new SshConnection(link)
}
