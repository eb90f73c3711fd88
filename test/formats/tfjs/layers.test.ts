import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type * as TensorFlow from '@tensorflow/tfjs'
import { EdgewrightError } from '../../../src/error.ts'
import { openModel } from '../../../src/formats/index.ts'
import { fromTfjs, readTfjs } from '../../../src/formats/tfjs/read.ts'
import { numberToFloat16 } from '../../../src/graph/encode.ts'
import { pseudoRandom } from '../../graph/one-op.ts'
import { runLayersModel, worstDifference } from '../keras/run-layers-model.ts'

let tf: typeof TensorFlow
let folder: string

before(async () => {
  // it suggests a native package on every start
  const { warn, log } = console
  Object.assign(console, { warn: () => {}, log: () => {} })
  // the main entry is CommonJS, its namespace the default
  const loaded = (await import('@tensorflow/tfjs')) as unknown as { default?: typeof TensorFlow }
  tf = loaded.default ?? (loaded as unknown as typeof TensorFlow)
  await tf.ready()
  Object.assign(console, { warn, log })
  folder = mkdtempSync(join(tmpdir(), 'edgewright-tfjs-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

type Builder = (
  l: typeof TensorFlow.layers,
  input: (...shape: number[]) => TensorFlow.SymbolicTensor,
) => TensorFlow.SymbolicTensor
type Applied = TensorFlow.SymbolicTensor

const models: Record<string, Builder> = {
  convolutions: (l, input) => {
    let x = input(9, 8, 4)
    x = l
      .conv2d({ filters: 6, kernelSize: [3, 2], strides: [2, 1], padding: 'same', activation: 'relu6' })
      .apply(x) as Applied
    x = l.batchNormalization({}).apply(x) as Applied
    x = l.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same' }).apply(x) as Applied
    x = l.separableConv2d({ filters: 5, kernelSize: 2, activation: 'hardSigmoid' }).apply(x) as Applied
    x = l.conv2dTranspose({ filters: 4, kernelSize: 3, strides: 2, padding: 'same' }).apply(x) as Applied
    return l.conv2d({ filters: 3, kernelSize: 3, dilationRate: 2 }).apply(x) as Applied
  },
  maps: (l, input) => {
    const x = l
      .zeroPadding2d({
        padding: [
          [1, 2],
          [0, 3],
        ],
      })
      .apply(input(6, 7, 3)) as Applied
    const a = l.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }).apply(x) as Applied
    const b = l.averagePooling2d({ poolSize: [3, 3], strides: [2, 2], padding: 'same' }).apply(x) as Applied
    const c = l.concatenate().apply([a, b]) as Applied
    const d = l.upSampling2d({ size: [2, 3] }).apply(
      l
        .cropping2D({
          cropping: [
            [1, 0],
            [0, 1],
          ],
        })
        .apply(c),
    ) as Applied
    const e = l.prelu({ sharedAxes: [1, 2] }).apply(l.dropout({ rate: 0.5 }).apply(d)) as Applied
    return l.dense({ units: 4, activation: 'softmax' }).apply(l.flatten().apply(e)) as Applied
  },
  sequences: (l, input) => {
    let x = l
      .conv1d({ filters: 6, kernelSize: 3, padding: 'same', activation: 'elu' })
      .apply(input(8, 3)) as Applied
    x = l.maxPooling1d({ poolSize: 2 }).apply(x) as Applied
    x = l.layerNormalization({}).apply(x) as Applied
    x = l.timeDistributed({ layer: l.dense({ units: 5, activation: 'selu' }) }).apply(x) as Applied
    x = l.permute({ dims: [2, 1] }).apply(x) as Applied
    return l.globalAveragePooling1d({}).apply(x) as Applied
  },
  recurrent: (l, input) => {
    const cell = l.lstm({ units: 3, returnSequences: true }) as never
    const x = l.bidirectional({ layer: cell, mergeMode: 'concat' }).apply(input(5, 3)) as Applied
    const y = l.gru({ units: 4, returnSequences: true, goBackwards: true }).apply(x) as Applied
    return l.simpleRNN({ units: 2 }).apply(y) as Applied
  },
  activations: (l, input) => {
    const x = input(12)
    const names = [
      'relu',
      'sigmoid',
      'tanh',
      'elu',
      'softplus',
      'softsign',
      'swish',
      'mish',
      'linear',
    ] as const
    const all = names.map(
      (activation) => l.activation({ activation: activation as never }).apply(x) as Applied,
    )
    all.push(l.leakyReLU({ alpha: 0.1 }).apply(x) as Applied, l.reLU({ maxValue: 0.5 }).apply(x) as Applied)
    all.push(l.thresholdedReLU({ theta: 0.2 }).apply(x) as Applied, l.elu({ alpha: 1 }).apply(x) as Applied)
    return l.concatenate({ axis: 1 }).apply(all) as Applied
  },
  merges: (l, input) => {
    const x = l.dense({ units: 6 }).apply(input(4)) as Applied
    const y = l.dense({ units: 6 }).apply(x) as Applied
    const both = [l.add(), l.multiply(), l.average(), l.maximum(), l.minimum()].map(
      (m) => m.apply([x, y]) as Applied,
    )
    return l.repeatVector({ n: 2 }).apply(l.concatenate().apply(both)) as Applied
  },
  nested: (l, input) => {
    const block = tf.sequential({
      layers: [l.dense({ units: 5, inputShape: [5], activation: 'relu' }), l.batchNormalization({})],
    })
    const shared = l.dense({ units: 5 })
    const x = shared.apply(block.apply(shared.apply(input(5)))) as Applied
    return l.reshape({ targetShape: [1, 5] }).apply(x) as Applied
  },
}

function build(name: string): { model: TensorFlow.LayersModel; feed: number[]; expected: number[] } {
  let x: TensorFlow.SymbolicTensor | undefined
  const output = models[name]!(tf.layers, (...shape) => {
    x = tf.input({ shape })
    return x
  })
  const model = tf.model({ inputs: x!, outputs: output })
  let seed = 1
  model.setWeights(
    model.weights.map(({ name: weight, shape }) => {
      const numbers = pseudoRandom(shape.reduce((a, b) => a! * b!, 1)!, seed++)
      return tf.tensor(
        weight.includes('variance') ? numbers.map((n) => n / 4 + 1) : numbers.map((n) => n / 2),
        shape as number[],
      )
    }),
  )
  const shape = [1, ...(x!.shape.slice(1) as number[])]
  const feed = pseudoRandom(
    shape.reduce((a, b) => a * b, 1),
    99,
  )
  const expected = Array.from((model.predict(tf.tensor(feed, shape)) as TensorFlow.Tensor).dataSync())
  return { model, feed, expected }
}

/** Saves as tfjs does, in one shard or several. */
async function save(
  model: TensorFlow.LayersModel,
  name: string,
  change: (json: Json) => void = () => {},
  shards = 1,
) {
  const path = join(folder, name)
  mkdirSync(path, { recursive: true })
  let saved: TensorFlow.io.ModelArtifacts | undefined
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts
      return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) }
    }),
  )
  const bytes = Buffer.from(saved!.weightData as ArrayBuffer)
  const size = Math.ceil(bytes.length / shards)
  const paths = Array.from({ length: shards }, (_, i) => `group1-shard${i + 1}of${shards}.bin`)
  for (const [i, file] of paths.entries())
    writeFileSync(join(path, file), bytes.subarray(i * size, (i + 1) * size))
  const json: Json = {
    format: 'layers-model',
    generatedBy: 'TensorFlow.js test',
    modelTopology: saved!.modelTopology,
    weightsManifest: [{ paths, weights: saved!.weightSpecs as never }],
  }
  change(json)
  writeFileSync(join(path, 'model.json'), JSON.stringify(json))
  return { path, bytes }
}
interface Json {
  format: string
  generatedBy: string
  modelTopology: unknown
  weightsManifest: {
    paths: string[]
    weights: { name: string; shape: number[]; dtype: string; quantization?: object }[]
  }[]
}

