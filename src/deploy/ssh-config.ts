import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { homedir, hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import SSHConfig from 'ssh-config'
import { EdgewrightError } from '../error.ts'
import type { ConnectionSpec } from './connection-spec.ts'
import { printable } from './printable.ts'

/** What ssh_config says about one host, after Host, Match and Include. */
export interface SshSettings {
  /** As the user named it; known_hosts and messages may use it. */
  readonly alias: string
  readonly hostName: string
  readonly port: number
  readonly user: string
  readonly identityFiles: readonly string[]
  readonly identitiesOnly: boolean
  /** A socket path, or null for no agent. */
  readonly identityAgent: string | null
  /** Nearest to us first; empty without a jump. */
  readonly proxyJump: readonly string[]
  readonly proxyCommand: string | null
  readonly certificateFiles: readonly string[]
  readonly userKnownHostsFiles: readonly string[]
  readonly globalKnownHostsFiles: readonly string[]
  readonly hostKeyAlias: string | null
  readonly hashKnownHosts: boolean
  readonly connectTimeoutMs: number | null
  /** `yes` refuses unknown keys without asking; anything laxer is taken as `ask`. */
  readonly strictHostKeyChecking: 'yes' | 'ask'
}

export interface SshConfigOptions {
  /** Another ssh_config than ~/.ssh/config. */
  readonly configPath?: string
  readonly environment?: NodeJS.ProcessEnv
  /** False reads the file with our own means even where OpenSSH is there. */
  readonly useOpenSsh?: boolean
}

type Values = Map<string, string[]>

/** Settings for a host: `ssh -G` where OpenSSH is there (it knows Match and Include best), else the ssh-config package. */
export async function resolveSshSettings(
  spec: Extract<ConnectionSpec, { kind: 'ssh' }>,
  options: SshConfigOptions = {},
): Promise<SshSettings> {
  const environment = options.environment ?? process.env
  const values =
    (options.useOpenSsh === false ? null : await askOpenSsh(spec, options)) ?? readConfigFile(spec, options)
  return settingsFrom(spec, values, environment)
}

/** Null where there is no OpenSSH; a configuration that it refuses is CONFIG_INVALID. */
function askOpenSsh(
  spec: Extract<ConnectionSpec, { kind: 'ssh' }>,
  options: SshConfigOptions,
): Promise<Values | null> {
  const args = ['-G']
  if (options.configPath !== undefined) args.push('-F', options.configPath)
  if (spec.user !== undefined) args.push('-l', spec.user)
  if (spec.port !== undefined) args.push('-p', String(spec.port))
  args.push('--', spec.host)
  return new Promise((resolve, reject) => {
    const child = execFile('ssh', args, { timeout: 10_000, maxBuffer: 1 << 20 }, (error, stdout, stderr) => {
      if (error === null) return resolve(parseSettingLines(stdout))
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return resolve(null)
      reject(
        new EdgewrightError('CONFIG_INVALID', 'OpenSSH refuses its configuration.', {
          where: options.configPath ?? '~/.ssh/config',
          saw: printable(stderr || error.message, 400),
          hint: `Check it with: ssh -G ${spec.host}`,
        }),
      )
    })
    child.stdin?.end()
  })
}

function parseSettingLines(text: string): Values {
  const values: Values = new Map()
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ')
    if (space <= 0) continue
    add(values, line.slice(0, space), line.slice(space + 1).trim())
  }
  return values
}

function readConfigFile(spec: Extract<ConnectionSpec, { kind: 'ssh' }>, options: SshConfigOptions): Values {
  const path = options.configPath ?? join(homedir(), '.ssh', 'config')
  const values: Values = new Map()
  if (spec.user !== undefined) add(values, 'user', spec.user)
  if (spec.port !== undefined) add(values, 'port', String(spec.port))
  if (!existsSync(path)) return values
  let computed: Record<string, string | string[]>
  try {
    computed = SSHConfig.parse(readFileSync(path, 'utf8')).compute(spec.host, { ignoreCase: true })
  } catch (error) {
    throw new EdgewrightError('CONFIG_INVALID', 'The ssh configuration cannot be read.', {
      where: path,
      saw: printable(error instanceof Error ? error.message : String(error)),
      cause: error,
    })
  }
  for (const [name, value] of Object.entries(computed)) {
    const key = name.toLowerCase()
    if (values.has(key)) continue
    for (const one of Array.isArray(value) ? value : [value]) add(values, key, String(one))
  }
  return values
}

