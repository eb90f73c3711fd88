import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodePins, type Pin, pinFile, type RunAftermath, runAftermath } from '../deploy/pins.ts'
import { abortRun, cleanRun, collectRun, followRun, startRun } from '../deploy/run.ts'
import { EdgewrightError, toEdgewrightError } from '../error.ts'
import { type Collected, createCollector } from '../measure/collect.ts'
import { encodePlan } from '../measure/encode-plan.ts'
import { createEventParser } from '../measure/events.ts'
import { measureInProcess } from '../measure/in-process.ts'
import type { Plan } from '../measure/plan.ts'
import { runnerFailure } from '../measure/runner-failure.ts'
import type { Progress } from '../progress.ts'
import { holderName, type OpenedBoard } from './open-device.ts'
import type { Provisioned } from './provision.ts'

/** A plan with what it reads and what is wanted back. */
export interface Execution {
  /** Made once the run's folder on the board is known. */
  plan(folder: string): Plan
  /** Files put into the run's folder beforehand, by name. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Files fetched from it afterwards; those that the runner names (operator profiles) come by themselves. */
  readonly fetch: readonly string[]
  /** Set on the board for the time of this run; also asks what else ran there meanwhile. Absent: neither. */
  readonly pins?: readonly Pin[]
}

export interface Executed {
  readonly collected: Collected
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Where the execution has `pins`. */
  readonly aftermath?: RunAftermath
}

/** Runs a plan on a board, detached from this connection, and brings everything back. */
export async function execute(
  board: OpenedBoard,
  tools: Provisioned,
  execution: Execution,
  progress: Progress,
): Promise<Executed> {
  const { device } = board
  if (device.connection.kind === 'local' && process.platform !== 'linux')
    return executeInProcess(execution, progress)
  const id = `${new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)}-${randomBytes(3).toString('hex')}`
  const folder = `${device.root}/runs/${id}`
  const files = new Map(execution.files)
  files.set('plan.json', Buffer.from(encodePlan(execution.plan(folder))))
  if (execution.pins && execution.pins.length > 0) files.set(pinFile, encodePins(execution.pins))
  await startRun(
    device,
    { id, files, command: [tools.runner, `${folder}/plan.json`, `-`], holder: holderName() },
    { progress },
  )
  const { collected, exitCode } = await followOrLeave(board, id, progress)
  const aftermath = execution.pins ? await runAftermath(board.device, id) : undefined
  const failure = notPinned(aftermath, device.name) ?? runnerFailure(collected.end, device.name, exitCode)
  if (failure) {
    // what the runner said is in the failure: nothing of the run is needed any more
    await cleanRun(board.device, id).catch(() => {})
    throw failure
  }
  const names = [...execution.fetch, ...collected.operators.map(({ file }) => file)].map(
    (name) => name.split('/').at(-1)!,
  )
  const fetched = await collectRun(board.device, id, names)
  await cleanRun(board.device, id)
  return { collected, files: fetched, ...(aftermath ? { aftermath } : {}) }
}

/** The board would not be set as it was asked to; the run was not started, and what had been set was set back. */
export function notPinned(aftermath: RunAftermath | undefined, device: string): EdgewrightError | null {
  const refused = aftermath?.pins.find(({ state }) => state === 'refused' || state === 'reboot')
  if (!refused) return null
  const restart = refused.state === 'reboot'
  return new EdgewrightError(
    'DEVICE_UNSUPPORTED',
    restart
      ? `${device} would have to restart for the power mode ${refused.to}.`
      : `${device} did not let the ${refused.what} be set.`,
    {
      where: restart ? '--power-mode' : device,
      saw: `${refused.from} is kept`,
      hint: restart
        ? `Set it there yourself (sudo nvpmodel), let it restart, and measure again.`
        : 'Root or sudo without a password is needed; or measure without --pin and --power-mode.',
    },
  )
}

/** Ctrl-C ends the run on the board and leaves nothing of it; a lost connection leaves it going, and says how to collect it. */
async function followOrLeave(board: OpenedBoard, id: string, progress: Progress): ReturnType<typeof follow> {
  try {
    return await follow(board, id, progress)
  } catch (thrown) {
    const error = toEdgewrightError(thrown)
    if (progress.signal.aborted) {
      await abortRun(board.device, id)
      await cleanRun(board.device, id)
    }
    if (error.code !== 'DEVICE_LOST') throw error
    throw new EdgewrightError('DEVICE_LOST', error.message, {
      where: error.where,
      saw: error.saw,
      hint: `The run goes on there: collect it with edgewright bench … --attach ${id}.`,
      cause: error,
    })
  }
}

/** Collects a run that was started before, by this process or one whose connection was lost. */
export async function follow(
  board: OpenedBoard,
  id: string,
  progress: Progress,
): Promise<{ collected: Collected; exitCode: number | null }> {
  const parser = createEventParser()
  const collector = createCollector()
  let inferences = 0
  const { exitCode } = await followRun(
    board.device,
    id,
    (chunk) => {
      for (const event of parser.push(chunk)) {
        collector.add(event)
        if (event.type === 'latency') {
          inferences += event.ns.length
          progress.tick(inferences, 0, 'inferences')
        }
        if (event.type === 'inferred') progress.tick(event.count, 0, 'samples')
      }
    },
    { progress, reconnect: board.reconnect },
  )
  return { collected: collector.result(), exitCode }
}

/** macOS and Windows: the runner does not run there. */
async function executeInProcess(execution: Execution, progress: Progress): Promise<Executed> {
  const folder = await mkdtemp(join(tmpdir(), 'edgewright-run-'))
  try {
    for (const [name, bytes] of execution.files) await writeFile(join(folder, name), bytes)
    const collected = await measureInProcess(execution.plan(folder), { progress, folder })
    const files = new Map<string, Uint8Array>()
    for (const name of [...execution.fetch, ...collected.operators.map(({ file }) => file)]) {
      const base = name.split(/[\\/]/).at(-1)!
      files.set(base, await readFile(join(folder, base)))
    }
    return { collected, files }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
