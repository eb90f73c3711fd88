import { readFileSync, statSync } from 'node:fs'
import { simulator } from './simulator.ts'
import { currentAt, markerAt } from './waveform.ts'

/** A Power Profiler Kit II as its protocol is documented: commands in, calibration and words of samples out. */
export interface Ppk2Settings {
  /** 1 ampere meter, 2 source meter. */
  readonly mode?: number
  readonly metadata?: 'garbage' | 'endless' | 'not-a-number' | 'out-of-range' | 'silent'
  readonly stream?: 'zeros' | 'random' | 'silent-after' | 'none'
  /** With `silent-after`: samples until then. */
  readonly samples?: number
  /** Periods at which so many samples are left out, as if the host had been too slow. */
  readonly losses?: readonly (readonly [index: number, samples: number])[]
  /** Periods at which the counter is wrong for one word. */
  readonly flickers?: readonly number[]
  readonly invalidRangeAt?: number
  /** Streams already when it is opened, as after a session that was cut off. */
  readonly streaming?: boolean
  readonly constantAmps?: number
  /** D0 follows what this file holds, as if wired to a pin of the board. */
  readonly markerFile?: string
  /** With it: amperes before the first pulse and by pulse, some noise on top; the last stays. */
  readonly pulseAmps?: readonly number[]
}

/** Not the vendor's defaults: a decoder that forgot a coefficient is off by far more than half a per cent. */
export const coefficients = {
  R: [1003.5, 101.2, 10.11, 0.957, 0.0512],
  GS: [0.9, 110.7, 17.9, 2.31, 0.07],
  GI: [0.98, 0.97, 0.96, 0.95, 0.94],
  O: [112.9, 75.8, 84.3, 91.1, 103.6],
  S: [1.2e-6, 2e-6, 3e-6, 9e-6, 4e-4],
  I: [-4e-7, -8e-7, -6e-6, 2e-5, -6e-4],
  UG: [1.01, 1.02, 0.99, 0.98, 1.03],
} as const

/** Bytes of each command that a session needs, its arguments included. */
const lengths = new Map([
  [0x06, 1],
  [0x07, 1],
  [0x0c, 2],
  [0x0d, 3],
  [0x11, 2],
  [0x19, 1],
])

const adcVolts = 1.8 / 163_840
/** Up to which current each range goes. */
const rangeMax = [50e-6, 500e-6, 5e-3, 50e-3, 2]
const downAfter = 24

if (process.env['SIMULATOR']) run()

