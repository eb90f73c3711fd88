import type { Options } from 'yargs'
import { parseMeter } from '../measure/meters/spec.ts'
import type { MeterChoice } from '../run/meter.ts'
import { EdgewrightError } from '../error.ts'
import { type Arguments, text } from './command.ts'

/** A power meter beside the board, of `run` and `bench`. */
export const meterOptions = {
  meter: {
    type: 'string',
    describe:
      'A power meter beside the board: ppk2:PORT, um25c:PORT, tc66c:PORT, exec:COMMAND or csv:FILE (docs/meters.md)',
  },
  'meter-supply': { type: 'string', describe: 'Let the PPK2 supply the board: 3.3V' },
  'meter-voltage': { type: 'string', describe: 'Voltage of the supply, for meters of current alone: 5V' },
  'meter-accuracy': {
    type: 'string',
    describe: "Of the meter's values, where you know better than its maker: 0.5%",
  },
  'meter-edge': {
    type: 'string',
    describe: "The meter's pin (D0), or the recording's column, that sees --marker",
  },
  'meter-columns': { type: 'string', describe: 'Columns of a recording: time,current,voltage' },
  marker: {
    type: 'string',
    describe: 'A file on the board that is 1 while power is measured: a GPIO value, a LED brightness',
  },
} as const satisfies Record<string, Options>

/** Undefined where no meter is named; its other options then mean nothing and are refused. */
export function meterOf(args: Arguments): MeterChoice | undefined {
  const meter = text(args, 'meter')
  if (meter === undefined) {
    const stray = Object.keys(meterOptions).find((name) => text(args, name) !== undefined)
    if (stray === undefined) return undefined
    throw new EdgewrightError('USAGE', `--${stray} needs a meter.`, {
      where: `--${stray}`,
      hint: 'Name it: --meter ppk2:/dev/ttyACM0 (edgewright devices meters lists what is there).',
    })
  }
  return {
    settings: parseMeter({
      meter,
      supply: text(args, 'meter-supply'),
      voltage: text(args, 'meter-voltage'),
      accuracy: text(args, 'meter-accuracy'),
      edge: text(args, 'meter-edge'),
      columns: text(args, 'meter-columns'),
    }),
    marker: markerOf(text(args, 'marker')),
  }
}

function markerOf(path: string | undefined): string | null {
  if (path === undefined) return null
  if (/^\/(sys|dev)\/[\w@.:+,/-]+$/.test(path) && !path.split('/').includes('..')) return path
  throw new EdgewrightError('USAGE', 'The marker is not a file of the kernel’s.', {
    where: '--marker',
    saw: path,
    hint: 'Name a pin or a LED: /sys/class/gpio/gpio17/value, /sys/class/leds/led0/brightness.',
  })
}
