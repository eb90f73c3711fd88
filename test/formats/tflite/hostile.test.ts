import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { EdgewrightError } from '../../../src/error.ts'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { writeTflite } from '../../../src/formats/tflite/write.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import { corpus } from './corpus.ts'

/** The issue allows 2 s; a slow, busy machine gets more before the test says that it hangs. */
const mostMs = 5000

/** Reads and writes what may be broken: nothing, or an error of the user's input, and soon. */
async function survives(bytes: Uint8Array, what: string): Promise<EdgewrightError | null> {
  const start = performance.now()
  try {
    const model = await readTflite({ bytes })
    for (const graph of model.graphs.values()) if (bytes.byteLength < 100_000) writeTflite(graph)
    return null
  } catch (error) {
    assert.ok(error instanceof EdgewrightError, `${what}: ${(error as Error).stack}`)
    assert.equal(error.kind, 'input', `${what}: ${error.code} ${error.message}`)
    assert.match(error.message, /^[A-Z].*\.$/s, `${what}: not a sentence: ${error.message}`)
    return error
  } finally {
    const took = performance.now() - start
    assert.ok(took < mostMs, `${what} took ${took} ms`)
  }
}

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

describe('a damaged TensorFlow Lite file', { skip: fixturesMissing }, () => {
  for (const { name } of corpus().filter(({ name }) => name.startsWith('tflite-single-op/')))
    it(`cut off at every 97th byte is refused or read: ${name}`, async () => {
      const whole = readFileSync(fixture(name))
      for (let length = 0; length < whole.length; length += 97)
        await survives(whole.subarray(0, length), `${name} of ${length} bytes`)
    })

  for (const name of ['mlperf-tiny/kws_dscnn_int8.tflite', 'edgetpu/2021/keras_lstm_mnist_ptq.tflite'])
    it(`cut off at every 97th byte never reads whole: ${name}`, async () => {
      const whole = readFileSync(fixture(name))
      for (let length = 0; length < whole.length * 0.9; length += 97)
        assert.ok(await survives(whole.subarray(0, length), `${name} of ${length} bytes`))
    })

  for (const { name } of corpus())
    it(`with any word changed is refused or read: ${name}`, async () => {
      const whole = readFileSync(fixture(name))
      const random = seeded(7)
      const values = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x10000, 0xfffffff0, 4]
      for (let i = 0; i < (whole.length > 200_000 ? 20 : 60); i++) {
        const damaged = Uint8Array.from(whole)
        // tables are at the end of some files and at the beginning of others
        const range = Math.min(whole.length, 8192)
        const from = i % 2 === 0 ? 0 : whole.length - range
        const at = from + Math.floor((random() * (range - 4)) / 4) * 4
        const value = i % 3 === 0 ? Math.floor(random() * 2 ** 32) : values[i % values.length]!
        new DataView(damaged.buffer).setUint32(at, value, true)
        await survives(damaged, `${name}, word at ${at} = ${value}`)
      }
    })

  it('names the field that leaves the file', async () => {
    const whole = readFileSync(fixture('mlperf-tiny/ad_int8.tflite'))
    const error = await survives(whole.subarray(0, 4096), 'the file')
    assert.equal(error?.code, 'MODEL_BROKEN')
    assert.match(error.where!, /the model: \w+/)
    assert.match(error.saw!, /outside the file of 4096 bytes/)
  })
})

describe('a hostile TensorFlow Lite file', () => {
  it('whose vectors all point to one table is bounded', async () => {
    // 2 MB of offsets to one subgraph, which lists as many operators, each the same one
    const words = 500_000
    const bytes = new Uint8Array(64 + 8 * words)
    const error = await survives(aliased(bytes, words), 'aliased tables')
    assert.equal(error?.code, 'MODEL_BROKEN')
    assert.match(error.saw!, /more than \d+/)
  })

  it('that is its own table is refused', async () => {
    const bytes = new Uint8Array(64)
    bytes.set(Buffer.from('TFL3'), 4)
    assert.equal((await survives(bytes, 'zeros'))?.code, 'MODEL_BROKEN')
  })

  it('with a vector longer than any memory is refused', async () => {
    const bytes = aliased(new Uint8Array(4096), 100)
    new DataView(bytes.buffer).setUint32(40, 0xffffffff, true)
    assert.equal((await survives(bytes, 'a giant count'))?.code, 'MODEL_BROKEN')
  })
})

/** A model whose list of subgraphs points over and over to one whose list of tensors does the same. */
function aliased(bytes: Uint8Array, words: number): Uint8Array {
  const view = new DataView(bytes.buffer)
  const put16 = (at: number, value: number) => view.setUint16(at, value, true)
  const put32 = (at: number, value: number) => view.setUint32(at, value, true)
  const [modelVtable, model] = [8, 20]
  put32(0, model)
  bytes.set(Buffer.from('TFL3'), 4)
  // fields: version at 4, none, subgraphs at 8
  put16(modelVtable, 10)
  put16(modelVtable + 2, 12)
  put16(modelVtable + 4, 4)
  put16(modelVtable + 8, 8)
  put32(model, model - modelVtable)
  put32(model + 4, 3)
  const subgraphs = 40
  put32(model + 8, subgraphs - (model + 8))
  const subgraph = subgraphs + 4 + 4 * words
  put32(subgraphs, words)
  for (let i = 0; i < words; i++) put32(subgraphs + 4 + 4 * i, subgraph - (subgraphs + 4 + 4 * i))
  // a table with its fields of fields in front: tensors at 4
  const tensors = subgraph + 16
  put32(subgraph, 0xffffffff - 7)
  put16(subgraph + 8, 6)
  put16(subgraph + 10, 8)
  put16(subgraph + 12, 4)
  put32(subgraph + 4, tensors - (subgraph + 4))
  const fit = Math.min(words, Math.floor((bytes.length - tensors - 16) / 4))
  // a table without fields at the very end
  const empty = bytes.length - 8
  put32(empty, 0xffffffff - 3)
  put16(empty + 4, 4)
  put16(empty + 6, 4)
  put32(tensors, fit)
  for (let i = 0; i < fit; i++) put32(tensors + 4 + 4 * i, empty - (tensors + 4 + 4 * i))
  return bytes
}
