import { toEdgewrightError } from '../error.ts'
import type { Collected } from '../measure/collect.ts'
import { type EnergyFigure, type EnergyInput, energyPerInference, externalSeries } from '../measure/energy.ts'
import {
  type EnergyDurations,
  energyPlan,
  type EnergyPlanRequest,
  energyWindows,
  meterPeriodMs,
} from '../measure/energy-plan.ts'
import type { Plan } from '../measure/plan.ts'
import { leastPeriodMs, metersOf, powerSeries, type PowerSeries } from '../measure/power/series.ts'
import { choosePower, isPowerSource, type PowerSource } from '../measure/power/source.ts'
import { surveyPower } from '../measure/power/survey.ts'
import { artifactId, memoryPlan, type Preset, type Subject } from '../measure/standard-plan.ts'
import type { Progress } from '../progress.ts'
import type { Energy, RunResult } from '../store/document.ts'
import { type Execution, execute } from './execute.ts'
import { type MeterChoice, withMeter } from './meter.ts'
import type { OpenedBoard } from './open-device.ts'
import type { Provisioned } from './provision.ts'

/** What the user said on energy. */
export interface EnergyChoice {
  /** `auto`: with every preset but quick, where the board has a sensor. */
  readonly wanted: 'auto' | 'on' | 'off'
  /** `--rail`: label or id, several joined by commas, or `pmic`. */
  readonly rail: string | undefined
  readonly sampleHz: number
  /** A meter beside the board, in place of its own sensors. */
  readonly meter?: MeterChoice | undefined
}

export const defaultEnergy: EnergyChoice = { wanted: 'auto', rail: undefined, sampleHz: 20 }

export interface EnergyRequest {
  readonly subjects: readonly Subject[]
  readonly threads: number
  readonly affinity: readonly number[]
  readonly rateHz: number
  readonly preset: Preset
  readonly sensors: Plan['sensors']
  /** As while latency was measured: energy at other clocks would be another board's. */
  readonly pins?: Execution['pins'] | undefined
  /** Times of inference, as measured before: the sampling keeps out of step with them. */
  readonly medianNs: readonly number[]
  /** In place of the preset's. */
  readonly durations?: EnergyDurations
}

/** An energy phase: figures by subject, and what was sampled, for whoever draws it. */
export interface EnergyPhase {
  readonly bySubject: ReadonlyMap<string, Energy>
  readonly notes: readonly string[]
  readonly power: {
    readonly collected: Collected
    readonly source:
      | PowerSource
      | { readonly kind: 'meter'; readonly scope: 'external'; readonly name: string }
    readonly series: PowerSeries
  } | null
}

const durations: Record<Preset, EnergyDurations> = {
  quick: { loadSeconds: 5, idleSeconds: 5 },
  standard: { loadSeconds: 20, idleSeconds: 10 },
  sustained: { loadSeconds: 60, idleSeconds: 20 },
  tiny: { loadSeconds: 20, idleSeconds: 10 },
}

/** What is read for a board's power, or why nothing is; asked once for a board. */
export async function preparePower(
  board: OpenedBoard,
  choice: EnergyChoice,
  preset: Preset,
  progress: Progress,
): Promise<PowerSource | Energy> {
  if (choice.wanted === 'off') return noEnergy('not-asked', 'Not measured: --no-energy.')
  if (choice.wanted === 'auto' && choice.rail === undefined && preset === 'quick')
    return noEnergy('not-asked', 'Not measured with the preset quick: ask with --energy.')
  const { connection } = board.device
  if (connection.kind === 'local' && process.platform !== 'linux')
    return noEnergy('no-sensor', 'Power sensors are read on Linux only.')
  progress.stage('power', board.device.name)
  const chosen = choosePower(await surveyPower(connection, progress.signal), board.profile.power, choice.rail)
  return isPowerSource(chosen) ? chosen : noEnergy(chosen.code, chosen.reason)
}

/** The same for every subject, where there is nothing to measure with. */
export function withoutPower(reason: Energy, subjects: readonly Subject[]): EnergyPhase {
  return { bySubject: new Map(subjects.map(({ id }) => [id, reason])), notes: [], power: null }
}

