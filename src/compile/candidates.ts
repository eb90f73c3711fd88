import type { RuntimeNeed } from '../artifact/manifest.ts'
import { engineOf } from '../execute/open.ts'
import type { Graph } from '../graph/types.ts'
import type { Progress } from '../progress.ts'
import type { CalibrateOptions } from '../quantize/calibrate.ts'
import { isStoredScheme } from '../quantize/stored-weights.ts'
import type { Ranges } from '../quantize/ranges.ts'
import type { Decision, Emitted, TargetOptions } from '../../targets/target.ts'
import { type AccuracyLimit, accuracyLimitMissed, accuracyLimitOf } from './accuracy-limit.ts'
import type { Board } from './board.ts'
import { calibrateSamples } from './calibration.ts'
import type { Prepared } from './compile.ts'
import { improvements } from './improvements/index.ts'
import { mixedPrecision } from './improvements/mixed-precision.ts'
import type { ImprovementContext } from './improvements/improvement.ts'
import { partHeads } from './mixed-heads.ts'
import { compareQuality, type Quality } from './quality.ts'
import { needsChannelStatistics, needsHistograms, rangeChoices } from './range-choices.ts'
import { RetainedSamples } from './retained-samples.ts'
import { runnableOf } from './runnable.ts'
import { type Made, makeTrial, type Trial } from './trial.ts'

/** Something that was tried, with what it came to on the held-out samples. */
export interface Candidate {
  /** Of the search: `ranges`, or the improvement's name. */
  readonly step: string
  readonly name: string
  /** Null: exact. */
  readonly sqnrDb: number | null
  /** Against the best before it; null where either is exact or there was none. */
  readonly gainDb: number | null
  readonly agreement: number | null
  readonly samples: number
  readonly kept: boolean
}

/** An improvement that had nothing to do. */
export interface Declined {
  readonly step: string
  readonly reason: string
}

export interface Chosen {
  readonly emitted: Emitted
  readonly integerOnly: boolean
  readonly decisions: readonly Decision[]
  readonly runtimes: RuntimeNeed[]
  readonly choice: string
  readonly candidates: readonly Candidate[]
  readonly declined: readonly Declined[]
  /** Of the weight tensors, biases and scales aside. */
  readonly weightBytes: number
  /** That live at once. */
  readonly activationBytes: number
  readonly made: Made
  /** It holds on the held-out samples; null where the recipe sets none. */
  readonly limit: AccuracyLimit | null
}

/** Samples of the calibration part that improvements look at: each looks at them several times. */
const improvementSamples = 64

/** What agreement on some dozens of pictures differs by without a reason. */
const clearAgreement = 0.01

/**
 * Calibrates once, tries each way to choose ranges on held-out samples and keeps the best; then each improvement in
 * turn on top of what was kept, and leaves out what does not help.
 *
 * @throws ACCURACY_LIMIT where the best loses more than the recipe allows
 */
