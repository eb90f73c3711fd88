import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { EdgewrightError } from '../../../src/error.ts'
import { baselineLevels, compareWithBaseline } from '../../../src/measure/compare/against-baseline.ts'
import { environmentDifferences, openBaseline } from '../../../src/run/compare/baseline.ts'
import { sampleRun } from '../../store/sample-run.ts'
import { figuresAt, sampleComparison } from './sample-comparison.ts'

describe('a baseline', () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-baseline-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const write = (name: string, content: unknown) => {
    const path = join(folder, name)
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }
  const { environment, b, createdAt } = sampleComparison()
  const baseline = {
    schemaVersion: 1,
    kind: 'baseline',
    createdAt,
    edgewright: '0.1.0',
    environment,
    subject: b,
    blocks: figuresAt(4e6, 1),
  }
  const wanted = { device: 'pi@board', threads: 1 }

  test('gives back what was written', async () => {
    const opened = await openBaseline(write('ours.json', baseline), wanted)
    assert.deepEqual(opened.environment, environment)
    assert.ok(Math.abs(opened.levels.p50!.estimate - 4e6) < 4e3)
  })

  test('of run --json is the row of this device and these threads, with its intervals', async () => {
    const { document: run } = sampleRun()
    const row = run.results.find(({ status }) => status === 'ok')!
    const alone = { ...run, results: [row] }
    const at = { device: row.device, threads: row.threads! }
    const opened = await openBaseline(write('run.json', alone), at)
    assert.equal(opened.levels.p50!.estimate, row.latency!.p50Ns)
    assert.equal(opened.side.bytes, row.artifact!.bytes)
    assert.equal(opened.environment.kernel, row.conditions!.kernel)
    await assert.rejects(
      openBaseline(write('other.json', alone), { ...at, threads: 64 }),
      invalid(/0 results/),
    )
    await assert.rejects(
      openBaseline(write('two.json', { ...run, results: [row, row] }), at),
      invalid(/2 results/),
    )
  })

  test('that is none is refused in one sentence', async () => {
    for (const [name, content, saw] of [
      ['text', 'no json', /JSON|token/],
      ['null', 'null', /no object/],
      ['list', '[]', /no object/],
      ['cut', JSON.stringify(baseline).slice(0, 200), /JSON/],
      ['blocks', { ...baseline, blocks: { p50: [-1], mean: [1], p90: null, p99: null } }, /blocks/],
      ['none', { ...baseline, blocks: { p50: [], mean: [1], p90: null, p99: null } }, /0 blocks of p50/],
      [
        'many',
        { ...baseline, blocks: { ...baseline.blocks, mean: Array(257).fill(1) } },
        /257 blocks of mean/,
      ],
      ['empty', {}, /schemaVersion|runId/],
    ] as const)
      await assert.rejects(openBaseline(write(`${name}.json`, content), wanted), invalid(saw), name)
    await assert.rejects(openBaseline(join(folder, 'absent.json'), wanted), invalid(/ENOENT/))
  })

  test('of another kernel, governor, runtime, device or preset is seen to differ', () => {
    assert.deepEqual(environmentDifferences(environment, environment), [])
    const other = {
      ...environment,
      kernel: '6.6.0',
      governor: 'ondemand',
      device: 'pi@other',
      preset: 'quick',
      runtime: { ...environment.runtime, sha256: 'ef'.repeat(32) },
    }
    assert.deepEqual(
      environmentDifferences(environment, other).map((line) => line.split(':')[0]),
      ['device', 'kernel', 'governor', 'runtime', 'preset'],
    )
  })

  test('needs more than what two days differ by, and says nothing is proved below it', () => {
    const levels = baselineLevels(figuresAt(4e6, 1))
    const against = (level: number, control = level) =>
      compareWithBaseline(levels, figuresAt(level, 2), figuresAt(control, 3)).verdict
    assert.equal(against(4.08e6), 'undecided')
    assert.equal(against(4.3e6), 'slower')
    assert.equal(against(3.6e6), 'faster')
    assert.equal(against(4.002e6), 'equal')
    assert.equal(against(4.3e6, 4.6e6), 'unproven')
  })
})

function invalid(saw: RegExp) {
  return (error: unknown) =>
    error instanceof EdgewrightError && error.code === 'BASELINE_INVALID' && saw.test(error.saw ?? '')
}
