import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { Progress, Warning } from '../progress.ts'
import { type Judged, judgeStage, sourceOfStage } from './judge.ts'
import type { Method, Stage, TuneContext } from './context.ts'
import { distillMethod } from './methods/distill.ts'
import { lowRankMethod } from './methods/low-rank.ts'
import { pruneMethod } from './methods/prune.ts'
import { qatMethod } from './methods/qat.ts'
import { trainMethod } from './methods/train.ts'
import { openTuning } from './open.ts'
import { type MethodName, methodNames, type TuneRequest } from './request.ts'
import { trainingPasses } from '../train/trainable.ts'
import { runPasses } from '../passes/index.ts'
import { executeGraph } from '../compile/execute-graph.ts'
import { type Latencies, measureLatencies } from './latency.ts'
import { reportOf, rowId } from './report-of.ts'
import type { TuneReport } from './report/document.ts'
import { writeTuned, type Written } from './write.ts'

const methods: Readonly<Record<MethodName, Method>> = {
  train: trainMethod,
  prune: pruneMethod,
  'low-rank': lowRankMethod,
  distill: distillMethod,
  qat: qatMethod,
}

/** A tuned network and what each step did to it. */
export interface Tuned extends Written {
  /** The network as given, then what each step made of it. */
  readonly stages: readonly Stage[]
  readonly report: TuneReport
}

/**
 * Changes a network by training so that it costs less or loses less on its target: each method takes what the one before
 * it made. The result is a model file that every command takes, with a table of what each step did.
 *
 * @throws INTERRUPTED at the progress's signal, after a checkpoint from which `resume` goes on
 */
export async function tuneModel(
  request: TuneRequest,
  progress: Progress & { readonly warnings: readonly Warning[] },
): Promise<Tuned> {
  requireMethods(request.methods)
  const context = await openTuning(request, progress)
  try {
    const stages: Stage[] = [await firstStage(context)]
    for (const name of request.methods) stages.push(await methods[name](stages.at(-1)!, context))
    const judged: Judged[] = []
    for (const stage of stages) {
      progress.stage('judge', stage.name)
      const source = stage === stages[0] ? context.original.source : await sourceOfStage(stage, context)
      judged.push(...(await judgeStage(stage, source, context)))
    }
    const latencies = await latenciesOf(judged, context)
    const report = reportOf(stages, judged, latencies, context)
    const written = await writeTuned(stages.at(-1)!, report, context)
    await removeCheckpoints(context.folder)
    return { stages, report, ...written }
  } finally {
    await context.original.close()
  }
}

/** All rows that are files, in turns, in one run. */
export async function latenciesOf(
  judged: readonly Judged[],
  context: TuneContext,
): Promise<Latencies | null> {
  const { request, board, progress } = context
  const models = judged.flatMap(({ file, stage, form }, index) =>
    file ? [{ id: rowId(index), label: `${stage}, ${form}`, bytes: file }] : [],
  )
  if (request.device === null || models.length === 0) return null
  return measureLatencies(
    {
      models,
      engine: board.target.engine,
      device: request.device ?? 'local:',
      connection: request.connection,
      preset: 'quick',
    },
    progress,
  )
}

/** Batch norm stays apart: training may need its statistics. */
async function firstStage({ original }: TuneContext): Promise<Stage> {
  const graph = await runPasses(original.source.original, trainingPasses(executeGraph), () => {})
  return { name: 'float', graph, quantized: null, epochs: [], layers: [], notes: [], options: {} }
}

function requireMethods(named: readonly MethodName[]): void {
  const unknown = named.filter((name) => !methodNames.includes(name))
  if (named.length > 0 && unknown.length === 0 && named.indexOf('qat') === named.lastIndexOf('qat')) {
    // integers are the end of the way: there are no float weights left to change
    if (!named.includes('qat') || named.at(-1) === 'qat') return
  }
  throw new EdgewrightError(
    'USAGE',
    unknown.length > 0 ? 'There is no such way to tune a network.' : 'The methods do not go together.',
    {
      where: '--method',
      saw: named.join(',') || 'none',
      hint: `Methods are ${methodNames.join(', ')}; several are done in the order given, qat last.`,
    },
  )
}

async function removeCheckpoints(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name.endsWith('.checkpoint')) await rm(join(folder, name), { force: true })
}
