import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { sha256 } from '../../src/digest.ts'
import type { EdgewrightError } from '../../src/error.ts'
import { silentProgress } from '../../src/progress.ts'
import { addRuntime, listRuntimes } from '../../src/runtimes/add.ts'
import { cachedLibraryPath, storeLibrary } from '../../src/runtimes/cache.ts'
import { litertBuild, litertNeed } from '../../src/runtimes/litert.ts'
import { pinnedRuntimes } from '../../src/runtimes/pins.ts'
import { downloadCommand } from '../../src/runtimes/pip.ts'
import { glibcNumber, readElfNeeds } from '../runner/elf-needs.ts'

const litert = pinnedRuntimes[0]!

/** An empty cache, and a PATH that holds only these programs. */
function surroundings(t: TestContext, programs: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-runtimes-'))
  const before = { PATH: process.env.PATH, XDG_CACHE_HOME: process.env.XDG_CACHE_HOME }
  mkdirSync(join(folder, 'bin'))
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(folder, 'bin', name), text)
    chmodSync(join(folder, 'bin', name), 0o755)
  }
  process.env.PATH = join(folder, 'bin')
  process.env.XDG_CACHE_HOME = join(folder, 'cache')
  t.after(() => {
    process.env.PATH = before.PATH
    if (before.XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME
    else process.env.XDG_CACHE_HOME = before.XDG_CACHE_HOME
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

test('without pip the error gives the command to run elsewhere and how to bring the file', async (t) => {
  surroundings(t)
  await assert.rejects(addRuntime('litert', { progress: silentProgress() }), (error: EdgewrightError) => {
    assert.equal(error.code, 'RUNTIME_MISSING')
    assert.ok(error.hint!.includes(downloadCommand(litert, litert.pins[0]!).join(' ')))
    assert.match(error.hint!, /--from ai_edge_litert-2\.3\.0-cp311-cp311-manylinux_2_27_aarch64\.whl/)
    return true
  })
})

test('what a pip downloads is checked again: a forged wheel leaves the cache empty', async (t) => {
  // a pip that ignores --require-hashes; $PATH holds nothing else, so only built-in commands
  const forged =
    '#!/bin/sh\nwhile [ "$1" != -d ]; do shift; done\nfor f in ai_edge_litert-2.3.0-cp311-cp311-manylinux_2_27_aarch64.whl; do echo forged > "$2/$f"; done\n'
  const folder = surroundings(t, { pip3: forged })
  await assert.rejects(addRuntime('litert', { progress: silentProgress() }), {
    code: 'RUNTIME_MISSING',
    message: 'The wheel is not what was pinned.',
  })
  assert.equal(existsSync(join(folder, 'cache')), false)
})

test('pip’s own words are passed on; a Python without pip is passed over', async (t) => {
  surroundings(t, {
    pip3: '#!/bin/sh\necho "python3: No module named pip" >&2\nexit 1\n',
    pip: '#!/bin/sh\necho "ERROR: No matching distribution" >&2\nexit 1\n',
  })
  await assert.rejects(addRuntime('litert', { progress: silentProgress() }), {
    code: 'RUNTIME_MISSING',
    saw: 'ERROR: No matching distribution',
  })
})

test('pip is given exact version, digest and platform', async (t) => {
  const folder = surroundings(t, {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell’s own
    pip3: '#!/bin/sh\necho "$@" > "${0%/*}/asked"\nwhile [ "$1" != -r ]; do shift; done\nwhile read -r line; do echo "$line"; done < "$2" >> "${0%/*}/asked"\nexit 1\n',
  })
  await assert.rejects(addRuntime('litert', { progress: silentProgress(), architectures: ['x86_64'] }), {
    code: 'RUNTIME_MISSING',
  })
  const asked = readFileSync(join(folder, 'bin', 'asked'), 'utf8')
  assert.match(
    asked,
    /--only-binary=:all: --implementation cp --python-version 3\.11 --abi cp311 --platform manylinux_2_27_x86_64 --require-hashes/,
  )
  assert.match(asked, new RegExp(`^ai-edge-litert==2\\.3\\.0 --hash=sha256:${litert.pins[1]!.sha256}$`, 'm'))
})

test('an interrupt ends the download', async (t) => {
  surroundings(t, { pip3: '#!/bin/sh\nwhile :; do :; done\n' })
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 100)
  await assert.rejects(addRuntime('litert', { progress: silentProgress(controller.signal) }), {
    code: 'INTERRUPTED',
  })
})

test('a file that is no pinned wheel is refused, and an unknown name or architecture too', async (t) => {
  const folder = surroundings(t)
  writeFileSync(join(folder, 'x.whl'), 'PK')
  const progress = silentProgress()
  await assert.rejects(addRuntime('litert', { progress, from: join(folder, 'x.whl') }), {
    code: 'RUNTIME_MISSING',
  })
  await assert.rejects(addRuntime('litert', { progress, from: join(folder, 'none.whl') }), {
    code: 'RUNTIME_MISSING',
  })
  await assert.rejects(addRuntime('tensorrt', { progress }), { code: 'USAGE' })
  await assert.rejects(addRuntime('tflite', { progress, architectures: ['x86_64'] }), { code: 'USAGE' })
})

test('a cached library that is cut or changed is not used', (t) => {
  surroundings(t)
  const pin = litert.pins[1]!
  assert.throws(() => litertBuild({ architecture: 'x86_64' }), {
    code: 'RUNTIME_MISSING',
    hint: 'Run: edgewright runtimes add litert',
  })
  const path = storeLibrary(litert, pin, new Uint8Array(pin.library.bytes))
  assert.equal(path, cachedLibraryPath(litert, pin))
  assert.deepEqual(readdirSync(dirname(path)), ['libLiteRt.so'], 'no partial file is left')
  assert.throws(() => litertBuild({ architecture: 'x86_64' }), { code: 'RUNTIME_MISSING' })
  assert.equal(
    listRuntimes().every((state) => state.path === null),
    true,
  )
})

test('what no build fits is refused with what it would need', () => {
  assert.throws(() => litertBuild({ architecture: 'armv7l' }), { code: 'DEVICE_UNSUPPORTED' })
  assert.throws(
    () => litertBuild({ architecture: 'aarch64', glibc: '2.28' }),
    (error: EdgewrightError) => error.code === 'DEVICE_UNSUPPORTED' && /glibc 2\.30/.test(error.message),
  )
  assert.throws(() => litertBuild({ architecture: 'x86_64', tfliteApi: true }), { code: 'RUNTIME_MISSING' })
})

test('the manifest’s need is known without a download', () => {
  const need = litertNeed()
  assert.deepEqual([need.name, need.version, need.library], ['litert', '2.3.0', 'libLiteRt.so'])
  assert.deepEqual(
    need.builds.map(({ architecture, glibc }) => [architecture, glibc]),
    [
      ['aarch64', '2.34'],
      ['x86_64', '2.27'],
    ],
  )
})

const fetched = listRuntimes().filter(({ path }) => path !== null)

test('fetched libraries need the glibc that is stated for them, and are what is pinned', {
  skip: fetched.length === 0 && 'nothing fetched: edgewright runtimes add litert',
}, () => {
  for (const { path, glibc, sha256: expected, architecture } of fetched) {
    const content = readFileSync(path!)
    const { versions, machine } = readElfNeeds(content)
    assert.equal(sha256(content), expected)
    assert.equal(machine, architecture === 'aarch64' ? 183 : 62)
    const highest = Math.max(
      ...[...versions.values()]
        .flat()
        .filter((name) => name.startsWith('GLIBC_2'))
        .map(glibcNumber),
    )
    assert.equal(`2.${highest - 2000}`, glibc)
  }
})

test('a board gets the newest library that its glibc loads', {
  skip: fetched.length < 3 && 'fetch both: edgewright runtimes add litert; edgewright runtimes add tflite',
}, () => {
  const name = (glibc: string, tfliteApi = false): string =>
    litertBuild({ architecture: 'aarch64', glibc, tfliteApi }).name
  assert.deepEqual(
    [name('2.36'), name('2.34'), name('2.31'), name('2.30'), name('2.36', true)],
    ['litert', 'litert', 'tflite', 'tflite', 'tflite'],
  )
  assert.equal(litertBuild({ architecture: 'x86_64', glibc: '2.27' }).name, 'litert')
})
