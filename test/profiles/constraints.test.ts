import assert from 'node:assert/strict'
import test from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { chooseTarget, refuseTargetOnSystem } from '../../src/profiles/choose-target.ts'
import { compileConstraints } from '../../src/profiles/constraints.ts'
import { loadProfile } from '../../src/profiles/load.ts'
import { matchProfile } from '../../src/profiles/match.ts'
import { resolveProfile, withFacts } from '../../src/profiles/resolve.ts'
import { boardFacts } from './board-facts.ts'

const built = ['onnxruntime']

test('the GPU of a Jetson Nano refuses int8, its CPU does not', () => {
  const nano = loadProfile('jetson-nano')
  assert.equal(compileConstraints(nano, 'tensorrt').int8Allowed, false)
  assert.match(
    compileConstraints(nano, 'tensorrt')
      .notes.map(({ sentence }) => sentence)
      .join(' '),
    /float16/,
  )
  assert.equal(compileConstraints(nano, 'onnxruntime').int8Allowed, true)
})

test('cores without dot product are told that int8 may lose; cores with it are not', () => {
  for (const id of ['raspberry-pi-zero-2-w', 'raspberry-pi-4b', 'jetson-xavier-nx', 'generic-arm64']) {
    const { int8MayLose, notes } = compileConstraints(loadProfile(id), 'onnxruntime')
    assert.equal(int8MayLose, true, id)
    assert.ok(
      notes.some((note) => note.id === 'no-dot-product'),
      id,
    )
  }
  for (const id of ['raspberry-pi-5', 'jetson-agx-orin', 'imx93'])
    assert.equal(compileConstraints(loadProfile(id), 'onnxruntime').int8MayLose, false, id)
})

test('what the board says of its CPU overrules what its name suggests', () => {
  const facts = boardFacts({ cpuFeatures: ['fp', 'asimd', 'asimddp'] })
  const { notes, int8MayLose } = compileConstraints(
    withFacts(loadProfile('generic-arm64'), facts),
    'onnxruntime',
  )
  assert.deepEqual(
    notes.map(({ id }) => id),
    ['dot-product'],
  )
  assert.equal(int8MayLose, false)
})

test('an x86 computer without VNNI is told that 8-bit products saturate', () => {
  const ids = (cpuFeatures: string[]) =>
    compileConstraints(
      withFacts(loadProfile('generic-x64'), boardFacts({ architecture: 'x86_64', cpuFeatures })),
      'onnxruntime',
    ).notes.map(({ id }) => id)
  assert.deepEqual(ids(['avx2']), ['no-vnni'])
  assert.deepEqual(ids(['avx2', 'avx_vnni']), [])
  assert.deepEqual(ids(['avx2', 'avx512_vnni']), ['vnni'])
})

test('a board of 512 MB limits what a model may take', () => {
  assert.equal(
    compileConstraints(loadProfile('raspberry-pi-zero-2-w'), 'onnxruntime').memoryLimitBytes,
    256 * 2 ** 20,
  )
  assert.equal(compileConstraints(loadProfile('raspberry-pi-5'), 'onnxruntime').memoryLimitBytes, null)
})

test('the narrowest of several constraints wins, and only those of the target count', () => {
  const board = loadProfile('raspberry-pi-5')
  const own = { sentence: 'Takes one scale only.', basis: 'assumed' as const, source: ['LLVM'] }
  const profile = {
    ...board,
    constraints: [
      { ...own, id: 'a', effect: { weights: 'per-tensor' as const, memoryLimitMiB: 64 } },
      { ...own, id: 'b', effect: { memoryLimitMiB: 32, perChannelOperators: ['Conv', 'Gemm'] } },
      { ...own, id: 'c', effect: { perChannelOperators: ['Conv'] } },
      { ...own, id: 'd', targets: ['litert'], effect: { int8: 'refuse' as const } },
    ],
  }
  const folded = compileConstraints(profile, 'onnxruntime')
  assert.equal(folded.perChannelAllowed, false)
  assert.equal(folded.memoryLimitBytes, 32 * 2 ** 20)
  assert.deepEqual(folded.perChannelOperators, ['Conv'])
  assert.equal(folded.int8Allowed, true)
  assert.equal(compileConstraints(profile, 'litert').int8Allowed, false)
})

