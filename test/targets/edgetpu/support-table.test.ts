import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { constraints, limits } from '../../../targets/edgetpu/constraints.ts'
import { rewrites } from '../../../targets/edgetpu/rewrites/index.ts'
import { sources } from '../../../targets/edgetpu/sources.ts'
import { knownAbsent, supportedOperators } from '../../../targets/edgetpu/supported.ts'
import { supportTable } from '../../../targets/edgetpu/support-table.ts'
import { repositoryRoot } from '../../fixtures.ts'

test('docs/edgetpu.md is what the constraints say', () => {
  const written = readFileSync(join(repositoryRoot, 'docs', 'edgetpu.md'), 'utf8')
  assert.equal(supportTable(), written, 'docs/edgetpu.md is stale: run `npm run docs:edgetpu`')
})

test('every row has a sentence of its own, and no source is quoted that nothing rests on', () => {
  const sentences = limits.map(({ sentence }) => sentence)
  assert.equal(new Set(sentences).size, sentences.length)
  assert.deepEqual(
    constraints.map(({ id }) => id),
    limits.map(({ id }) => id),
  )
  const used = new Set([...limits, ...supportedOperators, ...knownAbsent].map(({ source }) => source))
  for (const source of used) assert.ok(sources[source])
})

test('a limit names operators that are mapped, and a remedy names a rewrite that exists', () => {
  const mapped = new Set(supportedOperators.map(({ type }) => type))
  for (const { operators, id } of limits)
    for (const type of operators ?? []) assert.ok(mapped.has(type), `${id}: ${type}`)
  const named = [...limits, ...knownAbsent].flatMap(
    ({ remedy }) => remedy?.match(/(?<=The rewrite )[a-z0-9-]+/)?.[0] ?? [],
  )
  assert.deepEqual(named.sort(), [
    'decompose-hard-swish',
    'leaky-relu-to-prelu',
    'repeat-one-place',
    'split-mean',
  ])
  for (const name of named)
    assert.ok(
      rewrites.some((rewrite) => rewrite.name === name),
      name,
    )
})