describe('tfjs computes the same, in memory and from disk', () => {
  for (const name of Object.keys(models))
    test(name, async () => {
      const { model, feed, expected } = build(name)
      const [live] = await runLayersModel(await fromTfjs(model), [feed])
      assert.ok(worstDifference(live!, expected) <= 1e-5, `in memory: ${worstDifference(live!, expected)}`)
      const { path } = await save(model, name, undefined, 3)
      const opened = await openModel(path)
      assert.equal(opened.format, 'tfjs')
      const [found] = await runLayersModel(opened, [feed])
      assert.deepEqual(found, live)
    })
})

test('weights stored in fewer bits are those that tfjs would load', async () => {
  const { model, feed } = build('merges')
  for (const stored of ['float16', 'uint8', 'uint16'] as const) {
    const { path, bytes } = await save(model, `quantized-${stored}`)
    const floats = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
    const [scale, min] = stored === 'uint8' ? [1 / 255, -0.5] : [1 / 65535, -0.5]
    const levels = Array.from(floats, (x) =>
      stored === 'float16' ? numberToFloat16(x) : Math.round((x - min) / scale),
    )
    const packed = stored === 'uint8' ? Uint8Array.from(levels) : Uint16Array.from(levels)
    const quantization = stored === 'float16' ? { dtype: stored } : { dtype: stored, scale, min }
    await save(model, `quantized-${stored}`, (json) => {
      for (const weight of json.weightsManifest[0]!.weights) weight.quantization = quantization
    })
    writeFileSync(join(path, 'group1-shard1of1.bin'), new Uint8Array(packed.buffer))
    // tfjs decodes the same files, and is the truth
    const { weightsManifest, modelTopology } = JSON.parse(
      readFileSync(join(path, 'model.json'), 'utf8'),
    ) as Json
    const loaded = await tf.loadLayersModel(
      tf.io.fromMemory({
        modelTopology: modelTopology as object,
        weightSpecs: weightsManifest[0]!.weights as never,
        weightData: packed.buffer as ArrayBuffer,
      }),
    )
    const expected = Array.from((loaded.predict(tf.tensor(feed, [1, 4])) as TensorFlow.Tensor).dataSync())
    const [found] = await runLayersModel(readTfjs(path), [feed])
    assert.ok(worstDifference(found!, expected) <= 1e-5, `${stored}: ${worstDifference(found!, expected)}`)
  }
})

