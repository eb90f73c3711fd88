import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { isEdgeTpuModel } from '../../../targets/edgetpu/compiler.ts'
import { estimateMemory } from '../../../targets/edgetpu/memory.ts'
import { predict, statusTable } from '../../../targets/edgetpu/predict.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'

interface Pair {
  source: string
  edgetpu: string
  source_ops: Record<string, number>
  mapped_ops: Record<string, number>
  cpu_ops_after_compile: Record<string, number>
  custom_op_io: { inputs: string[]; outputs: string[] }[]
  cpu_detail: { op: string; outputs: string[] }[]
}

const pairs: Pair[] = fixturesMissing ? [] : JSON.parse(readFileSync(fixture('edgetpu/pairs.json'), 'utf8'))

async function predictionOf(path: string) {
  const model = await readTflite({ path: fixture(path) })
  return predict([...model.graphs.values()][0]!, { assumeInt8: true })
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

test('what Google’s compiler mapped is predicted operator for operator', {
  skip: fixturesMissing,
}, async (t) => {
  assert.equal(pairs.length, 6)
  for (const pair of pairs)
    await t.test(pair.source, async () => {
      const { operators } = await predictionOf(pair.source)
      const name = ({ operator }: (typeof operators)[number]) =>
        operator.custom ? `CUSTOM:${operator.type}` : operator.type
      assert.deepEqual(counted(operators.map(name)), pair.source_ops)
      assert.deepEqual(counted(operators.filter(({ mapped }) => mapped).map(name)), pair.mapped_ops)
      assert.deepEqual(
        counted(operators.filter(({ mapped }) => !mapped).map(name)),
        pair.cpu_ops_after_compile,
      )
      const left = operators.filter(({ mapped }) => !mapped)
      assert.deepEqual(
        left.map((row) => ({
          op: name(row).replace(/^CUSTOM:/, 'CUSTOM:'),
          outputs: row.operator.outputs.map((output) => output.name),
        })),
        pair.cpu_detail.map(({ op, outputs }) => ({
          op: op.startsWith('CUSTOM') ? name(left[0]!) : op,
          outputs,
        })),
      )
      assert.ok(left.every(({ reason }) => reason.length > 20))
    })
})

test('the tensors that cross into and out of the Edge TPU are those of the compiled file', {
  skip: fixturesMissing,
}, async () => {
  for (const pair of pairs) {
    const { deviceInputs, deviceOutputs } = await predictionOf(pair.source)
    const [io] = pair.custom_op_io
    assert.deepEqual(deviceOutputs.map(({ name }) => name).sort(), [...io!.outputs].sort())
    // the compiled LSTM also lists its two state tensors
    const states = io!.inputs.filter((name) => name.startsWith('tfl.pseudo_qconst'))
    assert.deepEqual(
      deviceInputs.map(({ name }) => name).sort(),
      io!.inputs.filter((name) => !states.includes(name)).sort(),
    )
  }
})

test('the parameter block of a compiled network is estimated within 2 %', {
  skip: fixturesMissing,
}, async (t) => {
  for (const pair of pairs.filter(({ edgetpu }) => /2021\/(mobilenet|deeplab|posenet)/.test(edgetpu)))
    await t.test(pair.edgetpu, async () => {
      const held = parameterBlockBytes(readFileSync(fixture(pair.edgetpu)))
      const { parameterBytes, verdict } = estimateMemory(await predictionOf(pair.source))
      assert.ok(Math.abs(parameterBytes / held - 1) < 0.02, `${parameterBytes} for ${held}`)
      assert.equal(verdict, 'fits')
    })
})

test('a compiled file is told from its source by the custom operator that it holds', {
  skip: fixturesMissing,
}, () => {
  for (const { source, edgetpu } of pairs) {
    assert.equal(isEdgeTpuModel(readFileSync(fixture(edgetpu))), true)
    assert.equal(isEdgeTpuModel(readFileSync(fixture(source))), false)
  }
})

test('DeepLab is cut at the resize from 1×1, and the table reads as the compiler’s', {
  skip: fixturesMissing,
}, async () => {
  const prediction = await predictionOf('edgetpu/2021/deeplabv3_mnv2_dm05_pascal_quant.tflite')
  const [cut] = prediction.cutPoints
  assert.equal(cut!.operator.index, 64)
  assert.match(cut!.reason, /1×1 to 33×33/)
  assert.deepEqual(
    cut!.lost.map(({ type }) => type),
    ['QUANTIZE', 'CONCATENATION', 'CONV_2D', 'CONV_2D', 'RESIZE_BILINEAR'],
  )
  assert.equal(cut!.tensors.length, 2)
  // the two convolutions: 33·33·256·512 and 33·33·21·256 products
  assert.equal(cut!.lostCost.macs, 33 * 33 * 256 * 512 + 33 * 33 * 21 * 256)
  const table = statusTable(prediction)
  assert.match(table, /^CONV_2D {24}36 {9}Mapped to Edge TPU$/m)
  assert.match(table, /^ARG_MAX {24}1 {10}Operation is working on an unsupported data type$/m)
  assert.match(table, /^CONV_2D {24}2 {10}More than one subgraph is not supported$/m)
})

/** Bytes of `parameters` in the parameter-caching executable of a compiled file, by its flatbuffer fields. */
function parameterBlockBytes(file: Buffer): number {
  const start = file.indexOf('DWN1') - 4
  const executables = vector(file, start + file.readUInt32LE(start), start, 1)
  const multi = executables.at
  const list = vector(file, multi + file.readUInt32LE(multi), multi, 0)
  let held = 0
  for (let i = 0; i < list.length; i++) {
    const entry = list.at + 4 * i
    const executable = entry + file.readUInt32LE(entry) + 4
    held = Math.max(held, vector(file, executable + file.readUInt32LE(executable), executable, 6).length)
  }
  return held
}

function vector(file: Buffer, table: number, _base: number, slot: number): { at: number; length: number } {
  const vtable = table - file.readInt32LE(table)
  const size = file.readUInt16LE(vtable)
  const offset = 4 + 2 * slot < size ? file.readUInt16LE(vtable + 4 + 2 * slot) : 0
  if (offset === 0) return { at: 0, length: 0 }
  const at = table + offset + file.readUInt32LE(table + offset)
  return { at: at + 4, length: file.readUInt32LE(at) }
}
