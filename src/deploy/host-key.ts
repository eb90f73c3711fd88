import { EdgewrightError } from '../error.ts'
import {
  appendKnownHost,
  checkHostKey,
  fingerprintOf,
  keyTypeOf,
  type KnownHost,
  knownHostLine,
  knownHostName,
  knownKeyTypes,
  readKnownHosts,
} from './known-hosts.ts'
import { quoteWord } from './quote.ts'
import type { SshSettings } from './ssh-config.ts'

/** What the user is asked about a key that no file knows. */
export interface HostKeyQuestion {
  readonly host: string
  readonly keyType: string
  /** `SHA256:…` */
  readonly fingerprint: string
  readonly knownHostsPath: string
}

export interface HostKeyPolicy {
  /** `SHA256:…` the user trusts for this host; nothing else is then accepted. */
  readonly pin?: string
  /** Replaces UserKnownHostsFile, and the global files with it. */
  readonly knownHostsPath?: string
  /** Asked on a TTY; absent where nobody can answer. */
  readonly confirm?: (question: HostKeyQuestion) => Promise<boolean>
  readonly note?: (text: string) => void
}

export interface HostKeyCheck {
  /** For the handshake, types on file first. */
  readonly algorithms: readonly string[]
  /** Resolves where the key is trusted; throws the DEVICE_HOST_KEY_… error otherwise. */
  verify(key: Buffer): Promise<void>
}

/** What ssh2 can verify, best first; SHA-1 signatures are left out. */
const hostKeyAlgorithms = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
]

/** Prepares the check of one host's key, before anything is sent to it. Fails closed on an unreadable file. */
export function hostKeyCheck(settings: SshSettings, policy: HostKeyPolicy): HostKeyCheck {
  const userFiles =
    policy.knownHostsPath === undefined ? settings.userKnownHostsFiles : [policy.knownHostsPath]
  const files =
    policy.knownHostsPath === undefined ? [...userFiles, ...settings.globalKnownHostsFiles] : userFiles
  const known = readKnownHosts(files)
  for (const note of known.notes) policy.note?.(note)
  const name = settings.hostKeyAlias ?? knownHostName(settings.hostName, settings.port)
  const types = knownKeyTypes(known, name)
  const isKnown = (algorithm: string) =>
    types.includes(algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm)
  const algorithms = [
    ...hostKeyAlgorithms.filter(isKnown),
    ...hostKeyAlgorithms.filter((one) => !isKnown(one)),
  ]

  async function verify(key: Buffer): Promise<void> {
    const verdict = checkHostKey(known, name, key)
    if (verdict.state === 'revoked') throw revoked(name, key, verdict.entry)
    if (policy.pin !== undefined) {
      if (samePin(policy.pin, fingerprintOf(key))) return
      throw otherThanPinned(name, key, policy.pin)
    }
    if (verdict.state === 'known') return
    if (verdict.state === 'changed' || verdict.state === 'other-type') throw changed(name, key, verdict.entry)
    const file = userFiles[0]
    if (policy.confirm === undefined || settings.strictHostKeyChecking === 'yes' || file === undefined)
      throw unknown(name, key, file, settings.strictHostKeyChecking)
    const question = {
      host: name,
      keyType: keyTypeOf(key),
      fingerprint: fingerprintOf(key),
      knownHostsPath: file,
    }
    if (!(await policy.confirm(question))) throw unknown(name, key, file, 'ask')
    appendKnownHost(file, knownHostLine(name, key, settings.hashKnownHosts))
  }

  return { algorithms, verify }
}

function samePin(pin: string, fingerprint: string): boolean {
  return pin.trim().replace(/=+$/, '') === fingerprint
}

function unknown(
  name: string,
  key: Buffer,
  file: string | undefined,
  strict: 'yes' | 'ask',
): EdgewrightError {
  const fingerprint = fingerprintOf(key)
  const why = strict === 'yes' ? ' and ssh_config says StrictHostKeyChecking yes' : ''
  const where = file === undefined ? '' : `, or add this line to ${file}: ${knownHostLine(name, key)}`
  return new EdgewrightError('DEVICE_HOST_KEY_UNKNOWN', `The host key of ${name} is not known${why}.`, {
    where: name,
    saw: `${keyTypeOf(key)} ${fingerprint}`,
    hint: `Compare it with what the board prints for \`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\`; if it is the same, pass --host-key ${fingerprint}${where}`,
  })
}

function changed(name: string, key: Buffer, entry: KnownHost): EdgewrightError {
  const otherType = entry.keyType !== keyTypeOf(key)
  return new EdgewrightError(
    'DEVICE_HOST_KEY_CHANGED',
    otherType
      ? `${name} shows a ${keyTypeOf(key)} host key, but only keys of other types are on file for it.`
      : `The host key of ${name} has changed: another machine may be answering.`,
    {
      where: `${entry.file}:${entry.line}`,
      saw: `${keyTypeOf(key)} ${fingerprintOf(key)}, on file ${entry.keyType} ${fingerprintOf(entry.key)}`,
      hint: `If the board was installed anew, remove the old key with: ssh-keygen -R ${quoteWord(name)} -f ${quoteWord(entry.file)}`,
    },
  )
}

function revoked(name: string, key: Buffer, entry: KnownHost): EdgewrightError {
  return new EdgewrightError('DEVICE_HOST_KEY_CHANGED', `The host key of ${name} is marked @revoked.`, {
    where: `${entry.file}:${entry.line}`,
    saw: `${keyTypeOf(key)} ${fingerprintOf(key)}`,
    hint: 'Do not connect with this key; the board needs a new one.',
  })
}

function otherThanPinned(name: string, key: Buffer, pin: string): EdgewrightError {
  return new EdgewrightError(
    'DEVICE_HOST_KEY_CHANGED',
    `The host key of ${name} is not the one given with --host-key.`,
    {
      where: name,
      saw: `${keyTypeOf(key)} ${fingerprintOf(key)}, expected ${pin}`,
      hint: 'Check the fingerprint on the board itself: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
    },
  )
}
