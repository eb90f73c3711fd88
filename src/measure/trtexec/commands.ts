import { EdgewrightError } from '../../error.ts'
import { optionFor, type Wish } from './options.ts'
import { atLeast, formatVersion, type TensorRtVersion } from './version.ts'

/** A board's trtexec, as far as its command line goes. */
export interface Trtexec {
  /** Absolute path on the board. */
  readonly path: string
  readonly version: TensorRtVersion
  /** Options that its own `--help` lists, e.g. `--onnx`; null where it could not be asked. */
  readonly options: ReadonlySet<string> | null
}

export type Precision = 'int8' | 'fp16' | 'fp32'

/** What the builder may do with the types in the file. */
export type Typing =
  /** The file's float32 may become these as well. */
  | { readonly kind: 'weak'; readonly allow: readonly ('int8' | 'fp16')[] }
  /** Every tensor has the type that the file gives it. */
  | { readonly kind: 'strong' }

export interface EngineBuild {
  /** Absolute paths on the board. */
  readonly model: string
  readonly engine: string
  readonly timingCache: string
  readonly typing: Typing
  readonly dla: { readonly core: number; readonly allowGpuFallback: boolean } | null
  /** For the builder's scratch memory; null: the builder's own choice. */
  readonly workspaceMiB: number | null
  /** The GPU has sparse tensor cores: from compute capability 8.0 on. */
  readonly sparseTensorCores: boolean
}

export interface EngineRun {
  readonly engine: string
  readonly dla: { readonly core: number } | null
  readonly warmUpMs: number
  /** At least so long and so often. */
  readonly seconds: number
  readonly iterations: number
  /** Copies between host and device counted in; without them the GPU's work alone. */
  readonly transfers: boolean
  readonly cudaGraph: boolean
  readonly times: string
}

/** The files that one engine can be built from; at least one of the two is there. */
export interface EngineSource {
  /** Float32 where no Q/DQ says otherwise; the builder may choose the precisions allowed. */
  readonly weak: { readonly model: string; readonly allow: readonly ('int8' | 'fp16')[] } | null
  /** States the type of every tensor itself. */
  readonly strong: { readonly model: string } | null
}

/**
 * Which file a version builds from, and how. Weak typing is deprecated from 10.12 on and gone with 11, so a strongly typed
 * file is preferred from 10.12; before 10.0 there is no strong typing.
 *
 * @throws EdgewrightError ENGINE_FAILED where the version takes neither file
 */
export function chooseTyping(
  version: TensorRtVersion,
  { weak, strong }: EngineSource,
): { readonly model: string; readonly typing: Typing } {
  if (strong && (atLeast(version, [10, 12]) || (!weak && atLeast(version, [10, 0]))))
    return { model: strong.model, typing: { kind: 'strong' } }
  if (weak && (!atLeast(version, [11, 0]) || weak.allow.length === 0))
    return {
      model: weak.model,
      typing: atLeast(version, [11, 0]) ? { kind: 'strong' } : { kind: 'weak', allow: weak.allow },
    }
  throw new EdgewrightError(
    'ENGINE_FAILED',
    weak
      ? `TensorRT ${formatVersion(version)} builds only what the file itself says, and this one leaves it to the builder.`
      : `TensorRT ${formatVersion(version)} is too old for a file that states its own types.`,
    {
      saw: weak ? `float32 with ${weak.allow.join(' and ')} allowed` : 'a strongly typed file',
      hint: weak
        ? 'Compile with --target tensorrt: its artifact holds a file for each kind of TensorRT.'
        : 'TensorRT 10 (JetPack 6) takes it.',
    },
  )
}

