import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { engineFailed, failureOf, isStale } from '../../../src/measure/trtexec/failures.ts'
import { createLogReader } from '../../../src/measure/trtexec/log.ts'
import { parsePowerQuery } from '../../../src/measure/trtexec/power-mode.ts'
import { parseMarker } from '../../../src/run/tensorrt/markers.ts'

const e = (text: string) => `[11/23/2026-03:28:08] [E] ${text}`
const w = (text: string) => `[11/23/2026-03:28:08] [W] ${text}`

describe('why trtexec ended', () => {
  for (const [kind, log, exitCode, sentence] of [
    [
      'node',
      e(
        '[TRT] ModelImporter.cpp:726: While parsing node number 7 [LayerNormalization -> "/layer_norm1/out"]:',
      ),
      1,
      /LayerNormalization "\/layer_norm1\/out"/,
    ],
    [
      'node',
      e('In node 3 with name: /a/Foo and operator: Foo (checkFallbackPluginImporter): INVALID_NODE: x'),
      1,
      /Foo "\/a\/Foo"/,
    ],
    [
      'out-of-memory',
      e(
        'Error[2]: [virtualMemoryBuffer.cpp::resizePhysical::154] Error Code 2: OutOfMemory (Requested size was 3356491776 bytes.)',
      ),
      1,
      /too little memory/,
    ],
    [
      'out-of-memory',
      "terminate called after throwing an instance of 'std::bad_alloc'",
      134,
      /too little memory/,
    ],
    ['killed', w('Requested amount of GPU memory (4294967296 bytes) could not be allocated.'), 137, /killed/],
    ['killed', '', null, /killed/],
    [
      'version-mismatch',
      e(
        '[TRT] 6: The engine plan file is not compatible with this version of TensorRT, expecting library version 8.2.3 got 8.2.1, please rebuild.',
      ),
      1,
      /another version/,
    ],
    [
      'version-mismatch',
      e(
        '[TRT] 1: [stdArchiveReader.cpp::StdArchiveReader::40] Error Code 1: Serialization (Serialization assertion stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: 213, Serialized Engine Version: 205)',
      ),
      1,
      /another version/,
    ],
    [
      'gpu-mismatch',
      e(
        '[TRT] 6: The engine plan file is generated on an incompatible device, expecting compute 8.7 got compute 7.2, please rebuild.',
      ),
      1,
      /another GPU/,
    ],
    [
      'int8-unsupported',
      e(
        'Error[9]: [standardEngineBuilder.cpp::buildEngine::2072] Error Code 9: Internal Error (Networks with QuantizeLayer/DequantizeLayer layers require hardware with Int8 support.)',
      ),
      1,
      /int8/,
    ],
    ['int8-unsupported', e("Platform doesn't support INT8"), 1, /int8/],
    ['dla-missing', e('Cannot create DLA engine, 0 not available'), 1, /DLA/],
    [
      'dla-missing',
      e(
        '[TRT] 3: [builderConfig.cpp::canRunOnDLA::382] Error Code 3: API Usage Error (Parameter check failed at: optimizer/api/builderConfig.cpp::canRunOnDLA::382, condition: dlaEngineCount > 0',
      ),
      1,
      /DLA/,
    ],
    ['no-space', e('Saving engine to file failed.'), 1, /disk/],
    [
      'library',
      'trtexec: error while loading shared libraries: libcudart.so.12: cannot open shared object file',
      127,
      /libcudart\.so\.12/,
    ],
    ['option', e('Unknown option: --int8 '), 1, /--int8/],
    ['cuda', 'Cuda failure: no CUDA-capable device is detected', 134, /CUDA failed/],
    ['unknown', e('Something else'), 1, /failed/],
  ] as const)
    test(`${kind}: ${log.slice(25, 100) || 'no word'}`, () => {
      const failure = failureOf(
        `&&&& RUNNING TensorRT.trtexec\n${log}\n&&&& FAILED TensorRT.trtexec`,
        exitCode,
      )
      assert.equal(failure.kind, kind)
      assert.match(failure.sentence, sentence)
      assert.ok(failure.hint.length > 0)
      assert.doesNotMatch(failure.saw, /\d\d:\d\d:\d\d/)
    })

  test('memory that a tactic did not get is no reason where the parser failed', () => {
    const log = `${w('Skipping tactic 3 due to insufficient memory on requested size')}\n${e('In node 3 with name: /a and operator: Foo (x): y')}`
    assert.equal(failureOf(log, 1).kind, 'node')
  })

  test('only engines of another version, another GPU or damaged ones are worth building again', () => {
    assert.equal(isStale(failureOf(e('Engine deserialization failed'), 1)), true)
    assert.equal(isStale(failureOf(e('Cuda failure: x'), 1)), false)
  })

  test('names out of a hostile log are printable and bounded in the message', () => {
    const log = e(
      `In node 1 with name: \u001b]0;own\u0007${'A'.repeat(5000)}\u202e and operator: $(reboot) (x): no`,
    )
    const { message, saw } = engineFailed(failureOf(log, 1), 'pi@board', 'The engine was not built')
    assert.doesNotMatch(`${message}${saw}`, /[\u0000-\u001f\u202e]/)
    assert.ok(message.length < 400 && saw!.length < 400)
  })
})

