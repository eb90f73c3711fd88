import { createHash, createHmac, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  fstatSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { EdgewrightError } from '../error.ts'

/** One line of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export interface KnownHost {
  readonly file: string
  readonly line: number
  readonly marker: 'none' | 'revoked' | 'cert-authority'
  /** Host patterns as written: names, wildcards, negations, or one hashed name. */
  readonly patterns: readonly string[]
  readonly keyType: string
  readonly key: Buffer
}

export interface KnownHosts {
  readonly entries: readonly KnownHost[]
  /** Lines that say something we do not follow, worth telling. */
  readonly notes: readonly string[]
}

/** What the files say about the key that a host showed. */
export type HostKeyVerdict =
  | { readonly state: 'known' }
  | { readonly state: 'unknown' }
  | { readonly state: 'changed'; readonly entry: KnownHost }
  /** Other key types are on file for the host, this type is not. */
  | { readonly state: 'other-type'; readonly entry: KnownHost }
  | { readonly state: 'revoked'; readonly entry: KnownHost }

/** A file beyond this is not a known_hosts file. */
const maxFileBytes = 32 * 1024 * 1024

/** Reads the files that exist; one that exists and cannot be read fails closed. */
export function readKnownHosts(files: readonly string[]): KnownHosts {
  const entries: KnownHost[] = []
  const notes: string[] = []
  for (const file of files) {
    if (!existsSync(file)) continue
    let text: string
    try {
      const descriptor = openSync(file, 'r')
      try {
        if (fstatSync(descriptor).size > maxFileBytes) throw new Error(`larger than ${maxFileBytes} bytes`)
        text = readFileSync(descriptor, 'utf8')
      } finally {
        closeSync(descriptor)
      }
    } catch (error) {
      throw new EdgewrightError(
        'DEVICE_HOST_KEY_UNKNOWN',
        'The known_hosts file cannot be read, so no host key can be checked.',
        {
          where: file,
          saw: error instanceof Error ? error.message : String(error),
          hint: 'Mend its permissions, or give the key with --host-key SHA256:….',
          cause: error,
        },
      )
    }
    const parsed = parseKnownHosts(text, file)
    entries.push(...parsed.entries)
    notes.push(...parsed.notes)
  }
  return { entries, notes }
}

/** Parses known_hosts text; lines that cannot be read are noted and match nothing. */
export function parseKnownHosts(text: string, file: string): KnownHosts {
  const entries: KnownHost[] = []
  const notes: string[] = []
  text.split('\n').forEach((raw, index) => {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) return
    const words = line.split(/[ \t]+/)
    const markerWord = words[0]!.startsWith('@') ? words.shift()! : '@none'
    const [hosts, keyType, base64] = words
    const marker = { '@none': 'none', '@revoked': 'revoked', '@cert-authority': 'cert-authority' }[
      markerWord
    ] as KnownHost['marker'] | undefined
    const key = Buffer.from(base64 ?? '', 'base64')
    if (marker === undefined || hosts === undefined || keyType === undefined || !keyHasType(key, keyType)) {
      notes.push(`${file}:${index + 1}: not a host key entry, ignored`)
      return
    }
    if (marker === 'cert-authority') {
      notes.push(`${file}:${index + 1}: @cert-authority is not supported, ignored`)
      return
    }
    entries.push({ file, line: index + 1, marker, patterns: hosts.split(','), keyType, key })
  })
  return { entries, notes }
}

/** The name that known_hosts knows a host by: `[host]:port` unless the port is 22; a HostKeyAlias stands alone. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase()
  return port === 22 ? name : `[${name}]:${port}`
}

/** Compares the key shown with what is on file for `name`. A revoked key is refused whatever else is there. */
export function checkHostKey(known: KnownHosts, name: string, key: Buffer): HostKeyVerdict {
  const type = keyTypeOf(key)
  const about = known.entries.filter((entry) => matchesHost(entry.patterns, name))
  const revoked = about.find((entry) => entry.marker === 'revoked' && entry.key.equals(key))
  if (revoked !== undefined) return { state: 'revoked', entry: revoked }
  const trusted = about.filter((entry) => entry.marker === 'none')
  if (trusted.some((entry) => entry.key.equals(key))) return { state: 'known' }
  const sameType = trusted.find((entry) => entry.keyType === type)
  if (sameType !== undefined) return { state: 'changed', entry: sameType }
  if (trusted.length > 0) return { state: 'other-type', entry: trusted[0]! }
  return { state: 'unknown' }
}

/** Key types on file for a host, so that the handshake asks for one that can be checked. */
export function knownKeyTypes(known: KnownHosts, name: string): string[] {
  const types = known.entries
    .filter((entry) => entry.marker === 'none' && matchesHost(entry.patterns, name))
    .map((entry) => entry.keyType)
  return [...new Set(types)]
}

/** `SHA256:…` as OpenSSH prints it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

/** The type that a key blob itself names. */
export function keyTypeOf(key: Buffer): string {
  if (key.length < 4) return ''
  const length = key.readUInt32BE(0)
  return length <= 64 && key.length >= 4 + length ? key.toString('latin1', 4, 4 + length) : ''
}

export function knownHostLine(name: string, key: Buffer, hashed = false): string {
  return `${hashed ? hashName(name, randomBytes(20)) : name} ${keyTypeOf(key)} ${key.toString('base64')}`
}

/** Appends a line in one write (others may append at the same time); makes folder 0700 and file 0600 where missing. */
export function appendKnownHost(file: string, line: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  appendFileSync(file, `${endsInNewline(file) ? '' : '\n'}${line}\n`, { mode: 0o600, flag: 'a' })
}

function endsInNewline(file: string): boolean {
  if (!existsSync(file)) return true
  const descriptor = openSync(file, 'r')
  try {
    const { size } = fstatSync(descriptor)
    if (size === 0) return true
    const last = Buffer.alloc(1)
    readSync(descriptor, last, 0, 1, size - 1)
    return last[0] === 0x0a
  } finally {
    closeSync(descriptor)
  }
}

function keyHasType(key: Buffer, keyType: string): boolean {
  return key.length > 8 && keyTypeOf(key) === keyType
}

function matchesHost(patterns: readonly string[], name: string): boolean {
  let matched = false
  for (const pattern of patterns) {
    if (pattern.startsWith('|')) {
      if (matchesHashed(pattern, name)) matched = true
    } else if (pattern.startsWith('!')) {
      if (matchesWildcard(pattern.slice(1), name)) return false
    } else if (matchesWildcard(pattern, name)) matched = true
  }
  return matched
}

/** `|1|salt|hash` with HMAC-SHA1 of the name under the salt. */
function matchesHashed(pattern: string, name: string): boolean {
  const [, version, salt, hash] = pattern.split('|')
  if (version !== '1' || salt === undefined || hash === undefined) return false
  return hashName(name, Buffer.from(salt, 'base64')) === `|1|${salt}|${hash}`
}

function hashName(name: string, salt: Buffer): string {
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`
}

/** `*` and `?`, greedy with one point of return: linear in practice, no regular expression from a file. */
function matchesWildcard(patternText: string, name: string): boolean {
  const pattern = patternText.toLowerCase()
  let p = 0
  let n = 0
  let star = -1
  let mark = 0
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p++
      mark = n
    } else if (pattern[p] === '?' || pattern[p] === name[n]) {
      p++
      n++
    } else if (star >= 0) {
      p = star + 1
      n = ++mark
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}
