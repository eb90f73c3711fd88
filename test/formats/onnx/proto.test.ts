import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { EdgewrightError } from '../../../src/error.ts'
import {
  attributeTypes,
  decodeModel,
  encodeModel,
  type OnnxGraph,
  type Partially,
} from '../../../src/formats/onnx/proto.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'

const files = ['mlperf-tiny/kws_dscnn_float.onnx', 'mnist/mnist_cntk.onnx']

function broken(error: unknown): boolean {
  assert.ok(error instanceof EdgewrightError, String(error))
  assert.equal(error.code, 'MODEL_BROKEN')
  assert.ok(error.saw, 'says what was seen')
  return true
}

for (const file of files) {
  test(`${file} is written byte for byte as it was read`, { skip: fixturesMissing }, () => {
    const bytes = readFileSync(fixture(file))
    assert.deepEqual(Buffer.from(encodeModel(decodeModel(bytes))), bytes)
  })

  test(`${file} cut off anywhere is broken, with the byte where it ends`, { skip: fixturesMissing }, () => {
    const bytes = readFileSync(fixture(file))
    for (let length = 0; length < bytes.length; length += 1 + (length >> 4)) {
      try {
        // the graph comes before trailing messages, so a late cut may still hold a whole graph
        decodeModel(bytes.subarray(0, length))
      } catch (error) {
        broken(error)
        const at = /at byte (\d+) of (\d+)/.exec((error as EdgewrightError).saw!)
        if (at) assert.ok(Number(at[1]) <= length && Number(at[2]) === length, (error as EdgewrightError).saw)
      }
    }
    assert.throws(() => decodeModel(bytes.subarray(0, bytes.length >> 1)), broken)
  })
}

test('tensor data are views on the bytes of the file', () => {
  const file = encodeModel({ graph: { initializer: [{ rawData: Uint8Array.of(1, 2, 3, 4) }] } })
  const [tensor] = decodeModel(file).graph!.initializer
  assert.equal(tensor!.rawData.buffer, file.buffer)
  assert.deepEqual([...tensor!.rawData], [1, 2, 3, 4])
})

test('64-bit integers are exact, and a stated 0 is told from an absent number', () => {
  const ends = [2n ** 63n - 1n, -(2n ** 63n), 2 ** 53 - 1, -1, 0, 9007199254740993n]
  const graph = decodeModel(
    encodeModel({
      graph: {
        node: [{ attribute: [{ name: 'i', ints: ends, i: 0, type: attributeTypes.ints }] }],
        initializer: [{ int64Data: ends, uint64Data: [2n ** 64n - 1n, 3], dims: [2 ** 40] }],
        input: [{ type: { tensorType: { shape: { dim: [{ dimValue: 0 }, { dimParam: 'N' }, {}] } } } }],
      },
    }),
  ).graph!
  assert.deepEqual(graph.node[0]!.attribute[0]!.ints, ends)
  assert.equal(graph.node[0]!.attribute[0]!.i, 0)
  assert.deepEqual(graph.initializer[0]!.int64Data, ends)
  assert.deepEqual(graph.initializer[0]!.uint64Data, [2n ** 64n - 1n, 3])
  assert.deepEqual(graph.initializer[0]!.dims, [2 ** 40])
  const dim = graph.input[0]!.type!.tensorType!.shape!.dim.map(({ dimValue, dimParam }) => [
    dimValue,
    dimParam,
  ])
  assert.deepEqual(dim, [
    [0, null],
    [null, 'N'],
    [null, null],
  ])
})

test('graphs nested without end are broken, not a full stack', () => {
  let graph: Partially<OnnxGraph> = {}
  for (let depth = 0; depth < 30; depth++) graph = { node: [{ attribute: [{ g: graph }] }] }
  assert.ok(decodeModel(encodeModel({ graph })).graph, 'thirty levels are read')
  let bytes: Buffer = Buffer.alloc(0)
  // graph.node.attribute.g, from the inside out, made by hand as no encoder would
  for (let depth = 0; depth < 20_001; depth++) bytes = field([6, 5, 1][depth % 3]!, bytes)
  assert.throws(() => decodeModel(field(7, bytes)), broken)
})

test('lengths beyond the file are broken before anything is allocated', () => {
  const before = process.memoryUsage().arrayBuffers
  for (const tag of [7, 2])
    assert.throws(() => decodeModel(Buffer.from([(tag << 3) | 2, 0xff, 0xff, 0xff, 0xff, 0x07, 1])), broken)
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20)
})

test('damaged bytes end in an error with a code', { skip: fixturesMissing }, () => {
  const bytes = readFileSync(fixture(files[1]!))
  let state = 7
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state % below
  }
  for (let round = 0; round < 300; round++) {
    const damaged = Buffer.from(bytes)
    for (let i = 0; i < 3; i++) damaged[random(damaged.length)] = random(256)
    try {
      decodeModel(damaged)
    } catch (error) {
      broken(error)
    }
  }
})

function field(number: number, bytes: Buffer): Buffer {
  const length: number[] = []
  for (let rest = bytes.length; ; rest >>>= 7) {
    if (rest < 128) {
      length.push(rest)
      break
    }
    length.push((rest & 127) | 128)
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes])
}
