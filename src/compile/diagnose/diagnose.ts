import type { CalibrationCacheOptions } from '../calibration-cache.ts'
import { sha256 } from '../../digest.ts'
import { EdgewrightError } from '../../error.ts'
import type { Node } from '../../graph/types.ts'
import type { Progress } from '../../progress.ts'
import { type Asked, type Cause, causesOf, type Remedy, type TensorFacts } from '../../quantize/causes.ts'
import { type Board, type BoardRequest, chooseBoard } from '../board.ts'
import { type Candidate, chooseCandidate, type Declined, isQuantized } from '../candidates.ts'
import { type Prepared, prepareCompile, requireKnownNodes } from '../compile.ts'
import type { Quality } from '../quality.ts'
import type { Recipe } from '../recipe.ts'
import { RetainedSamples } from '../retained-samples.ts'
import type { ModelRequest } from '../source.ts'
import type { Made } from '../trial.ts'
import { factsOf } from './facts.ts'
import { gather } from './gather.ts'
import { changed, outputQuality, rewrittenQuality } from './try-remedies.ts'

/** Where a quantized network loses its nearness to float, tensor by tensor. Plain values that JSON can carry. */
export interface Diagnosis {
  /** That were looked at. */
  readonly samples: number
  /** Of the output over these samples; null: exact. */
  readonly sqnrDb: number | null
  readonly agreement: number | null
  /**
   * Output SQNR of the float network as it was rewritten before it was quantized (equalization and its like), against
   * the model's own: tensors are compared with the rewritten one. Null: exact.
   */
  readonly rewrittenDb: number | null
  /** In execution order. */
  readonly tensors: DiagnosedTensor[]
}

export interface DiagnosedTensor {
  readonly name: string
  /** In the words of the model's file: `Conv + Relu`; `input`. */
  readonly operator: string
  /** As stored: `int8`; null where it is real in the quantized network too. */
  readonly dtype: string | null
  /** As the network runs; null: exact. */
  readonly sqnrDb: number | null
  /** What its own operators add to the operands that they read; null: exact. */
  readonly ownDb: number | null
  readonly cosine: number
  readonly causes: DiagnosedCause[]
}

export interface DiagnosedCause extends Pick<Cause, 'kind' | 'sentence'> {
  readonly remedies: DiagnosedRemedy[]
}

export interface DiagnosedRemedy extends Pick<Remedy, 'option' | 'why'> {
  /** What it gave to the output's SQNR, where it was tried. */
  readonly gainDb?: number | null
}

export interface DiagnoseRequest extends ModelRequest, BoardRequest {
  readonly data: string | undefined
  readonly calibrationData: string | undefined
  readonly calibrationCache?: CalibrationCacheOptions | null
  readonly metric: string | undefined
  readonly recipe: Recipe
  /** Samples to look at. */
  readonly limit: number
  /** Remedies of so many of the worst tensors are tried. */
  readonly tries: number
  /** What an artifact was made of and became; null for a model. */
  readonly artifact: { readonly folder: string; readonly source: string; readonly model: string } | null
}

export interface Diagnosed {
  readonly model: { readonly path: string; readonly sha256: string; readonly bytes: number }
  readonly profile: string
  readonly target: string
  readonly scheme: string
  readonly calibrated: boolean
  readonly chosen: string
  readonly candidates: Candidate[]
  readonly declined: Declined[]
  readonly diagnosis: Diagnosis
}

/** Samples that show what a network does: errors of all their elements are summed. */
export const fewSamples = 16

/** Compiles a network without writing it, and looks where it differs from float. */
export async function diagnoseModel(request: DiagnoseRequest, progress: Progress): Promise<Diagnosed> {
  const { recipe } = request
  if (recipe.scheme === 'float')
    throw new EdgewrightError('USAGE', 'The scheme float quantizes nothing: there is nothing to diagnose.', {
      where: '--scheme',
      hint: 'Leave it out for full-int8.',
    })
  const board = chooseBoard(request, progress)
  const prepared = await prepareCompile(request, progress)
  try {
    requireKnownNodes(prepared)
    const { source } = prepared
    if (isQuantized(source.original))
      throw new EdgewrightError('MODEL_FORMAT_UNSUPPORTED', 'The model is quantized already.', {
        where: source.path,
        saw: 'scales and zero points in the file',
        hint: 'Diagnose the float network that it was made of: it is what tensors are compared with.',
      })
    if (request.artifact && request.artifact.source !== source.sha256)
      throw new EdgewrightError(
        'ARTIFACT_INVALID',
        'The model has changed since the artifact was made of it.',
        {
          where: source.path,
          saw: `sha256 ${source.sha256}, the artifact says ${request.artifact.source}`,
          hint: 'Put back the model as it was, or diagnose the model itself.',
        },
      )
    const chosen = await chooseCandidate(prepared, board, progress)
    if (request.artifact) warnWhereDifferent(request.artifact, chosen.made, progress)
    return {
      model: { path: source.path, sha256: source.sha256, bytes: source.bytes },
      profile: board.profile.id,
      target: board.target.name,
      scheme: recipe.scheme,
      calibrated: prepared.samples.real,
      chosen: chosen.choice,
      candidates: [...chosen.candidates],
      declined: [...chosen.declined],
      diagnosis: await diagnose(prepared, board, chosen.made, request, progress),
    }
  } finally {
    await prepared.close()
  }
}

