import assert from 'node:assert/strict'
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { EdgewrightError } from '../../../src/error.ts'
import { numbersOf } from '../../../src/graph/constant.ts'
import { encodeModel } from '../../../src/formats/onnx/proto.ts'
import { readOnnx } from '../../../src/formats/onnx/read.ts'
import { input, modelOf, node } from './model.ts'

async function errorOf(reading: Promise<unknown>): Promise<EdgewrightError> {
  return reading.then(
    () => assert.fail('it was read'),
    (error) => error as EdgewrightError,
  )
}

describe('external data are read from the model’s own folder only', () => {
  const root = mkdtempSync(join(tmpdir(), 'edgewright-external-'))
  after(() => rmSync(root, { recursive: true, force: true }))
  const folder = join(root, 'model')
  mkdirSync(join(folder, 'sub'), { recursive: true })
  writeFileSync(join(root, 'secret.bin'), new Uint8Array(64))
  writeFileSync(join(folder, 'sub', 'w.bin'), Buffer.from(Float32Array.of(9, 9, 1, 2, 3).buffer))
  symlinkSync(join(root, 'secret.bin'), join(folder, 'link.bin'))

  function read(entries: Record<string, string>) {
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }))
    const spec = modelOf({
      inputs: [input('x', 'float32', [3])],
      nodes: [node('Add', ['x', 'w'], ['y'])],
      outputs: ['y'],
      initializers: [{ name: 'w', dataType: 1, dims: [3], dataLocation: 1, externalData }],
    })
    writeFileSync(join(folder, 'model.onnx'), encodeModel(spec))
    return readOnnx({ path: join(folder, 'model.onnx') })
  }

  it('by offset and length', async () => {
    const model = await read({ location: 'sub/w.bin', offset: '8', length: '12' })
    assert.equal(model.externalData, true)
    const [graph] = model.graphs.values()
    assert.deepEqual(numbersOf(graph!.values.get('w')!.constant!), [1, 2, 3])
  })

  const refused: [string, Record<string, string>][] = [
    ['above the folder', { location: '../secret.bin', length: '12' }],
    ['above it by a detour', { location: 'sub/../../secret.bin', length: '12' }],
    ['by an absolute path', { location: join(root, 'secret.bin'), length: '12' }],
    ['through a link', { location: 'link.bin', length: '12' }],
    ['in a folder', { location: 'sub', length: '12' }],
    ['nowhere', { location: 'missing.bin', length: '12' }],
    ['without a name', { length: '12' }],
    ['beyond the end', { location: 'sub/w.bin', offset: '12', length: '12' }],
    ['from before the start', { location: 'sub/w.bin', offset: '-8', length: '12' }],
    ['of another length than the shape', { location: 'sub/w.bin', offset: '0', length: '16' }],
    ['of an absurd length', { location: 'sub/w.bin', offset: '0', length: '99999999999999999999' }],
  ]
  for (const [what, entries] of refused)
    it(`${what}: MODEL_EXTERNAL_DATA`, async () => {
      assert.equal((await errorOf(read(entries))).code, 'MODEL_EXTERNAL_DATA')
    })

  it('not at all where only bytes are given', async () => {
    await read({ location: 'sub/w.bin', offset: '8', length: '12' })
    assert.equal(
      (await errorOf(readOnnx({ bytes: readFileSync(join(folder, 'model.onnx')) }))).code,
      'MODEL_EXTERNAL_DATA',
    )
  })
})
