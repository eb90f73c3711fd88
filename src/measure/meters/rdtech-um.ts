import type { Progress } from '../../progress.ts'
import { openPolled, type PolledModel } from './polled.ts'
import { meterFailed, openSerialLink } from './serial-link.ts'
import type { Meter } from './types.ts'

interface Model {
  readonly name: string
  /** Of one digit. */
  readonly voltStep: number
  readonly ampStep: number
  readonly maxAmps: number
  /** Share of the reading, and digits on top, as the vendor prints them. */
  readonly voltAccuracy: readonly [number, number]
  readonly ampAccuracy: readonly [number, number]
  sound(answer: Uint8Array): boolean
}

/** By the first two bytes of an answer: 0x0963, 0x09C9, 0x0D4C. */
const models: Readonly<Record<number, Model>> = {
  2403: {
    name: 'UM24C',
    voltStep: 0.01,
    ampStep: 0.001,
    maxAmps: 3,
    voltAccuracy: [0.005, 2],
    ampAccuracy: [0.008, 3],
    sound: endsInMarker,
  },
  2505: {
    name: 'UM25C',
    voltStep: 0.001,
    ampStep: 0.0001,
    maxAmps: 5,
    voltAccuracy: [0.0005, 2],
    ampAccuracy: [0.001, 4],
    sound: endsInMarker,
  },
  3404: {
    name: 'UM34C',
    voltStep: 0.01,
    ampStep: 0.001,
    maxAmps: 4,
    voltAccuracy: [0.005, 2],
    ampAccuracy: [0.008, 3],
    sound: checksumHolds,
  },
}

/** UM34C: the last byte is the exclusive or of these. */
const checkedBytes = [
  1, 3, 7, 9, 15, 17, 19, 23, 31, 39, 41, 45, 49, 53, 55, 57, 59, 63, 67, 69, 73, 79, 83, 89, 97, 99, 109,
  111, 113, 119, 121, 127,
]

const polled: PolledModel = {
  command: Uint8Array.of(0xf0),
  answerBytes: 130,
  decode: decodeUm,
  periodMs: 500,
  // how often it measures anew is documented nowhere: its display follows about twice a second
  ageNs: 500e6,
}

/** Opens a UM24C, UM25C or UM34C: over Bluetooth (RFCOMM) or its serial pads, 9600 baud. */
export async function openUm(path: string, progress: Progress): Promise<Meter> {
  const link = await openSerialLink(path, 9600, (warning) => progress.warn(warning))
  try {
    return await openPolled(link, polled)
  } catch (error) {
    await link.close()
    throw error
  }
}

/**
 * Reads the 130 big-endian bytes that answer 0xF0.
 *
 * @throws EdgewrightError METER_FAILED where they are of no model that is known, or their end or checksum is wrong
 */
export function decodeUm(answer: Uint8Array, where: string): ReturnType<PolledModel['decode']> {
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length)
  const id = bytes.readUInt16BE(0)
  const model = models[id]
  if (model === undefined)
    throw meterFailed(
      where,
      'This is no UM24C, UM25C or UM34C.',
      `model 0x${id.toString(16).padStart(4, '0')}`,
    )
  if (!model.sound(bytes))
    throw meterFailed(where, `What the ${model.name} answered is damaged.`, 'wrong check bytes')
  const volts = bytes.readUInt16BE(2) * model.voltStep
  const amps = bytes.readUInt16BE(4) * model.ampStep
  const voltError = model.voltAccuracy[0] * volts + model.voltAccuracy[1] * model.voltStep
  const ampError = model.ampAccuracy[0] * amps + model.ampAccuracy[1] * model.ampStep
  return {
    model: model.name,
    volts,
    amps,
    uncertaintyWatts: voltError * amps + ampError * volts,
    overload: amps > model.maxAmps,
  }
}

function endsInMarker(answer: Uint8Array): boolean {
  return answer[128] === 0xff && answer[129] === 0xf1
}

function checksumHolds(answer: Uint8Array): boolean {
  return checkedBytes.reduce((sum, at) => sum ^ answer[at]!, 0) === answer[129]
}
