import { createDecipheriv } from 'node:crypto'
import type { Progress } from '../../progress.ts'
import { openPolled, type PolledModel } from './polled.ts'
import { meterFailed, openSerialLink } from './serial-link.ts'
import type { Meter } from './types.ts'

/** The same in every meter of the kind, and public for years: it keeps nothing secret. */
const key = Buffer.from('5821fa5601b2f02687ff1204622a4fb086f40260816f9a0ba7f106619ab87288', 'hex')

const blockBytes = 64
/** Of a block that its checksum covers. */
const checkedBytes = 60

const maxAmps = 5
const voltStep = 1e-4
const ampStep = 1e-5
/** As the vendor prints them: share of the reading, and digits of its display (1 mV, 0.1 mA) on top. */
const voltAccuracy = [0.0005, 2e-3] as const
const ampAccuracy = [0.001, 4e-4] as const

const polled: PolledModel = {
  command: Buffer.from('getva', 'ascii'),
  answerBytes: 3 * blockBytes,
  decode: decodeTc66,
  periodMs: 250,
  // how often it measures anew is documented nowhere
  ageNs: 500e6,
}

/** Opens a TC66 or TC66C on USB, 115200 baud. */
export async function openTc66(path: string, progress: Progress): Promise<Meter> {
  const link = await openSerialLink(path, 115_200, (warning) => progress.warn(warning))
  try {
    return await openPolled(link, polled)
  } catch (error) {
    await link.close()
    throw error
  }
}

/**
 * Reads the 192 bytes that answer `getva`: AES-256-ECB, three blocks `pac1` to `pac3`, each with a CRC-16/MODBUS.
 *
 * @throws EdgewrightError METER_FAILED where they are not that
 */
export function decodeTc66(answer: Uint8Array, where: string): ReturnType<PolledModel['decode']> {
  const cipher = createDecipheriv('aes-256-ecb', key, null).setAutoPadding(false)
  const plain = Buffer.concat([cipher.update(answer), cipher.final()])
  for (const block of [0, 1, 2]) {
    const start = block * blockBytes
    const name = plain.toString('latin1', start, start + 4)
    if (name !== `pac${block + 1}`)
      throw meterFailed(where, 'This is no TC66C.', `a block ${JSON.stringify(name)}`)
    if (crc16Modbus(plain.subarray(start, start + checkedBytes)) !== plain.readUInt32LE(start + checkedBytes))
      throw meterFailed(where, 'What the TC66C answered is damaged.', `wrong checksum of block ${block + 1}`)
  }
  const volts = plain.readUInt32LE(48) * voltStep
  const amps = plain.readUInt32LE(52) * ampStep
  if (volts > 60 || amps > 60)
    throw meterFailed(where, 'The TC66C answers nonsense.', `${volts} V, ${amps} A`)
  const voltError = voltAccuracy[0] * volts + voltAccuracy[1]
  const ampError = ampAccuracy[0] * amps + ampAccuracy[1]
  return {
    model: 'TC66C',
    volts,
    amps,
    uncertaintyWatts: voltError * amps + ampError * volts,
    overload: amps > maxAmps,
  }
}

/** CRC-16/MODBUS: polynomial 0x8005 reflected, begun with 0xFFFF. */
export function crc16Modbus(bytes: Uint8Array): number {
  let crc = 0xffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1
  }
  return crc
}