/** Builds an engine and runs nothing. */
export function buildCommand(trtexec: Trtexec, build: EngineBuild): string[] {
  const { typing, dla } = build
  const wishes: [Wish, (string | number)?][] = [
    ['model', build.model],
    ['save', build.engine],
    ['timingCache', build.timingCache],
    ['profilingVerbosity'],
    ['buildOnly'],
  ]
  if (typing.kind === 'strong') wishes.push(['stronglyTyped'])
  else {
    if (typing.allow.includes('int8')) wishes.push(['allowInt8'])
    if (typing.allow.includes('fp16')) wishes.push(['allowFp16'])
  }
  if (build.workspaceMiB !== null) wishes.push(['workspace', build.workspaceMiB])
  if (build.sparseTensorCores) wishes.push(['sparsity'])
  if (dla) wishes.push(['dlaCore', dla.core])
  if (dla?.allowGpuFallback) wishes.push(['gpuFallback'])
  return spell(trtexec, wishes)
}

/** Loads an engine and measures it. What differs between versions by default is always said. */
export function runCommand(trtexec: Trtexec, run: EngineRun): string[] {
  return spell(trtexec, [
    ['load', run.engine],
    ...(run.dla ? [['dlaCore', run.dla.core] as const] : []),
    ['warmUp', Math.round(run.warmUpMs)],
    ['duration', Math.max(1, Math.ceil(run.seconds))],
    ['iterations', run.iterations],
    ['averages', 1000],
    [run.transfers ? 'dataTransfers' : 'noDataTransfers'],
    [run.cudaGraph ? 'cudaGraph' : 'noCudaGraph'],
    ['spinWait'],
    ['exportTimes', run.times],
  ])
}

/** Loads an engine and takes the time of each layer, which slows it: never beside `exportTimes`. */
export function profileCommand(
  trtexec: Trtexec,
  run: Pick<EngineRun, 'engine' | 'dla' | 'warmUpMs'> & { readonly profile: string },
): string[] {
  return spell(trtexec, [
    ['load', run.engine],
    ...(run.dla ? [['dlaCore', run.dla.core] as const] : []),
    ['warmUp', Math.round(run.warmUpMs)],
    ['duration', 1],
    ['iterations', 20],
    ['averages', 1000],
    ['noDataTransfers'],
    ['noCudaGraph'],
    ['spinWait'],
    ['exportProfile', run.profile],
  ])
}

function spell(trtexec: Trtexec, wishes: readonly (readonly [Wish, (string | number)?])[]): string[] {
  return [trtexec.path, ...wishes.flatMap(([wish, value]) => spellOne(trtexec, wish, value))]
}

function spellOne(trtexec: Trtexec, wish: Wish, value?: string | number): string[] {
  const row = optionFor(wish, trtexec.version)
  if (!row)
    throw new EdgewrightError(
      'ENGINE_FAILED',
      `TensorRT ${formatVersion(trtexec.version)} cannot be asked for ${inWords[wish] ?? wish}.`,
      { where: trtexec.path, hint: hints[wish] ?? 'Use a newer JetPack on the board.' },
    )
  if (row.option === null) return []
  const [name] = row.option.split('=')
  if (trtexec.options && !trtexec.options.has(name!)) {
    if (row.dispensable) return []
    throw new EdgewrightError('ENGINE_FAILED', `The board’s trtexec does not know ${name}.`, {
      where: trtexec.path,
      saw: `TensorRT ${formatVersion(trtexec.version)}`,
      hint: 'This version differs from those that Edgewright knows: 8.0 to 11. Please report it.',
    })
  }
  return [value === undefined ? row.option : row.option.replace('$', () => String(value))]
}

const inWords: Partial<Record<Wish, string>> = {
  allowInt8: 'int8 by a flag',
  allowFp16: 'float16 by a flag',
  stronglyTyped: 'the types that the file states',
}

const hints: Partial<Record<Wish, string>> = {
  allowInt8:
    'From TensorRT 11 on the file says it: compile for tensorrt again, its artifact has such a file.',
  allowFp16: 'From TensorRT 11 on the file says it: compile with --scheme float16.',
}
