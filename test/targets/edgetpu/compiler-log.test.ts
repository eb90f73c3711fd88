import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCompilerLog } from '../../../targets/edgetpu/compiler-log.ts'

const MiB = 2 ** 20

const partly = `Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 3557 ms.

Input model: /tmp/in put/detector.tflite
Input size: 4.37MiB
Output model: detector_edgetpu.tflite
Output size: 5.58MiB
On-chip memory used for caching model parameters: 4.21MiB
On-chip memory remaining for caching model parameters: 3.29MiB
Off-chip memory used for streaming uncached model parameters: 512.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 267
Operation log: detector_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will instead run on the CPU, which is slower.
Number of operations that will run on Edge TPU: 264
Number of operations that will run on CPU: 3

Operator                       Count      Status

CONV_2D                        115        Mapped to Edge TPU
DEPTHWISE_CONV_2D              149        Mapped to Edge TPU
CUSTOM                         1          Operation is working on an unsupported data type
DEQUANTIZE                     2          Operation is working on an unsupported data type
Compilation child process completed within timeout period.
Compilation succeeded!
`

test('every line of a compilation that left operators on the CPU is read', () => {
  const report = parseCompilerLog(partly)
  assert.equal(report.outcome, 'compiled')
  assert.equal(report.version, '16.0.384591198')
  assert.equal(report.timeMs, 3557)
  assert.equal(report.inputModel, '/tmp/in put/detector.tflite')
  assert.equal(report.outputModel, 'detector_edgetpu.tflite')
  assert.equal(report.logFile, 'detector_edgetpu.log')
  assert.deepEqual(report.sizes, {
    inputBytes: Math.round(4.37 * MiB),
    outputBytes: Math.round(5.58 * MiB),
    cachedBytes: Math.round(4.21 * MiB),
    cacheLeftBytes: Math.round(3.29 * MiB),
    streamedBytes: 512,
  })
  assert.deepEqual([report.subgraphs, report.operators, report.onEdgeTpu, report.onCpu], [1, 267, 264, 3])
  assert.deepEqual(report.rows[2], {
    type: 'CUSTOM',
    count: 1,
    status: 'Operation is working on an unsupported data type',
  })
  assert.equal(report.rows.length, 4)
  assert.deepEqual(report.errors, [])
})

test('a fully mapped network, with the short form of an old compiler', () => {
  const report = parseCompilerLog(`Edge TPU Compiler version 2.0.267685300
Input: mobilenet.tflite
Output: mobilenet_edgetpu.tflite

Operator                       Count      Status

CONV_2D                        15         Mapped to Edge TPU
SOFTMAX                        1          Mapped to Edge TPU
`)
  assert.equal(report.version, '2.0.267685300')
  assert.equal(report.inputModel, 'mobilenet.tflite')
  assert.deepEqual([report.operators, report.onEdgeTpu, report.onCpu], [16, 16, 0])
  assert.equal(report.sizes.cachedBytes, null)
})

test('a failed compilation keeps the compiler’s words', () => {
  const dynamic = parseCompilerLog(`Edge TPU Compiler version 16.0.384591198
ERROR: Attempting to use a delegate that only supports static-sized tensors with a graph that has dynamic-sized tensors.
Compilation failed: Model failed in Tflite interpreter. Please ensure model can be loaded/run in Tflite interpreter.
Compilation child process completed within timeout period.
Compilation failed! `)
  assert.equal(dynamic.outcome, 'failed')
  assert.equal(dynamic.errors.length, 2)
  assert.match(dynamic.errors[0]!, /static-sized/)
  const internal = parseCompilerLog(
    'Edge TPU Compiler version 14.1.317412892\nInternal compiler error. Aborting! \n',
  )
  assert.equal(internal.outcome, 'failed')
  assert.deepEqual(internal.errors, ['Internal compiler error. Aborting!'])
})

test('text that is no log of the compiler is unclear, and gives no figures', () => {
  const report = parseCompilerLog('bash: edgetpu_compiler: command not found\n')
  assert.equal(report.outcome, 'unclear')
  assert.equal(report.version, null)
  assert.equal(report.operators, null)
  assert.deepEqual(report.rows, [])
})

test('a hostile log takes bounded time and memory', () => {
  const started = performance.now()
  const spaces = `CONV_2D${' '.repeat(300_000)}1${' '.repeat(300_000)}x\n`
  const rows = 'CONV_2D  999999999  Mapped to Edge TPU\n'.repeat(200_000)
  const sizes = `Input size: ${'9'.repeat(100_000)}MiB\nTotal number of operations: ${'9'.repeat(5000)}\n`
  for (const text of [
    spaces.repeat(3),
    rows,
    sizes,
    '\u0000'.repeat(5_000_000),
    'ERROR: x\n'.repeat(500_000),
  ]) {
    const report = parseCompilerLog(text)
    assert.ok(report.rows.length <= 4096)
    assert.ok(report.errors.length <= 32)
    assert.equal(report.sizes.inputBytes, null)
  }
  assert.ok(performance.now() - started < 5000)
})
