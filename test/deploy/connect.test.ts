import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import ssh2 from 'ssh2'
import { type ConnectOptions, openConnection } from '../../src/deploy/connect.ts'
import { silentProgress } from '../../src/progress.ts'
import { freePort, sshdMissing, startSshd, type TestSshd } from './sshd.ts'

describe('opening a connection', { skip: sshdMissing }, () => {
  let sshd: TestSshd
  const open = (options: Partial<ConnectOptions> = {}, spec = sshd.spec) =>
    openConnection(spec, { ...sshd.options, ...options })
  const works = async (options: Partial<ConnectOptions> = {}, spec = sshd.spec) => {
    const connection = await open(options, spec)
    assert.equal((await connection.exec(['echo', 'hi'])).stdout, 'hi\n')
    await connection.close()
  }

  before(async () => {
    sshd = await startSshd(['PasswordAuthentication yes'])
  })
  after(() => sshd?.stop())

  test('an unknown host key is refused where nobody can be asked, with the line to add', async () => {
    const knownHostsPath = join(sshd.folder, 'empty')
    await assert.rejects(open({ knownHostsPath }), (error: { code: string; saw: string; hint: string }) => {
      assert.equal(error.code, 'DEVICE_HOST_KEY_UNKNOWN')
      assert.ok(error.saw.includes(sshd.fingerprint))
      assert.ok(error.hint.includes(`--host-key ${sshd.fingerprint}`))
      assert.ok(
        error.hint.includes(
          `[127.0.0.1]:${sshd.port} ${sshd.hostKeyPublic.split(' ').slice(0, 2).join(' ')}`,
        ),
      )
      return true
    })
    assert.equal(existsSync(knownHostsPath), false)
  })

  test('an unknown host key is asked about, remembered when accepted, and asked no more', async () => {
    const knownHostsPath = join(sshd.folder, 'asked')
    const asked: string[] = []
    const confirm = (answer: boolean) => async (question: { fingerprint: string }) => {
      asked.push(question.fingerprint)
      return answer
    }
    await assert.rejects(open({ knownHostsPath, confirmHostKey: confirm(false) }), {
      code: 'DEVICE_HOST_KEY_UNKNOWN',
    })
    await works({ knownHostsPath, confirmHostKey: confirm(true) })
    await works({ knownHostsPath })
    assert.deepEqual(asked, [sshd.fingerprint, sshd.fingerprint])
  })

  test('the time that the user thinks is not counted against the deadline', async () => {
    const confirmHostKey = () => new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 3500))
    await works({ knownHostsPath: join(sshd.folder, 'slow'), connectTimeoutMs: 3000, confirmHostKey })
  })

  test('--host-key lets the right key in and no other', async () => {
    const knownHostsPath = join(sshd.folder, 'none')
    await works({ knownHostsPath, hostKey: sshd.fingerprint })
    await assert.rejects(open({ hostKey: `SHA256:${'A'.repeat(43)}` }), { code: 'DEVICE_HOST_KEY_CHANGED' })
  })

  test('a changed host key is refused before any login, and the hint mends it', async () => {
    const knownHostsPath = join(sshd.folder, 'changed')
    const otherKey = readFileSync(join(sshd.folder, 'user.pub'), 'utf8').split(' ').slice(0, 2).join(' ')
    writeFileSync(knownHostsPath, `[127.0.0.1]:${sshd.port} ${otherKey}\n`)
    let hint = ''
    await assert.rejects(
      open({ knownHostsPath, confirmHostKey: async () => true }),
      (error: { code: string; hint: string; where: string }) => {
        assert.equal(error.code, 'DEVICE_HOST_KEY_CHANGED')
        assert.equal(error.where, `${knownHostsPath}:1`)
        hint = error.hint
        return true
      },
    )
    const command = /ssh-keygen -R .*$/.exec(hint)![0]
    execFileSync('sh', ['-c', command], { stdio: 'ignore' })
    await works({ knownHostsPath, confirmHostKey: async () => true })
  })

  test('a wrong password ends in DEVICE_AUTH that names what was tried and not the password', async () => {
    const environment = { ...sshd.options.environment, EDGEWRIGHT_SSH_PASSWORD: 'hunter2-wrong' }
    const prompts: string[] = []
    const prompt = async (question: { kind: string }) => {
      prompts.push(question.kind)
      return 'also-wrong-hunter3'
    }
    await assert.rejects(
      open({ identity: join(sshd.folder, 'no-such-key'), environment, prompt }),
      (error: Error & { code: string; saw: string }) => {
        assert.equal(error.code, 'DEVICE_AUTH')
        assert.match(error.saw, /tried: password \(EDGEWRIGHT_SSH_PASSWORD\), password/)
        assert.doesNotMatch(JSON.stringify([error, error.message, error.stack, error.cause]), /hunter/)
        return true
      },
    )
    assert.deepEqual([...new Set(prompts)], ['password'])
  })

  test('without a key or anybody to ask, the error says that there was nothing to try', async () => {
    await assert.rejects(open({ identity: join(sshd.folder, 'no-such-key') }), {
      code: 'DEVICE_AUTH',
      saw: /nothing/,
    })
  })

  test('a key with a passphrase is unlocked by prompt', async () => {
    const locked = join(sshd.folder, 'locked')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'open sesame', '-f', locked])
    writeFileSync(join(sshd.folder, 'authorized_keys'), readFileSync(`${locked}.pub`), { flag: 'a' })
    const answers = ['wrong', 'open sesame']
    await works({
      identity: locked,
      prompt: async (question) => (question.kind === 'passphrase' ? answers.shift()! : null),
    })
    await assert.rejects(open({ identity: locked }), {
      code: 'DEVICE_AUTH',
      saw: /locked \(needs a passphrase/,
    })
  })

  test('an agent is used, and with IdentitiesOnly for the configured key alone', async () => {
    const socket = join(sshd.folder, 'agent')
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' })
    while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20))
    execFileSync('ssh-add', ['-q', sshd.identity], { env: { ...process.env, SSH_AUTH_SOCK: socket } })
    const environment = { ...sshd.options.environment, SSH_AUTH_SOCK: socket }
    const configPath = join(sshd.folder, 'agent_config')
    writeFileSync(configPath, `Host *\n  IdentityAgent ${socket}\n  IdentityFile /nonexistent\n`)
    await works({ identity: undefined, environment, configPath })
    writeFileSync(
      configPath,
      `Host *\n  IdentityAgent ${socket}\n  IdentityFile /nonexistent\n  IdentitiesOnly yes\n`,
    )
    await assert.rejects(open({ identity: undefined, environment, configPath }), { code: 'DEVICE_AUTH' })
    agent.kill()
  })

  test('a Host alias of ssh_config leads to its HostName, Port, User and IdentityFile', async () => {
    const configPath = join(sshd.folder, 'alias_config')
    writeFileSync(
      configPath,
      `Host board\n  HostName 127.0.0.1\n  Port ${sshd.port}\n  User ${sshd.user}\n  IdentityFile ${sshd.identity}\n`,
    )
    await works({ configPath, identity: undefined }, 'board')
  })

  test('ProxyJump goes through the jump host, whose key is checked under its own name', async () => {
    const jump = await startSshd()
    writeFileSync(join(jump.folder, 'authorized_keys'), readFileSync(join(sshd.folder, 'user.pub')), {
      flag: 'a',
    })
    const configPath = join(sshd.folder, 'jump_config')
    const knownHostsPath = join(sshd.folder, 'jump_hosts')
    const config = `Host board\n  HostName 127.0.0.1\n  Port ${sshd.port}\n  ProxyJump ${jump.user}@127.0.0.1:${jump.port}\n`
    writeFileSync(configPath, config)
    writeFileSync(knownHostsPath, readFileSync(sshd.knownHostsPath))
    await assert.rejects(open({ configPath, knownHostsPath, hostKey: sshd.fingerprint }, 'board'), {
      code: 'DEVICE_HOST_KEY_UNKNOWN',
      where: `[127.0.0.1]:${jump.port}`,
    })
    writeFileSync(knownHostsPath, readFileSync(jump.knownHostsPath), { flag: 'a' })
    await works({ configPath, knownHostsPath }, 'board')
    await jump.stop()
    await assert.rejects(open({ configPath, knownHostsPath }, 'board'), { code: 'DEVICE_UNREACHABLE' })
  })

  test('ProxyCommand is refused in words where there is no OpenSSH to follow it', async () => {
    const configPath = join(sshd.folder, 'command_config')
    writeFileSync(configPath, 'Host board\n  ProxyCommand nc %h %p\n')
    await assert.rejects(open({ configPath, environment: { HOME: sshd.folder, PATH: '' } }, 'board'), {
      code: 'DEVICE_UNSUPPORTED',
      hint: /ProxyJump/,
    })
  })

  test('StrictHostKeyChecking yes asks nobody; no does not open the door', async () => {
    const configPath = join(sshd.folder, 'strict_config')
    for (const [value, asks] of [
      ['yes', false],
      ['no', true],
    ] as const) {
      writeFileSync(configPath, `Host *\n  StrictHostKeyChecking ${value}\n`)
      let asked = false
      const confirmHostKey = async () => {
        asked = true
        return false
      }
      await assert.rejects(open({ configPath, knownHostsPath: join(sshd.folder, 'none'), confirmHostKey }), {
        code: 'DEVICE_HOST_KEY_UNKNOWN',
      })
      assert.equal(asked, asks)
    }
  })

  test('a closed port, an unknown name and a mute server are unreachable, each within its deadline', async () => {
    await assert.rejects(open({}, `ssh://x@127.0.0.1:${await freePort()}`), {
      code: 'DEVICE_UNREACHABLE',
      saw: /refused/,
    })
    await assert.rejects(open({}, 'x@no-such-host.invalid'), { code: 'DEVICE_UNREACHABLE' })
    const mute = createServer(() => {})
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    const { port } = mute.address() as { port: number }
    await assert.rejects(open({ connectTimeoutMs: 300 }, `ssh://x@127.0.0.1:${port}`), {
      code: 'DEVICE_UNREACHABLE',
      saw: /300 ms/,
    })
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 100)
    await assert.rejects(open({ progress: silentProgress(controller.signal) }, `ssh://x@127.0.0.1:${port}`), {
      code: 'INTERRUPTED',
    })
    mute.close()
  })

  test('what is not a connection is told before anything is tried', async () => {
    for (const spec of [
      '',
      '-oProxyCommand=id',
      'ssh://-l@h',
      'http://x',
      'a b',
      'pi@h:99999',
      'user@ho\u001b[31mst',
    ])
      await assert.rejects(open({}, spec), { code: 'DEVICE_UNKNOWN' }, spec)
    await assert.rejects(
      open({}, 'ssh://pi:secret@h'),
      (error: Error) => !JSON.stringify(error).includes('secret') && !error.message.includes('secret'),
    )
  })
})

