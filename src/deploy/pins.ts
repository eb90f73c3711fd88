import { boardProcessFunctions } from './board-process.ts'
import { pinFunctions } from './pin-script.ts'
import { printable } from './printable.ts'
import { remoteScript } from './remote-script.ts'
import { runFolder } from './run-state.ts'
import type { Device } from './types.ts'

/** A setting of the board for the time of a run; the board sets it back by itself, whatever becomes of this computer. */
export type Pin =
  | { readonly what: 'governor'; readonly path: string; readonly to: string }
  /** nvpmodel: the ids are this board's own, the names are for people. */
  | {
      readonly what: 'power-mode'
      readonly id: number
      readonly name: string
      readonly fromName: string
    }
  /** jetson_clocks: all clocks at the highest of the power mode. */
  | { readonly what: 'jetson-clocks' }

/** What became of a setting. */
export interface PinOutcome {
  readonly what: string
  readonly from: string
  readonly to: string
  /**
   * `left`: somebody else has set it since, or a restart did. `failed`: it stands as pinned; the next run tries again.
   * `refused`, `reboot`: it could not be set, or only with a restart; the run was not started.
   */
  readonly state: 'restored' | 'left' | 'failed' | 'refused' | 'reboot'
}

/** The file of a run's folder that asks its supervisor for these settings. */
export const pinFile = 'pin'

export function encodePins(pins: readonly Pin[]): Uint8Array {
  const lines = pins.map((pin) => {
    if (pin.what === 'governor') return `governor ${pin.path} ${pin.to}`
    if (pin.what === 'power-mode') return `mode ${pin.id} ${pin.name} ${pin.fromName}`
    return 'clocks'
  })
  return Buffer.from(`${lines.join('\n')}\n`)
}

/** What a run left beside its events, in the supervisor's words. */
export interface RunAftermath {
  readonly pins: readonly PinOutcome[]
  /** /proc/stat before and after, and the shell's `times`: for loadBesideRun. */
  readonly load: readonly string[]
}

/** Reads what the supervisor wrote of a run that has ended; empty where it wrote nothing. */
export async function runAftermath(device: Device, id: string): Promise<RunAftermath> {
  const lines = await remoteScript(device, 'reading what the run left', aftermathScript, [
    runFolder(device, id),
  ])
  const rest = (key: string) => lines.filter(([word]) => word === key).map(([, ...words]) => words)
  return { pins: rest('pin').flatMap(outcomeOf), load: rest('load').map((words) => words.join(' ')) }
}

const aftermathScript = `
for f in pin load; do
  [ -r "$1/$f.end" ] && head -c 8000 "$1/$f.end" | while read -r line; do echo "$f $line"; done
done
return 0`

/** Settings that a run which is no more has left on the board. */
export interface LeftPinned {
  readonly run: string
  readonly pins: readonly PinOutcome[]
}

/** Sets back what runs without a living supervisor have left pinned: after a loss of power, or of everything at once. */
export async function restoreLeftPinned(device: Device, signal?: AbortSignal): Promise<LeftPinned[]> {
  const lines = await remoteScript(device, 'setting clocks back', restoreLeftScript, [device.root], {
    ...(signal ? { signal } : {}),
    deadlineMs: 60_000,
  })
  const left: { run: string; pins: PinOutcome[] }[] = []
  for (const words of lines.slice(0, 1000))
    if (words[0] === 'left-by') left.push({ run: printable(words[1] ?? '', 80), pins: [] })
    else left.at(-1)?.pins.push(...outcomeOf(words))
  return left
}

const restoreLeftScript = `${boardProcessFunctions}${pinFunctions}
[ -d "$1/pinned" ] || return 0
restore_left "$1"
return 0`

const subjects: Readonly<Record<string, (path: string) => string>> = {
  governor: (path) => {
    const folder = path.split('/').find((part) => /^(policy|cpu)\d+$/.test(part))
    return folder ? `governor of ${folder}` : 'governor'
  },
  mode: () => 'power mode',
  clocks: () => 'jetson_clocks',
  record: () => 'record of settings',
}

const states: readonly string[] = ['restored', 'left', 'failed', 'refused', 'reboot']

function outcomeOf([
  state = '',
  subject = '',
  path = '',
  from = '',
  to = '',
]: readonly string[]): PinOutcome[] {
  const what = subjects[subject]
  if (!what || !states.includes(state)) return []
  return [
    {
      what: what(printable(path)),
      from: printable(from, 40),
      to: printable(to, 40),
      state: state as PinOutcome['state'],
    },
  ]
}
