import { printable } from '../../deploy/printable.ts'
import { meterFailed } from './serial-link.ts'

/** Coefficients of one of the five shunt ranges, range 0 the most sensitive. */
export interface Ppk2Range {
  readonly resistanceOhm: number
  readonly gainSlope: number
  readonly gain: number
  readonly offsetAdc: number
  readonly offsetPerVolt: number
  readonly offsetAmps: number
  readonly userGain: number
}

export interface Ppk2Metadata {
  readonly ranges: readonly Ppk2Range[]
  /** 1: ampere meter, 2: source meter; null where it is not said. */
  readonly mode: number | null
  /** What the regulator is set to; null where it is not said. */
  readonly vddMilliV: number | null
  readonly hardware: number | null
  /** Coefficients that the kit gave as not a number: its defaults stand for them. */
  readonly defaulted: readonly string[]
}

/** What Nordic's own application assumes where the kit holds no value. */
const defaults = {
  R: [1031.64, 101.65, 10.15, 0.94, 0.043],
  GS: [1, 1, 1, 1, 1],
  GI: [1, 1, 1, 1, 1],
  O: [0, 0, 0, 0, 0],
  S: [0, 0, 0, 0, 0],
  I: [0, 0, 0, 0, 0],
  UG: [1, 1, 1, 1, 1],
} as const

/** Beyond these a coefficient is no calibration but a broken answer. */
const largest: Record<keyof typeof defaults, number> = {
  R: 1e4,
  GS: 1e6,
  GI: 10,
  O: 65_536,
  S: 1,
  I: 1,
  UG: 10,
}

/** Where the answer to command 0x19 ends, as far as it has come; null: not yet. */
export function metadataEnd(received: Uint8Array): number | null {
  const text = Buffer.from(received.buffer, received.byteOffset, received.length).toString('latin1')
  const end = /(?:^|\n)END\r?(?:\n|$)?/.exec(text)
  return end === null ? null : end.index + end[0].length
}

/**
 * Reads the answer to command 0x19: lines `KEY: value`, then `END`.
 *
 * @throws EdgewrightError METER_FAILED where it is not that, or a coefficient is beyond what a kit can have
 */
export function parsePpk2Metadata(answer: Uint8Array, where: string): Ppk2Metadata {
  const text = Buffer.from(answer).toString('latin1')
  const values = new Map<string, number>()
  for (const line of text.split(/\r?\n/).map((each) => each.trim())) {
    if (line === '' || line === 'END') continue
    const pair = /^([A-Za-z]{1,12}\d?): *(-?(?:nan|inf|\d+(?:\.\d*)?(?:e[-+]?\d{1,3})?))$/i.exec(line)
    if (pair === null) throw notMetadata(where, line)
    values.set(pair[1]!.toUpperCase(), numberOf(pair[2]!))
  }
  if (![0, 1, 2, 3, 4].every((range) => values.has(`R${range}`))) throw notMetadata(where, text)
  const defaulted: string[] = []
  const coefficient = (key: keyof typeof defaults, range: number): number => {
    const said = values.get(`${key}${range}`)
    const usual = defaults[key][range]!
    if (said !== undefined && !Number.isFinite(said)) {
      defaulted.push(`${key}${range}`)
      return usual
    }
    // 0 stands for "never written": so the application of the vendor reads it
    if (said === undefined || said === 0) return usual
    if (Math.abs(said) > largest[key] || (key === 'R' && said < 0))
      throw notMetadata(where, `${key}${range}: ${said}`)
    return said
  }
  const said = (key: string): number | null => {
    const value = values.get(key)
    return value !== undefined && Number.isFinite(value) ? value : null
  }
  return {
    ranges: [0, 1, 2, 3, 4].map((range) => ({
      resistanceOhm: coefficient('R', range),
      gainSlope: coefficient('GS', range),
      gain: coefficient('GI', range),
      offsetAdc: coefficient('O', range),
      offsetPerVolt: coefficient('S', range),
      offsetAmps: coefficient('I', range),
      userGain: coefficient('UG', range),
    })),
    mode: said('MODE'),
    vddMilliV: said('VDD'),
    hardware: said('HW'),
    defaulted,
  }
}

function numberOf(written: string): number {
  return /nan|inf/i.test(written) ? Number.NaN : Number(written)
}

function notMetadata(where: string, saw: string) {
  return meterFailed(where, 'The meter’s calibration cannot be read.', printable(saw))
}