describe('what is refused', () => {
  const refusal = (code: string, says?: RegExp) => (error: unknown) => {
    assert.ok(error instanceof EdgewrightError, String(error))
    assert.equal(error.code, code)
    if (says) assert.match([error.message, error.where, error.saw, error.hint].join(' '), says)
    return true
  }

  test('weight paths that lead out of the folder', async () => {
    const { model } = build('merges')
    writeFileSync(join(folder, 'secret.bin'), 'secret')
    for (const outside of [
      '../secret.bin',
      '/etc/passwd',
      'a/../../secret.bin',
      'link.bin',
      '..\\secret.bin',
      'none.bin',
    ]) {
      const { path } = await save(model, 'escape', (json) => {
        json.weightsManifest[0]!.paths = [outside]
      })
      rmSync(join(path, 'link.bin'), { force: true })
      symlinkSync('../secret.bin', join(path, 'link.bin'))
      assert.throws(() => readTfjs(path), refusal('MODEL_EXTERNAL_DATA'), outside)
    }
  })

  test('a manifest whose sizes are not those of the files', async () => {
    const { model } = build('merges')
    for (const shape of [[1e9, 1e9], [2 ** 30], [-1], [0.5], [4, 7], new Array(99).fill(1)]) {
      const { path } = await save(model, 'sizes', (json) => {
        json.weightsManifest[0]!.weights[0]!.shape = shape as number[]
      })
      assert.throws(() => readTfjs(path), refusal('MODEL_BROKEN'), String(shape))
    }
  })

  test('a graph model, with how to convert it', async () => {
    const { path } = await save(build('merges').model, 'graph', (json) => {
      json.format = 'graph-model'
      json.modelTopology = { node: [] }
    })
    assert.throws(() => readTfjs(path), refusal('MODEL_FORMAT_UNSUPPORTED', /tf2onnx/))
    await assert.rejects(fromTfjs({} as never), refusal('MODEL_FORMAT_UNSUPPORTED'))
  })

  test('a layer class of its own, by name', async () => {
    const { path } = await save(build('merges').model, 'custom', (json) => {
      json.modelTopology = JSON.parse(JSON.stringify(json.modelTopology).replace('"Average"', '"MyPooling"'))
    })
    assert.throws(() => readTfjs(path), refusal('OPERATOR_UNSUPPORTED', /MyPooling/))
  })

  test('a model.json that is cut off anywhere ends in an error', async () => {
    const { path } = await save(build('sequences').model, 'cut')
    const file = join(path, 'model.json')
    const text = readFileSync(file, 'utf8')
    for (let length = 0; length < text.length; length += 97) {
      writeFileSync(file, text.slice(0, length))
      assert.throws(() => readTfjs(path), EdgewrightError)
    }
  })

  test('a model.json with changed bytes gives a model or an error of ours', async () => {
    const { path } = await save(build('recurrent').model, 'flipped')
    const file = join(path, 'model.json')
    const bytes = readFileSync(file)
    for (let at = 1; at < bytes.length; at += 61) {
      const changed = Buffer.from(bytes)
      // digits grow, text breaks
      changed[at] = /\d/.test(String.fromCharCode(changed[at]!)) ? 0x39 : changed[at]! ^ 1
      writeFileSync(file, changed)
      const from = performance.now()
      try {
        readTfjs(path)
      } catch (error) {
        assert.ok(error instanceof EdgewrightError, `byte ${at}: ${(error as Error).stack}`)
      }
      assert.ok(performance.now() - from < 2000, `byte ${at}`)
    }
  })
})
