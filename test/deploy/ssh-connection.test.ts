import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openConnection } from '../../src/deploy/connect.ts'
import type { Connection } from '../../src/deploy/types.ts'
import { silentProgress } from '../../src/progress.ts'
import { killSessions, sshdMissing, startProxy, startSshd, type TestSshd } from './sshd.ts'

describe('an SSH connection to a real sshd', { skip: sshdMissing }, () => {
  let sshd: TestSshd
  let connection: Connection

  before(async () => {
    sshd = await startSshd()
    connection = await openConnection(sshd.spec, sshd.options)
  })
  after(async () => {
    await connection?.close()
    await sshd?.stop()
  })

  test('a command gives its exit code, standard output and standard error', async () => {
    const result = await connection.exec(['sh', '-c', 'echo out; echo err >&2; exit 7'])
    assert.deepEqual(result, {
      exitCode: 7,
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
      '; rm -rf /',
      '-n',
      '~',
      'ü',
    ]
    const result = await connection.exec(['printf', '%s\\0', ...words])
    assert.deepEqual(result.stdout.split('\0').slice(0, -1), words)
  })

  test('a script gets its data as arguments', async () => {
    const result = await connection.script('printf "%s|" "$@"', ["a'b", '$HOME', 'c d'])
    assert.equal(result.stdout, "a'b|$HOME|c d|")
  })

  test('standard input reaches the command whole', async () => {
    const bytes = randomBytes(700_000)
    const result = await connection.exec(['wc', '-c'], { stdin: bytes })
    assert.equal(result.stdout.trim(), '700000')
  })

  test('a 5 MB file arrives with the same bytes and is counted as payload', async () => {
    const from = join(sshd.folder, 'from.bin')
    const to = join(sshd.folder, "to 'x'.bin")
    const bytes = randomBytes(5_000_000)
    writeFileSync(from, bytes)
    const before = connection.traffic.sentBytes
    const sent = await connection.upload(from, to, silentProgress())
    assert.ok(readFileSync(to).equals(bytes))
    assert.ok(sent >= 5_000_000 && sent < 5_000_500, `${sent}`)
    assert.equal(connection.traffic.sentBytes - before, sent)
  })

  for (const cipher of ['aes128-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes128-ctr'])
    test(`uploads with ${cipher} arrive whole and leave the caller's bytes alone`, async () => {
      const other = await openConnection(sshd.spec, { ...sshd.options, ciphers: [cipher] })
      try {
        for (const sizeBytes of [700_000, 6_000_000]) {
          const bytes = randomBytes(sizeBytes)
          const copy = Buffer.from(bytes)
          const to = join(sshd.folder, `to-${sizeBytes}`)
          await other.uploadBytes(bytes, to)
          assert.ok(bytes.equals(copy))
          assert.ok(readFileSync(to).equals(copy))
          const counted = await other.exec(['cksum'], { stdin: bytes })
          assert.equal(counted.stdout, (await other.exec(['sh', '-c', 'cksum <"$1"', 'sh', to])).stdout)
          assert.ok(bytes.equals(copy))
        }
      } finally {
        await other.close()
      }
    })

  test('a file is read from an offset to its end, bounded', async () => {
    const path = join(sshd.folder, 'lines')
    writeFileSync(path, Buffer.from([0, 1, 2, 3, 250, 251]))
    assert.deepEqual([...(await connection.readFrom(path, 2, 100))], [2, 3, 250, 251])
    assert.deepEqual([...(await connection.readFrom(path, 1, 2))], [1, 2])
    assert.deepEqual([...(await connection.readFrom(path, 6, 2))], [])
  })

  test('reading a file that is not there is an error and names it', async () => {
    await assert.rejects(connection.readFrom('/no/such', 0, 10), {
      code: 'DEVICE_COMMAND_FAILED',
      where: /\/no\/such$/,
    })
  })

  test('a command that does not end is given up at its deadline', async () => {
    const start = Date.now()
    await assert.rejects(connection.exec(['sleep', '30'], { deadlineMs: 200 }), {
      code: 'DEVICE_TIMEOUT',
      message: /sleep.*200 ms/,
    })
    assert.ok(Date.now() - start < 2000)
  })

  test('a signal ends a wait at once', async () => {
    const controller = new AbortController()
    const waiting = connection.exec(['sleep', '30'], { signal: controller.signal })
    setTimeout(() => controller.abort(), 100)
    await assert.rejects(waiting, { code: 'INTERRUPTED' })
  })

  test('megabytes of output from a hostile board are dropped beyond the bound', async () => {
    const result = await connection.exec(['sh', '-c', 'head -c 20000000 /dev/zero'], { maxOutputBytes: 1000 })
    assert.equal(result.stdout.length, 1000)
    assert.equal(result.truncated, true)
  })

  test('thirty commands at once pass through few channels', async () => {
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, i) => connection.exec(['echo', String(i)])),
    )
    assert.deepEqual(
      results.map((result) => result.stdout.trim()),
      Array.from({ length: 30 }, (_, i) => String(i)),
    )
  })

  test('a killed session ends what waits with DEVICE_LOST', async () => {
    const other = await openConnection(sshd.spec, sshd.options)
    const waiting = other.exec(['sleep', '30'])
    await new Promise((resolve) => setTimeout(resolve, 200))
    killSessions(sshd)
    await assert.rejects(waiting, { code: 'DEVICE_LOST' })
    await assert.rejects(other.exec(['true']), { code: 'DEVICE_LOST' })
    await other.close()
    connection = await openConnection(sshd.spec, sshd.options)
  })

  test('a frozen link is noticed by keepalive', async () => {
    const proxy = await startProxy(sshd.port)
    const other = await openConnection(`ssh://${sshd.user}@127.0.0.1:${proxy.port}`, {
      ...sshd.options,
      hostKey: sshd.fingerprint,
      keepalive: { intervalMs: 100, countMax: 3 },
    })
    const waiting = other.exec(['sleep', '30'])
    proxy.freeze()
    const start = Date.now()
    await assert.rejects(waiting, { code: 'DEVICE_LOST' })
    assert.ok(Date.now() - start < 3000)
    await other.close()
    await proxy.stop()
  })
})