test('the Ethos-U65 of an i.MX 93 takes per-channel weights on convolutions only', () => {
  assert.deepEqual(compileConstraints(loadProfile('imx93'), 'ethos-u').perChannelOperators, [
    'Conv',
    'DepthwiseConv',
    'ConvTranspose',
  ])
  assert.equal(compileConstraints(loadProfile('imx93'), 'onnxruntime').perChannelOperators, null)
})

test('the best target is taken in silence where it is built', () => {
  assert.deepEqual(chooseTarget(loadProfile('raspberry-pi-5'), built), {
    target: 'onnxruntime',
    warnings: [],
  })
})

test('a best target that is not built yet is named loudly with its fallback', () => {
  for (const [spec, best] of [
    ['jetson-orin-nano', 'tensorrt'],
    ['coral-dev-board', 'edgetpu'],
    ['rk3588', 'rknn'],
    ['raspberry-pi-5+coral-usb', 'edgetpu'],
  ] as const) {
    const { target, warnings } = chooseTarget(resolveProfile(spec), built)
    assert.equal(target, 'onnxruntime')
    assert.equal(warnings[0]?.code, 'TARGET_FALLBACK')
    assert.match(warnings[0]?.message ?? '', new RegExp(`is ${best}.*not built.*onnxruntime is used`))
  }
})

function refusal(action: () => unknown): EdgewrightError {
  try {
    action()
  } catch (error) {
    if (error instanceof EdgewrightError) return error
    throw error
  }
  throw new assert.AssertionError({ message: 'nothing was refused' })
}

test('JetPack 4, whose glibc is older than ONNX Runtime’s, is refused with both versions', () => {
  const error = refusal(() => chooseTarget(loadProfile('jetson-nano'), built))
  assert.equal(error.code, 'DEVICE_UNSUPPORTED')
  assert.match(error.saw ?? '', /2\.27.*2\.28/)
  const seen = boardFacts({ compatible: ['nvidia,p3450-0000'], libc: { name: 'glibc', version: '2.27' } })
  assert.match(refusal(() => chooseTarget(matchProfile(seen)[0]!.profile, built, seen)).saw ?? '', /2\.27/)
})

test('a target named by the user is refused on an old system just so', () => {
  const nano = loadProfile('jetson-nano')
  const old = boardFacts({ libc: { name: 'glibc', version: '2.27' } })
  assert.match(refusal(() => refuseTargetOnSystem(nano, 'onnxruntime', old)).saw ?? '', /2\.27.*2\.28/)
  assert.doesNotThrow(() => refuseTargetOnSystem(nano, 'onnxruntime', boardFacts()))
  assert.match(
    refusal(() => refuseTargetOnSystem(nano, 'onnxruntime', boardFacts({ userlandBits: 32 }))).saw ?? '',
    /32-bit/,
  )
})

test('the same Nano with a newer system is served, because the board is believed over its profile', () => {
  const facts = boardFacts({ compatible: ['nvidia,p3450-0000'], libc: { name: 'glibc', version: '2.31' } })
  assert.equal(chooseTarget(loadProfile('jetson-nano'), built, facts).target, 'onnxruntime')
})

test('a 32-bit userland on a 64-bit kernel, musl, and 32-bit Arm are refused by name with what to do', () => {
  const pi = loadProfile('raspberry-pi-4b')
  const narrow = refusal(() => chooseTarget(pi, built, boardFacts({ userlandBits: 32 })))
  assert.equal(narrow.code, 'DEVICE_UNSUPPORTED')
  assert.match(narrow.saw ?? '', /32-bit userland on a 64-bit kernel/)
  assert.match(narrow.hint ?? '', /64-bit image/)
  assert.match(
    refusal(() => chooseTarget(pi, built, boardFacts({ libc: { name: 'musl', version: '1.2.4' } }))).saw ??
      '',
    /musl 1\.2\.4/,
  )
  assert.match(
    refusal(() => chooseTarget(pi, built, boardFacts({ architecture: 'riscv64' }))).saw ?? '',
    /riscv64/,
  )
})

test('glibc 2.100 is newer than 2.28', () => {
  const facts = boardFacts({ libc: { name: 'glibc', version: '2.100' } })
  assert.equal(chooseTarget(loadProfile('raspberry-pi-4b'), built, facts).target, 'onnxruntime')
})

test('a board none of whose targets is built says which it has', () => {
  const error = refusal(() => chooseTarget(loadProfile('raspberry-pi-5'), []))
  assert.equal(error.code, 'TARGET_CANNOT_RUN')
  assert.match(error.saw ?? '', /onnxruntime, litert/)
})
