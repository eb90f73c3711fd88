import { EdgewrightError } from '../error.ts'
import { checkName } from './names.ts'
import { remoteScript } from './remote-script.ts'
import { stateScript } from './supervisor.ts'
import type { Device } from './types.ts'

/** Where a run keeps its files on the board. */
export function runFolder(device: Device, id: string): string {
  return `${device.root}/runs/${checkName(id, 'the id of a run')}`
}

/** What became of a run: `lives`, `dead` (ended without a word: reboot, out of memory), or its status. */
export type RunState =
  | { readonly state: 'absent' | 'lives' | 'dead' | 'killed' }
  | { readonly state: 'exited'; readonly exitCode: number }

/** Asks once. */
export async function runState(device: Device, id: string): Promise<RunState> {
  const lines = await remoteScript(device, 'looking at the run', stateScript, [runFolder(device, id)])
  return parseState(device, lines.at(-1))
}

export function parseState(device: Device, words: readonly string[] | undefined): RunState {
  const [word, code] = words ?? []
  if (word === 'absent' || word === 'lives' || word === 'dead' || word === 'killed') return { state: word }
  if (word === 'exited' && code !== undefined && /^\d{1,3}$/.test(code))
    return { state: 'exited', exitCode: Number(code) }
  throw new EdgewrightError('DEVICE_ANSWER_INVALID', `${device.name} gave no sensible state of the run.`, {
    where: device.name,
    saw: (words ?? []).join(' '),
  })
}

export function noSuchRun(device: Device, id: string): EdgewrightError {
  return new EdgewrightError('RUN_NOT_FOUND', `There is no run ${id} on ${device.name}.`, {
    where: `${device.root}/runs`,
    hint: 'It may have been collected and removed already.',
  })
}