describe('a log as it grows', () => {
  const bytes = (text: string) => new TextEncoder().encode(text)

  test('steps are told in order, lines may come in any pieces', () => {
    const steps: (string | null)[] = []
    const log = createLogReader(() => steps.push(log.step))
    const text =
      '[I] Start parsing network model.\n[I] Finished parsing network model. Parse time: 0.1\n[I] Engine built in 12 sec.\n[I] Starting inference\n&&&& PASSED TensorRT.trtexec [TensorRT v8502] # x\n'
    for (const part of text.match(/[\s\S]{1,7}/g)!) log.push(bytes(part))
    assert.deepEqual(steps, ['parsing', 'building', 'serializing', 'warming up', 'done'])
  })

  test('a line without an end and gigabytes of noise are held in little memory', () => {
    const log = createLogReader()
    const megabyte = bytes('x'.repeat(1 << 20))
    for (let i = 0; i < 32; i++) log.push(megabyte)
    log.push(bytes('\n'))
    const lines = bytes(`${'[I] noise\n'.repeat(10_000)}`)
    for (let i = 0; i < 100; i++) log.push(lines)
    assert.ok(log.text().length < 1 << 20, String(log.text().length))
  })

  test('an error is kept however much follows it', () => {
    const log = createLogReader()
    log.push(bytes('[11/23/2026-03:28:08] [E] In node 3 with name: /a and operator: Foo (x): y\n'))
    for (let i = 0; i < 100; i++) log.push(bytes('[I] noise\n'.repeat(10_000)))
    assert.equal(failureOf(log.text(), 1).kind, 'node')
  })

  test('each warning is told once', () => {
    const log = createLogReader()
    for (let i = 0; i < 3; i++)
      log.push(
        bytes(
          "[11/23/2026-03:28:08] [W] [TRT] Layer 'pool' (POOLING): Unsupported on DLA. Switching this layer's device type to GPU.\n[W] * Throughput may be bound by Enqueue Time rather than GPU Compute and the GPU may be under-utilized.\n",
        ),
      )
    assert.deepEqual(
      log.warnings().map(({ code }) => code),
      ['DLA_FALLBACK', 'ENQUEUE_BOUND'],
    )
    assert.match(log.warnings()[0]!.message, /pool/)
  })

  test('markers are ours alone: whole lines of bounded numbers', () => {
    assert.deepEqual(parseMarker('edgewright: begin 3 1 12345.67'), {
      kind: 'begin',
      turn: 3,
      engine: 1,
      uptimeNs: 12345.67 * 1e9,
    })
    assert.deepEqual(parseMarker('edgewright: sensor gpu-thermal 1.00 48350'), {
      kind: 'sensor',
      name: 'gpu-thermal',
      uptimeNs: 1e9,
      value: 48350,
    })
    for (const line of [
      'x edgewright: begin 3 1 1.0',
      'edgewright: begin 3 1 NaN',
      'edgewright: begin 999999999 1 1.0',
      'edgewright: sensor a 1.0 1e99',
      '',
    ])
      assert.equal(parseMarker(line), null, line)
  })
})

test('the power mode in force is read from what nvpmodel prints', () => {
  assert.deepEqual(parsePowerQuery('NV Power Mode: MAXN\n0\n'), { id: 0, name: 'MAXN' })
  const verbose = 'NVPM VERB: Config file: x\nNVPM VERB: Current mode: NV Power Mode: 25W\n1\n'
  assert.deepEqual(parsePowerQuery(verbose), { id: 1, name: '25W' })
  assert.equal(parsePowerQuery('NVPM ERROR: no'), null)
})
