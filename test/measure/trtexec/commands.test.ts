import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  buildCommand,
  chooseTyping,
  type EngineBuild,
  profileCommand,
  runCommand,
  type Trtexec,
} from '../../../src/measure/trtexec/commands.ts'
import { optionTable } from '../../../src/measure/trtexec/options.ts'
import type { TensorRtVersion } from '../../../src/measure/trtexec/version.ts'

const v = (major: number, minor: number): TensorRtVersion => ({ major, minor, patch: 0 })
const trtexec = (major: number, minor: number, options: readonly string[] | null = null): Trtexec => ({
  path: '/usr/src/tensorrt/bin/trtexec',
  version: v(major, minor),
  options: options && new Set(options),
})
const both = { weak: { model: 'f32', allow: ['int8', 'fp16'] as const }, strong: { model: 'typed' } }

describe('the command line of trtexec by version', () => {
  const build: EngineBuild = {
    model: '/m.onnx',
    engine: '/e',
    timingCache: '/t',
    typing: { kind: 'weak', allow: ['int8', 'fp16'] },
    dla: null,
    workspaceMiB: 512,
    sparseTensorCores: false,
  }
  for (const [major, minor, words] of [
    [8, 0, ['--buildOnly', '--workspace=512', '--int8', '--fp16']],
    [8, 2, ['--buildOnly', '--workspace=512', '--int8', '--fp16', '--profilingVerbosity=detailed']],
    [8, 5, ['--buildOnly', '--memPoolSize=workspace:512', '--int8', '--fp16']],
    [8, 6, ['--skipInference', '--memPoolSize=workspace:512', '--int8', '--fp16']],
    [10, 3, ['--skipInference', '--memPoolSize=workspace:512', '--int8', '--fp16']],
  ] as const)
    test(`${major}.${minor} builds int8 with ${words.join(' ')}`, () => {
      const command = buildCommand(trtexec(major, minor), build)
      assert.deepEqual(command.slice(0, 4), [
        '/usr/src/tensorrt/bin/trtexec',
        '--onnx=/m.onnx',
        '--saveEngine=/e',
        '--timingCacheFile=/t',
      ])
      for (const word of words) assert.ok(command.includes(word), `${word} in ${command.join(' ')}`)
      const other = words.includes('--buildOnly' as never) ? '--skipInference' : '--buildOnly'
      assert.ok(!command.includes(other))
    })

  test('weights in 2:4 are looked for where the GPU has sparse tensor cores, and nowhere are they made so', () => {
    for (const minor of [0, 5] as const) {
      assert.ok(!buildCommand(trtexec(8, minor), build).some((word) => word.startsWith('--sparsity')))
      const orin = buildCommand(trtexec(8, minor), { ...build, sparseTensorCores: true })
      assert.ok(orin.includes('--sparsity=enable'))
    }
    const deaf = trtexec(
      10,
      3,
      ['onnx', 'saveEngine', 'skipInference', 'memPoolSize', 'int8', 'fp16'].map((name) => `--${name}`),
    )
    assert.ok(
      !buildCommand(deaf, { ...build, sparseTensorCores: true }).some((word) =>
        word.startsWith('--sparsity'),
      ),
    )
  })

  test('10.12 is asked for strong typing, 11 has nothing else and knows no flag for it', () => {
    const strong = { ...build, typing: { kind: 'strong' } as const }
    assert.ok(buildCommand(trtexec(10, 12), strong).includes('--stronglyTyped'))
    const eleven = buildCommand(trtexec(11, 0), strong)
    for (const word of eleven) assert.doesNotMatch(word, /^--(stronglyTyped|int8|fp16|best)$/)
    assert.throws(() => buildCommand(trtexec(11, 0), build), {
      code: 'ENGINE_FAILED',
      message: /int8 by a flag/,
    })
    assert.throws(() => buildCommand(trtexec(8, 5), strong), { code: 'ENGINE_FAILED' })
  })

  test('a DLA is named, and whether the GPU may help', () => {
    const command = buildCommand(trtexec(8, 5), { ...build, dla: { core: 1, allowGpuFallback: true } })
    assert.ok(command.includes('--useDLACore=1') && command.includes('--allowGPUFallback'))
    const alone = buildCommand(trtexec(8, 5), { ...build, dla: { core: 0, allowGpuFallback: false } })
    assert.ok(alone.includes('--useDLACore=0') && !alone.includes('--allowGPUFallback'))
  })

  const run = {
    engine: '/e',
    dla: null,
    warmUpMs: 500.4,
    seconds: 0.2,
    iterations: 10,
    transfers: true,
    cudaGraph: true,
    times: '/x.json',
  }
  test('transfers, graphs and waiting are the same in every version, whatever its defaults are', () => {
    const said = (major: number, minor: number, transfers: boolean, cudaGraph: boolean) =>
      runCommand(trtexec(major, minor), { ...run, transfers, cudaGraph }).filter((word) =>
        /Transfers|Graph|Wait/.test(word),
      )
    for (const [major, minor] of [
      [8, 2],
      [10, 3],
    ] as const) {
      assert.deepEqual(said(major, minor, true, true), ['--useCudaGraph', '--useSpinWait'])
      assert.deepEqual(said(major, minor, false, false), ['--noDataTransfers', '--useSpinWait'])
    }
    assert.deepEqual(said(11, 0, true, true), ['--includeDataTransfers', '--useCudaGraph', '--useSpinWait'])
    assert.deepEqual(said(11, 0, false, false), ['--noDataTransfers', '--noCudaGraph', '--useSpinWait'])
  })

  test('durations are whole seconds, at least one', () => {
    const command = runCommand(trtexec(8, 5), run)
    assert.ok(command.includes('--duration=1') && command.includes('--warmUp=500'), command.join(' '))
    assert.ok(profileCommand(trtexec(8, 5), { ...run, profile: '/p' }).includes('--exportProfile=/p'))
  })

  test('what a program does not list in its own help is left out where it may be, and an error where not', () => {
    const needed = ['--onnx', '--saveEngine', '--skipInference', '--int8', '--fp16', '--memPoolSize']
    const command = buildCommand(trtexec(10, 3, needed), build)
    assert.ok(
      !command.some(
        (word) => word.startsWith('--timingCacheFile') || word.startsWith('--profilingVerbosity'),
      ),
    )
    assert.throws(() => buildCommand(trtexec(10, 3, needed.slice(0, 3)), build), {
      code: 'ENGINE_FAILED',
      message: /does not know --int8/,
    })
  })

  test('a path with a dollar sign stays as it is', () => {
    assert.ok(buildCommand(trtexec(10, 3), { ...build, model: "/$&/$'.onnx" }).includes("--onnx=/$&/$'.onnx"))
  })

  test('every wish has one row, and no more, in each release that Jetsons have', () => {
    const wishes = new Set(optionTable.map(({ wish }) => wish))
    for (const version of [
      v(8, 0),
      v(8, 2),
      v(8, 4),
      v(8, 5),
      v(8, 6),
      v(10, 3),
      v(10, 7),
      v(10, 13),
      v(11, 0),
      v(11, 4),
    ])
      for (const wish of wishes) {
        const rows = optionTable.filter(
          (row) =>
            row.wish === wish &&
            version.major * 100 + version.minor >= row.since[0] * 100 + row.since[1] &&
            (!row.until || version.major * 100 + version.minor <= row.until[0] * 100 + row.until[1]),
        )
        assert.ok(rows.length <= 1, `${wish} in ${version.major}.${version.minor}`)
      }
  })
})

