import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type ConnectOptions, openConnection } from '../../src/deploy/connect.ts'
import { parseConnectionSpec } from '../../src/deploy/connection-spec.ts'
import { deployArtifact } from '../../src/deploy/release.ts'
import type { Connection } from '../../src/deploy/types.ts'
import { silentProgress } from '../../src/progress.ts'
import { openTestDevice, writeArtifact } from './board.ts'
import { killSessions, sshdMissing, startProxy, startSshd, type TestSshd } from './sshd.ts'

/** OpenSSH reads HOME from the password file, not from the environment: options must name every file. */
const open = (
  sshd: TestSshd,
  options: Partial<ConnectOptions> = {},
  host = `${sshd.user}@127.0.0.1:${sshd.port}`,
) => openConnection(`openssh://${host}`, { ...sshd.options, ...options })

test('openssh:// names the transport, everything else about it is as with ssh://', () => {
  assert.deepEqual(parseConnectionSpec('openssh://pi@board:2222'), {
    kind: 'ssh',
    host: 'board',
    user: 'pi',
    port: 2222,
    openSsh: true,
  })
  assert.throws(() => parseConnectionSpec('openssh://-oProxyCommand=x'), { code: 'DEVICE_UNKNOWN' })
})

describe('a connection through OpenSSH’s own client', { skip: sshdMissing }, () => {
  let sshd: TestSshd
  let connection: Connection
  before(async () => {
    sshd = await startSshd()
    connection = await open(sshd)
  })
  after(async () => {
    await connection?.close()
    await sshd?.stop()
  })

  test('a command gives its exit code, standard output and standard error', async () => {
    assert.deepEqual(await connection.exec(['sh', '-c', 'echo out; echo err >&2; exit 255']), {
      exitCode: 255,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
      truncated: false,
    })
  })

  test('words that a shell would act on arrive as they are', async () => {
    const words = [
      "it's",
      '$(touch /tmp/owned)',
      '`id`',
      'a b',
      '',
      '*',
      '\\',
      '"',
      'new\nline',
      '-n',
      '~',
      'ü',
    ]
    const result = await connection.exec(['printf', '%s\\0', ...words])
    assert.deepEqual(result.stdout.split('\0').slice(0, -1), words)
    const script = await connection.script('printf "%s|" "$@"', ["a'b", '$HOME', 'c d'])
    assert.equal(script.stdout, "a'b|$HOME|c d|")
  })

  test('files arrive whole both ways, and are counted', async () => {
    const bytes = randomBytes(3_000_000)
    const [from, to] = [join(sshd.folder, 'from.bin'), join(sshd.folder, "to 'x'.bin")]
    writeFileSync(from, bytes)
    const sent = await connection.upload(from, to, silentProgress())
    assert.ok(readFileSync(to).equals(bytes))
    assert.ok(sent >= bytes.length && sent < bytes.length + 500)
    await connection.uploadBytes(bytes.subarray(7), to)
    assert.ok(bytes.subarray(1007, 2007).equals(await connection.readFrom(to, 1000, 1000)))
    await assert.rejects(connection.readFrom('/nowhere/at/all', 0, 10), { code: 'DEVICE_COMMAND_FAILED' })
    await assert.rejects(connection.uploadBytes(bytes, '/nowhere/at/all'), { code: 'DEVICE_COMMAND_FAILED' })
  })

  test('a board that never stops talking costs no memory, and a command that does not end is given up', async () => {
    const flood = await connection.exec(['sh', '-c', 'head -c 50000000 /dev/zero'], { maxOutputBytes: 1000 })
    assert.deepEqual([flood.stdout.length, flood.truncated], [1000, true])
    await assert.rejects(connection.exec(['sleep', '30'], { deadlineMs: 300 }), { code: 'DEVICE_TIMEOUT' })
    const controller = new AbortController()
    const waiting = connection.exec(['sleep', '30'], { signal: controller.signal })
    controller.abort()
    await assert.rejects(waiting, { code: 'INTERRUPTED' })
  })

  test('an artifact is deployed over it, and again for nothing', async () => {
    writeArtifact(join(sshd.folder, 'artifact'), { 'model.onnx': randomBytes(300_000) })
    const device = await openTestDevice(sshd)
    await device.connection.close()
    const over = { ...device, connection }
    const first = await deployArtifact(over, join(sshd.folder, 'artifact'), { name: 'net' })
    const second = await deployArtifact(over, join(sshd.folder, 'artifact'), { name: 'net' })
    assert.deepEqual([first.alreadyThere, second.alreadyThere], [false, true])
    assert.ok(second.sentBytes < 8000, `${second.sentBytes} bytes`)
  })

  test('an unknown host key is refused with its fingerprint, a changed one with what mends it', async () => {
    const none = join(sshd.folder, 'nobody')
    writeFileSync(none, '')
    await assert.rejects(
      open(sshd, { knownHostsPath: none }),
      (error: Error & { code: string; saw: string }) => {
        assert.equal(error.code, 'DEVICE_HOST_KEY_UNKNOWN')
        assert.ok(error.saw.includes(sshd.fingerprint), error.saw)
        return true
      },
    )
    const other = await startSshd()
    const wrong = readFileSync(other.knownHostsPath, 'utf8').replace(String(other.port), String(sshd.port))
    writeFileSync(join(sshd.folder, 'wrong'), wrong)
    await assert.rejects(open(sshd, { knownHostsPath: join(sshd.folder, 'wrong') }), {
      code: 'DEVICE_HOST_KEY_CHANGED',
    })
    await assert.rejects(open(sshd, { hostKey: other.fingerprint }), { code: 'DEVICE_HOST_KEY_CHANGED' })
    await other.stop()
    const pinned = await open(sshd, { hostKey: sshd.fingerprint, knownHostsPath: none })
    assert.equal((await pinned.exec(['echo', 'in'])).stdout, 'in\n')
    await pinned.close()
  })

  test('keys are checked even where the configuration says not to', async () => {
    const lax = join(sshd.folder, 'lax')
    writeFileSync(lax, 'Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n')
    await assert.rejects(open(sshd, { configPath: lax, knownHostsPath: '/dev/null' }), {
      code: 'DEVICE_HOST_KEY_UNKNOWN',
    })
  })

  test('whom the board does not let in is told so; a port where nobody listens is unreachable', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(sshd.folder, 'stranger')])
    await assert.rejects(open(sshd, { identity: join(sshd.folder, 'stranger') }), { code: 'DEVICE_AUTH' })
    await assert.rejects(open(sshd, {}, `${sshd.user}@127.0.0.1:9`), { code: 'DEVICE_UNREACHABLE' })
  })

  test('nothing of a connection is left once it is closed', async () => {
    const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('ew-ssh-')).length
    const before = left()
    const one = await open(sshd)
    assert.equal(left(), before + 1)
    await one.close()
    assert.equal(left(), before)
    await assert.rejects(one.exec(['true']), { code: 'DEVICE_LOST' })
  })

  test('a killed session and a pulled cable are a lost connection, and ssh does not quietly connect anew', async () => {
    const killed = await open(sshd)
    const waiting = killed.exec(['sleep', '30'])
    setTimeout(() => killSessions(sshd), 300)
    await assert.rejects(waiting, { code: 'DEVICE_LOST' })
    await assert.rejects(killed.exec(['true']), { code: 'DEVICE_LOST' })
    await killed.close()

    const proxy = await startProxy(sshd.port)
    const frozen = await open(
      sshd,
      { hostKey: sshd.fingerprint, keepalive: { intervalMs: 1000, countMax: 2 } },
      `${sshd.user}@127.0.0.1:${proxy.port}`,
    )
    proxy.freeze()
    await assert.rejects(frozen.exec(['sleep', '30']), { code: 'DEVICE_LOST' })
    await frozen.close()
    await proxy.stop()
  })
})

