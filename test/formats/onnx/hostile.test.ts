import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { EdgewrightError } from '../../../src/error.ts'
import { readOnnx } from '../../../src/formats/onnx/read.ts'
import { encodeModel, type OnnxModel, type Partially } from '../../../src/formats/onnx/proto.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import { debianCases, debianCasesMissing } from './node-cases.ts'
import { attribute, input, type ModelSpec, modelOf, node, tensor } from './model.ts'

/** The longest that reading a damaged file of this size may take on a slow, busy machine. */
const mostMs = 5000

/** Reads what may be broken: a model, or an error of the user's input, and soon. */
async function readsOrRefuses(bytes: Uint8Array, what: string): Promise<EdgewrightError | null> {
  const start = performance.now()
  try {
    await readOnnx({ bytes })
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

async function codeOf(model: Partially<OnnxModel>): Promise<string | null> {
  return (await readsOrRefuses(encodeModel(model), 'the model'))?.code ?? null
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

const files = [
  'mlperf-tiny/kws_dscnn_float.onnx',
  'mnist/mnist_cntk.onnx',
  'onnx/light/light_squeezenet.onnx',
  'onnx/light/light_shufflenet.onnx',
]

describe('a damaged file', { skip: fixturesMissing }, () => {
  for (const name of files) {
    it(`cut off anywhere is refused: ${name}`, async () => {
      const whole = readFileSync(fixture(name))
      const random = seeded(1)
      const lengths = [
        0,
        1,
        2,
        3,
        5,
        8,
        13,
        21,
        34,
        55,
        89,
        whole.length - 1,
        whole.length - 2,
        whole.length - 9,
      ]
      for (let i = 0; i < 80; i++) lengths.push(Math.floor(random() * whole.length))
      let refused = 0
      for (const length of lengths)
        if (await readsOrRefuses(whole.subarray(0, length), `${name} cut at ${length}`)) refused++
      // protobuf has no end mark: a cut between two fields of the file can leave a whole message
      assert.ok(refused >= lengths.length - 8, `${refused} of ${lengths.length}`)
    })

    it(`with flipped bytes is read or refused: ${name}`, async () => {
      const whole = readFileSync(fixture(name))
      const random = seeded(2)
      for (let round = 0; round < 60; round++) {
        const damaged = Buffer.from(whole)
        for (let i = 0; i < 1 + (round % 8); i++)
          damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256)
        await readsOrRefuses(damaged, `${name} damaged in round ${round}`)
      }
    })
  }

  // most of a file is weights: here only what is not is hit
  it('with flipped bytes in its structure is read or refused', async () => {
    const random = seeded(3)
    for (const name of ['onnx/light/light_squeezenet.onnx', 'mnist/mnist_cntk.onnx']) {
      const whole = readFileSync(fixture(name))
      for (let round = 0; round < 400; round++) {
        const damaged = Buffer.from(whole)
        damaged[Math.floor(random() * Math.min(6000, damaged.length))] = Math.floor(random() * 256)
        await readsOrRefuses(damaged, `${name} damaged in round ${round}`)
      }
    }
  })
})

describe('damaged files of every operator', { skip: debianCasesMissing }, () => {
  it('are read or refused', async () => {
    const random = seeded(4)
    for (const name of readdirSync(debianCases).sort()) {
      const whole = readFileSync(join(debianCases, name, 'model.onnx'))
      for (let round = 0; round < 4; round++) {
        const damaged = Buffer.from(whole)
        for (let i = 0; i <= round % 2; i++)
          damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256)
        await readsOrRefuses(damaged, `${name} damaged in round ${round}`)
      }
    }
  })
})

describe('a hostile model is refused by name', () => {
  const relu = node('Relu', ['x'], ['y'])
  const base = (change: Partial<ModelSpec>) =>
    modelOf({ inputs: [input('x', 'float32', [1, 4])], nodes: [relu], outputs: ['y'], ...change })

  it('the harmless original is read', async () => {
    assert.equal(await codeOf(base({})), null)
  })

  const cases: [string, string, () => Partially<OnnxModel>][] = [
    [
      'operators that need each other',
      'GRAPH_INVALID',
      () =>
        base({
          nodes: [node('Add', ['x', 'b'], ['a']), node('Relu', ['a'], ['b']), node('Relu', ['b'], ['y'])],
        }),
    ],
    [
      'an operator that needs itself',
      'GRAPH_INVALID',
      () => base({ nodes: [node('Add', ['x', 'y'], ['y'])] }),
    ],
    ['a value made twice', 'MODEL_BROKEN', () => base({ nodes: [relu, node('Abs', ['x'], ['y'])] })],
    [
      'a value that is an input and made',
      'MODEL_BROKEN',
      () =>
        base({
          inputs: [input('x', 'float32', [1]), input('v', 'float32', [1])],
          nodes: [node('Abs', ['v'], ['x'])],
          outputs: ['x'],
        }),
    ],
    [
      'two inputs of one name',
      'MODEL_BROKEN',
      () => base({ inputs: [input('x', 'float32', [1]), input('x', 'float32', [1])] }),
    ],
    [
      'two initializers of one name',
      'MODEL_BROKEN',
      () => base({ initializers: [tensor('w', 'float32', [1], [1]), tensor('w', 'float32', [1], [1])] }),
    ],
    [
      'a value that nothing makes',
      'MODEL_BROKEN',
      () => base({ nodes: [node('Add', ['x', 'nowhere'], ['y'])] }),
    ],
    ['an output that nothing makes', 'MODEL_BROKEN', () => base({ outputs: ['nowhere'] })],
    ['no outputs', 'MODEL_BROKEN', () => base({ outputs: [] })],
    [
      'an input of 2^40 elements',
      'MODEL_TOO_LARGE',
      () => base({ inputs: [input('x', 'float32', [2 ** 20, 2 ** 20])] }),
    ],
    [
      'an input of rank 1000',
      'MODEL_BROKEN',
      () => base({ inputs: [input('x', 'float32', new Array(1000).fill(1))] }),
    ],
    [
      'a tensor whose bytes disagree with its shape',
      'MODEL_BROKEN',
      () =>
        base({
          nodes: [node('Add', ['x', 'w'], ['y'])],
          initializers: [{ ...tensor('w', 'float32', [4], [1, 2, 3, 4]), dims: [5] }],
        }),
    ],
    [
      'a tensor of a negative size',
      'MODEL_BROKEN',
      () => base({ initializers: [{ ...tensor('w', 'float32', [1], [1]), dims: [-1] }] }),
    ],
    [
      'a tensor of 2^62 elements',
      'MODEL_BROKEN',
      () => base({ initializers: [{ ...tensor('w', 'float32', [1], [1]), dims: [2n ** 62n] }] }),
    ],
    [
      'a tensor of an unknown element type',
      'OPERATOR_UNSUPPORTED',
      () => base({ initializers: [{ ...tensor('w', 'float32', [1], [1]), dataType: 99 }] }),
    ],
    [
      'a fill of 2^40 bytes',
      'MODEL_TOO_LARGE',
      () =>
        base({
          nodes: [node('ConstantOfShape', ['s'], ['y'])],
          initializers: [tensor('s', 'int64', [2], [2 ** 20, 2 ** 20])],
        }),
    ],
    [
      'an expansion to 2^60 elements',
      'MODEL_TOO_LARGE',
      () =>
        base({
          inputs: [input('x', 'float32', [1, 1])],
          nodes: [node('Expand', ['x', 's'], ['y'])],
          initializers: [tensor('s', 'int64', [2], [2 ** 30, 2 ** 30])],
        }),
    ],
    [
      'a range of 2^50 numbers',
      'MODEL_BROKEN',
      () =>
        base({
          nodes: [node('Range', ['a', 'b', 'c'], ['y'])],
          initializers: [
            tensor('a', 'int64', [], [0]),
            tensor('b', 'int64', [], [2 ** 50]),
            tensor('c', 'int64', [], [1]),
          ],
        }),
    ],
    [
      'NaN weights',
      'MODEL_NAN_WEIGHTS',
      () =>
        base({
          nodes: [node('MatMul', ['x', 'w'], ['y'])],
          initializers: [tensor('w', 'float32', [4, 1], [1, Number.NaN, 3, 4])],
        }),
    ],
    [
      'infinite weights',
      'MODEL_NAN_WEIGHTS',
      () =>
        base({
          nodes: [node('MatMul', ['x', 'w'], ['y'])],
          initializers: [tensor('w', 'float32', [4, 1], [1, 2, Number.POSITIVE_INFINITY, 4])],
        }),
    ],
    ['an operator set that is too old', 'MODEL_OPSET_UNSUPPORTED', () => base({ opset: 6 })],
    ['an operator set that is too new', 'MODEL_OPSET_UNSUPPORTED', () => base({ opset: 22 })],
    ['no operator set', 'MODEL_OPSET_UNSUPPORTED', () => ({ ...base({}), opsetImport: [] })],
    [
      'a weight of another shape than the input needs',
      'MODEL_SHAPE_INVALID',
      () =>
        base({
          nodes: [node('MatMul', ['x', 'w'], ['y'])],
          initializers: [tensor('w', 'float32', [5, 1], [1, 2, 3, 4, 5])],
        }),
    ],
    [
      'strides of 0',
      'MODEL_BROKEN',
      () =>
        base({
          inputs: [input('x', 'float32', [1, 1, 4, 4])],
          nodes: [
            node(
              'MaxPool',
              ['x'],
              ['y'],
              attribute.ints('kernel_shape', [2, 2]),
              attribute.ints('strides', [0, 1]),
            ),
          ],
        }),
    ],
    [
      'a slice by 0',
      'MODEL_BROKEN',
      () =>
        base({
          nodes: [node('Slice', ['x', 'z', 'z', 'z', 'z'], ['y'])],
          initializers: [tensor('z', 'int64', [1], [0])],
        }),
    ],
    [
      'a function that calls itself',
      'MODEL_BROKEN',
      () => ({
        ...base({ nodes: [node('F', ['x'], ['y'], { domain: 'own' })] }),
        functions: [
          {
            name: 'F',
            domain: 'own',
            input: ['a'],
            output: ['b'],
            node: [node('F', ['a'], ['b'], { domain: 'own' })],
          },
        ],
      }),
    ],
  ]
  for (const [what, code, make] of cases)
    it(`${what}: ${code}`, async () => {
      assert.equal(await codeOf(make()), code)
    })

  it('functions that call each other a billion times: MODEL_TOO_LARGE', async () => {
    const functions = Array.from({ length: 30 }, (_, i) => ({
      name: `F${i}`,
      domain: 'own',
      input: ['a'],
      output: ['b'],
      node: [
        node(i === 0 ? 'Relu' : `F${i - 1}`, ['a'], ['m'], { domain: i === 0 ? '' : 'own' }),
        node(i === 0 ? 'Relu' : `F${i - 1}`, ['m'], ['b'], { domain: i === 0 ? '' : 'own' }),
      ],
    }))
    assert.equal(
      await codeOf({ ...base({ nodes: [node('F29', ['x'], ['y'], { domain: 'own' })] }), functions }),
      'MODEL_TOO_LARGE',
    )
  })

  it('a NaN weight is named', async () => {
    const bytes = encodeModel(
      base({
        nodes: [node('MatMul', ['x', 'fc.weight'], ['y'])],
        initializers: [tensor('fc.weight', 'float16', [4, 1], [1, Number.NaN, 3, 4])],
        inputs: [input('x', 'float16', [1, 4])],
      }),
    )
    const error = await readsOrRefuses(bytes, 'the model')
    assert.equal(error?.where, 'fc.weight')
  })

  it('an infinity that is a bound is not a broken weight', async () => {
    assert.equal(
      await codeOf(
        base({
          nodes: [node('Max', ['x', 'w'], ['y'])],
          initializers: [tensor('w', 'float32', [4], [Number.NEGATIVE_INFINITY, 0, 0, 0])],
        }),
      ),
      null,
    )
  })

  it('operators in any order are read', async () => {
    assert.equal(await codeOf(base({ nodes: [node('Relu', ['m'], ['y']), node('Abs', ['x'], ['m'])] })), null)
  })

  it('names that are not text are read', async () => {
    const bytes = Buffer.from(
      encodeModel(base({ nodes: [node('Relu', ['x'], ['mmmm']), node('Relu', ['mmmm'], ['y'])] })),
    )
    for (let at = bytes.indexOf('mmmm'); at >= 0; at = bytes.indexOf('mmmm', at)) bytes.fill(0xff, at, at + 4)
    assert.equal(await readsOrRefuses(bytes, 'the model'), null)
  })

  it('a chain of 20,000 operators is read in time', async () => {
    const nodes = Array.from({ length: 20_000 }, (_, i) =>
      node('Relu', [i === 0 ? 'x' : `v${i}`], [i === 19_999 ? 'y' : `v${i + 1}`]),
    )
    assert.equal(await codeOf(base({ nodes })), null)
  })

  it('more operators than any network has: MODEL_TOO_LARGE', async () => {
    const nodes = Array.from({ length: 100_001 }, () => node('Relu', ['x'], ['y']))
    assert.equal(await codeOf(base({ nodes })), 'MODEL_TOO_LARGE')
  })

  it('an operator of 20,000 inputs: MODEL_TOO_LARGE', async () => {
    assert.equal(
      await codeOf(
        base({ nodes: [node('Concat', new Array(20_000).fill('x'), ['y'], attribute.int('axis', 0))] }),
      ),
      'MODEL_TOO_LARGE',
    )
  })

  it('a value of 100 dimensions: MODEL_BROKEN', async () => {
    const axes = Array.from({ length: 99 }, (_, i) => i)
    assert.equal(
      await codeOf(
        base({
          nodes: [node('Unsqueeze', ['x', 'a'], ['y'])],
          initializers: [tensor('a', 'int64', [99], axes)],
        }),
      ),
      'MODEL_BROKEN',
    )
  })

  it('zero points of another type than the integers: MODEL_BROKEN', async () => {
    const spec = base({
      inputs: [input('x', 'uint8', [1, 4])],
      nodes: [node('DequantizeLinear', ['x', 's', 'z'], ['y'])],
      initializers: [tensor('s', 'float32', [], [1]), tensor('z', 'int8', [], [-3])],
    })
    assert.equal(await codeOf(spec), 'MODEL_BROKEN')
  })

  it('a file of 3 GB: MODEL_TOO_LARGE, before it is read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'edgewright-large-'))
    try {
      const path = join(folder, 'model.onnx')
      writeFileSync(path, encodeModel(base({})))
      truncateSync(path, 3 * 2 ** 30)
      await assert.rejects(readOnnx({ path }), {
        code: 'MODEL_TOO_LARGE',
        message: 'The model file is larger than 2 GB.',
      })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('a file over the limit: MODEL_TOO_LARGE', async () => {
    await assert.rejects(readOnnx({ bytes: encodeModel(base({})) }, { maxBytes: 10 }), {
      code: 'MODEL_TOO_LARGE',
    })
  })
})