/** A phase of its own: idle, each subject in turns, idle; nothing else is measured in it. */
export async function measureEnergy(
  board: OpenedBoard,
  tools: Provisioned,
  source: PowerSource,
  choice: EnergyChoice,
  request: EnergyRequest,
  progress: Progress,
): Promise<EnergyPhase> {
  const { medianNs, rateHz } = request
  const periodMs = meterPeriodMs(choice.sampleHz, medianNs, rateHz, leastPeriodMs(source))
  const meters = metersOf(source, periodMs)
  const { collected } = await runEnergyPhase(board, tools, request, { meters }, source.name, progress)
  const series = powerSeries(collected.meters, source)
  return {
    ...energiesOf(collected, { series, sync: { kind: 'same-clock', boundNs: 0 }, ...source }, request),
    power: { collected, source, series },
  }
}

/** The same with a meter beside the board; one that fails costs its figures, not the run. */
async function measureEnergyBeside(
  board: OpenedBoard,
  tools: Provisioned,
  choice: MeterChoice,
  request: EnergyRequest,
  progress: Progress,
): Promise<EnergyPhase> {
  try {
    const { executed, metered } = await withMeter(choice, board, tools.runner, progress, (meter) => {
      const marker = choice.marker === null ? {} : { marker: choice.marker }
      return runEnergyPhase(
        board,
        tools,
        request,
        { ...marker, samplePeriodMs: meter.periodMs },
        meter.name,
        progress,
      )
    })
    const { power, sync } = metered
    const series = externalSeries(power, sync.boardMinusHostNs)
    const covers =
      'All that flows through the meter: the board with its regulators and what is plugged into it.'
    return {
      ...energiesOf(
        executed.collected,
        { name: power.source, scope: 'external', covers, limitMilliW: null, series, sync },
        request,
      ),
      power: {
        collected: executed.collected,
        source: { kind: 'meter', scope: 'external', name: power.source },
        series,
      },
    }
  } catch (thrown) {
    const error = toEdgewrightError(thrown)
    if (error.code !== 'METER_FAILED') throw error
    const saw = error.saw === undefined ? '' : ` (${error.saw})`
    progress.warn({
      code: error.code,
      message: `${error.message}${saw}`,
      hint: error.hint ?? 'See docs/meters.md.',
    })
    return withoutPower(noEnergy('meter-failed', `${error.message}${saw}`), request.subjects)
  }
}

/** The phase itself, with the board's own meters, or with the marker that a meter beside the board looks at. */
export async function runEnergyPhase(
  board: OpenedBoard,
  tools: Provisioned,
  request: EnergyRequest,
  meters: Pick<EnergyPlanRequest, 'meters' | 'marker' | 'samplePeriodMs'>,
  by: string,
  progress: Progress,
): Promise<{ readonly collected: Collected; readonly plan: Plan }> {
  const { subjects, threads, rateHz, sensors, preset } = request
  progress.stage('energy', `${by} on ${board.device.name}`)
  const plan = energyPlan({
    artifacts: subjects.map((subject) => memoryPlan(request, subject, threads).artifacts[0]!),
    rateHz,
    durations: request.durations ?? durations[preset],
    sensors,
    ...meters,
  })
  const { collected } = await execute(
    board,
    tools,
    { files: new Map(), fetch: [], plan: () => plan, pins: request.pins },
    progress,
  )
  return { collected, plan }
}

/** What power was measured with, on the board or beside it. */
export interface MeasuredPower extends Pick<EnergyInput, 'series' | 'sync' | 'limitMilliW'> {
  readonly name: string
  readonly scope: NonNullable<Energy['measured']>['scope']
  readonly covers: string
}

/** Figures, or reasons, by subject of a run of an energy plan. */
export function energiesOf(
  collected: Collected,
  power: MeasuredPower,
  { subjects, threads, rateHz }: Pick<EnergyRequest, 'subjects' | 'threads' | 'rateHz'>,
): Pick<EnergyPhase, 'bySubject' | 'notes'> {
  const notes: string[] = []
  const bySubject = new Map<string, Energy>()
  for (const { id } of subjects) {
    const windows = energyWindows(collected, artifactId(id, threads), rateHz)
    if (windows === null) {
      bySubject.set(id, noEnergy('cut-short', 'The run ended before power was measured.'))
      continue
    }
    const outcome = energyPerInference({ ...windows, ...power })
    if (outcome.state === 'measured') {
      notes.push(...outcome.notes)
      bySubject.set(id, energyOf(outcome.figure, power, rateHz))
    } else bySubject.set(id, noEnergy(outcome.code, `${power.name}: ${outcome.reason}`))
  }
  return { bySubject, notes: [...new Set(notes)] }
}

