import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scheme } from '../artifact/manifest.ts'
import { chooseBoard } from '../compile/board.ts'
import { parseRecipe } from '../compile/recipe.ts'
import { type Source, sourceOfModel, openSource } from '../compile/source.ts'
import { EdgewrightError } from '../error.ts'
import type { Graph, Model } from '../graph/types.ts'
import type { Stage, TuneContext } from './context.ts'
import { formsWithoutTraining, type Judged, judgeStage, sourceOfStage } from './judge.ts'
import { collecting, dataOpener, type TuneOptions, withChoices } from './library.ts'
import { openTuning } from './open.ts'
import type { TuneReport } from './report/document.ts'
import { renderTuneMarkdown } from './report/markdown.ts'
import { renderTunePage } from './report/page.ts'
import { reportOf } from './report-of.ts'
import { latenciesOf, type Tuned } from './tune.ts'

/** A network that is to stand beside others, in one form or several. */
export interface ComparedNetwork {
  /** What the table calls it: `pruned`. The first is the original and is called `float`. */
  readonly name: string
  /** A path, a network in memory, or what `tune` gave. */
  readonly network: string | Model | Tuned
  /** Each is a row; `float` and `full-int8` by default. What was tuned by `qat` keeps its integers under `full-int8`. */
  readonly schemes?: readonly Scheme[] | undefined
}

export type CompareFormsOptions = Omit<
  TuneOptions,
  'method' | 'budget' | 'training' | 'prune' | 'qat' | 'teacher' | 'scheme' | 'resume'
>

/** A row of the comparison as a file. */
export interface ComparedForm {
  readonly name: string
  readonly scheme: Scheme
  /** Path of the file that the target's runtime opens. */
  readonly path: string
}

export interface ComparedForms {
  readonly report: TuneReport
  readonly forms: readonly ComparedForm[]
  readonly folder: string
}

/**
 * Puts forms of networks side by side: all are judged on the same samples, which nothing is learnt from, and measured in
 * turns in one run on one device. Writes the files and the report (`report.html`, `report.md`, `tune.json`).
 *
 *     const { report } = await compareForms(
 *       [
 *         { name: 'float', network: trained, schemes: ['float', 'dynamic', 'full-int8'] },
 *         { name: 'qat', network: await tune(trained.model, { method: 'qat', data }), schemes: ['full-int8'] },
 *       ],
 *       { data, evaluationData, target: 'litert' },
 *     )
 *
 * @param networks the first, in float, is what all others are held against; inputs and outputs must be alike, by name and
 * shape
 * @throws MODEL_SHAPE_INVALID where they are not; USAGE without networks, or where one was tuned for another target; and
 * what reading, compiling and measuring throw
 */
export async function compareForms(
  networks: readonly ComparedNetwork[],
  options: CompareFormsOptions,
): Promise<ComparedForms> {
  const { data, evaluationData, recipe, seed, progress, ...rest } = options
  const told = collecting(progress)
  const [first] = networks
  if (!first) throw new EdgewrightError('USAGE', 'There are no networks to compare.')
  const model = isTuned(first.network) ? first.network.model : first.network
  const open = await dataOpener(model, options, [data, evaluationData], told)
  const context = await openTuning(
    {
      ...rest,
      out: options.out ?? join('tuned', 'compared'),
      model,
      methods: [],
      data: await open(data),
      evaluationData: evaluationData === undefined ? undefined : await open(evaluationData),
      recipe: parseRecipe(withChoices(recipe, { seed }), 'the recipe of the comparison'),
    },
    told,
  )
  try {
    const rows = await judgeAll(networks, context)
    const judged = rows.map((row) => row.judged)
    const latencies = await latenciesOf(judged, context)
    const steps = networks.flatMap(stepsOf)
    const report = reportOf(
      [stageOf('float', context.original.source.original), ...steps],
      judged,
      latencies,
      context,
    )
    return { report, ...(await written(rows, report, context)) }
  } finally {
    await context.original.close()
  }
}

interface Row {
  readonly name: string
  readonly scheme: Scheme
  readonly judged: Judged
}

const usualSchemes: readonly Scheme[] = ['float', 'full-int8']

async function judgeAll(networks: readonly ComparedNetwork[], context: TuneContext): Promise<Row[]> {
  const rows: Row[] = []
  for (const [index, { name, network, schemes = usualSchemes }] of networks.entries()) {
    const { source, stage } = await opened(index === 0 ? 'float' : name, network, index === 0, context)
    requireAlike(name, source.original, context.original.source.original)
    // what all are held against comes first, asked for or not
    const wanted = index === 0 ? withFloat(schemes) : schemes
    for (const scheme of wanted) {
      context.progress.stage('judge', `${name}, ${scheme}`)
      const judged = await judgeStage(
        { ...stage, quantized: scheme === 'full-int8' ? stage.quantized : null },
        source,
        underScheme(scheme, context),
      )
      const last = judged.at(-1)!
      rows.push({ name, scheme, judged: { ...last, form: formOf(scheme, last) } })
    }
  }
  return rows
}