export async function chooseCandidate(given: Prepared, board: Board, progress: Progress): Promise<Chosen> {
  // a board that refuses int8 may have changed the scheme
  const prepared: Prepared = { ...given, recipe: { ...given.recipe, scheme: board.options.scheme } }
  const { recipe, samples } = prepared
  const limit = await accuracyLimitOf(prepared, progress)
  const runtimes = (await board.target.runtimes(board.options.cpu.architecture)).map((build) => build.need)
  const graph = board.target.tailor?.(prepared.source.graph, board.options) ?? prepared.source.graph
  const calibrated =
    board.target.wantedTensors(graph, board.options).length === 0
      ? new Map()
      : await calibrateFor(prepared, graph, board, progress)
  const heads = await partHeads(graph, calibrated, board.target, board.options, (wanted) =>
    calibrateFor(prepared, graph, board, progress, {}, wanted),
  )
  const { ranges } = heads
  const trials = rangeChoices(recipe).map(({ name, ...choice }) => ({
    name,
    trial: {
      graph,
      ranges,
      correctBias: needsChannelStatistics(recipe),
      headroom: true,
      // where nothing is tried, bytes are the smaller risk
      rowScales: recipe.preset === 'fast' && board.target.name === 'litert',
      keepFloat: [...recipe.keepFloat, ...heads.keepFloat],
      layers: new Map(),
      valueRanges: new Map(),
      ...choice,
    } satisfies Trial,
  }))
  const search = new Search(prepared, board, limit, progress)
  // nothing is held out of very little data: then there is nothing to choose on
  const cannotChoose = samples.selection.indices.length === 0
  if (cannotChoose || recipe.preset === 'fast') {
    search.take(trials[0]!)
    if (limit && improvable(recipe.scheme, ranges)) await search.improve(graph)
  } else if (trials.length === 1 && !improvable(recipe.scheme, ranges)) search.take(trials[0]!)
  else {
    progress.stage('choose', `on ${samples.selection.indices.length} held-out samples`)
    await search.tryAll('ranges', trials, Number.NEGATIVE_INFINITY)
    if (improvable(recipe.scheme, ranges)) await search.improve(graph)
  }
  if (limit) await search.require(limit)
  const { made, names } = search.best!
  return {
    emitted: made.emitted,
    integerOnly: made.typed.integerOnly,
    decisions: [...heads.decisions, ...made.typed.decisions],
    runtimes,
    choice: names.join(', '),
    candidates: search.tried,
    declined: search.declined,
    weightBytes: made.weightBytes,
    activationBytes: made.activationBytes,
    made,
    limit,
  }
}

/** Without ranges nothing is stored by them, and nothing was seen to improve by. */
function improvable(scheme: TargetOptions['scheme'], ranges: Ranges): boolean {
  return !isStoredScheme(scheme) && scheme !== 'float' && ranges.size > 0
}

interface Best {
  readonly made: Made
  readonly names: readonly string[]
  /** Null where nothing was held out to judge by. */
  readonly quality: Quality | null
}

/** Goes uphill: every step starts from the best so far. */
class Search {
  readonly tried: Candidate[] = []
  readonly declined: Declined[] = []
  best: Best | undefined
  readonly #prepared: Prepared
  readonly #board: Board
  readonly #limit: AccuracyLimit | null
  readonly #progress: Progress
  readonly #heldOut: RetainedSamples
  readonly #calibration: RetainedSamples

  constructor(prepared: Prepared, board: Board, limit: AccuracyLimit | null, progress: Progress) {
    const { calibration, selection } = prepared.samples
    this.#prepared = { ...prepared, float: { ...prepared.float, remembered: new WeakMap() } }
    this.#board = board
    this.#limit = limit
    this.#progress = progress
    this.#heldOut = new RetainedSamples(selection, progress.signal)
    this.#calibration = new RetainedSamples(calibration, progress.signal, improvementSamples)
  }

