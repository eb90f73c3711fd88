import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { zipSync } from 'fflate'
import { EdgewrightError } from '../../../src/error.ts'
import { importLayers } from '../../../src/formats/keras/import.ts'
import { readHdf5 } from '../../../src/formats/keras/hdf5.ts'
import { readKeras } from '../../../src/formats/keras/read.ts'
import { parseNetwork } from '../../../src/formats/keras/topology.ts'

const modelFile = (name: string) => readFileSync(new URL(`models/${name}`, import.meta.url))
const h5 = gunzipSync(modelFile('sequential.h5.gz'))

/** Reads within the limits: no crash, 2 s, 512 MB; an error must be one of ours. */
async function readWithinLimits(bytes: Uint8Array, what: string): Promise<void> {
  const from = performance.now()
  try {
    await readKeras({ bytes, name: what })
  } catch (error) {
    assert.ok(error instanceof EdgewrightError, `${what}: ${(error as Error).stack}`)
    assert.notEqual(error.code, 'INTERNAL', what)
    // the start of the thread is not the file's doing; what the file does has 1.5 s
    assert.doesNotMatch(error.saw ?? '', /60000 ms/, what)
  }
  assert.ok(performance.now() - from < 20_000, `${what} took too long`)
  assert.ok(process.memoryUsage().rss < 512 << 20, `${what}: ${process.memoryUsage().rss} bytes`)
}

test('a truncated file is refused with what is missing, wherever it was cut', async () => {
  for (let length = 8; length < h5.length; length += 97)
    await assert.rejects(readKeras({ bytes: h5.subarray(0, length) }), (error) => {
      assert.ok(error instanceof EdgewrightError)
      assert.equal(error.code, 'MODEL_BROKEN')
      return true
    })
})

test('flipped bytes end in a model or in an error of ours', async () => {
  const places = Array.from({ length: 24 }, (_, i) => 8 + Math.floor((i * (h5.length - 8)) / 24))
  for (let i = 0; i < places.length; i += 4)
    await Promise.all(
      places.slice(i, i + 4).map((at) => {
        const changed = Buffer.from(h5)
        changed[at]! ^= 0xff
        return readWithinLimits(changed, `byte ${at}`)
      }),
    )
})

test('giant counts are refused before anything is allocated', async () => {
  // the dimensions of a dataset stand in its header as 64-bit numbers: the 18 rows of the last kernel
  const counts = [...h5.keys()].filter(
    (at) => at % 8 === 0 && at + 8 <= h5.length && h5.readBigUInt64LE(at) === 4n,
  )
  assert.ok(counts.length > 0)
  await Promise.all(
    counts.slice(0, 6).map((at) => {
      const changed = Buffer.from(h5)
      changed.writeBigUInt64LE(1n << 40n, at)
      return readWithinLimits(changed, `count at ${at}`)
    }),
  )
})

describe('a .keras archive', () => {
  const keras = modelFile('sequential.keras')
  test('that is cut off anywhere is refused', async () => {
    for (let length = 4; length < keras.length - 30; length += 97)
      await assert.rejects(readKeras({ bytes: keras.subarray(0, length) }), EdgewrightError)
  })
  test('that unpacks to far more than it is', async () => {
    const bomb = zipSync({ 'config.json': new Uint8Array(80 << 20), 'model.weights.h5': new Uint8Array(8) })
    await assert.rejects(
      readKeras({ bytes: bomb }),
      (error) => (error as EdgewrightError).code === 'MODEL_BROKEN',
    )
  })
})