export function noEnergy(code: string, reason: string): Energy {
  return { value: null, reasonCode: code, reason }
}

function energyOf(figure: EnergyFigure, power: MeasuredPower, rateHz: number): Energy {
  const { parts } = figure
  return {
    value: figure.totalUj,
    reason: null,
    uncertainty: figure.uncertaintyUj,
    dynamic: figure.dynamic && { value: figure.dynamic.uj, uncertainty: figure.dynamic.uncertaintyUj },
    measured: {
      source: power.name,
      scope: power.scope,
      covers: power.covers,
      sync: power.sync.kind,
      syncBoundNs: figure.syncBoundNs,
      sampleHz: figure.sampleHz,
      samples: figure.samples,
      windowNs: figure.windowNs,
      inferences: figure.inferences,
      rateHz,
      activeMilliW: figure.activeMilliW,
      idleMilliW: figure.idleMilliW,
      uncertaintyParts: { scatter: parts.scatterUj, unseen: parts.unseenUj, sensor: parts.sensorUj },
    },
  }
}

/** A board that idles differently before and after was not at rest: other work, or heat. */
export function energyWarnings(
  energies: readonly (Energy | undefined)[],
  notes: readonly string[],
): RunResult['warnings'] {
  const warnings: RunResult['warnings'] = notes.map((note) => ({
    code: 'ENERGY_PARTIAL',
    message: note,
    hint: 'Measure again; see that nothing ends the sampling early.',
  }))
  const idle = energies.find((energy) => energy?.measured)?.measured?.idleMilliW
  if (idle && Math.abs(idle.before - idle.after) > 0.1 * Math.min(idle.before, idle.after))
    warnings.push({
      code: 'ENERGY_IDLE_DRIFT',
      message: `Idle the board took ${idle.before.toFixed(0)} mW before and ${idle.after.toFixed(0)} mW after: the energy above idle is that much less certain.`,
      hint: 'Stop other work on the board, or let it cool down; see docs/measuring.md.',
    })
  return warnings
}

/** The energy phases of a run, by thread count. Times of inference are what was measured before. */
export async function measureEnergies(
  board: OpenedBoard,
  tools: Provisioned,
  choice: EnergyChoice,
  request: Omit<EnergyRequest, 'threads' | 'medianNs'> & { readonly threads: readonly number[] },
  medianNs: (subject: string, threads: number) => number | null,
  progress: Progress,
): Promise<ReadonlyMap<number, EnergyPhase>> {
  const beside = choice.wanted === 'off' ? undefined : choice.meter
  const source = beside
    ? null
    : await orReason(() => preparePower(board, choice, request.preset, progress), progress)
  const phases = new Map<number, EnergyPhase>()
  for (const threads of request.threads) {
    const known = request.subjects.flatMap(({ id }) => medianNs(id, threads) ?? [])
    const each = { ...request, threads, medianNs: known }
    if (source !== null && !isSource(source)) {
      phases.set(threads, withoutPower(source, request.subjects))
      continue
    }
    const phase = await orReason(
      () =>
        source === null
          ? measureEnergyBeside(board, tools, beside!, each, progress)
          : measureEnergy(board, tools, source, choice, each, progress),
      progress,
    )
    phases.set(threads, 'bySubject' in phase ? phase : withoutPower(phase, request.subjects))
  }
  return phases
}

/** Latency is measured by now: a phase that fails costs its own figures, not those. */
async function orReason<T>(work: () => Promise<T>, progress: Progress): Promise<T | Energy> {
  try {
    return await work()
  } catch (thrown) {
    const error = toEdgewrightError(thrown)
    if (progress.signal.aborted || error.code === 'INTERRUPTED') throw error
    const message = `Energy was not measured: ${error.message}${error.saw === undefined ? '' : ` (${error.saw})`}`
    progress.warn({ code: error.code, message, hint: error.hint ?? 'Measure again, or with --no-energy.' })
    return noEnergy('failed', message)
  }
}

function isSource(prepared: PowerSource | Energy): prepared is PowerSource {
  return 'kind' in prepared
}
