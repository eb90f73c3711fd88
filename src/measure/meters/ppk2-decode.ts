import { type Bins, createBins } from './bins.ts'
import type { Ppk2Range } from './ppk2-calibration.ts'

/** The PPK2 samples at this rate, always. */
export const ppk2SampleHz = 100_000

/** Beyond it the kit neither measures nor survives for long. */
const maxAmps = 1

/** Nordic's typical accuracy and resolution of each range; not guaranteed, systematic within a range. */
const typicalAccuracy = [0.1, 0.1, 0.1, 0.1, 0.15]
const resolutionAmps = [0.2e-6, 0.5e-6, 5e-6, 50e-6, 1e-3]

const adcVolts = 1.8 / 163_840
const counterMask = 0b11_1111

/** Nordic's spike filter: rolling means, in place of the samples right after a change of range. */
const smoothing = 0.18
const smoothingTopRange = 0.06
const smoothedSamples = 3
const topRange = 4

/** A counter may flicker; so many samples that agree with each other, not with what was expected, are a loss. */
const agreedAfter = 5
const judgedWords = 1024
const maxEdges = 100_000
const maxGaps = 1000

export interface Ppk2Edge {
  readonly index: number
  readonly pin: number
  readonly rising: boolean
}

export interface Ppk2Gap {
  /** Sampling period after which samples are missing. */
  readonly index: number
  /** Modulo 64: the counter has six bits. */
  readonly samples: number
}

export interface Ppk2Decoder {
  /** Takes bytes as they come, cut anywhere. */
  push(chunk: Uint8Array): void
  /** Sampling periods so far, lost ones included. */
  readonly index: number
  readonly samples: number
  /** Words of no range: left out of every mean. */
  readonly invalid: number
  readonly overloads: number
  readonly firstOverload: number | null
  readonly gaps: readonly Ppk2Gap[]
  readonly edges: readonly Ppk2Edge[]
  /** Edges beyond those that are kept: the pin is no marker. */
  readonly edgesDropped: number
  /** True where too many words do not count upwards: not a stream of samples, or out of step. */
  readonly outOfStep: boolean
  /** Amperes. */
  readonly current: Bins
}

/**
 * Decodes the stream of a PPK2: little-endian words of 32 bits: ADC 0–13, range 14–16, battery 17, counter 18–23, logic
 * pins 24–31. Nothing is made per sample.
 *
 * @param volts across the load: some ranges' offset depends on it
 * @param pins mask of the logic pins whose edges are kept
 */
export function createPpk2Decoder(
  ranges: readonly Ppk2Range[],
  volts: number,
  pins = 0,
  bins: Bins = createBins(ppk2SampleHz / 1000, 1 << 20),
): Ppk2Decoder {
  const scale = Float64Array.from(ranges, ({ resistanceOhm }) => adcVolts / resistanceOhm)
  const offset = Float64Array.from(ranges, (range) => range.offsetPerVolt * volts + range.offsetAmps)
  const gaps: Ppk2Gap[] = []
  const edges: Ppk2Edge[] = []
  let edgesDropped = 0
  // a word that is cut by the end of a chunk
  let partial = 0
  let partialBytes = 0
  let index = 0
  let samples = 0
  let invalid = 0
  let overloads = 0
  let firstOverload: number | null = null
  let expected = -1
  let suspected = -1
  let agreeing = 0
  let judged = 0
  let mismatches = 0
  let outOfStep = false
  let logic = -1
  let mean = Number.NaN
  let meanTop = Number.NaN
  let previousRange = -1
  let sinceChange = 0
  let toSmooth = 0

  function take(word: number): void {
    count((word >>> 18) & counterMask)
    const range = (word >>> 14) & 0b111
    if (range > topRange) invalid++
    else {
      const amps = filtered(range, amperes(range, (word & 0x3fff) * 4))
      if (amps > maxAmps) {
        overloads++
        firstOverload ??= index
      }
      samples++
      bins.add(index, amps, typicalAccuracy[range]! * Math.abs(amps) + resolutionAmps[range]!)
    }
    const now = (word >>> 24) & pins
    if (now !== logic) changed(now)
    index++
  }

  function count(counter: number): void {
    if (++judged === judgedWords) {
      outOfStep ||= mismatches > judgedWords / 4
      judged = 0
      mismatches = 0
    }
    if (expected < 0) expected = counter
    if (counter === expected) agreeing = 0
    else {
      mismatches++
      agreeing = counter === suspected ? agreeing + 1 : 1
      suspected = (counter + 1) & counterMask
      if (agreeing === agreedAfter) {
        const lost = (counter - expected) & counterMask
        outOfStep ||= gaps.length === maxGaps
        gaps.push({ index, samples: lost })
        index += lost
        expected = counter
        agreeing = 0
      }
    }
    expected = (expected + 1) & counterMask
  }

  function amperes(range: number, adc: number): number {
    const { offsetAdc, gainSlope, gain, userGain } = ranges[range]!
    const raw = (adc - offsetAdc) * scale[range]!
    return userGain * (raw * (gainSlope * raw + gain) + offset[range]!)
  }

  function filtered(range: number, amps: number): number {
    const before = mean
    const beforeTop = meanTop
    mean = Number.isNaN(mean) ? amps : smoothing * amps + (1 - smoothing) * mean
    meanTop = Number.isNaN(meanTop) ? amps : smoothingTopRange * amps + (1 - smoothingTopRange) * meanTop
    const change = previousRange >= 0 && range !== previousRange
    previousRange = range
    if (!change && toSmooth === 0) return amps
    if (change) {
      sinceChange = 0
      toSmooth = smoothedSamples
    } else sinceChange++
    toSmooth--
    if (range !== topRange) return mean
    // the first two samples of the top range are the spike itself
    if (sinceChange < 2) {
      mean = before
      meanTop = beforeTop
    }
    return meanTop
  }

  function changed(now: number): void {
    for (let pin = 0; logic >= 0 && pin < 8; pin++) {
      if ((((now ^ logic) >>> pin) & 1) === 0) continue
      if (edges.length < maxEdges) edges.push({ index, pin, rising: ((now >>> pin) & 1) === 1 })
      else edgesDropped++
    }
    logic = now
  }

  return {
    push(chunk) {
      let at = 0
      while (partialBytes > 0 && at < chunk.length) {
        partial |= chunk[at++]! << (8 * partialBytes)
        partialBytes = (partialBytes + 1) & 3
        if (partialBytes === 0) {
          take(partial)
          partial = 0
        }
      }
      for (; at + 4 <= chunk.length; at += 4)
        take(chunk[at]! | (chunk[at + 1]! << 8) | (chunk[at + 2]! << 16) | (chunk[at + 3]! << 24))
      for (; at < chunk.length; at++) partial |= chunk[at]! << (8 * partialBytes++)
    },
    get index() {
      return index
    },
    get samples() {
      return samples
    },
    get invalid() {
      return invalid
    },
    get overloads() {
      return overloads
    },
    get firstOverload() {
      return firstOverload
    },
    gaps,
    edges,
    get edgesDropped() {
      return edgesDropped
    },
    get outOfStep() {
      return outOfStep
    },
    current: bins,
  }
}
