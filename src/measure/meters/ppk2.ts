import { EdgewrightError } from '../../error.ts'
import type { Progress } from '../../progress.ts'
import { ask, drain } from './exchange.ts'
import { metadataEnd, parsePpk2Metadata, type Ppk2Metadata } from './ppk2-calibration.ts'
import { createPpk2Decoder, type Ppk2Decoder, ppk2SampleHz } from './ppk2-decode.ts'
import { meterFailed, openSerialLink, type SerialLink } from './serial-link.ts'
import { createStreamClock, type StreamClock } from './stream-clock.ts'
import { type Meter, type MeterSeries, monotonicNs } from './types.ts'

export interface Ppk2Options {
  /** Source mode: what the kit supplies the board with. Null: it measures in series with another supply. */
  readonly supplyVolts: number | null
  /** Ampere mode: the voltage of that supply; the kit measures current only. */
  readonly volts: number | null
  /** What the board may draw, where it is known. */
  readonly boardMaxAmps: number | null
  /** The logic pin that the board's marker is wired to. */
  readonly edgePin: number | null
}

/** Of the kit, as its vendor documents it. */
const limits = { minVolts: 0.8, maxVolts: 5, maxAmps: 1 }

const command = {
  averageStart: 0x06,
  averageStop: 0x07,
  deviceRunning: 0x0c,
  regulator: 0x0d,
  powerMode: 0x11,
  metadata: 0x19,
} as const
const mode = { ampere: 1, source: 2 } as const

const metadataBytes = 8192
const metadataAttempts = 3
const answerDeadlineMs = 2_000
const firstSampleDeadlineMs = 2_000
/** A stream of 100,000 samples a second that pauses for so many looks in a row has ended; one may be our own pause. */
const silentLooks = 6
const lookMs = 250

/**
 * Opens a Power Profiler Kit II and sets it up. It is left supplying, or letting through, what it did: to switch a
 * board off is not a meter's to do.
 *
 * @throws EdgewrightError METER_REFUSED before anything is sent, where its supply is not for this board; METER_FAILED
 */
export async function openPpk2(path: string, options: Ppk2Options, progress: Progress): Promise<Meter> {
  const volts = voltsOf(options, path)
  const link = await openSerialLink(path, 115_200, (warning) => progress.warn(warning))
  try {
    const metadata = await readMetadata(link)
    await setUp(link, metadata, options.supplyVolts)
    warnOf(metadata, options, path, progress)
    return streamingMeter(link, metadata, volts, options)
  } catch (error) {
    await link.close()
    throw error
  }
}

/** The voltage that current is multiplied by. */
function voltsOf({ supplyVolts, volts, boardMaxAmps }: Ppk2Options, path: string): number {
  if (supplyVolts === null) {
    if (volts !== null && volts > 0) return volts
    throw new EdgewrightError('USAGE', 'A PPK2 in series with a supply measures current, not voltage.', {
      where: path,
      hint: 'Say what the supply gives: --meter-voltage 5V (or let the kit supply a small board: --meter-supply 3.3V).',
    })
  }
  if (!(supplyVolts >= limits.minVolts && supplyVolts <= limits.maxVolts))
    throw new EdgewrightError('METER_REFUSED', 'A PPK2 supplies 0.8 to 5 V.', {
      where: path,
      saw: `${supplyVolts} V`,
      hint: 'Take another supply, and the PPK2 in series with it: --meter-voltage.',
    })
  if (boardMaxAmps === null || boardMaxAmps > limits.maxAmps)
    throw new EdgewrightError('METER_REFUSED', 'A PPK2 supplies at most 1 A, and this board may draw more.', {
      where: path,
      saw: boardMaxAmps === null ? 'a profile that states no highest current' : `up to ${boardMaxAmps} A`,
      hint: 'Supply the board itself; measure with a meter for its current (UM25C, TC66C, Joulescope). In series a PPK2 measures up to 1 A as well.',
    })
  return supplyVolts
}

async function readMetadata(link: SerialLink): Promise<Ppk2Metadata> {
  for (let attempt = 1; ; attempt++) {
    // a session that was cut off may have left it streaming, and what it sent may come in late
    await link.write(Uint8Array.of(command.averageStop))
    if (!(await drain(link, 60 * attempt, answerDeadlineMs)))
      throw meterFailed(link.path, 'The meter does not stop sending.')
    const answer = await ask(link, {
      command: Uint8Array.of(command.metadata),
      complete: metadataEnd,
      maxBytes: metadataBytes,
      deadlineMs: answerDeadlineMs,
    })
    if (answer === 'timeout')
      throw meterFailed(link.path, 'The meter does not tell its calibration.', 'no END')
    try {
      if (answer === 'too-long')
        throw meterFailed(link.path, 'The meter’s calibration cannot be read.', `over ${metadataBytes} bytes`)
      return parsePpk2Metadata(answer.bytes, link.path)
    } catch (error) {
      if (attempt === metadataAttempts) throw error
    }
  }
}

/** Sends no mode that is set already: switching interrupts the board's supply for a moment. */
async function setUp(link: SerialLink, metadata: Ppk2Metadata, supplyVolts: number | null): Promise<void> {
  const wanted = supplyVolts === null ? mode.ampere : mode.source
  if (supplyVolts !== null) {
    const milliV = Math.round(supplyVolts * 1000)
    await link.write(Uint8Array.of(command.regulator, milliV >> 8, milliV & 0xff))
  }
  if (metadata.mode !== wanted) await link.write(Uint8Array.of(command.powerMode, wanted))
  await link.write(Uint8Array.of(command.deviceRunning, 1))
}

