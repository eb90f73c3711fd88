import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { ensureBlobBytes } from '../../src/deploy/blobs.ts'
import { openDevice } from '../../src/deploy/device.ts'
import { followRun, startRun } from '../../src/deploy/run.ts'
import type { Device } from '../../src/deploy/types.ts'
import { createCollector } from '../../src/measure/collect.ts'
import { createEventParser } from '../../src/measure/events.ts'
import { inferenceStarts } from '../../src/measure/inference-starts.ts'
import { type Steadiness, steadiness } from '../../src/measure/steady.ts'
import { type Board, startBoard } from './board.ts'
import { clientOptions } from './client.ts'
import { labMissing } from './requirements.ts'
import { installTools, mnistModel, planArtifact, planRun, type Tools } from './runner.ts'

const seconds = 8

describe('a board that is slowed while it is measured', { skip: labMissing() }, () => {
  let board: Board
  let device: Device
  let tools: Tools
  let model: string

  before(async () => {
    board = await startBoard()
    device = await openDevice(board.spec, clientOptions(board))
    tools = await installTools(device)
    model = (await ensureBlobBytes(device, readFileSync(mnistModel))).path
  })
  after(async () => {
    await device?.connection.close()
    await board?.stop()
  })

  for (const [name, onSeconds, offSeconds] of [
    ['many times a second', 0.03, 0.03],
    ['for a fifth of a second at a time', 0.2, 0.2],
  ] as const)
    test(`its runner stopped ${name} from mid-run on, is never steady`, async () => {
      const { state, shift, sentence, stops } = await measured(onSeconds, offSeconds)
      assert.ok(stops >= 1, 'the run ended before it was stopped')
      assert.notEqual(state, 'steady', sentence)
      if (shift) assert.ok(shift.ratio > 1.03 || shift.ratio < 0.97, sentence)
    })

  /** A run that is stopped now and then once half of it is over, and how often it was. */
  async function measured(
    onSeconds: number,
    offSeconds: number,
  ): Promise<Steadiness & { readonly stops: number }> {
    const id = `steady-${Date.now()}`
    const bounds = { minCount: 1, minSeconds: seconds, maxCount: 10_000_000, maxSeconds: 60 }
    const plan = {
      schema: 1 as const,
      artifacts: [planArtifact(tools, model)],
      steps: [
        { do: 'warmup' as const, artifact: 'model', ...bounds, minSeconds: 1 },
        { do: 'measure' as const, artifact: 'model', rateHz: 0, ...bounds },
      ],
      sensors: [],
      sensorPeriodMs: 1000,
    }
    // on the board, and there before the run: a loaded machine takes seconds for a connection
    const events = `${device.root}/runs/${id}/events.jsonl`
    const stopping = board.ssh(
      `until grep -qs '"do":"measure"' ${events}; do sleep 0.1; done
pid=$(sed -n 's/.*"pid":\\([0-9]*\\).*/\\1/p' ${events} | head -n 1); sleep ${seconds / 2}; n=0
while kill -STOP "$pid" 2>/dev/null; do n=$((n+1)); sleep ${offSeconds}; kill -CONT "$pid"; sleep ${onSeconds}; done; echo $n`,
      120_000,
    )
    await startRun(device, planRun(device, tools, id, plan))
    const [parser, collector] = [createEventParser(), createCollector()]
    await followRun(
      device,
      id,
      (chunk) => {
        for (const event of parser.push(chunk)) collector.add(event)
      },
      { deadlineMs: 120_000 },
    )
    const stops = Number((await stopping).stdout)
    const step = collector.result().steps.find((one) => one.do === 'measure')!
    const verdict = steadiness(step.latencyNs.get('model')!, inferenceStarts(step, 'model'))
    return { ...verdict, stops }
  }
})