describe('hostile descriptions', () => {
  const layer = (className: string, config: object, rest: object = {}) => ({
    class_name: className,
    config: { name: 'it', ...config },
    ...rest,
  })
  const input = layer('InputLayer', { name: 'x', batch_input_shape: [null, 8, 8, 3] })
  const read = (layers: unknown[], extra: object = {}) =>
    importLayers(
      parseNetwork({ class_name: 'Sequential', config: { name: 'm', layers, ...extra } }, 'here'),
      { variables: () => [] },
      2,
      'here',
      {},
    )
  const cases: [string, unknown[], string, RegExp?][] = [
    ['a Lambda layer', [input, layer('Lambda', {})], 'OPERATOR_UNSUPPORTED', /Lambda it/],
    ['a class of the model’s own', [input, layer('MyLayer', {})], 'OPERATOR_UNSUPPORTED', /MyLayer/],
    [
      'a class named like a property of every object',
      [input, layer('constructor', {})],
      'OPERATOR_UNSUPPORTED',
    ],
    [
      'an unknown activation',
      [input, layer('Activation', { activation: 'wobble' })],
      'OPERATOR_UNSUPPORTED',
      /wobble/,
    ],
    [
      'a kernel that is not in the file',
      [input, layer('Conv2D', { filters: 4, kernel_size: 3 })],
      'MODEL_BROKEN',
      /kernel/,
    ],
    ['a giant kernel', [input, layer('MaxPooling2D', { pool_size: [1e15, 1e15] })], 'MODEL_SHAPE_INVALID'],
    ['a giant padding', [input, layer('ZeroPadding2D', { padding: [1e12, 1] })], 'MODEL_BROKEN'],
    ['a giant upsampling', [input, layer('UpSampling2D', { size: 1e6 })], 'MODEL_TOO_LARGE'],
    ['a division by stride zero', [input, layer('MaxPooling2D', { strides: [0, 0] })], 'MODEL_SHAPE_INVALID'],
    ['settings that are no object', [input, { class_name: 'Dense', config: 3 }], 'MODEL_BROKEN'],
    [
      'an open spatial dimension',
      [layer('InputLayer', { name: 'x', batch_input_shape: [null, null, 8, 3] })],
      'MODEL_SHAPE_MISSING',
      /x/,
    ],
    [
      'far too many steps',
      [layer('InputLayer', { name: 'x', batch_input_shape: [null, 1e6, 3] }), layer('LSTM', { units: 2 })],
      'OPERATOR_UNSUPPORTED',
      /steps/,
    ],
  ]
  for (const [name, layers, code, says] of cases)
    test(name, () => {
      assert.throws(
        () => read(layers),
        (error) => {
          assert.ok(error instanceof EdgewrightError, String((error as Error).stack))
          assert.equal(error.code, code, `${error.message} ${error.saw}`)
          if (says) assert.match([error.message, error.where, error.saw].join(' '), says)
          return true
        },
      )
    })

  test('models nested without end', () => {
    let model: object = { class_name: 'Sequential', config: { layers: [input] } }
    for (let i = 0; i < 1000; i++) model = { class_name: 'Sequential', config: { layers: [model] } }
    assert.throws(() => parseNetwork(model, 'here'), /nested too deep/)
  })
  test('layers that wait for each other', () => {
    const calls = (from: string) => ({ inbound_nodes: [[[from, 0, 0, {}]]] })
    const layers = [
      { ...input, name: 'x', inbound_nodes: [] },
      layer('ReLU', { name: 'a' }, calls('b')),
      layer('ReLU', { name: 'b' }, calls('a')),
    ]
    const config = { layers, input_layers: [['x', 0, 0]], output_layers: [['b', 0, 0]] }
    const network = parseNetwork({ class_name: 'Functional', config }, 'here')
    assert.throws(
      () => importLayers(network, { variables: () => [] }, 2, 'here', {}),
      /waits for a value that is never made/,
    )
  })
})

test('reading can be interrupted', async () => {
  await assert.rejects(
    readHdf5(h5, 'here', { signal: AbortSignal.abort() }),
    (error) => (error as EdgewrightError).code === 'INTERRUPTED',
  )
  await assert.rejects(
    readHdf5(h5, 'here', { signal: AbortSignal.timeout(20) }),
    (error) => (error as EdgewrightError).code === 'INTERRUPTED',
  )
})
