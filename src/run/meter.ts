import { EdgewrightError } from '../error.ts'
import type { Collected } from '../measure/collect.ts'
import type { ExternalPower } from '../measure/energy.ts'
import { boardClockOffset, type ClockOffset, spanOffsets } from '../measure/meters/board-clock.ts'
import { alignPulses, type Pulse, pulsesOf } from '../measure/meters/marker.ts'
import { openMeter } from '../measure/meters/open.ts'
import type { MeterSettings } from '../measure/meters/spec.ts'
import type { Meter, MeterSeries } from '../measure/meters/types.ts'
import type { Plan } from '../measure/plan.ts'
import type { Profile } from '../profiles/schema.ts'
import type { Progress } from '../progress.ts'
import type { OpenedBoard } from './open-device.ts'

/** A meter beside the board, and the file on the board that tells it when a measurement runs. */
export interface MeterChoice {
  readonly settings: MeterSettings
  /** A GPIO's value or a LED's brightness; null: clocks are compared over the connection. */
  readonly marker: string | null
}

/** What the meter measured during a run, and how its clock stands to the board's. */
export interface Metered {
  readonly power: ExternalPower
  readonly sync: {
    readonly kind: 'edge' | 'offset'
    readonly boardMinusHostNs: number
    readonly boundNs: number
  }
}

/** A run with the plan that it executed. */
export interface ExecutedPlan {
  readonly collected: Collected
  readonly plan: Plan
}

/**
 * Runs `work` on the board while the meter samples. The meter is given back whatever happens; where it is lost
 * meanwhile the run goes on, and what was measured until then is kept, with a warning.
 *
 * @param runner the runner's path on the board
 * @throws EdgewrightError METER_FAILED, METER_REFUSED
 */
export async function withMeter<T extends ExecutedPlan>(
  choice: MeterChoice,
  board: OpenedBoard,
  runner: string,
  progress: Progress,
  work: (meter: Meter) => Promise<T>,
): Promise<{ readonly executed: T; readonly metered: Metered }> {
  const { settings } = choice
  progress.stage('meter', settings.spec.kind)
  const meter = await openMeter(settings, maxAmpsOf(board.profile, settings), progress)
  try {
    const before = await boardOffset(board, runner, progress)
    await meter.start()
    const executed = await work(meter)
    const series = await meter.stop()
    // a board that is lost now has been measured
    const after = await boardOffset(board, runner, progress).catch(() => null)
    warnOf(meter, series, progress)
    const offset = before !== null && after !== null ? spanOffsets(before, after) : null
    return { executed, metered: join(choice, meter, series, executed, offset, progress) }
  } finally {
    await meter.close()
  }
}

/**
 * Opens the meter and closes it again: one that is not there, or not for this board, is said before anything is
 * measured. What is no device of its own (a program, a recording) is not tried.
 *
 * @throws EdgewrightError METER_FAILED, METER_REFUSED, USAGE
 */
export async function tryMeter(
  choice: MeterChoice | undefined,
  { profile }: Pick<OpenedBoard, 'profile'>,
  progress: Progress,
): Promise<void> {
  if (choice === undefined || choice.settings.spec.kind === 'exec' || choice.settings.spec.kind === 'csv')
    return
  progress.stage('meter', choice.settings.spec.kind)
  // what is worth a warning is said when it is used
  const quiet: Progress = { signal: progress.signal, stage() {}, tick() {}, warn() {} }
  const meter = await openMeter(choice.settings, maxAmpsOf(profile, choice.settings), quiet)
  await meter.close()
}

/** What the profile says that the board can take at most, as a current at the supply's voltage. */
export function maxAmpsOf({ power }: Pick<Profile, 'power'>, settings: MeterSettings): number | null {
  const limits = power.flatMap(({ limitMilliW }) => limitMilliW ?? [])
  const volts = settings.supplyVolts ?? settings.volts ?? 5
  return limits.length === 0 ? null : Math.max(...limits) / 1000 / volts
}

/** Null where no offset fits what the board says: its clock was stopped or set meanwhile. */
async function boardOffset(
  board: OpenedBoard,
  runner: string,
  progress: Progress,
): Promise<ClockOffset | null> {
  // one kernel, one clock
  if (board.device.connection.kind === 'local') return { lowNs: 0, highNs: 0 }
  return boardClockOffset(board.device.connection, runner, progress.signal)
}

