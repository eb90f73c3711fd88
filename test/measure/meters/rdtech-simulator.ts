import { createCipheriv } from 'node:crypto'
import { simulator } from './simulator.ts'

/** A UM24C, UM25C, UM34C or TC66C: answers what it is asked, and complains about anything else. */
export interface RdtechSettings {
  readonly kind: 'UM24C' | 'UM25C' | 'UM34C' | 'TC66C'
  readonly volts: number
  /** In turn, one an answer; the last stays. */
  readonly amps: readonly number[]
  /** From which answer on it is broken, and how. */
  readonly fault?: 'truncated' | 'checksum' | 'zeros' | 'silent' | 'endless' | 'wrong-model' | 'garbage'
  readonly faultFrom?: number
  /** How many answers are broken; absent: all from then on. */
  readonly faults?: number
  readonly answerMs?: number
}

const ids = { UM24C: 0x0963, UM25C: 0x09c9, UM34C: 0x0d4c } as const
const finer = { UM24C: 1, UM25C: 10, UM34C: 1 } as const
// from the description of the checksum by those who found it: bytes of UM34C's answers that it covers
const covered =
  '1 3 7 9 15 17 19 23 31 39 41 45 49 53 55 57 59 63 67 69 73 79 83 89 97 99 109 111 113 119 121 127'
    .split(' ')
    .map(Number)
const tcKey = [
  88, 33, -6, 86, 1, -78, -16, 38, -121, -1, 18, 4, 98, 42, 79, -80, -122, -12, 2, 96, -127, 111, -102, 11,
  -89, -15, 6, 97, -102, -72, 114, -120,
]

if (process.env['SIMULATOR']) run()

function run(): void {
  let answers = 0
  let asked = ''
  const port = simulator<RdtechSettings>((bytes) => {
    if (settings.kind !== 'TC66C') {
      for (const byte of bytes)
        if (byte === 0xf0) answer()
        else port.violation(`command 0x${byte.toString(16)}`)
      return
    }
    asked += Buffer.from(bytes).toString('latin1')
    while (asked.length >= 5) {
      if (asked.startsWith('getva')) answer()
      else port.violation(`command ${JSON.stringify(asked)}`)
      asked = asked.slice(5)
    }
  })
  const { settings } = port

  function answer(): void {
    const amps = settings.amps[Math.min(answers, settings.amps.length - 1)]!
    const whole =
      settings.kind === 'TC66C'
        ? tcAnswer(settings.volts, amps)
        : umAnswer(settings.kind, settings.volts, amps)
    const from = settings.faultFrom ?? 0
    const broken =
      settings.fault !== undefined && answers >= from && answers < from + (settings.faults ?? Infinity)
    answers++
    port.remark('answers', answers)
    const bytes = broken ? spoil(whole, settings) : whole
    setTimeout(() => {
      // in pieces, as Bluetooth gives them
      for (let at = 0; at < bytes.length; at += 20) port.send(bytes.subarray(at, at + 20))
    }, settings.answerMs ?? 5)
  }

  function spoil(whole: Buffer, { fault, kind }: RdtechSettings): Buffer {
    switch (fault) {
      case 'truncated':
        return whole.subarray(0, whole.length - 7)
      case 'checksum':
        whole[kind === 'TC66C' ? 52 : 129]! ^= 0x10
        return whole
      case 'zeros':
        return Buffer.alloc(whole.length)
      case 'wrong-model':
        return kind === 'TC66C'
          ? umAnswer('UM25C', 5, 1)
          : Buffer.concat([Buffer.of(0x12, 0x34), whole.subarray(2)])
      case 'garbage':
        return Buffer.alloc(whole.length, '\x1b]0;owned\x07')
      case 'endless':
        setInterval(() => port.backlog < 1e6 && port.send(Buffer.alloc(5_000, 0x41)), 2)
        return Buffer.alloc(0)
      default:
        return Buffer.alloc(0)
    }
  }
}

export function umAnswer(kind: keyof typeof ids, volts: number, amps: number): Buffer {
  const bytes = Buffer.alloc(130)
  bytes.writeUInt16BE(ids[kind], 0)
  bytes.writeUInt16BE(Math.round(volts * 100 * finer[kind]), 2)
  bytes.writeUInt16BE(Math.round(amps * 1000 * finer[kind]), 4)
  bytes.writeUInt32BE(Math.round(volts * amps * 1000), 6)
  bytes.writeUInt16BE(28, 10)
  bytes.writeUInt32BE(Math.round((volts / Math.max(amps, 1e-6)) * 10), 122)
  if (kind === 'UM34C') bytes[129] = covered.reduce((sum, at) => sum ^ bytes[at]!, 0)
  else bytes.writeUInt16BE(0xfff1, 128)
  return bytes
}

export function tcAnswer(volts: number, amps: number): Buffer {
  const plain = Buffer.alloc(192)
  plain.write('pac1TC661.14', 0, 'latin1')
  plain.writeUInt32LE(12_345, 12)
  plain.writeUInt32LE(Math.round(volts * 1e4), 48)
  plain.writeUInt32LE(Math.round(amps * 1e5), 52)
  plain.writeUInt32LE(Math.round(volts * amps * 1e4), 56)
  plain.write('pac2', 64, 'latin1')
  plain.writeUInt32LE(31, 92)
  plain.write('pac3', 128, 'latin1')
  for (const start of [0, 64, 128]) plain.writeUInt32LE(modbus(plain.subarray(start, start + 60)), start + 60)
  const cipher = createCipheriv(
    'aes-256-ecb',
    Buffer.from(tcKey.map((each) => each & 255)),
    null,
  ).setAutoPadding(false)
  return Buffer.concat([cipher.update(plain), cipher.final()])
}

/** By table, where the adapter goes bit by bit. */
function modbus(bytes: Uint8Array): number {
  const table = Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc % 2 ? 0xa001 ^ (crc >> 1) : crc >> 1
    return crc
  })
  return bytes.reduce((crc, byte) => table[(crc ^ byte) & 0xff]! ^ (crc >> 8), 0xffff)
}
