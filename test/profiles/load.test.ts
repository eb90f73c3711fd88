import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { listOverlays, listProfiles, loadProfile, profilesFolder } from '../../src/profiles/load.ts'
import { resolveProfile } from '../../src/profiles/resolve.ts'

const folder = mkdtempSync(join(tmpdir(), 'edgewright-profiles-'))

function write(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function failure(action: () => unknown): EdgewrightError {
  try {
    action()
  } catch (error) {
    assert.ok(error instanceof EdgewrightError, String(error))
    return error
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' })
}

const pi5 = readFileSync(join(profilesFolder, 'raspberry-pi-5.yaml'), 'utf8')

test('every packaged profile and overlay passes the schema, and its id is its file name', () => {
  const wanted =
    'raspberry-pi-zero-2-w raspberry-pi-3b-plus raspberry-pi-4b raspberry-pi-5 raspberry-pi-cm4 raspberry-pi-cm5 coral-dev-board ' +
    'coral-dev-board-mini jetson-nano jetson-xavier-nx jetson-orin-nano jetson-orin-nx jetson-agx-orin imx8m-plus imx93 rk3588 this-computer'
  const ids = listProfiles().map(({ id }) => id)
  for (const id of wanted.split(' ')) assert.ok(ids.includes(id), id)
  assert.deepEqual(
    ids.filter((id) => loadProfile(id).id !== id),
    [],
  )
  assert.deepEqual(
    listOverlays().map(({ id }) => id),
    ['coral-m2', 'coral-usb'],
  )
})

test('no two profiles claim the same device-tree string', () => {
  const claimed = listProfiles().flatMap(({ identity }) => identity.compatible)
  assert.equal(new Set(claimed).size, claimed.length)
})

test('all mistakes of a profile are reported at once, each with its line', () => {
  const lines = pi5.split('\n')
  const at = (start: string) => lines.findIndex((line) => line.trimStart().startsWith(start)) + 1
  const broken = pi5
    .replace('cores: 4', 'cores: four')
    .replace('accelerator: null', 'acelerator: null')
    .replace(
      'basis: documented\n    source: [LLVM, ORT, NCNN]',
      'basis: hearsay\n    source: [LLVM, NOWHERE]',
    )
    .replace('targets: [onnxruntime, litert]', 'targets: [onnxruntime, litert, npu]')
  const error = failure(() => loadProfile(write('broken.yaml', broken)))
  assert.equal(error.code, 'PROFILE_INVALID')
  const saw = error.saw ?? ''
  assert.match(saw, new RegExp(`^line ${at('cores:')}: cpu\\.cores: .*expected number`, 'm'))
  assert.match(saw, new RegExp(`^line ${at('accelerator:')}: unknown key "acelerator"`, 'm'))
  assert.match(saw, /: accelerator: .*(missing|expected object)/m)
  assert.match(saw, new RegExp(`^line ${at('sentence: "Cortex') + 1}: constraints\\[0\\]\\.basis: `, 'm'))
  assert.match(
    saw,
    new RegExp(
      `^line ${at('sentence: "Cortex') + 2}: constraints\\[0\\]\\.source\\[1\\]: the source "NOWHERE"`,
      'm',
    ),
  )
  assert.match(
    saw,
    new RegExp(
      `^line ${at('sentence: "Cortex') + 3}: constraints\\[0\\]\\.targets\\[2\\]: the target "npu"`,
      'm',
    ),
  )
  assert.equal(saw.split('\n').length, 6, saw)
})

test('a profile that is no YAML, twice names a key, or explodes by aliases ends in a clear error', () => {
  assert.match(failure(() => loadProfile(write('a.yaml', 'id: [1, 2\nname: x'))).saw ?? '', /^line \d+: /)
  assert.match(
    failure(() => loadProfile(write('b.yaml', `${pi5}\nid: again\n`))).saw ?? '',
    /line \d+: .*unique/i,
  )
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefghi'.split('').map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefgh'[i]}`)}]`),
  ]
  assert.equal(failure(() => loadProfile(write('c.yaml', bomb.join('\n')))).code, 'PROFILE_INVALID')
  assert.equal(failure(() => loadProfile(write('d.yaml', ''))).code, 'PROFILE_INVALID')
  assert.match(failure(() => loadProfile(write('e.yaml', '#'.repeat(2 << 20)))).message, /too large/)
})

test('a profile outside the package works by its path, with an overlay too', () => {
  const path = write('my-board.yaml', pi5.replace('id: raspberry-pi-5', 'id: my-board'))
  assert.equal(loadProfile(path).id, 'my-board')
  assert.equal(resolveProfile(`${path}+coral-usb`).id, 'my-board+coral-usb')
  const plus = write('a+b.yaml', pi5.replace('id: raspberry-pi-5', 'id: my-board'))
  assert.equal(resolveProfile(plus).id, 'my-board')
})

test('an unknown id, a missing file and a folder are told apart from a broken profile', () => {
  const near = failure(() => loadProfile('raspberry-pi5'))
  assert.equal(near.code, 'PROFILE_UNKNOWN')
  assert.match(near.hint ?? '', /raspberry-pi-5/)
  assert.equal(failure(() => loadProfile('./nowhere.yaml')).code, 'PROFILE_UNKNOWN')
  assert.equal(failure(() => loadProfile(`${folder}/`)).code, 'PROFILE_UNKNOWN')
  assert.match(failure(() => resolveProfile('raspberry-pi-5+hailo')).message, /no overlay named "hailo"/)
})

test('an overlay puts its target first and keeps what the board has', () => {
  const board = loadProfile('raspberry-pi-5')
  const both = resolveProfile('raspberry-pi-5+coral-m2')
  assert.deepEqual(
    both.targets.map(({ target }) => target),
    ['edgetpu', 'onnxruntime', 'litert'],
  )
  assert.deepEqual(both.identity, board.identity)
  assert.ok(both.thermal.zones.includes('/sys/class/apex/apex_0/temp'))
  assert.equal(both.constraints.length, board.constraints.length + 2)
  assert.equal(both.accelerator?.name, 'Edge TPU')
})

test('this-computer states the features /proc/cpuinfo has', {
  skip: process.platform !== 'linux' && 'needs /proc/cpuinfo',
}, () => {
  const { cpu, memory } = loadProfile('this-computer')
  assert.equal(cpu.architecture, process.arch === 'arm64' ? 'aarch64' : 'x86_64')
  const cpuinfo = readFileSync('/proc/cpuinfo', 'utf8')
  assert.ok(cpu.features.length > 3)
  for (const feature of cpu.features.slice(0, 5)) assert.match(cpuinfo, new RegExp(`\\b${feature}\\b`))
  const total = Number(/MemTotal:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1])
  assert.ok(Math.abs(memory.optionsMiB[0]! - total / 1024) < 2)
})
