import { readFileSync } from 'node:fs'
import { ensureBlobBytes } from '../../src/deploy/blobs.ts'
import { openDevice } from '../../src/deploy/device.ts'
import { type Collected, collect } from '../../src/measure/collect.ts'
import { encodePlan } from '../../src/measure/encode-plan.ts'
import { parseEvents } from '../../src/measure/events.ts'
import type { Plan } from '../../src/measure/plan.ts'
import type { Board } from './board.ts'
import { clientOptions } from './client.ts'
import { installTools, mnistModel, type Tools } from './runner.ts'

export interface BoardTools extends Tools {
  /** A digit network on the board. */
  readonly model: string
}

/** Puts the runner, ONNX Runtime and the digit network on a board. */
export async function equip(board: Board): Promise<BoardTools> {
  const device = await openDevice(board.spec, clientOptions(board))
  try {
    const tools = await installTools(device)
    return { ...tools, model: (await ensureBlobBytes(device, readFileSync(mnistModel))).path }
  } finally {
    await device.connection.close()
  }
}

/** Runs a plan by the bare runner: what the sensors see is the runner alone, with no client connected and no files to be written. */
export async function runOnBoard(board: Board, tools: Tools, plan: Plan): Promise<Collected> {
  const text = Buffer.from(encodePlan(plan)).toString('base64')
  const { stdout, stderr, exitCode } = await board.ssh(
    `rm -f events.jsonl; echo ${text} | base64 -d >plan.json; sync; ${tools.runner} plan.json events.jsonl; echo $? >&2; cat events.jsonl`,
    600_000,
  )
  if (exitCode !== 0 || stderr.trim().split('\n').at(-1) !== '0')
    throw new Error(`the runner ended with ${stderr} ${stdout.slice(-500)}`)
  return collect(parseEvents(Buffer.from(stdout)))
}
