import { ask, drain } from './exchange.ts'
import { meterFailed, type SerialLink } from './serial-link.ts'
import { type Meter, type MeterSeries, monotonicNs } from './types.ts'

/** What one answer of a meter says. */
export interface Reading {
  readonly volts: number
  readonly amps: number
  /** Of the product, from the accuracy and the last digits of both. */
  readonly uncertaintyWatts: number
  /** Above what the meter is made for. */
  readonly overload: boolean
}

/** A meter that answers when it is asked. */
export interface PolledModel {
  readonly command: Uint8Array
  readonly answerBytes: number
  /** @throws EdgewrightError METER_FAILED where the bytes are no answer of it */
  decode(answer: Uint8Array, where: string): Reading & { readonly model: string }
  readonly periodMs: number
  /** A reading may be this old when it is given. */
  readonly ageNs: number
}

const answerDeadlineMs = 1_000
const triesBeforeLost = 3
/** Two days at 4 Hz. */
const maxReadings = 700_000

/** A meter over a link that is open already; the first answer tells its model. */
export async function openPolled(link: SerialLink, polled: PolledModel): Promise<Meter> {
  await drain(link, 50, answerDeadlineMs)
  const { model } = await read(link, polled)
  const ends = new AbortController()
  let running: Promise<void> = Promise.resolve()
  let series = emptySeries()
  let lost: string | null = null
  void link.lost.then((reason) => {
    if (!ends.signal.aborted) lost ??= reason
  })

  async function poll(stop: { asked: boolean }): Promise<void> {
    let failures = 0
    while (!stop.asked && lost === null && series.atNs.length < maxReadings) {
      const begun = monotonicNs()
      try {
        const reading = await read(link, polled)
        failures = 0
        keep(series, reading, polled.ageNs)
      } catch (error) {
        if (++failures === triesBeforeLost) lost ??= (error as Error).message
        else await drain(link, 100, answerDeadlineMs)
      }
      const rest = polled.periodMs - (monotonicNs() - begun) / 1e6
      if (!stop.asked && rest > 0) await new Promise((resolve) => setTimeout(resolve, rest))
    }
  }

  let stop = { asked: false }
  return {
    name: `${model} at ${link.path}`,
    periodMs: polled.periodMs,
    async start() {
      series = emptySeries()
      stop = { asked: false }
      if (lost !== null) throw meterFailed(link.path, 'The meter was lost before sampling began.', lost)
      keep(series, await read(link, polled), polled.ageNs)
      running = poll(stop)
    },
    async stop() {
      stop.asked = true
      await running
      return finish(series, model, lost)
    },
    async close() {
      stop.asked = true
      ends.abort()
      await link.close()
      await running
    },
  }
}

interface Readings {
  atNs: number[]
  milliW: number[]
  uncertaintyMilliW: number[]
  boundNs: number
  overloads: number
  firstOverloadNs: number | null
}

function emptySeries(): Readings {
  return {
    atNs: [],
    milliW: [],
    uncertaintyMilliW: [],
    boundNs: 0,
    overloads: 0,
    firstOverloadNs: null,
  }
}

async function read(link: SerialLink, polled: PolledModel) {
  const answer = await ask(link, {
    command: polled.command,
    complete: (received) => (received.length >= polled.answerBytes ? polled.answerBytes : null),
    maxBytes: polled.answerBytes + 4096,
    deadlineMs: answerDeadlineMs,
  })
  if (typeof answer === 'string')
    throw meterFailed(link.path, 'The meter does not answer.', `no ${polled.answerBytes} bytes within 1 s`)
  return { ...polled.decode(answer.bytes, link.path), sentNs: answer.sentNs, receivedNs: answer.receivedNs }
}

/** The reading is of some moment between `ageNs` before the question and the answer. */
function keep(
  series: Readings,
  reading: Reading & { readonly sentNs: number; readonly receivedNs: number },
  ageNs: number,
): void {
  const oldest = reading.sentNs - ageNs
  series.atNs.push((oldest + reading.receivedNs) / 2)
  series.milliW.push(reading.volts * reading.amps * 1000)
  series.uncertaintyMilliW.push(reading.uncertaintyWatts * 1000)
  series.boundNs = Math.max(series.boundNs, (reading.receivedNs - oldest) / 2)
  if (!reading.overload) return
  series.overloads++
  series.firstOverloadNs ??= series.atNs.at(-1)!
}

function finish(readings: Readings, model: string, lost: string | null): MeterSeries {
  const powerMilliW = Float64Array.from(readings.milliW)
  const atNs = Float64Array.from(readings.atNs)
  const span = atNs.length > 1 ? atNs.at(-1)! - atNs[0]! : 0
  return {
    source: model,
    atNs,
    spanNs: 0,
    powerMilliW,
    minMilliW: powerMilliW,
    maxMilliW: powerMilliW,
    uncertaintyMilliW: Float64Array.from(readings.uncertaintyMilliW),
    count: new Uint32Array(atNs.length).fill(1),
    clockBoundNs: readings.boundNs,
    sampleHz: span > 0 ? ((atNs.length - 1) * 1e9) / span : 0,
    edges: [],
    gaps: [],
    overloads: readings.overloads,
    firstOverloadNs: readings.firstOverloadNs,
    timeBase: 'host',
    lost,
  }
}