function run(): void {
  const pending: number[] = []
  const port = simulator<Ppk2Settings>((bytes) => {
    pending.push(...bytes)
    while (obey()) {}
  })
  const { settings } = port
  let mode = settings.mode ?? 1
  let vdd = 3700
  let powered = false
  let timer: NodeJS.Timeout | undefined
  if (settings.streaming) stream()

  /** One command; false where its arguments are not here yet. */
  function obey(): boolean {
    const [command, a, b] = pending
    if (command === undefined) return false
    const needed = lengths.get(command)
    if (needed === undefined) {
      port.violation(`command 0x${command.toString(16)}`)
      pending.shift()
      return true
    }
    if (pending.length < needed) return false
    pending.splice(0, needed)
    switch (command) {
      case 0x06:
        if (!powered) port.violation('sampling before the output was switched on')
        stream()
        break
      case 0x07:
        clearInterval(timer)
        timer = undefined
        break
      case 0x0c:
        if (a !== 0 && a !== 1) port.violation(`output ${a}`)
        if (a === 0) port.violation('the board was switched off')
        powered = a === 1
        break
      case 0x0d:
        vdd = a! * 256 + b!
        if (vdd < 800 || vdd > 5000) port.violation(`regulator ${vdd} mV`)
        port.remark('regulatorMilliV', vdd)
        break
      case 0x11:
        if (a !== 1 && a !== 2) port.violation(`mode ${a}`)
        if (a === mode) port.violation('the mode that is set already: interrupts the supply for nothing')
        mode = a!
        break
      case 0x19:
        if (timer !== undefined) port.violation('calibration asked for while it streams')
        port.send(metadata())
        break
    }
    port.remark('mode', mode)
    return true
  }

  function metadata(): Uint8Array {
    if (settings.metadata === 'garbage')
      return Buffer.from('\x1b[2JR0: ; rm -rf /\n\x00\xff\xfeEND\n', 'latin1')
    if (settings.metadata === 'endless') {
      setInterval(() => port.backlog < 1e6 && port.send(Buffer.alloc(10_000, 'R0: 1')), 5)
      return new Uint8Array()
    }
    if (settings.metadata === 'silent') return new Uint8Array()
    const lines = ['Calibrated: 1']
    for (const [key, values] of Object.entries(coefficients))
      for (const [range, value] of values.entries()) lines.push(`${key}${range}: ${value.toFixed(9)}`)
    let text = `${lines.join('\n')}\nVDD: ${vdd}\nHW: 9173\nmode: ${mode}\nIA: 56\nEND\n`
    if (settings.metadata === 'not-a-number') text = text.replace(/^GS2: .*$/m, 'GS2: -nan')
    if (settings.metadata === 'out-of-range') text = text.replace(/^R4: .*$/m, 'R4: 1e99')
    return Buffer.from(text, 'latin1')
  }

  function stream(): void {
    if (settings.stream === 'none') return
    const begun = process.hrtime.bigint()
    // ampere meter: the board's own supply; source meter: the regulator
    const volts = mode === 2 ? vdd / 1000 : 5
    const word = words(volts, settings)
    let sent = 0
    let ticks = 0
    const tickMs = settings.markerFile === undefined ? 5 : 1
    let losses = [...(settings.losses ?? [])]
    clearInterval(timer)
    timer = setInterval(() => {
      let due = Math.floor(Number(process.hrtime.bigint() - begun) / 10_000)
      if (settings.stream === 'silent-after') due = Math.min(due, settings.samples!)
      look(begun)
      const bytes = Buffer.alloc((due - sent) * 4)
      let length = 0
      for (; sent < due; sent++) {
        const value = word(sent)
        const loss = losses[0]
        if (loss !== undefined && sent >= loss[0]) {
          if (sent < loss[0] + loss[1]) continue
          losses = losses.slice(1)
        }
        length = bytes.writeUInt32LE(value, length)
      }
      port.send(bytes.subarray(0, length))
      if (++ticks % 5 !== 0 && tickMs === 1) return
      port.remark('sent', sent)
      port.remark('backlog', port.backlog)
    }, tickMs)
  }

  /** What the board's pin is at now, and since which sampling period: as the file's own time says, however late this is. */
  function look(begun: bigint): void {
    const { markerFile } = settings
    if (markerFile === undefined) return
    const up = readFileSync(markerFile, 'utf8').startsWith('1')
    if (up === wired.up) return
    const agoMs = Date.now() - statSync(markerFile).mtimeMs
    wired.before = wired.pulses
    wired.since = Math.floor((Number(process.hrtime.bigint() - begun) - agoMs * 1e6) / 10_000)
    wired.pulses += up ? 1 : 0
    wired.up = up
  }
}

const wired = { up: false, pulses: 0, before: 0, since: 0 }

/** Words by period: range as the kit switches it (up at once, down one range after a while), ADC with a little noise. */
export function words(volts: number, settings: Ppk2Settings): (index: number) => number {
  let range = 0
  let below = 0
  let seed = 1
  const noise = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  const ampsAt = (index: number) => {
    const { constantAmps, pulseAmps } = settings
    if (pulseAmps === undefined) return constantAmps ?? currentAt(index)
    return (
      pulseAmps[Math.min(index < wired.since ? wired.before : wired.pulses, pulseAmps.length - 1)]! *
      (0.95 + 0.1 * noise())
    )
  }
  return (index) => {
    if (settings.stream === 'zeros') return 0
    if (settings.stream === 'random') return (noise() * 2 ** 32) >>> 0
    const amps = ampsAt(index)
    if (amps > rangeMax[range]!) {
      range = rangeMax.findIndex((max) => amps <= max)
      below = 0
    } else if (range > 0 && amps <= rangeMax[range - 1]!) {
      if (++below >= downAfter) {
        range--
        below = 0
      }
    } else below = 0
    const adc = Math.max(0, Math.min(16_383, Math.floor(adcOf(amps, range, volts) / 4 + noise())))
    const counter = (index + (settings.flickers?.includes(index) ? 17 : 0)) & 63
    const said = index === settings.invalidRangeAt ? 6 : range
    const pins = (settings.markerFile === undefined ? markerAt(index) : wired.up !== index < wired.since)
      ? 1
      : 0
    return (adc | (said << 14) | (counter << 18) | (pins << 24)) >>> 0
  }
}

/** The documented formula solved for the converter's value. */
export function adcOf(amps: number, range: number, volts: number): number {
  const of = (key: keyof typeof coefficients) => coefficients[key][range]!
  const rest = amps / of('UG') - (of('S') * volts + of('I'))
  const root = Math.sqrt(of('GI') ** 2 + 4 * of('GS') * rest)
  const raw = (2 * rest) / (of('GI') + root)
  return (raw * of('R')) / adcVolts + of('O')
}
