import assert from 'node:assert/strict'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { zipSync } from 'fflate'
import { EdgewrightError } from '../../src/error.ts'
import { openModel, recognizeFormat } from '../../src/formats/index.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'edgewright-formats-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, content: Uint8Array | string): string {
  mkdirSync(dirname(join(folder, name)), { recursive: true })
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

async function errorOf(path: string): Promise<EdgewrightError> {
  return await openModel(path).then(
    () => assert.fail('it opened'),
    (error) => {
      assert.ok(error instanceof EdgewrightError, String(error))
      return error
    },
  )
}

describe('a model file is told by its content, not its name', () => {
  const cases: [string, string | null, () => string][] = [
    [
      'a PyTorch zip',
      'pytorch',
      () =>
        file(
          'a.onnx',
          zipSync({ 'archive/data.pkl': new Uint8Array(9), 'archive/version': new Uint8Array(1) }),
        ),
    ],
    [
      'an old PyTorch pickle',
      'pytorch',
      () => file('b.pt', Buffer.from('8002 8a0a6cfc9c46f920'.replaceAll(' ', ''), 'hex')),
    ],
    [
      'a .keras archive',
      'keras',
      () =>
        file(
          'c.bin',
          zipSync({
            'metadata.json': new Uint8Array(9),
            'config.json': new Uint8Array(1),
            'model.weights.h5': new Uint8Array(1),
          }),
        ),
    ],
    ['another zip', null, () => file('d.zip', zipSync({ 'photo.png': new Uint8Array(9) }))],
    [
      'a tfjs model',
      'tfjs',
      () =>
        file('model.json', '{"format": "graph-model", "modelTopology": {"node": []}, "weightsManifest": []}'),
    ],
    ['another JSON file', null, () => file('package.json', '{"name": "x"}')],
    [
      'safetensors',
      'safetensors',
      () => file('w.safetensors', Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')])),
    ],
    ['a SavedModel folder', 'saved-model', () => dirname(file('saved/saved_model.pb', 'x'))],
    ['another folder', null, () => dirname(file('other/notes.txt', 'x'))],
    ['a text', null, () => file('readme.onnx', 'This is not a model.\n')],
    ['a picture', null, () => file('p.onnx', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'))],
    ['nothing', null, () => file('empty.onnx', '')],
  ]
  for (const [what, format, make] of cases)
    it(`${what}: ${format ?? 'unknown'}`, () => {
      assert.equal(recognizeFormat(make()), format)
    })

  it('the fixtures', { skip: fixturesMissing }, () => {
    assert.equal(recognizeFormat(fixture('mlperf-tiny/kws_dscnn_float.onnx')), 'onnx')
    assert.equal(recognizeFormat(fixture('mnist/mnist_cntk.onnx')), 'onnx')
    assert.equal(recognizeFormat(fixture('onnx/light/light_squeezenet.onnx')), 'onnx')
    assert.equal(recognizeFormat(fixture('mlperf-tiny/vww_float.tflite')), 'tflite')
    assert.equal(recognizeFormat(fixture('mlperf-tiny/ic_resnet8.h5')), 'keras-h5')
    assert.equal(recognizeFormat(fixture('imagenet/val_labels.csv')), null)
    assert.equal(recognizeFormat(fixture('onnx/light/light_squeezenet_output_0.pb')), null)
  })
})

describe('a file that is not read ends in one sentence', () => {
  it('what is missing', async () => {
    assert.equal((await errorOf(join(folder, 'missing.onnx'))).code, 'MODEL_NOT_FOUND')
  })

  it('what is not a model', async () => {
    const error = await errorOf(file('notes.onnx', 'hello'))
    assert.equal(error.code, 'MODEL_FORMAT_UNKNOWN')
    assert.equal(error.kind, 'input')
  })

  it('a SavedModel with the command that converts it', async () => {
    const error = await errorOf(join(folder, 'saved'))
    assert.equal(error.code, 'MODEL_FORMAT_UNSUPPORTED')
    assert.match(error.hint!, /tf2onnx\.convert --saved-model/)
  })

  it('a TensorFlow Lite file with several signatures, unless one is chosen', {
    skip: fixturesMissing,
  }, async () => {
    const path = fixture('tflite-single-op/two_signatures.tflite')
    const error = await errorOf(path)
    assert.equal(error.code, 'MODEL_SIGNATURE')
    assert.match(error.saw!, /"add", "multiply"/)
    assert.equal((await openModel(path, { signature: 'multiply' })).format, 'tflite')
  })

  it('a PyTorch file with the call that exports it', async () => {
    assert.match((await errorOf(join(folder, 'a.onnx'))).hint!, /torch\.onnx\.export/)
  })
})
