import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  appendKnownHost,
  checkHostKey,
  fingerprintOf,
  knownHostLine,
  knownHostName,
  knownKeyTypes,
  parseKnownHosts,
  readKnownHosts,
} from '../../src/deploy/known-hosts.ts'
import { sshdMissing } from './sshd.ts'

describe("known_hosts, beside OpenSSH's own ssh-keygen", { skip: sshdMissing }, () => {
  let folder = ''
  const keys: Record<string, { line: string; blob: Buffer }> = {}
  const at = (name: string) => join(folder, name)
  const check = (text: string, name: string, key: string) =>
    checkHostKey(parseKnownHosts(text, 'f'), name, keys[key]!.blob).state

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'edgewright-known-'))
    for (const [name, type] of [
      ['a', 'ed25519'],
      ['b', 'ed25519'],
      ['rsa', 'rsa'],
      ['ec', 'ecdsa'],
    ] as const) {
      execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', at(name)])
      const [keyType, base64] = readFileSync(at(`${name}.pub`), 'utf8').split(' ')
      keys[name] = { line: `${keyType} ${base64}`, blob: Buffer.from(base64!, 'base64') }
    }
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('a fingerprint is what ssh-keygen -lf prints', () => {
    for (const name of Object.keys(keys)) {
      const printed = execFileSync('ssh-keygen', ['-lf', at(`${name}.pub`)], { encoding: 'utf8' })
      assert.equal(fingerprintOf(keys[name]!.blob), printed.split(' ')[1])
    }
  })

  test('plain, ported, hashed and wildcard entries match the hosts that they name and no others', () => {
    assert.equal(check(`pi.local ${keys.a!.line}`, 'pi.local', 'a'), 'known')
    assert.equal(check(`pi.local,10.0.0.7 ${keys.a!.line}`, '10.0.0.7', 'a'), 'known')
    assert.equal(check(`pi.local ${keys.a!.line}`, '[pi.local]:2222', 'a'), 'unknown')
    assert.equal(check(`[pi.local]:2222 ${keys.a!.line}`, knownHostName('PI.local', 2222), 'a'), 'known')
    assert.equal(check(`*.lab,!bad.lab ${keys.a!.line}`, 'good.lab', 'a'), 'known')
    assert.equal(check(`*.lab,!bad.lab ${keys.a!.line}`, 'bad.lab', 'a'), 'unknown')
    assert.equal(check(`!bad.lab,*.lab ${keys.a!.line}`, 'bad.lab', 'a'), 'unknown')
    assert.equal(check(`pi? ${keys.a!.line}`, 'pi5', 'a'), 'known')
    assert.equal(check(`pi? ${keys.a!.line}`, 'pi', 'a'), 'unknown')
  })

  test('a file hashed by ssh-keygen -H is read', () => {
    writeFileSync(at('hosts'), `pi.local ${keys.a!.line}\n[pi.local]:2222 ${keys.b!.line}\n`)
    execFileSync('ssh-keygen', ['-q', '-H', '-f', at('hosts')], { stdio: 'ignore' })
    const text = readFileSync(at('hosts'), 'utf8')
    assert.match(text, /^\|1\|/)
    assert.equal(check(text, 'pi.local', 'a'), 'known')
    assert.equal(check(text, '[pi.local]:2222', 'b'), 'known')
    assert.equal(check(text, 'other.local', 'a'), 'unknown')
  })

  test('a name that we hash is found by ssh-keygen -F', () => {
    appendKnownHost(at('ours'), knownHostLine('[pi.local]:2222', keys.a!.blob, true))
    const found = execFileSync('ssh-keygen', ['-F', '[pi.local]:2222', '-f', at('ours')], {
      encoding: 'utf8',
    })
    assert.match(found, /found: line 1/)
  })

  test('another key of the same type is a change, another type is told apart, several keys may stand side by side', () => {
    assert.equal(check(`pi ${keys.a!.line}`, 'pi', 'b'), 'changed')
    assert.equal(check(`pi ${keys.a!.line}`, 'pi', 'rsa'), 'other-type')
    assert.equal(check(`pi ${keys.a!.line}\npi ${keys.b!.line}`, 'pi', 'b'), 'known')
    assert.deepEqual(knownKeyTypes(parseKnownHosts(`pi ${keys.ec!.line}\npi ${keys.rsa!.line}`, 'f'), 'pi'), [
      'ecdsa-sha2-nistp256',
      'ssh-rsa',
    ])
  })

  test('a revoked key is refused even where another line trusts it', () => {
    assert.equal(check(`pi ${keys.a!.line}\n@revoked * ${keys.a!.line}`, 'pi', 'a'), 'revoked')
  })

  test('certificate authorities and broken lines are ignored with a note', () => {
    const parsed = parseKnownHosts(
      `@cert-authority * ${keys.a!.line}\npi ssh-ed25519 !!!\npi ssh-rsa ${keys.a!.line.split(' ')[1]}\n# x\n\nonly`,
      'f',
    )
    assert.equal(parsed.entries.length, 0)
    assert.equal(parsed.notes.length, 4)
    assert.match(parsed.notes[0]!, /^f:1: @cert-authority is not supported/)
  })

  test('an appended key stands on a line of its own, in a private file', () => {
    writeFileSync(at('nonl'), `pi ${keys.a!.line}`)
    appendKnownHost(at('nonl'), knownHostLine('other', keys.b!.blob))
    assert.equal(readKnownHosts([at('nonl')]).entries.length, 2)
    appendKnownHost(at('new/dir/known_hosts'), knownHostLine('other', keys.b!.blob))
    assert.equal(statSync(at('new/dir/known_hosts')).mode & 0o777, 0o600)
    assert.equal(statSync(at('new/dir')).mode & 0o777, 0o700)
  })

  test('a file that cannot be read fails closed', () => {
    assert.throws(() => readKnownHosts([folder]), { code: 'DEVICE_HOST_KEY_UNKNOWN', where: folder })
    chmodSync(folder, 0o755)
  })

  test('a pattern of many stars takes no time', () => {
    const start = Date.now()
    assert.equal(check(`${'*a'.repeat(2000)}b ${keys.a!.line}`, 'a'.repeat(250), 'a'), 'unknown')
    assert.ok(Date.now() - start < 500)
  })
})
