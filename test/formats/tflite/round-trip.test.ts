import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { EdgewrightError } from '../../../src/error.ts'
import { createLitertEvaluator } from '../../../src/execute/litert.ts'
import { randomTensor } from '../../../src/execute/random.ts'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { writeTflite } from '../../../src/formats/tflite/write.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import type { Evaluator, TensorInfo } from '../../../src/execute/evaluator.ts'
import type { Graph, Model } from '../../../src/graph/types.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { bytesOf } from '../../../src/tensor.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import { corpus, type CorpusFile } from './corpus.ts'
import { assertSameGraph } from './same-graph.ts'

function only(model: Model): Graph {
  return [...model.graphs.values()][0]!
}

async function read({ name, options }: CorpusFile): Promise<Model> {
  return readTflite({ path: fixture(name) }, options)
}

function write(model: Model): Uint8Array {
  return writeTflite(only(model), { signature: model.extras!.signature, records: model.extras!.records })
}

function title({ name, options }: CorpusFile): string {
  return options.signature ? `${name} (${options.signature})` : name
}

describe('every file of the fixtures', { skip: fixturesMissing }, () => {
  for (const file of corpus())
    it(`reads, and reads the same when written again: ${title(file)}`, async () => {
      const model = await read(file)
      const graph = only(model)
      verifyGraph(graph)
      const bytes = write(model)
      assert.deepEqual(bytes, write(model), 'written twice')
      const again = only(await readTflite({ bytes }))
      verifyGraph(again)
      assertSameGraph(again, graph, file.name)
    })
})

/** Files that LiteRT cannot run, each with its own words; they must stay unable to. */
const notRun: readonly (readonly [RegExp, RegExp])[] = [
  [/edgetpu\.tflite$/, /LiteRT has no operator edgetpu-custom-op|Variable tensors not yet supported/],
  [/posenet.*decoder\.tflite$/, /LiteRT has no operator PosenetDecoderOp/],
  [/person_detect_vela/, /LiteRT has no operator ethos-u/],
  [/keras_lstm_mnist_ptq\.tflite$/, /Variable tensors not yet supported/],
]
/** Files that LiteRT can only run once they are written again. */
const mended: readonly (readonly [RegExp, RegExp])[] = [
  [/person_detect\.tflite$/, /quantized_dimension must be in range/],
]

describe('what LiteRT makes of a file', { skip: fixturesMissing }, () => {
  // one file leaves open what LiteRT must know: a test of its own
  for (const file of corpus().filter(({ options }) => !options.shapes))
    it(`is bit for bit the same when it is written again: ${title(file)}`, async () => {
      const model = await read(file)
      const { signature } = file.options
      const original = await evaluatorOf(readFileSync(fixture(file.name)), signature)
      const written = await evaluatorOf(write(model), signature)
      const refusal = notRun.find(([name]) => name.test(file.name))
      if (refusal) {
        for (const refused of [original, written]) assert.match(wordsOf(refused), refusal[1])
        return
      }
      assert.ok(!(written instanceof Error), wordsOf(written))
      const repair = mended.find(([name]) => name.test(file.name))
      if (repair) {
        assert.match(wordsOf(original), repair[1])
        await written.run(feedsOf(written))
        return
      }
      assert.ok(!(original instanceof Error), wordsOf(original))
      assert.deepEqual(written.inputs.map(typeOf), original.inputs.map(typeOf))
      // by name where the file has a signature, in order where it has none
      const feeds = feedsOf(original)
      const [expected, actual] = [await original.run(feeds), await written.run(feeds)]
      assert.deepEqual([...actual.keys()], [...expected.keys()])
      for (const [name, tensor] of expected) assert.equal(hex(actual.get(name)!), hex(tensor), name)
    })
})

describe('a file that leaves sizes open', { skip: fixturesMissing }, () => {
  it('runs on LiteRT once it is written with those that were asked for', async () => {
    const file = corpus().find(({ options }) => options.shapes)!
    const evaluator = await createLitertEvaluator(write(await read(file)))
    const int32 = (...numbers: number[]): Tensor => ({
      dtype: 'int32',
      shape: [3],
      data: Int32Array.from(numbers),
    })
    const data = Float32Array.from({ length: 24 }, (_, i) => i)
    const feeds = new Map<string, Tensor>([
      ['input_tensor', { dtype: 'float32', shape: [2, 3, 4], data }],
      ['begin', int32(1, 2, 3)],
      ['size', int32(1, 1, 1)],
    ])
    const [result] = (await evaluator.run(feeds)).values()
    assert.deepEqual([...result!.data], [23])
  })

  it('is refused by name where a size beside the batch is not asked for', async () => {
    await assert.rejects(readTflite({ path: fixture('tflite-single-op/single_slice.tflite') }), {
      code: 'MODEL_SHAPE_MISSING',
      where: 'slice_input_tensor:0',
    })
  })
})

function feedsOf(evaluator: Evaluator): Map<string, Tensor> {
  return new Map(evaluator.inputs.map((input) => [input.name, randomTensor(input)]))
}

function typeOf({ name, dtype, shape }: TensorInfo): string {
  return `${name} ${dtype}[${shape}]`
}

function wordsOf(outcome: Evaluator | Error): string {
  return outcome instanceof EdgewrightError ? `${outcome.message} ${outcome.saw}` : String(outcome)
}

async function evaluatorOf(bytes: Uint8Array, signature: string | undefined): Promise<Evaluator | Error> {
  return createLitertEvaluator(bytes, signature === undefined ? {} : { signature }).catch(
    (error: Error) => error,
  )
}

function hex({ dtype, shape, data }: Tensor): string {
  return `${dtype}[${shape}] ${Buffer.from(bytesOf(data)).toString('hex')}`
}