  /** Without a look at the held-out samples. */
  take({ name, trial }: { readonly name: string; readonly trial: Trial }): void {
    this.best = { made: makeTrial(trial, this.#board), names: [name], quality: null }
  }

  async improve(tailored: Graph): Promise<void> {
    const { recipe } = this.#prepared
    const context = this.#context(tailored)
    for (const { name, presets, marginDb, propose } of improvements) {
      if (!presets.includes(recipe.preset)) continue
      this.#progress.stage('improve', name)
      const proposal = await propose(this.best!.made, context)
      if ('declined' in proposal) this.declined.push({ step: name, reason: proposal.declined })
      else await this.tryAll(name, proposal.trials, marginDb)
    }
  }

  /** Keeps the best of them where it gains more than the margin. */
  async tryAll(
    step: string,
    trials: readonly { readonly name: string; readonly trial: Trial }[],
    marginDb: number,
  ): Promise<void> {
    const before = this.best
    const entries: { name: string; made: Made; quality: Quality }[] = []
    for (const { name, trial } of trials) {
      const made = makeTrial(trial, this.#board)
      entries.push({ name, made, quality: await this.#score(made) })
      this.#progress.tick(entries.length, trials.length, 'ways')
    }
    const winner = entries.reduce<(typeof entries)[number] | undefined>(
      (best, entry) => (best && !this.#isBetter(entry.quality, best.quality, 0) ? best : entry),
      undefined,
    )
    const known = before?.quality?.sqnrDb
    const kept =
      winner && (!before?.quality || this.#isBetter(winner.quality, before.quality, marginDb)) ? winner : null
    for (const entry of entries)
      this.tried.push({
        step,
        name: entry.name,
        sqnrDb: finite(entry.quality.sqnrDb),
        gainDb: known === undefined ? null : finite(entry.quality.sqnrDb - known),
        agreement: entry.quality.agreement,
        samples: entry.quality.samples,
        kept: entry === kept,
      })
    if (kept)
      this.best = { made: kept.made, names: [...(before?.names ?? []), kept.name], quality: kept.quality }
  }

  /** By the error of the outputs; what detects or segments first by what it finds, where that differs clearly. */
  #isBetter(a: Quality, b: Quality, marginDb: number): boolean {
    if (marginDb === Number.NEGATIVE_INFINITY) return true
    const gain = this.#prepared.float.task ? (a.agreement ?? 0) - (b.agreement ?? 0) : 0
    if (Math.abs(gain) > clearAgreement) return gain > 0
    return a.sqnrDb > b.sqnrDb + marginDb
  }

  async require(limit: AccuracyLimit): Promise<void> {
    const { made, quality } = this.best!
    const reached = quality ?? (await this.#score(made))
    if (limit.holds(reached)) return
    const tried = this.declined.find(({ step }) => step === mixedPrecision.name)
    throw accuracyLimitMissed(limit, reached, tried?.reason ?? null, this.#board)
  }

  #context(tailored: Graph): ImprovementContext {
    const board = this.#board
    return {
      board,
      recipe: this.#prepared.recipe,
      tailored,
      progress: this.#progress,
      limit: this.#limit,
      calibration: this.#calibration,
      calibrate: (graph, options) => {
        // where something stays in float, other values need ranges: of both placements
        const { keepFloat } = this.best!.made.trial
        const wanted = [board.options, { ...board.options, keepFloat }].flatMap((one) =>
          board.target.wantedTensors(graph, one),
        )
        return calibrateFor(this.#prepared, graph, board, this.#progress, options, [...new Set(wanted)])
      },
      make: (trial) => makeTrial(trial, board),
      score: (made) => this.#score(made),
    }
  }

  async #score({ emitted }: Made): Promise<Quality> {
    const compiled = await runnableOf(emitted, this.#board)
    const { float, makeMetric } = this.#prepared
    const quiet = { ...this.#progress, signal: this.#progress.signal, tick() {} }
    const samples = this.#heldOut[Symbol.asyncIterator]()
    try {
      return await compareQuality(float, compiled, samples, this.#heldOut.length, makeMetric, quiet)
    } finally {
      await compiled.evaluator.close()
    }
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

async function calibrateFor(
  { samples: { calibration: samples }, recipe, calibrationCache = null }: Prepared,
  graph: Graph,
  board: Board,
  progress: Progress,
  options: Pick<CalibrateOptions, 'channelStatistics'> = {},
  wanted: readonly string[] = board.target.wantedTensors(graph, board.options),
): Promise<Ranges> {
  progress.stage('calibrate', `${samples.indices.length} samples, ${wanted.length} tensors`)
  const histograms = needsHistograms(recipe)
  const asNeeded = needsChannelStatistics(recipe) ? {} : { channelStatistics: 'none' as const }
  return calibrateSamples(
    { ...asNeeded, ...options, graph, wanted, samples, histograms, cache: calibrationCache },
    progress,
  )
}

/** The float network as the target itself would run it: what the compiled one is measured against on a board. */
export function floatBaseline(prepared: Prepared, board: Board): Uint8Array {
  const { source } = prepared
  const own = engineOf(source.floatModel)
  if (own === board.target.engine && !isQuantized(source.original)) return source.floatModel
  const options: TargetOptions = { ...board.options, scheme: 'float', io: 'float' }
  const emitted = board.target.emit(
    board.target.prepare(board.target.tailor?.(source.graph, options) ?? source.graph, new Map(), options)
      .graph,
    options,
  )
  return emitted.files.get(emitted.model)!
}

/** True where a file brought its own scales. */
export function isQuantized(graph: Graph): boolean {
  return [...graph.values.values()].some(({ type }) => type.quantization !== null)
}