function warnOf(metadata: Ppk2Metadata, options: Ppk2Options, path: string, progress: Progress): void {
  if (metadata.defaulted.length > 0)
    progress.warn({
      code: 'METER_UNCALIBRATED',
      message: `The PPK2 at ${path} holds no value for ${metadata.defaulted.join(', ')}: typical ones are taken.`,
      hint: 'Compare with a known load, or have the kit calibrated.',
    })
  if (
    options.supplyVolts === null &&
    (options.boardMaxAmps === null || options.boardMaxAmps > limits.maxAmps)
  )
    progress.warn({
      code: 'METER_LIMIT',
      message: 'A PPK2 measures up to 1 A in series too, and this board may draw more.',
      hint: 'Above 1 A there is no figure, and the kit may come to harm: take a meter for the board’s current.',
    })
}

function streamingMeter(
  link: SerialLink,
  metadata: Ppk2Metadata,
  volts: number,
  options: Ppk2Options,
): Meter {
  const pins = options.edgePin === null ? 0 : 1 << options.edgePin
  const source = `PPK2 as ${options.supplyVolts === null ? 'ampere meter' : 'source meter'}`
  let decoder = createPpk2Decoder(metadata.ranges, volts, pins)
  let clock = createStreamClock(0, 1)
  let lost: string | null = null
  let watch: NodeJS.Timeout | undefined
  let lastNs = 0
  const end = (reason: string) => {
    lost ??= reason
    clearInterval(watch)
    link.listen(null)
  }

  return {
    name: `PPK2 at ${link.path}`,
    periodMs: 1,
    async start() {
      decoder = createPpk2Decoder(metadata.ranges, volts, pins)
      const askedNs = monotonicNs()
      clock = createStreamClock(askedNs, 1e9 / ppk2SampleHz)
      lost = null
      lastNs = askedNs
      const first = new Promise<void>((resolve) => {
        link.listen((chunk, atNs) => {
          decoder.push(chunk)
          clock.arrived(decoder.index, atNs)
          lastNs = atNs
          if (decoder.outOfStep) end('what it sends is not a stream of samples')
          resolve()
        })
        void link.lost.then((reason) => {
          end(reason)
          resolve()
        })
        setTimeout(resolve, firstSampleDeadlineMs).unref()
      })
      await link.write(Uint8Array.of(command.averageStart))
      await first
      if (lost !== null) throw meterFailed(link.path, 'The meter was lost as sampling began.', lost)
      if (decoder.index === 0) throw meterFailed(link.path, 'The meter sends no samples.')
      let seen = -1
      let looks = 0
      watch = setInterval(() => {
        looks = decoder.index === seen ? looks + 1 : 0
        seen = decoder.index
        if (looks === silentLooks) end(`it sent nothing for ${(silentLooks * lookMs) / 1000} s`)
      }, lookMs)
    },
    async stop() {
      clearInterval(watch)
      if (lost === null)
        try {
          await link.write(Uint8Array.of(command.averageStop))
          await settled(() => lastNs)
        } catch (error) {
          lost ??= (error as Error).message
        }
      link.listen(null)
      return seriesOf(decoder, clock, volts, source, lost)
    },
    async close() {
      clearInterval(watch)
      link.listen(null)
      // left streaming it would fill the next program's ear
      await link.write(Uint8Array.of(command.averageStop)).catch(() => {})
      await link.close()
    },
  }
}

/** Waits for what is still on its way after the stop. */
async function settled(lastNs: () => number): Promise<void> {
  const begun = monotonicNs()
  const silentNs = () => monotonicNs() - Math.max(begun, lastNs())
  while (silentNs() < 150e6 && monotonicNs() - begun < 5e9)
    await new Promise((resolve) => setTimeout(resolve, 20))
}

function seriesOf(
  decoder: Ppk2Decoder,
  clock: StreamClock,
  volts: number,
  source: string,
  lost: string | null,
): MeterSeries {
  const { gaps, edges } = decoder
  const time = clock.fit(
    gaps.map(({ index }) => index),
    64,
  )
  const bins = decoder.current.result()
  const halfBin = bins.samplesPerBin / 2
  const milliW = 1000 * volts
  const mean = (sums: Float64Array) => sums.map((sum, i) => (sum / bins.count[i]!) * milliW)
  return {
    source,
    atNs: bins.bin.map((bin) => time.at(bin * bins.samplesPerBin + halfBin)),
    spanNs: bins.samplesPerBin * time.periodNs,
    powerMilliW: mean(bins.sum),
    minMilliW: bins.min.map((amps) => amps * milliW),
    maxMilliW: bins.max.map((amps) => amps * milliW),
    uncertaintyMilliW: mean(bins.uncertaintySum),
    count: bins.count,
    clockBoundNs: time.boundNs,
    sampleHz: 1e9 / time.periodNs,
    edges:
      decoder.edgesDropped > 0
        ? []
        : edges.map(({ index, pin, rising }) => ({ pin, rising, atNs: time.at(index) })),
    gaps: gaps.map(({ index, samples }, i) => ({
      atNs: time.at(index),
      samples: samples + 64 * time.lostCycles[i]!,
    })),
    overloads: decoder.overloads,
    firstOverloadNs: decoder.firstOverload === null ? null : time.at(decoder.firstOverload),
    timeBase: 'host',
    lost: decoder.outOfStep ? 'what it sends is not a stream of samples' : lost,
  }
}
