import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { constraints, fileConstraints } from '../../../targets/tensorrt/constraints.ts'
import { dlaConstraints } from '../../../targets/tensorrt/dla.ts'
import { sources } from '../../../targets/tensorrt/sources.ts'
import { withSupportTable } from '../../../targets/tensorrt/support-table.ts'
import { repositoryRoot } from '../../fixtures.ts'

test('docs/tensorrt.md is what the constraints say', () => {
  const written = readFileSync(join(repositoryRoot, 'docs', 'tensorrt.md'), 'utf8')
  assert.equal(withSupportTable(written), written, 'docs/tensorrt.md is stale: run `npm run docs:tensorrt`')
})

test('every limit has an id and a sentence of its own; what is documented names a source that is not ours', () => {
  const limits = [...fileConstraints, ...constraints, ...dlaConstraints]
  assert.equal(new Set(limits.map(({ id }) => id)).size, limits.length)
  assert.equal(new Set(limits.map(({ sentence }) => sentence)).size, limits.length)
  for (const { id, basis, source } of limits) {
    assert.ok(sources[source])
    assert.equal(basis === 'assumed', source === 'ours', id)
  }
})