function withFloat(schemes: readonly Scheme[]): readonly Scheme[] {
  return ['float', ...schemes.filter((scheme) => scheme !== 'float')]
}

function underScheme(scheme: Scheme, context: TuneContext): TuneContext {
  const { request } = context
  const recipe = { ...request.recipe, scheme }
  const { profile = 'this-computer', target } = request
  return {
    ...context,
    request: { ...request, recipe },
    board: chooseBoard({ profile, target, recipe }, context.progress),
    original: { ...context.original, recipe },
  }
}

/** Beside a dynamic form `int8, PTQ` would not say which of the two ways. */
function formOf(scheme: Scheme, { form }: Judged): string {
  return scheme === 'full-int8' && form === formsWithoutTraining[scheme] ? `${form} static` : form
}

async function opened(
  name: string,
  network: ComparedNetwork['network'],
  original: boolean,
  context: TuneContext,
): Promise<{ source: Source; stage: Stage }> {
  const { request, progress, board } = context
  if (isTuned(network)) {
    const { target } = network.report
    if (target !== board.target.name)
      throw new EdgewrightError('USAGE', 'A network was tuned for another target.', {
        where: name,
        saw: `${target}, not ${board.target.name}`,
        hint: 'Tune it for the target of the comparison, or give its model file.',
      })
    const stage = { ...network.stages.at(-1)!, name }
    return { source: original ? context.original.source : await sourceOfStage(stage, context), stage }
  }
  const source = original
    ? context.original.source
    : typeof network === 'string'
      ? await openSource({ model: network, shapes: request.shapes ?? {} }, progress)
      : await sourceOfModel(network, name)
  return { source, stage: stageOf(name, source.original) }
}

function stageOf(name: string, graph: Graph): Stage {
  return { name, graph, quantized: null, epochs: [], layers: [], notes: [], options: {} }
}

/** What was done to a network, under the name that it has here. */
function stepsOf({ name, network }: ComparedNetwork): Stage[] {
  if (!isTuned(network)) return []
  const steps = network.stages.slice(1)
  return steps.map((step) => ({ ...step, name: step.name === name ? name : `${name}: ${step.name}` }))
}

function requireAlike(name: string, graph: Graph, original: Graph): void {
  const typeOf = (of: Graph, value: string) => `${value} [${of.values.get(value)!.type.shape.join(', ')}]`
  const inputs = (of: Graph) => of.inputs.map((value) => typeOf(of, value)).join(', ')
  const outputs = (of: Graph) =>
    of.outputs.map((value) => `[${of.values.get(value)!.type.shape.join(', ')}]`).join(', ')
  const same = inputs(graph) === inputs(original) && outputs(graph) === outputs(original)
  if (same) return
  throw new EdgewrightError(
    'MODEL_SHAPE_INVALID',
    'Networks that are compared must take and give the same.',
    {
      where: name,
      saw: `${inputs(graph)} → ${outputs(graph)} beside ${inputs(original)} → ${outputs(original)}`,
      hint: 'Name the inputs alike: in TensorFlow.js by the name of the first layer.',
    },
  )
}

async function written(
  rows: readonly Row[],
  report: TuneReport,
  { folder, board, progress }: TuneContext,
): Promise<{ folder: string; forms: ComparedForm[] }> {
  progress.stage('write', folder)
  await mkdir(folder, { recursive: true })
  const extension = board.target.engine === 'litert' ? 'tflite' : 'onnx'
  const forms: ComparedForm[] = []
  for (const { name, scheme, judged } of rows) {
    if (!judged.file) continue
    const path = join(folder, `${name.replace(/[^A-Za-z0-9._-]+/g, '-')}-${scheme}.${extension}`)
    await writeFile(path, judged.file)
    forms.push({ name, scheme, path })
  }
  await writeFile(join(folder, 'tune.json'), `${JSON.stringify(report, null, 2)}\n`)
  await writeFile(join(folder, 'report.html'), renderTunePage(report))
  await writeFile(join(folder, 'report.md'), renderTuneMarkdown(report))
  return { folder, forms }
}

function isTuned(network: ComparedNetwork['network']): network is Tuned {
  return typeof network !== 'string' && 'stages' in network
}
