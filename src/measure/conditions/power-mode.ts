import { printable } from '../../deploy/printable.ts'
import { EdgewrightError } from '../../error.ts'
import type { PowerMode, PowerModes } from './types.ts'

/** /var/lib/nvpmodel/status and the POWER_MODEL lines of /etc/nvpmodel.conf; null where the board has neither. */
export function parsePowerModes(status: string | null, lines: readonly string[]): PowerModes | null {
  const modes = lines.flatMap((line): PowerMode[] => {
    const match = /^<\s*POWER_MODEL\s+ID=(\d{1,3})\s+NAME=([A-Za-z0-9_.+-]{1,40})\s*>/.exec(line)
    return match ? [{ id: Number(match[1]), name: match[2]! }] : []
  })
  const current = /^pmode:(\d{1,4})(?:\s|$)/.exec(status ?? '')
  if (modes.length === 0 && !current) return null
  return { current: modes.find(({ id }) => id === Number(current?.[1])) ?? null, modes }
}

/** The mode of this name; the same name has another id on the next module. */
export function powerModeNamed(modes: PowerModes | null, name: string, device: string): PowerMode {
  const found = modes?.modes.find((mode) => mode.name.toLowerCase() === name.toLowerCase())
  if (found) return found
  throw new EdgewrightError('DEVICE_UNSUPPORTED', `${device} has no power mode ${printable(name)}.`, {
    where: '--power-mode',
    saw: modes ? modes.modes.map((mode) => mode.name).join(', ') || 'no modes listed' : 'no nvpmodel',
    hint: modes ? 'Name one of these.' : 'Power modes are of Jetson boards; leave the option out.',
  })
}