function settingsFrom(
  spec: Extract<ConnectionSpec, { kind: 'ssh' }>,
  values: Values,
  environment: NodeJS.ProcessEnv,
): SshSettings {
  const one = (name: string) => values.get(name)?.[0]
  const named = (name: string) => {
    const value = one(name)
    return value === undefined || value.toLowerCase() === 'none' ? null : value
  }
  const home = environment.HOME ?? homedir()
  const hostName = (one('hostname') ?? spec.host).replaceAll('%h', spec.host)
  const port = Number(one('port') ?? 22)
  const user = spec.user ?? one('user') ?? userInfo().username
  const tokens: Record<string, string> = {
    '%': '%',
    d: home,
    h: hostName,
    n: spec.host,
    p: String(port),
    r: user,
    u: userInfo().username,
    l: hostname(),
    L: hostname().split('.')[0]!,
    i: String(userInfo().uid),
    k: one('hostkeyalias') ?? spec.host,
  }
  const path = (text: string) => expandPath(text, home, tokens, environment)
  const paths = (name: string, fallback: string[]) =>
    (values.get(name) ?? fallback)
      .flatMap(splitWords)
      .filter((word) => word.toLowerCase() !== 'none')
      .map(path)
  const timeoutSeconds = Number(named('connecttimeout') ?? Number.NaN)
  const agent = one('identityagent') ?? 'SSH_AUTH_SOCK'
  return {
    alias: spec.host,
    hostName,
    port,
    user,
    identityFiles: (values.get('identityfile') ?? defaultIdentityFiles)
      .filter((file) => file !== 'none')
      .map((file) => path(unquote(file))),
    identitiesOnly: one('identitiesonly')?.toLowerCase() === 'yes',
    identityAgent:
      agent === 'none'
        ? null
        : agent === 'SSH_AUTH_SOCK'
          ? (environment.SSH_AUTH_SOCK ?? null)
          : path(unquote(agent)),
    proxyJump:
      named('proxyjump')
        ?.split(',')
        .map((jump) => jump.trim()) ?? [],
    proxyCommand: named('proxycommand'),
    certificateFiles: paths('certificatefile', []),
    userKnownHostsFiles: paths('userknownhostsfile', ['~/.ssh/known_hosts', '~/.ssh/known_hosts2']),
    globalKnownHostsFiles: paths('globalknownhostsfile', [
      '/etc/ssh/ssh_known_hosts',
      '/etc/ssh/ssh_known_hosts2',
    ]),
    hostKeyAlias: named('hostkeyalias'),
    hashKnownHosts: one('hashknownhosts')?.toLowerCase() === 'yes',
    connectTimeoutMs: timeoutSeconds > 0 ? timeoutSeconds * 1000 : null,
    strictHostKeyChecking: /^(yes|true)$/i.test(one('stricthostkeychecking') ?? 'ask') ? 'yes' : 'ask',
  }
}

const defaultIdentityFiles = ['~/.ssh/id_ed25519', '~/.ssh/id_ecdsa', '~/.ssh/id_rsa']

function expandPath(
  text: string,
  home: string,
  tokens: Record<string, string>,
  environment: NodeJS.ProcessEnv,
): string {
  return text
    .replace(/^~(?=\/|$)/, home)
    .replace(/^\$([A-Za-z_]\w*)$/, (whole, name: string) => environment[name] ?? whole)
    .replace(/\$\{([A-Za-z_]\w*)\}/g, (whole, name: string) => environment[name] ?? whole)
    .replace(/%(.)/g, (whole, letter: string) => tokens[letter] ?? whole)
}

/** Words of a line, double quotes kept together. */
function splitWords(text: string): string[] {
  return (text.match(/"[^"]*"|\S+/g) ?? []).map(unquote)
}

function unquote(text: string): string {
  return text.replace(/^"(.*)"$/, '$1')
}

function add(values: Values, name: string, value: string): void {
  const list = values.get(name)
  if (list === undefined) values.set(name, [value])
  else list.push(value)
}
