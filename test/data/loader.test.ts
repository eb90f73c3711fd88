import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openDataset } from '../../src/data/open.ts'
import type { InputSpec } from '../../src/data/types.ts'
import { errorOf, temporaryFolder } from './temporary.ts'

const pair: InputSpec = { name: 'x', dtype: 'float32', shape: [1, 2] }

async function loader(context: TestContext, text: string): Promise<string> {
  const path = join(await temporaryFolder(context), 'loader.mjs')
  await writeFile(path, text)
  return path
}

test('a generator function is started anew for each pass and read in any order', async (context) => {
  const path = await loader(
    context,
    `export default async function* (inputs) {
    for (let i = 0; i < 4; i++) yield { x: new Float32Array([i, inputs[0].shape[1]]), label: i % 2, id: 'n' + i }
  }`,
  )
  const dataset = await openDataset(path, [pair], { preprocess: { scale: 2 } })
  assert.deepEqual([dataset.length, dataset.labels, dataset.preprocessing.kind], [4, [0, 1, 0, 1], 'loader'])
  const samples = await Promise.all([3, 0, 2, 2].map((index) => dataset.sample(index)))
  assert.deepEqual(
    samples.map(({ id }) => id),
    ['n3', 'n0', 'n2', 'n2'],
  )
  assert.deepEqual([...samples[0]!.inputs.get('x')!.data], [6, 4])
})

test('plain arrays, several inputs and 64-bit integers are taken', async (context) => {
  const path = await loader(
    context,
    `export default [
    { inputs: { ids: BigInt64Array.of(5n, -1n), mask: { data: [1, 0], shape: [2] } } },
  ]`,
  )
  const dataset = await openDataset(path, [
    { name: 'ids', dtype: 'int64', shape: [1, 2] },
    { name: 'mask', dtype: 'bool', shape: [1, 2] },
  ])
  const { inputs, label } = await dataset.sample(0)
  assert.deepEqual(
    [[...inputs.get('ids')!.data], [...inputs.get('mask')!.data], label],
    [[5n, -1n], [1, 0], null],
  )
})

for (const [name, text, code, parts] of [
  [
    'of the wrong shape',
    'export default [{ x: [1, 2], id: "good" }, { x: [1, 2, 3], id: "bad" }]',
    'DATA_SHAPE',
    { where: /bad/, saw: /3 values, expected \[1, 2\]/ },
  ],
  ['without the input', 'export default [{ y: [1, 2] }]', 'DATA_SHAPE', { saw: /y/ }],
  ['that is no object', 'export default [7]', 'DATA_BROKEN', { saw: /number/ }],
  [
    'with a fraction for a label',
    'export default [{ x: [1, 2], label: 0.5 }]',
    'DATA_LABELS',
    { saw: /0\.5/ },
  ],
] as const)
  test(`a sample ${name} is refused`, async (context) => {
    await assert.rejects(openDataset(await loader(context, text), [pair]), errorOf(code, parts))
  })

test('a loader that throws, exports nothing, yields nothing or does not parse is told from the others', async (context) => {
  const opening = async (text: string) => openDataset(await loader(context, text), [pair])
  await assert.rejects(
    opening('export default () => { throw new Error("no disk") }'),
    errorOf('DATA_BROKEN', { saw: /no disk/ }),
  )
  await assert.rejects(
    opening('export default function* () { yield { x: [1, 2] }; throw new Error("row 2") }'),
    errorOf('DATA_BROKEN', { saw: /row 2/ }),
  )
  await assert.rejects(opening('export const a = 1'), errorOf('DATA_BROKEN', { saw: /missing/ }))
  await assert.rejects(opening('export default []'), errorOf('DATA_EMPTY'))
  await assert.rejects(opening('this is not javascript'), errorOf('DATA_BROKEN', { hint: /ES module/ }))
})

test('a loader that can be read only once says so instead of giving other samples', async (context) => {
  const path = await loader(context, 'export default (function* () { yield { x: [1, 2] } })()')
  const dataset = await openDataset(path, [pair])
  await assert.rejects(dataset.sample(0), errorOf('DATA_BROKEN', { hint: /starts anew/ }))
})