function warnWhereDifferent(
  { folder, model }: NonNullable<DiagnoseRequest['artifact']>,
  { emitted }: Made,
  progress: Progress,
): void {
  if (sha256(emitted.files.get(emitted.model)!) === model) return
  progress.warn({
    code: 'ARTIFACT_REMADE',
    message: `What was made again of the model differs from the artifact in ${folder}: other data, options or another version made it.`,
    hint: 'The figures are those of the network that was made now. The same --data as then, and no recipe options, make the same.',
  })
}

/** Of a network that was made already. The samples are those that neither calibrated nor decided. */
export async function diagnose(
  prepared: Prepared,
  board: Board,
  made: Made,
  { limit, tries }: { readonly limit: number; readonly tries: number },
  progress: Progress,
): Promise<Diagnosis> {
  const samples = new RetainedSamples(prepared.samples.evaluation, progress.signal, limit)
  const gathered = await gather(made, board, samples, progress)
  const facts = factsOf(made, gathered, knownNames(prepared))
  const asked = askedOf(prepared.recipe, board)
  const causes = new Map([...facts].map(([name, one]) => [name, causesOf(one, asked)]))
  const quality = await outputQuality(prepared, board, made, samples, progress)
  const gains = await tryRemedies(worstOf(facts, tries), causes, (remedy) =>
    gainOf(remedy, quality, prepared, board, made, samples, progress),
  )
  if (tries > 0 && gains.size === 0)
    progress.warn({
      code: 'NOTHING_TO_TRY',
      message: `Nothing was tried: no option of the compile would help ${tries === 1 ? 'the worst tensor' : `any of the ${Math.min(tries, facts.size)} worst tensors`}.`,
      hint: 'A larger --try looks at more of them.',
    })
  return {
    samples: samples.length,
    sqnrDb: finite(quality.sqnrDb),
    agreement: quality.agreement,
    rewrittenDb: finite((await rewrittenQuality(prepared, made, samples, progress)).sqnrDb),
    tensors: gathered.map(({ name, segment, stored, meter }) => ({
      name,
      operator: operatorOf(segment?.nodes),
      dtype: stored?.dtype ?? null,
      sqnrDb: finite(meter.whole.db),
      ownDb: finite(meter.own.db),
      cosine: meter.whole.cosine,
      causes: causes.get(name)!.map((cause) => reported(cause, gains)),
    })),
  }
}

/** In the words of the file; what one operator of it became several of is named once. */
function operatorOf(nodes: readonly Node[] | undefined): string {
  if (!nodes) return 'input'
  const named = nodes.filter(
    ({ source }, i) => !source || !nodes.slice(0, i).some((other) => other.source?.index === source.index),
  )
  return named.map(({ op, source }) => source?.opType ?? op.kind).join(' + ')
}

/** The tensors that add most noise to their own signal. */
function worstOf(facts: ReadonlyMap<string, TensorFacts>, count: number): string[] {
  return [...facts]
    .sort(([, a], [, b]) => a.ownDb - b.ownDb)
    .slice(0, count)
    .map(([name]) => name)
}

/** Gains by option: one that serves several tensors is tried once. */
async function tryRemedies(
  names: readonly string[],
  causes: ReadonlyMap<string, readonly Cause[]>,
  gain: (remedy: Remedy) => Promise<number | null>,
): Promise<Map<string, number | null>> {
  const gains = new Map<string, number | null>()
  for (const name of names)
    for (const { remedies } of causes.get(name)!)
      for (const remedy of remedies)
        if (remedy.change && remedy.option && !gains.has(remedy.option))
          gains.set(remedy.option, await gain(remedy))
  return gains
}

async function gainOf(
  { option, change }: Remedy,
  before: Quality,
  prepared: Prepared,
  board: Board,
  made: Made,
  samples: RetainedSamples,
  progress: Progress,
): Promise<number | null> {
  progress.stage('try', option!)
  const other = await changed(made, board, change!, prepared, progress)
  const after = await outputQuality(prepared, other.board, other.made, samples, progress)
  return finite(after.sqnrDb - before.sqnrDb)
}

function reported(
  { kind, sentence, remedies }: Cause,
  gains: ReadonlyMap<string, number | null>,
): DiagnosedCause {
  return {
    kind,
    sentence,
    remedies: remedies.map(({ option, why }) => ({
      option,
      why,
      ...(option !== null && gains.has(option) ? { gainDb: gains.get(option)! } : {}),
    })),
  }
}

/** Names that `--keep-float` takes: those of the file and of its cleaned form. */
function knownNames({ source }: Prepared): (name: string) => boolean {
  const names = new Set(
    [source.original, source.graph].flatMap((graph) =>
      graph.nodes.flatMap((node) => [node.name, ...node.outputs]),
    ),
  )
  return (name) => names.has(name)
}

function askedOf(
  { preset, calibration, perChannel }: Recipe,
  { constraints, target, options }: Board,
): Asked {
  return {
    preset,
    method: preset === 'fast' && calibration.method === 'auto' ? 'min-max' : calibration.method,
    perChannel,
    perChannelAllowed: constraints.perChannelAllowed,
    floatOutputs: options.io === 'float',
    wideActivations: options.scheme !== 'int16x8' && target.schemes.includes('int16x8'),
  }
}

/** Null: exact. A signal that is all zero has no ratio to its noise: it ends below all others. */
function finite(db: number): number | null {
  return db === Number.POSITIVE_INFINITY || Number.isNaN(db) ? null : Math.max(db, -100)
}
