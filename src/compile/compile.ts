import { cpus } from 'node:os'
import { join } from 'node:path'
import { writeArtifact } from '../artifact/folder.ts'
import type { Manifest, ManifestTensor } from '../artifact/manifest.ts'
import { edgewrightVersion } from '../artifact/version.ts'
import { artifactReadme } from '../artifact/readme.ts'
import { type Metric, openMetric } from '../data/metric.ts'
import { openEvaluator } from '../execute/open.ts'
import { EdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import type { CompilerHost, Decision, EmittedTensor } from '../../targets/target.ts'
import { warnOverLimit } from './accuracy-limit.ts'
import type { CalibrationCacheOptions } from './calibration-cache.ts'
import { type Board, type BoardRequest, chooseBoard } from './board.ts'
import { type Candidate, type Chosen, chooseCandidate, type Declined } from './candidates.ts'
import { requireMemory } from './memory.ts'
import { splitMixedOutputs, splitOutputs } from './mixed-heads.ts'
import { compareQuality, type Quality, type Runnable } from './quality.ts'
import type { Recipe } from './recipe.ts'
import { runnableOf, storedType } from './runnable.ts'
import { openSamples, type Samples, samplesOf } from './samples.ts'
import { type ModelRequest, openSource, type Source } from './source.ts'
import { foldSourcePreprocessing } from './preprocessing.ts'
import { type Made, trialOptions, weightBytesOf } from './trial.ts'

export interface CompileRequest extends ModelRequest, BoardRequest {
  /** Where a vendor's compiler may be, for targets that have one; null or absent: it takes no part. */
  readonly compilerHost?: CompilerHost | null
  readonly data: string | undefined
  readonly calibrationData: string | undefined
  readonly metric: string | undefined
  readonly recipe: Recipe
  /** Where results of calibrations are kept and looked up; null or absent: nowhere. */
  readonly calibrationCache?: CalibrationCacheOptions | null
  /** Folder of the artifact; undefined: `artifacts/<model>-<profile>`. */
  readonly out: string | undefined
}

/** What all boards of one run share: the network, the samples, the metric, and the float network ready to run. */
export interface Prepared {
  readonly source: Source
  readonly samples: Samples
  readonly recipe: Recipe
  readonly calibrationCache?: CalibrationCacheOptions | null
  makeMetric(): Promise<Metric>
  readonly float: Runnable
  close(): Promise<void>
}

export interface Compiled {
  readonly folder: string
  readonly manifest: Manifest
  readonly board: Board
  /** Over the evaluation samples; null for scheme float. */
  readonly quality: Quality
  readonly candidates: readonly Candidate[]
  /** Improvements that had nothing to do. */
  readonly declined: readonly Declined[]
  readonly decisions: readonly Decision[]
  readonly weightBytes: { readonly float: number; readonly compiled: number }
  /** How it was made, for those who look inside. */
  readonly made: Made
  /** The document of `compile --json`. */
  readonly summary: Record<string, unknown>
}

/** From a model file to an artifact: read, rewrite, calibrate, quantize, choose, emit. */
export async function compileModel(request: CompileRequest, progress: Progress): Promise<Compiled> {
  // a mistaken profile or target shows at once, not after the samples were read
  const board = chooseBoard(request, progress)
  const prepared = await prepareCompile(request, progress)
  try {
    requireKnownNodes(prepared)
    const folder =
      request.out ??
      join(
        'artifacts',
        [prepared.source.name, board.profile.id, ...(request.target ? [request.target] : [])].join('-'),
      )
    return await compileFor(prepared, board, folder, progress, request.compilerHost ?? null)
  } finally {
    await prepared.close()
  }
}

/** A misspelt name would leave in int8 what was to stay in float. */
export function requireKnownNodes({ source, recipe }: Pick<Prepared, 'source' | 'recipe'>): void {
  const names = new Set(
    [source.original, source.graph].flatMap((graph) =>
      graph.nodes.flatMap((node) => [node.name, ...node.outputs]),
    ),
  )
  const unknown = recipe.keepFloat.filter((name) => !names.has(name))
  if (unknown.length === 0) return
  throw new EdgewrightError('RECIPE_INVALID', 'The recipe keeps in float what is not in the network.', {
    where: 'keepFloat',
    saw: unknown.join(', '),
    hint: 'edgewright inspect lists what the operators give; a name of these does too.',
  })
}

/** The part of a compile that does not depend on the board. */
export async function prepareCompile(
  request: ModelRequest &
    Pick<CompileRequest, 'data' | 'calibrationData' | 'metric' | 'recipe' | 'calibrationCache'>,
  progress: Progress,
): Promise<Prepared> {
  const opened = await openSource(request, progress)
  const openedSamples = await openSamples(request, opened, progress)
  const { source: folded, samples } = request.recipe.foldPreprocessing
    ? await foldSourcePreprocessing(opened, openedSamples, request, progress)
    : { source: opened, samples: openedSamples }
  const { dataset } = samples.evaluation
  const makeMetric = () => openMetric(request.metric ?? dataset.metric ?? 'top-1', dataset)
  // a mistaken metric shows at once, not after the calibration
  await makeMetric()
  const source = request.recipe.allow.includes(splitOutputs)
    ? await splitMixedOutputs(folded, samples, progress)
    : folded
  const evaluator = await openEvaluator(source.floatModel)
  return {
    source,
    samples,
    recipe: request.recipe,
    calibrationCache: request.calibrationCache ?? null,
    makeMetric,
    float: {
      evaluator,
      inputs: source.original.inputs.map((name) => ({ name, stored: null })),
      // a file that is quantized already may give integers
      outputs: source.original.outputs.map((name) => ({
        name,
        stored: storedType(source.original.values.get(name)!.type),
      })),
      task: dataset.task,
    },
    close: () => evaluator.close(),
  }
}

/** The part that does: tailors the prepared network to one board and writes the artifact. */
export async function compileFor(
  prepared: Prepared,
  board: Board,
  folder: string,
  progress: Progress,
  compilerHost: CompilerHost | null = null,
): Promise<Compiled> {
  const { source, samples } = prepared
  const chosen = completed(await chooseCandidate(prepared, board, progress), board)
  const { emitted } = chosen
  requireMemory(board, emitted.files.get(emitted.model)!.byteLength, chosen.activationBytes)
  const quality = await measureQuality(prepared, board, chosen, progress)
  if (chosen.limit) warnOverLimit(chosen.limit, quality, progress)
  const made = await finishChosen(board, chosen, compilerHost, progress)
  progress.stage('write', folder)
  const labels = samples.classNames
  const manifest = manifestOf(prepared, board, made, labels)
  const files = new Map(made.emitted.files)
  if (labels) files.set('labels.txt', Buffer.from(`${labels.join('\n')}\n`))
  files.set('README.md', Buffer.from(artifactReadme({ ...manifest, files: [] })))
  const written = await writeArtifact(folder, manifest, files)
  return {
    folder,
    manifest: written,
    board,
    quality,
    candidates: made.candidates,
    declined: made.declined,
    made: made.made,
    decisions: made.decisions,
    weightBytes: { float: weightBytesOf(source.graph), compiled: made.weightBytes },
    summary: summaryOf(prepared, board, folder, written, made, quality),
  }
}

/** With the files that only a board wants. */
function completed(chosen: Chosen, board: Board): Chosen {
  const { trial, typed } = chosen.made
  const more = board.target.complete?.(chosen.emitted, typed, trialOptions(trial, board))
  return more
    ? { ...chosen, emitted: more.emitted, decisions: [...chosen.decisions, ...more.decisions] }
    : chosen
}

/** A vendor's compiler has the last word where a target has one; what it made cannot run on this computer any more. */
async function finishChosen(
  board: Board,
  chosen: Chosen,
  host: CompilerHost | null,
  progress: Progress,
): Promise<Chosen> {
  if (!board.target.finish) return chosen
  if (host) progress.stage('vendor compiler', host.label)
  const { emitted, decisions } = await board.target.finish(chosen.emitted, host, progress.signal)
  if (!host)
    progress.warn({
      code: 'VENDOR_COMPILER_ABSENT',
      message: decisions.map(({ reason }) => reason).join(' '),
      hint: 'Name the computer that has it with --edgetpu-compiler ssh://builder, or put edgetpu_compiler on PATH.',
    })
  return { ...chosen, emitted, decisions: [...chosen.decisions, ...decisions] }
}

async function measureQuality(
  prepared: Prepared,
  board: Board,
  chosen: Chosen,
  progress: Progress,
): Promise<Quality> {
  const { evaluation } = prepared.samples
  progress.stage('evaluate', `${evaluation.indices.length} samples`)
  const compiled = await runnableOf(chosen.emitted, board)
  try {
    return await compareQuality(
      prepared.float,
      compiled,
      samplesOf(evaluation, progress.signal),
      evaluation.indices.length,
      prepared.makeMetric,
      progress,
    )
  } finally {
    await compiled.evaluator.close()
  }
}

function manifestOf(
  prepared: Prepared,
  board: Board,
  chosen: Chosen,
  labels: readonly string[] | null,
): Omit<Manifest, 'files'> {
  const { source, samples, recipe } = prepared
  const signatures = new Map(
    source.model.inputSignatures.map((signature) => [signature.name, signature.dimensions]),
  )
  const tensor = (emitted: EmittedTensor): ManifestTensor => ({
    name: emitted.name,
    dtype: emitted.dtype,
    shape: [...emitted.shape],
    shapeSignature: [...(signatures.get(emitted.name) ?? emitted.shape)],
    quantization: emitted.quantization
      ? { scale: emitted.quantization.scales[0]!, zeroPoint: emitted.quantization.zeroPoints[0]! }
      : null,
    layout: layoutOf(emitted, samples),
  })
  return {
    schemaVersion: 1,
    name: source.name,
    target: board.target.labelOf?.(chosen.emitted) ?? board.target.name,
    profile: board.profile.id,
    scheme: board.options.scheme,
    model: chosen.emitted.model,
    runtimes: chosen.runtimes,
    prepare: board.target.preparation?.(chosen.emitted, chosen.made.typed, board.options) ?? null,
    inputs: chosen.emitted.inputs.map(tensor),
    outputs: chosen.emitted.outputs.map((emitted) => ({ ...tensor(emitted), layout: null })),
    preprocessing: samples.real ? samples.evaluation.dataset.preprocessing : null,
    labels: labels ? [...labels] : null,
    calibrated: samples.real || board.options.scheme === 'float',
    integerOnly: chosen.integerOnly,
    recipe: { ...recipe, chosen: chosen.choice },
    source: { path: source.path, sha256: source.sha256, bytes: source.bytes, format: source.model.format },
    madeBy: { edgewright: edgewrightVersion(), cpu: cpus()[0]?.model.trim() ?? 'unknown', threads: 1 },
  }
}

function layoutOf(emitted: EmittedTensor, samples: Samples): string | null {
  return emitted.shape.length === 4 ? samples.evaluation.dataset.preprocessing.layout : null
}

function summaryOf(
  prepared: Prepared,
  board: Board,
  folder: string,
  manifest: Manifest,
  chosen: Chosen,
  quality: Quality,
) {
  const { source, samples } = prepared
  const model = manifest.files.find((file) => file.path === manifest.model)!
  return {
    artifact: { path: folder, model: manifest.model, bytes: model.bytes, sha256: model.sha256 },
    model: { path: source.path, sha256: source.sha256, bytes: source.bytes },
    profile: board.profile.id,
    target: manifest.target,
    scheme: manifest.scheme,
    calibrated: manifest.calibrated,
    integerOnly: manifest.integerOnly,
    sizeRatio: model.bytes / source.bytes,
    weightBytes: { float: weightBytesOf(source.graph), compiled: chosen.weightBytes },
    activationBytes: chosen.activationBytes,
    quality: qualityDocument(quality),
    chosen: chosen.choice,
    candidates: chosen.candidates,
    declined: chosen.declined,
    boardConstraints: board.reasons,
    decisions: chosen.decisions,
    samples: {
      calibration: samples.calibration.indices.length,
      selection: samples.selection.indices.length,
      evaluation: samples.evaluation.indices.length,
      data: samples.evaluation.dataset.description,
    },
  }
}

export function qualityDocument(quality: Quality) {
  return {
    samples: quality.samples,
    sqnrDb: finiteOrNull(quality.sqnrDb),
    agreement: quality.agreement,
    metric: quality.metric,
    float: quality.float,
    int8: quality.compiled,
    drop: quality.float === null || quality.compiled === null ? null : quality.float - quality.compiled,
  }
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null
}
