import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { memoryPlan } from '../../src/measure/standard-plan.ts'
import { silentProgress } from '../../src/progress.ts'
import { execute } from '../../src/run/execute.ts'
import { noQuestions, openBoard } from '../../src/run/open-device.ts'
import { provision } from '../../src/run/provision.ts'

const folder = mkdtempSync(join(tmpdir(), 'edgewright-left-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('a model that the runtime refuses leaves no run on the board', {
  skip: process.platform !== 'linux' && 'needs Linux',
}, async () => {
  const progress = silentProgress()
  const board = await openBoard(
    'local:',
    undefined,
    { ...noQuestions, root: join(folder, 'board') },
    progress,
  )
  try {
    const tools = await provision(board.device, 'onnxruntime', progress)
    const model = join(folder, 'broken.onnx')
    writeFileSync(model, 'no model')
    const subject = { id: 'model', backend: tools.backend, library: tools.library, model }
    const plan = () => memoryPlan({ affinity: [] }, subject, 1)
    await assert.rejects(
      execute(board, tools, { files: new Map(), fetch: [], plan }, progress),
      (error: unknown) => error instanceof EdgewrightError && error.code === 'RUNNER_FAILED',
    )
    assert.deepEqual(readdirSync(join(folder, 'board', 'runs')), [])
  } finally {
    await board.close()
  }
})
