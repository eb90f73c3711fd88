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

const seconds = 6

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
      const { state, shift, sentence, stops } = await measured(async (pid) => {
        const { stdout } = await board.ssh(
          `n=0; while kill -STOP ${pid} 2>/dev/null; do n=$((n+1)); sleep ${offSeconds}; kill -CONT ${pid}; sleep ${onSeconds}; done; echo $n`,
          60_000,
        )
        return Number(stdout)
      })
      assert.ok(stops >= 3, `stopped ${stops} times`)
      assert.notEqual(state, 'steady', sentence)
      if (shift) assert.ok(shift.ratio > 1.03 || shift.ratio < 0.97, sentence)
    })

  /** A run that meets `slow` once half of it is over. */
  async function measured(
    slow: (pid: number) => Promise<number>,
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
    await startRun(device, planRun(device, tools, id, plan))
    const [parser, collector] = [createEventParser(), createCollector()]
    let pid = 0
    let begunNs: number | null = null
    let slowing: Promise<number> | null = null
    await followRun(
      device,
      id,
      (chunk) => {
        for (const event of parser.push(chunk)) {
          collector.add(event)
          if (event.type === 'hello') pid = event.pid
          if (event.type === 'step' && event.do === 'measure') begunNs = event.t
          if (begunNs !== null && slowing === null && event.t - begunNs > (seconds / 2) * 1e9)
            slowing = slow(pid)
        }
      },
      { deadlineMs: 120_000 },
    )
    assert.ok(slowing, 'the run ended before it was slowed')
    const stops = await slowing
    const step = collector.result().steps.find((one) => one.do === 'measure')!
    const verdict = steadiness(step.latencyNs.get('model')!, inferenceStarts(step, 'model'))
    return { ...verdict, stops }
  }
})
