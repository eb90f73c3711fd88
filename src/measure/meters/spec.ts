import { printable } from '../../deploy/printable.ts'
import { EdgewrightError } from '../../error.ts'
import { wordsOf } from './exec.ts'

/** Meters on a serial port. */
export const serialMeters = ['ppk2', 'um24c', 'um25c', 'um34c', 'tc66', 'tc66c'] as const
export type SerialMeterKind = (typeof serialMeters)[number]

/** What `--meter` names. */
export type MeterSpec =
  /** `port`: a path, or a serial number; null: the only one there is. */
  | { readonly kind: SerialMeterKind; readonly port: string | null }
  | { readonly kind: 'exec'; readonly argv: readonly string[] }
  | { readonly kind: 'csv'; readonly path: string }

/** How it is to be used. */
export interface MeterSettings {
  readonly spec: MeterSpec
  /** The meter supplies the board with this. */
  readonly supplyVolts: number | null
  /** Of the supply, for meters that see current only. */
  readonly volts: number | null
  /** Share; null: what the meter's maker says. */
  readonly accuracyShare: number | null
  /** The pin (`D0`) or the column that the board's marker reaches. */
  readonly edge: string | null
  readonly columns: readonly string[] | undefined
}

/** What the command line gives, as it was written. */
export interface MeterFlags {
  readonly meter: string
  readonly supply?: string | undefined
  readonly voltage?: string | undefined
  readonly accuracy?: string | undefined
  readonly edge?: string | undefined
  readonly columns?: string | undefined
}

/** @throws EdgewrightError USAGE */
export function parseMeter(flags: MeterFlags): MeterSettings {
  const spec = parseSpec(flags.meter)
  const supplyVolts = voltsOf('--meter-supply', flags.supply)
  const edge = flags.edge ?? null
  if (supplyVolts !== null && spec.kind !== 'ppk2')
    throw usage('--meter-supply', flags.supply!, 'Only a PPK2 supplies a board.')
  if (edge !== null && spec.kind === 'ppk2' && !/^D[0-7]$/i.test(edge))
    throw usage('--meter-edge', edge, 'A PPK2 has the pins D0 to D7.')
  if (edge !== null && !['ppk2', 'csv'].includes(spec.kind))
    throw usage('--meter-edge', edge, 'Only a PPK2 and recordings (csv:) have logic pins.')
  if (flags.columns !== undefined && spec.kind !== 'csv')
    throw usage('--meter-columns', flags.columns, 'Only recordings (csv:) have columns.')
  return {
    spec,
    supplyVolts,
    volts: voltsOf('--meter-voltage', flags.voltage),
    accuracyShare: shareOf(flags.accuracy),
    edge,
    columns: flags.columns?.split(',').map((name) => name.trim()),
  }
}

function parseSpec(written: string): MeterSpec {
  const colon = written.indexOf(':')
  const kind = (colon < 0 ? written : written.slice(0, colon)).toLowerCase()
  const rest = colon < 0 ? '' : written.slice(colon + 1)
  if ((serialMeters as readonly string[]).includes(kind))
    return { kind: kind as SerialMeterKind, port: rest === '' ? null : rest }
  if (kind === 'exec') {
    const argv = wordsOf(rest)
    if (argv.length > 0) return { kind, argv }
  }
  if (kind === 'csv' && rest !== '') return { kind, path: rest }
  throw usage(
    '--meter',
    written,
    'ppk2:/dev/ttyACM0, ppk2:SERIAL, um25c:/dev/rfcomm0, tc66c:/dev/ttyACM1, exec:COMMAND or csv:FILE.',
  )
}

/** `3.3V`, `3300mV` or `3.3`. */
function voltsOf(option: string, written: string | undefined): number | null {
  if (written === undefined) return null
  const match = /^(\d+(?:\.\d+)?)\s*(m?V)?$/i.exec(written.trim())
  const volts = match === null ? Number.NaN : Number(match[1]) / (match[2]?.length === 2 ? 1000 : 1)
  if (volts > 0 && volts <= 60) return volts
  throw usage(option, written, `Write ${option} 3.3V.`)
}

/** `0.5%` or `0.005`. */
function shareOf(written: string | undefined): number | null {
  if (written === undefined) return null
  const match = /^(\d+(?:\.\d+)?)\s*(%)?$/.exec(written.trim())
  const share = match === null ? Number.NaN : Number(match[1]) / (match[2] ? 100 : 1)
  if (share >= 0 && share <= 1) return share
  throw usage('--meter-accuracy', written, 'Write --meter-accuracy 0.5%.')
}

function usage(option: string, saw: string, hint: string): EdgewrightError {
  return new EdgewrightError('USAGE', `Not understood: ${JSON.stringify(printable(saw, 80))}.`, {
    where: option,
    hint,
  })
}