describe('the right password', () => {
  for (const method of ['password', 'keyboard-interactive'] as const)
    test(`is taken by ${method}, from the environment and from the prompt`, async () => {
      const { privateKey } = generateKeyPairSync('rsa', {
        modulusLength: 2048,
        privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
        publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
      })
      const server = new ssh2.Server({ hostKeys: [privateKey] }, (client) => {
        client.on('error', () => {})
        client.on('authentication', (context) => {
          if (context.method === 'password' && method === 'password')
            return context.password === 'right' ? context.accept() : context.reject([method])
          if (context.method === 'keyboard-interactive' && method === 'keyboard-interactive')
            return context.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
              answers[0] === 'right' ? context.accept() : context.reject([method]),
            )
          context.reject([method])
        })
        client.on('session', (accept) =>
          accept().on('exec', (acceptExec) => {
            const channel = acceptExec()
            channel.exit(0)
            channel.end('in\n')
          }),
        )
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as { port: number }
      const spec = `ssh://pi@127.0.0.1:${port}`
      const common = {
        configPath: '/dev/null',
        knownHostsPath: '/nonexistent/known_hosts',
        confirmHostKey: async () => true,
        identity: '/nonexistent',
      }
      const pin = await openConnection(spec, { ...common, confirmHostKey: undefined }).catch(
        (error) => /SHA256:\S+/.exec(error.saw)![0],
      )
      for (const options of [
        { environment: { HOME: '/nonexistent', PATH: process.env.PATH, EDGEWRIGHT_SSH_PASSWORD: 'right' } },
        { environment: { HOME: '/nonexistent', PATH: process.env.PATH }, prompt: async () => 'right' },
      ]) {
        const connection = await openConnection(spec, { ...common, hostKey: pin as string, ...options })
        assert.equal((await connection.exec(['true'])).stdout, 'in\n')
        await connection.close()
      }
      server.close()
    })
})
