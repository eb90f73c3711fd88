import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { chooseBoard } from '../../src/compile/board.ts'
import { compileFor, prepareCompile } from '../../src/compile/compile.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { silentProgress } from '../../src/progress.ts'
import { renderComparison } from '../../src/report/comparison-text.ts'
import { parseLimit } from '../../src/run/budget.ts'
import { compareNetworks } from '../../src/run/compare/compare.ts'
import { repositoryRoot } from '../fixtures.ts'
import { type Board, startBoard } from './board.ts'
import { shortComparison, trialsOn } from './compare-board.ts'
import { equalLayers } from './layers.ts'
import { labMissing } from './requirements.ts'

const folder = mkdtempSync(join(tmpdir(), 'edgewright-compare-lab-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** The whole of it: node --import tsx bench/compare-trials.ts --board */
describe('compare where the clock counts instructions', {
  skip: labMissing('system'),
  timeout: 600_000,
}, () => {
  const a = join(folder, '33-layers.onnx')
  const more = join(folder, '34-layers.onnx')
  let lab: Board
  before(async () => {
    writeFileSync(a, equalLayers(33))
    writeFileSync(more, equalLayers(34))
    lab = await startBoard({ kind: 'system', instructionClock: true })
  })
  after(() => lab?.stop())

  test('a network is not told from itself, one with 3 % more work is slower by that', async () => {
    for await (const { verdict, reason } of trialsOn(lab, { a, b: a }, [1, 2]))
      assert.ok(verdict === 'equal' || verdict === 'undecided', reason)
    for await (const { verdict, reason, changes } of trialsOn(lab, { a, b: more }, [3, 4])) {
      assert.equal(verdict, 'slower', reason)
      assert.ok(Math.abs(changes.p50!.estimate - 1 / 33) < 0.006, reason)
    }
  })
})

describe('compare on an emulated board', { skip: labMissing(), timeout: 600_000 }, () => {
  const example = join(repositoryRoot, 'examples', 'mnist')
  const artifact = join(folder, 'litert')
  let lab: Board
  before(async () => {
    const progress = silentProgress()
    const recipe = parseRecipe({ preset: 'fast' }, 'test')
    const prepared = await prepareCompile(
      {
        model: join(example, 'mnist.onnx'),
        shapes: {},
        data: join(example, 'data.yaml'),
        calibrationData: undefined,
        metric: undefined,
        recipe,
      },
      progress,
    )
    try {
      const board = chooseBoard({ profile: 'raspberry-pi-5', target: 'litert', recipe }, progress)
      await compileFor(prepared, board, artifact, progress)
    } finally {
      await prepared.close()
    }
    lab = await startBoard({ model: 'raspberry-pi-5' })
  })
  after(() => lab?.stop())

  test('two runtimes take turns in one process, and no time of the emulator is shown or held to a limit', async () => {
    const comparison = await compareNetworks(
      shortComparison(lab, {
        contest: { kind: 'float', b: artifact },
        data: join(example, 'data.yaml'),
        limit: 40,
        limits: [parseLimit('latency.p50 > 1ns'), parseLimit('size > -30%')],
      }),
      silentProgress(),
    )
    const { a, b, environment, outputs, gate, passes } = comparison
    assert.deepEqual([a.runtime.name, b.runtime.name], ['onnxruntime', 'litert'])
    assert.match(environment.emulated!, /QEMU/)
    assert.ok(outputs.comparable && outputs.agreement! > 0.9 && outputs.sqnrDb! > 15, JSON.stringify(outputs))
    assert.equal(passes[0]!.figures.a!.p50.length, 8)
    assert.deepEqual(
      gate.map(({ status }) => status),
      ['inconclusive', 'kept'],
    )
    const text = renderComparison(comparison)
    assert.doesNotMatch(text, /\d [nµm]s\b/)
    assert.match(text, /QEMU user mode emulates this board/)
  })
})