describe('which file a version builds from', () => {
  for (const [major, minor, model, kind] of [
    [8, 5, 'f32', 'weak'],
    [10, 3, 'f32', 'weak'],
    [10, 12, 'typed', 'strong'],
    [11, 0, 'typed', 'strong'],
  ] as const)
    test(`${major}.${minor}: the ${kind} one`, () => {
      const chosen = chooseTyping(v(major, minor), both)
      assert.deepEqual([chosen.model, chosen.typing.kind], [model, kind])
    })

  test('a float32 file that leaves float16 to the builder is refused by 11, one that leaves nothing is not', () => {
    assert.throws(() => chooseTyping(v(11, 0), { weak: both.weak, strong: null }), { code: 'ENGINE_FAILED' })
    assert.equal(chooseTyping(v(10, 13), { weak: both.weak, strong: null }).typing.kind, 'weak')
    assert.equal(
      chooseTyping(v(11, 0), { weak: { model: 'f32', allow: [] }, strong: null }).typing.kind,
      'strong',
    )
    assert.throws(() => chooseTyping(v(8, 5), { weak: null, strong: both.strong }), { code: 'ENGINE_FAILED' })
    assert.equal(chooseTyping(v(10, 0), { weak: null, strong: both.strong }).model, 'typed')
  })
})
