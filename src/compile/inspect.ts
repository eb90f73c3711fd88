import { printGraph } from '../graph/print.ts'
import type { Graph } from '../graph/types.ts'
import type { Progress } from '../progress.ts'
import type { Placement, TargetSummary } from '../../targets/target.ts'
import { chooseBoard } from './board.ts'
import { isQuantized } from './candidates.ts'
import { type ModelRequest, type Note, openSource } from './source.ts'
import { parseRecipe } from './recipe.ts'

export interface InspectRequest extends ModelRequest {
  readonly profile: string
  readonly target: string | undefined
}

/** What of a network a target runs where, and why. */
export interface Inspection {
  readonly model: {
    readonly path: string
    readonly sha256: string
    readonly bytes: number
    readonly format: string
  }
  readonly profile: string
  readonly target: string
  readonly inputs: readonly {
    readonly name: string
    readonly dtype: string
    readonly shape: readonly number[]
  }[]
  readonly outputs: readonly {
    readonly name: string
    readonly dtype: string
    readonly shape: readonly number[]
  }[]
  /** One row for each operator after the float rewrites, in order. */
  readonly operators: readonly Placement[]
  readonly summary: {
    readonly operators: number
    readonly int8: number
    readonly float: number
    readonly accelerator: number
    readonly unsupported: number
    readonly weightBytes: number
  }
  /** What the target says beyond its rows, e.g. where the accelerator's part ends. */
  readonly details: TargetSummary | null
  /** What rewrites did and declined. */
  readonly notes: readonly Note[]
  readonly boardConstraints: readonly { readonly sentence: string; readonly basis: string }[]
  readonly graph: Graph
}

/** Reads a network and asks the target about each operator. Needs no board and no data. */
export async function inspectModel(request: InspectRequest, progress: Progress): Promise<Inspection> {
  const source = await openSource(request, progress)
  const board = chooseBoard(
    { profile: request.profile, target: request.target, recipe: recipeFor(request.profile) },
    progress,
  )
  // of a file that is quantized already every operator is a row, as the file has them
  const read = isQuantized(source.original) ? source.original : source.graph
  const operators = board.target.inspect(read, board.options)
  const describe = (names: readonly string[]) =>
    names.map((name) => ({
      name,
      dtype: source.graph.values.get(name)!.type.dtype,
      shape: source.graph.values.get(name)!.type.shape,
    }))
  const count = (test: (row: Placement) => boolean) => operators.filter(test).length
  return {
    model: { path: source.path, sha256: source.sha256, bytes: source.bytes, format: source.model.format },
    profile: board.profile.id,
    target: board.target.name,
    inputs: describe(source.graph.inputs),
    outputs: describe(source.graph.outputs),
    operators,
    summary: {
      operators: operators.length,
      int8: count((row) => row.precision === 'int8' && row.placement !== 'unsupported'),
      float: count((row) => row.precision === 'float' && row.placement !== 'unsupported'),
      accelerator: count((row) => row.placement === 'accelerator'),
      unsupported: count((row) => row.placement === 'unsupported'),
      weightBytes: [...source.graph.values.values()].reduce(
        (sum, value) => sum + (value.constant?.byteLength ?? 0),
        0,
      ),
    },
    details: board.target.summary?.(read, board.options) ?? null,
    notes: source.notes,
    boardConstraints: board.reasons,
    graph: source.graph,
  }
}

function recipeFor(profile: string) {
  return parseRecipe({}, profile)
}

/** The table for people; with `graph` the graph as read, after the rewrites. */
export function describeInspection(inspection: Inspection, graph: boolean): string {
  const { operators, summary } = inspection
  const shape = (tensor: { name: string; dtype: string; shape: readonly number[] }) =>
    `${tensor.name} ${tensor.dtype}[${tensor.shape.join(',')}]`
  const lines = [
    `${inspection.model.path} (${inspection.model.format}, ${(inspection.model.bytes / 1000).toFixed(1)} kB) on ${inspection.profile} with ${inspection.target}`,
    `  in   ${inspection.inputs.map(shape).join(', ')}`,
    `  out  ${inspection.outputs.map(shape).join(', ')}`,
    `  ${summary.operators} operators: ${summary.int8} int8, ${summary.float} float${summary.unsupported ? `, ${summary.unsupported} unsupported` : ''}; weights ${(summary.weightBytes / 1000).toFixed(1)} kB`,
    ...(summary.accelerator > 0
      ? [`  on the accelerator: ${summary.accelerator} of ${summary.operators}`]
      : []),
    ...(inspection.details?.lines ?? []).map((line) => `  ${line}`),
    ...inspection.boardConstraints.map(({ sentence, basis }) => `  board: ${sentence} (${basis})`),
    '',
  ]
  const width = Math.max(8, ...operators.map((row) => row.sourceOp.length))
  for (const row of operators) {
    const place = placeOf(row, summary.accelerator > 0)
    const why = [
      row.reason,
      row.remedy && `Remedy: ${row.remedy}`,
      row.basis && row.reason && `(${row.basis})`,
    ]
      .filter(Boolean)
      .join(' ')
    lines.push(
      `${String(row.index).padStart(4)}  ${row.sourceOp.padEnd(width)}  ${place.padEnd(6)}  ${row.outputs.map(shorten).join(', ')}${why ? `\n${' '.repeat(width + 16)}${why}` : ''}`,
    )
  }
  if (graph) lines.push('', printGraph(inspection.graph))
  return lines.join('\n')
}

function placeOf({ placement, precision, label }: Placement, accelerated: boolean): string {
  if (placement === 'unsupported') return 'cannot'
  if (label !== undefined) return label
  if (!accelerated) return precision
  return placement === 'accelerator' ? 'mapped' : 'cpu'
}

/** Converters join the names of all that they fused: the first says enough. */
function shorten(name: string): string {
  const first = name.split(';')[0]!
  return first.length > 72 ? `${first.slice(0, 71)}…` : first
}
