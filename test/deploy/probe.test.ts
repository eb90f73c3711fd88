import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { arch, cpus, hostname, totalmem } from 'node:os'
import { describe, test } from 'node:test'
import { deviceOver, openDevice } from '../../src/deploy/device.ts'
import { LocalConnection } from '../../src/deploy/local-connection.ts'
import { parseProbe, probe } from '../../src/deploy/probe.ts'
import type { Connection } from '../../src/deploy/types.ts'

const raspberryPi = `machine=aarch64
kernel=Linux 6.1.21-v8+
hostname=raspberrypi
home=/home/pi
elfclass=2
longbit=64
model=Raspberry Pi 5 Model B Rev 1.0
compatible=raspberrypi,5-model-b
compatible=brcm,bcm2712
cpu.model name=
cpu.CPU implementer=0x41
cpu.CPU part=0xd0b
features=fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
cpus=4
memory=8245680 kB
disk=/dev/mmcblk0p2 30419924 5123456 23701234 18% /
glibc=glibc 2.36
ldd=ldd (Debian GLIBC 2.36-9+rpt2+deb12u4) 2.36 Copyright
os="Debian GNU/Linux 12 (bookworm)"
usb=18d1:9302
usb=1d6b:0003
done=1
`

describe('the probe of a board', () => {
  test("a Raspberry Pi's answer becomes facts", () => {
    const { facts, home } = parseProbe(raspberryPi, 'pi')
    assert.equal(home, '/home/pi')
    assert.deepEqual(facts, {
      architecture: 'aarch64',
      userlandBits: 64,
      kernel: 'Linux 6.1.21-v8+',
      hostname: 'raspberrypi',
      model: 'Raspberry Pi 5 Model B Rev 1.0',
      compatible: ['raspberrypi,5-model-b', 'brcm,bcm2712'],
      cpuModel: 'Cortex-A76',
      cpuFeatures:
        'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp'.split(
          ' ',
        ),
      cpuCount: 4,
      memoryBytes: 8245680 * 1024,
      freeDiskBytes: 23701234 * 1024,
      libc: { name: 'glibc', version: '2.36' },
      os: 'Debian GNU/Linux 12 (bookworm)',
      usbIds: ['18d1:9302', '1d6b:0003'],
      extras: { cpu_implementer: '0x41', cpu_part: '0xd0b' },
    })
  })

  test('a 64-bit kernel with a 32-bit userland is seen as 32 bits', () => {
    assert.equal(parseProbe('machine=aarch64\nelfclass=1\nlongbit=32\ndone=1', 'x').facts.userlandBits, 32)
    assert.equal(parseProbe('machine=aarch64\nlongbit=32\ndone=1', 'x').facts.userlandBits, 32)
  })

  test('musl and a C library without getconf are told from ldd', () => {
    assert.deepEqual(
      parseProbe('machine=x\nldd=musl libc (x86_64) Version 1.2.4\nmusl=/lib/ld-musl-x86_64.so.1', 'x').facts
        .libc,
      { name: 'musl', version: '1.2.4' },
    )
    assert.deepEqual(parseProbe('machine=x\nldd=ldd (Ubuntu GLIBC 2.27-3ubuntu1.6) 2.27', 'x').facts.libc, {
      name: 'glibc',
      version: '2.27',
    })
    assert.deepEqual(parseProbe('machine=x', 'x').facts.libc, { name: 'unknown', version: null })
  })

  test('a hostile answer is cut, stripped of escape sequences, and costs no memory', () => {
    const flood = `machine=aarch64\nmodel=\u001b]0;owned\u0007\u001b[2Jevil\u0000\u202eboard\ncpus=99999999999999999999\nmemory=-5 kB\ndisk=a b c d\nusb=zz\nusb=1234:5678; rm\nfeatures=${'x'.repeat(1e6)}\n${'compatible=a\n'.repeat(1e5)}`
    const { facts } = parseProbe(flood, 'x')
    assert.equal(facts.model, 'evil board')
    assert.deepEqual(
      [facts.cpuCount, facts.memoryBytes, facts.freeDiskBytes, facts.usbIds],
      [1, null, null, []],
    )
    assert.ok(facts.compatible.length <= 64)
    assert.ok(JSON.stringify(facts).length < 10_000)
  })

  test('a board that names no processor, or a name with a shell in it, is refused', () => {
    for (const text of ['', 'machine=\n', 'machine=$(id)\n', 'hello\n'])
      assert.throws(() => parseProbe(text, 'x'), { code: 'DEVICE_ANSWER_INVALID' })
  })

  test('a thing that has no shell is no board', async () => {
    const mute = {
      label: 'switch',
      script: async () => ({
        exitCode: 1,
        signal: null,
        stdout: '% Invalid input\u001b[0m',
        stderr: '',
        truncated: false,
      }),
    }
    await assert.rejects(probe(mute as unknown as Connection), {
      code: 'DEVICE_UNSUPPORTED',
      saw: '% Invalid input',
    })
  })

  test('a home folder that is none is refused rather than written to', async () => {
    for (const home of ['relative', '/a/../b', '', '/']) {
      const script = async () => ({
        exitCode: 0,
        signal: null,
        stdout: raspberryPi.replace('/home/pi', home),
        stderr: '',
        truncated: false,
      })
      await assert.rejects(deviceOver({ label: 'x', script } as unknown as Connection, 'x'), {
        code: 'DEVICE_ANSWER_INVALID',
      })
    }
  })

  test('this computer says of itself what Node says of it', {
    skip: process.platform !== 'linux' && 'reads Linux facts',
  }, async () => {
    const { facts } = await probe(new LocalConnection())
    assert.equal(
      facts.architecture,
      { x64: 'x86_64', arm64: 'aarch64' }[arch() as string] ?? facts.architecture,
    )
    assert.equal(facts.hostname, hostname())
    assert.equal(facts.cpuCount, cpus().length)
    assert.ok(Math.abs(facts.memoryBytes! - totalmem()) < 1e6)
    assert.equal(
      `glibc ${facts.libc.version}`,
      execFileSync('getconf', ['GNU_LIBC_VERSION'], { encoding: 'utf8' }).trim(),
    )
    assert.ok(facts.freeDiskBytes! > 0)
  })

  test('the script runs in dash', { skip: !existsSync('/bin/dash') && 'needs dash' }, async () => {
    const local = new LocalConnection()
    const script = (text: string) => local.exec(['/bin/dash', '-s'], { stdin: text })
    const { facts } = await probe({ label: 'dash', script } as unknown as Connection)
    assert.equal(facts.hostname, hostname())
  })

  test('the root is under home by default, and ~/ means home', async () => {
    const home = (await openDevice('local:', { environment: {} })).root
    assert.match(home, /^\/.*\/\.local\/share\/edgewright$/)
    assert.equal(
      (await openDevice('local:', { root: '~/boards/' })).root,
      home.replace('.local/share/edgewright', 'boards'),
    )
    await assert.rejects(openDevice('local:', { root: 'relative' }), { code: 'USAGE' })
  })
})