describe('what only OpenSSH knows', { skip: sshdMissing }, () => {
  test('a ProxyCommand of ssh_config is the way to the board, without being asked for', async (t) => {
    const [board, jump] = await Promise.all([startSshd(), startSshd()])
    t.after(() => Promise.all([board.stop(), jump.stop()]))
    const config = join(board.folder, 'ssh_config')
    writeFileSync(
      config,
      `Host behind
  HostName 127.0.0.1
  Port ${board.port}
  User ${board.user}
  ProxyCommand ssh -F none -i ${jump.identity} -o UserKnownHostsFile=${jump.knownHostsPath} -p ${jump.port} -W %h:%p ${jump.user}@127.0.0.1
`,
    )
    const connection = await openConnection('behind', { ...board.options, configPath: config })
    t.after(() => connection.close())
    const { stdout } = await connection.exec(['sh', '-c', 'echo $SSH_CONNECTION'])
    assert.match(stdout, new RegExp(` ${board.port}\\n$`))
  })

  test('a certificate lets its user in, and one of the host is believed', async (t) => {
    const authority = await startSshd()
    t.after(() => authority.stop())
    const file = (name: string) => join(authority.folder, name)
    const keygen = (...args: string[]) => execFileSync('ssh-keygen', ['-q', ...args], { stdio: 'pipe' })
    keygen('-t', 'ed25519', '-N', '', '-f', file('ca'))
    keygen('-t', 'ed25519', '-N', '', '-f', file('member'))
    keygen('-s', file('ca'), '-I', 'member', '-n', authority.user, file('member.pub'))
    keygen('-t', 'ed25519', '-N', '', '-f', file('hostkey'))
    keygen('-s', file('ca'), '-I', 'host', '-h', '-n', '127.0.0.1', file('hostkey.pub'))
    const board = await startSshd([
      `TrustedUserCAKeys ${file('ca.pub')}`,
      `HostKey ${file('hostkey')}`,
      `HostCertificate ${file('hostkey-cert.pub')}`,
    ])
    t.after(() => board.stop())
    writeFileSync(join(board.folder, 'authorized_keys'), '')
    const known = file('known')
    writeFileSync(known, `@cert-authority * ${readFileSync(file('ca.pub'), 'utf8')}`)
    const config = file('config')
    writeFileSync(config, `Host *\n  IdentityFile ${file('member')}\n  IdentitiesOnly yes\n`)
    const connection = await openConnection(board.spec, {
      knownHostsPath: known,
      configPath: config,
      environment: { HOME: board.folder, PATH: process.env.PATH },
    })
    t.after(() => connection.close())
    assert.equal((await connection.exec(['echo', 'in'])).stdout, 'in\n')
  })

  test('the password of the environment is answered once, and stands in no argument', async (t) => {
    const sshd = await startSshd()
    t.after(() => sshd.stop())
    const secret = 'correct horse battery staple'
    const key = join(sshd.folder, 'locked')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', secret, '-f', key])
    writeFileSync(join(sshd.folder, 'authorized_keys'), readFileSync(`${key}.pub`))
    const environment = { HOME: sshd.folder, PATH: process.env.PATH, EDGEWRIGHT_SSH_PASSWORD: secret }
    const connection = await open(sshd, { identity: key, environment })
    t.after(() => connection.close())
    assert.equal((await connection.exec(['echo', 'in'])).stdout, 'in\n')
    const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    assert.ok(!processes.includes(secret))
  })
})