function warnOf(meter: Meter, series: MeterSeries, progress: Progress): void {
  const { lost, overloads, gaps } = series
  if (lost !== null)
    progress.warn({
      code: 'METER_LOST',
      message: `${meter.name} was lost during the measurement (${lost}): what it measured until then is kept.`,
      hint: 'Check its cable and supply, then measure again.',
    })
  if (overloads > 0)
    progress.warn({
      code: 'METER_OVERLOAD',
      message: `${meter.name} met ${overloads} samples beyond what it can measure: from there on it is not believed.`,
      hint: 'Take a meter for the board’s current.',
    })
  const missing = gaps.reduce((sum, { samples }) => sum + samples, 0)
  if (missing > 0)
    progress.warn({
      code: 'METER_GAPS',
      message: `${missing} samples of ${meter.name} were lost on the way, in ${gaps.length} places; nothing was filled in.`,
      hint: 'Use a USB port of the computer itself, without a hub; stop other work on it.',
    })
}

/** By the marker where it was seen, else by the clocks. */
function join(
  { settings, marker }: MeterChoice,
  meter: Meter,
  series: MeterSeries,
  { collected, plan }: ExecutedPlan,
  offset: ClockOffset | null,
  progress: Progress,
): Metered {
  const power = trusted(series, settings)
  if (settings.edge !== null) {
    const pin = settings.spec.kind === 'ppk2' ? Number(settings.edge.slice(1)) : 0
    const seen = alignPulses(meteredSteps(collected, plan), pulsesOf(series.edges, pin))
    if (seen !== null) return { power, sync: { kind: 'edge', ...middleOf(seen, 0) } }
    progress.warn({
      code: 'METER_EDGE_UNSEEN',
      message: `The board’s marker was not seen on ${settings.edge}${marker === null ? ': none was named' : ''}.`,
      hint: 'Name the file that drives it: --marker /sys/class/gpio/gpio17/value; wire its pin to the meter, ground to ground.',
    })
  }
  if (series.timeBase === 'own')
    throw new EdgewrightError('METER_FAILED', 'Nothing tells when the recording was made.', {
      where: meter.name,
      saw: 'times that count from a zero of its own, and no marker',
      hint: 'Export absolute times, or record the board’s marker beside power: --marker, --meter-edge.',
    })
  if (offset === null)
    throw new EdgewrightError('METER_FAILED', 'The board’s clock and this computer’s do not run together.', {
      where: meter.name,
      hint: 'Was one suspended or set meanwhile? Measure again.',
    })
  return { power, sync: { kind: 'offset', ...middleOf(offset, series.clockBoundNs) } }
}

function middleOf({ lowNs, highNs }: ClockOffset, moreNs: number): Omit<Metered['sync'], 'kind'> {
  return { boardMinusHostNs: (lowNs + highNs) / 2, boundNs: (highNs - lowNs) / 2 + moreNs }
}

/** Without what came from the first overload on; with the accuracy that the user says. */
function trusted(series: MeterSeries, { accuracyShare }: MeterSettings): ExternalPower {
  const { firstOverloadNs } = series
  const over =
    firstOverloadNs === null ? -1 : series.atNs.findIndex((at) => at + series.spanNs / 2 >= firstOverloadNs)
  const end = over < 0 ? series.atNs.length : over
  const powerMilliW = series.powerMilliW.slice(0, end)
  return {
    ...series,
    atNs: series.atNs.slice(0, end),
    powerMilliW,
    uncertaintyMilliW:
      accuracyShare === null
        ? series.uncertaintyMilliW.slice(0, end)
        : powerMilliW.map((milliW) => Math.abs(milliW) * accuracyShare),
  }
}

/** When the marker was up, on the board's clock: the steps of the plan that are metered. */
function meteredSteps({ steps }: Collected, plan: Plan): Pulse[] {
  return steps
    .filter(({ index, elapsedNs }) => plan.steps[index]?.meters === true && elapsedNs !== null)
    .map(({ startNs, elapsedNs }) => ({ fromNs: startNs, toNs: startNs + elapsedNs! }))
}
