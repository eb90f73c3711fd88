import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  type EdgeTpuFacts,
  edgetpuProbeScript,
  judgeEdgeTpu,
  parseEdgeTpuProbe,
} from '../../src/runtimes/edgetpu-preflight.ts'

/** Runs the probe with its absolute folders below a made-up root, in dash. */
function probe(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  commands: Readonly<Record<string, string>> = {},
): EdgeTpuFacts {
  const root = mkdtempSync(join(tmpdir(), 'edgewright-edgetpu-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const bin = join(root, 'bin')
  for (const [path, content] of [
    ...Object.entries(files),
    ...Object.entries(commands).map(([name, text]) => [`/bin/${name}`, text] as const),
  ]) {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), content)
    if (path.startsWith('/bin/')) chmodSync(join(root, path), 0o755)
  }
  const script = edgetpuProbeScript.replace(/(^|[ '"])(\/(?:dev|sys|usr|lib)\b)/gm, `$1${root}$2`)
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
    encoding: 'utf8',
    env: { PATH: `${bin}:/usr/bin:/bin` },
  })
  assert.equal(status, 0, stderr)
  return parseEdgeTpuProbe(stdout.replaceAll(root, ''))
}

const usb = (id: string, speed: string): Record<string, string> => ({
  '/sys/bus/usb/devices/2-1/idVendor': `${id.slice(0, 4)}\n`,
  '/sys/bus/usb/devices/2-1/idProduct': `${id.slice(5)}\n`,
  '/sys/bus/usb/devices/2-1/speed': `${speed}\n`,
  '/sys/bus/usb/devices/2-1/busnum': '2\n',
  '/sys/bus/usb/devices/2-1/devnum': '9\n',
})
const use = { tfliteVersion: '2.20.0', delegateVersion: 'BuildLabel(x), RuntimeVersion(14)', options: {} }
const states = (facts: EdgeTpuFacts, more = {}): Record<string, string> =>
  Object.fromEntries(judgeEdgeTpu(facts, { ...use, ...more }).map(({ check, state }) => [check, state]))

test('a board without any has no device and no library', (t) => {
  const facts = probe(t, {
    '/sys/bus/usb/devices/1-1/idVendor': '1d6b\n',
    '/sys/bus/usb/devices/1-1/idProduct': '0002\n',
  })
  assert.deepEqual(facts.devices, [])
  assert.equal(states(facts).device, 'failed')
  assert.equal(states(facts).library, 'failed')
})

test('a USB accelerator on USB 3, with access, the package and both libraries', (t) => {
  const facts = probe(
    t,
    {
      ...usb('18d1:9302', '5000'),
      '/dev/bus/usb/002/009': '',
      '/usr/lib/aarch64-linux-gnu/libedgetpu.so.1': '',
      '/usr/lib/libtensorflowlite_c.so': '',
    },
    { 'dpkg-query': '#!/bin/sh\ncase "$*" in *std) printf "installed 16.0" ;; *) exit 1 ;; esac\n' },
  )
  assert.deepEqual(facts, {
    devices: [{ kind: 'usb', accessible: true, started: true, speedMbps: 5000 }],
    libraries: ['/usr/lib/aarch64-linux-gnu/libedgetpu.so.1'],
    tfliteLibraries: ['/usr/lib/libtensorflowlite_c.so'],
    package: { clock: 'std', version: '16.0' },
  })
  assert.deepEqual(states(facts), {
    library: 'ok',
    device: 'ok',
    permission: 'ok',
    'usb-speed': 'ok',
    clock: 'ok',
    'delegate-abi': 'warning',
  })
  assert.equal(states(facts, { tfliteVersion: '2.5.0' })['delegate-abi'], 'ok')
})

test('one that has not been started is on USB 2 and may not be used', (t) => {
  const facts = probe(t, usb('1a6e:089a', '480'))
  assert.deepEqual(facts.devices, [{ kind: 'usb', accessible: false, started: false, speedMbps: 480 }])
  const findings = judgeEdgeTpu(facts, use)
  assert.match(findings.find(({ check }) => check === 'permission')!.hint!, /plugdev/)
  assert.match(findings.find(({ check }) => check === 'usb-speed')!.message, /USB 2: 480/)
})

test('a PCIe module is found by its node', (t) => {
  assert.deepEqual(probe(t, { '/dev/apex_0': '' }).devices, [
    { kind: 'pcie', node: '/dev/apex_0', accessible: true },
  ])
})

test('maximum clock is warned of; a Performance option without a device number has no effect', (t) => {
  const facts: EdgeTpuFacts = {
    ...probe(t, { '/dev/apex_0': '' }),
    package: { clock: 'max', version: '16.0tf2.17.1-1' },
  }
  const of = (options: Record<string, string>) =>
    judgeEdgeTpu(facts, { ...use, options }).find(({ check }) => check === 'clock')!
  assert.match(of({}).message, /Maximum clock/)
  assert.match(of({ Performance: 'Low', device: 'usb' }).message, /no effect/)
  assert.equal(of({ Performance: 'Low', device: 'usb:0' }).state, 'ok')
  // a rebuild says which TFLite it was built for
  assert.equal(states(facts, { tfliteVersion: '2.17.0' })['delegate-abi'], 'ok')
})

test('an answer that was cut, or is hostile, is no answer', () => {
  assert.throws(() => parseEdgeTpuProbe('apex=yes /dev/apex_0\n'), { code: 'DEVICE_ANSWER_INVALID' })
  assert.deepEqual(
    parseEdgeTpuProbe(
      'apex=yes /dev/apex_0; reboot\nusb=yes 1234:5678 480\nlibedgetpu=relative.so\npackage=libedgetpu1-fast 1\ndone=1',
    ).devices,
    [],
  )
})
