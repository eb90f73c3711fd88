import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { onnxRuntimeBuild, onnxRuntimeBuilds } from '../../src/artifact/runtimes.ts'
import { collect } from '../../src/measure/collect.ts'
import { encodePlan } from '../../src/measure/encode-plan.ts'
import { parseEvents } from '../../src/measure/events.ts'
import { prebuiltRunner } from '../../src/measure/prebuilt-runner.ts'
import { labMissing } from '../lab/requirements.ts'
import { userland } from '../lab/rootfs.ts'
import { glibcNumber, readElfNeeds } from './elf-needs.ts'
import { plan } from './run-runner.ts'
import { reluModel } from './tiny-model.ts'

const machines = { aarch64: 183, x86_64: 62 } as const

for (const architecture of ['aarch64', 'x86_64'] as const) {
  test(`the runner for ${architecture} needs nothing but glibc 2.17, well below 2.27`, () => {
    const { libraries, versions, machine } = readElfNeeds(readFileSync(prebuiltRunner(architecture).path))
    assert.equal(machine, machines[architecture])
    assert.deepEqual(
      libraries.filter(
        (library) => !/^(libc\.so\.6|libdl\.so\.2|libpthread\.so\.0|ld-linux.*)$/.test(library),
      ),
      [],
    )
    // Named though a new glibc holds both in libc: glibc before 2.34 looks dlopen and pthread_create up there.
    assert.ok(libraries.includes('libdl.so.2') && libraries.includes('libpthread.so.0'))
    const needed = [...versions.values()].flat()
    assert.ok(needed.length > 0)
    assert.deepEqual(
      needed.filter((version) => glibcNumber(version) > 2017),
      [],
    )
  })
}

test('the runtime’s builds need the glibc that is stated for them', () => {
  for (const build of onnxRuntimeBuilds()) {
    const { versions, machine } = readElfNeeds(readFileSync(build.path))
    assert.equal(machine, machines[build.architecture])
    const highest = Math.max(
      ...[...versions.values()]
        .flat()
        .filter((name) => name.startsWith('GLIBC_2'))
        .map(glibcNumber),
    )
    assert.equal(`2.${highest - 2000}`, build.glibc)
  }
})

test('the arm64 runner runs a model on Debian 11 (glibc 2.31)', {
  skip: labMissing(),
  timeout: 300_000,
}, async (t) => {
  // A copy: the cached userland is shared with other tests.
  const root = mkdtempSync(join(tmpdir(), 'edgewright-bullseye-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const source = await userland('bullseye')
  for (const folder of ['lib', 'usr/lib/aarch64-linux-gnu', 'etc'])
    cpSync(join(source, folder), join(root, folder), { recursive: true, verbatimSymlinks: true })
  copyFileSync('/usr/bin/qemu-aarch64-static', join(root, 'qemu'))
  copyFileSync(prebuiltRunner('aarch64').path, join(root, 'runner'))
  copyFileSync(onnxRuntimeBuild('aarch64')!.path, join(root, 'libonnxruntime.so.1'))
  writeFileSync(join(root, 'relu.onnx'), reluModel([1, 3]))
  writeFileSync(join(root, 'x'), Float32Array.of(-1, 2, -3))
  writeFileSync(join(root, 'temp'), '51000\n')
  // a command's input
  mkdirSync(join(root, 'dev'))
  writeFileSync(join(root, 'dev/null'), '')
  const artifact = {
    id: 'a',
    backend: 'onnxruntime',
    library: '/libonnxruntime.so.1',
    model: '/relu.onnx',
    threads: 1,
    affinity: [],
    profile: false,
    inputs: [],
    seed: 1,
  } as const
  writeFileSync(
    join(root, 'plan.json'),
    encodePlan(
      plan(
        [artifact],
        [
          { do: 'infer', artifact: 'a', inputs: ['/x'], outputs: ['/y'], count: 1 },
          {
            do: 'measure',
            artifact: 'a',
            rateHz: 0,
            minCount: 5,
            minSeconds: 0.1,
            maxCount: 1000,
            maxSeconds: 5,
            meters: true,
          },
        ],
        {
          sensors: [{ name: 'temperatureMilliC', path: '/temp' }],
          sensorPeriodMs: 10,
          meters: [
            { name: 'file', paths: ['/temp'], periodMs: 5 },
            // every program but the runner lacks its interpreter here
            { name: 'command', paths: [], command: ['/qemu', '/runner', '--version'], periodMs: 50 },
          ],
        },
      ),
    ),
  )
  const { status, stderr } = spawnSync('chroot', [root, '/qemu', '/runner', '/plan.json', '/events.jsonl'], {
    timeout: 120_000,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  const collected = collect(parseEvents(readFileSync(join(root, 'events.jsonl'))))
  assert.equal(collected.end.state, 'complete')
  assert.ok(collected.artifacts.get('a')!.latencyNs.length >= 5)
  assert.ok(collected.sensors.length > 0, 'the sensor thread starts on old glibc')
  assert.deepEqual(collected.meters.find(({ name }) => name === 'file')?.values, [51000])
  const said = collected.meters.find(({ name }) => name === 'command')
  assert.match(said?.text ?? '', /^edgewright-runner \d/, 'a command can be run on old glibc')
  assert.deepEqual([...readFileSync(join(root, 'y'))], [...Buffer.from(Float32Array.of(0, 2, 0).buffer)])
})
