import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { fixturesMissing, repositoryRoot } from '../../fixtures.ts'
import { type CaseResult, debianCasesMissing, runNodeCase, withNodeCases } from './node-cases.ts'
import { floatShare, operatorTable } from './operator-table.ts'

describe('the ONNX project’s node tests', { skip: fixturesMissing && debianCasesMissing }, () => {
  let results: CaseResult[] = []
  before(async () => {
    results = await withNodeCases(async (cases) => {
      const done: CaseResult[] = []
      for (const one of cases) done.push(await runNodeCase(one))
      return done
    })
  })

  it('give no wrong number', () => {
    const wrong = results.filter(({ outcome }) => outcome === 'wrong')
    assert.deepEqual(wrong, [])
  })

  it('pass in our own operators for at least 85 % of the float cases of the operators that we claim', () => {
    const { passed, total } = floatShare(results)
    assert.ok(total > 150, `only ${total} float cases were found`)
    assert.ok(passed / total >= 0.85, `${passed} of ${total}`)
  })

  it('are refused with a reason where they are refused', () => {
    const refused = results.filter(({ outcome }) => outcome === 'refused')
    assert.deepEqual(
      refused.filter(({ reason }) => reason === ''),
      [],
    )
    assert.ok(refused.length < results.length * 0.06, `${refused.length} of ${results.length} refused`)
  })

  it('are what docs/onnx-operators.md says', { skip: fixturesMissing || debianCasesMissing }, () => {
    const written = readFileSync(join(repositoryRoot, 'docs', 'onnx-operators.md'), 'utf8')
    assert.equal(operatorTable(results), written, 'docs/onnx-operators.md is stale: run `npm run docs:onnx`')
  })
})
