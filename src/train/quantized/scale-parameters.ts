import type { Graph } from '../../graph/types.ts'
import { float16Scale, isFloat16 } from '../../quantize/float16-grid.ts'
import type { Ranges, TensorRange } from '../../quantize/ranges.ts'
import { type Grid, gridOf, sameGrid } from './grid.ts'
import type { QuantizationTarget, TypedGraph } from './target.ts'

/** Typed values with one scale and zero point between them, because the target stores them alike. */
export interface ScaleClass {
  readonly name: string
  readonly grid: Grid
  /** Float values whose ranges decide the scale. */
  readonly sources: readonly string[]
  /** True where other ranges of the sources give another scale: no operator fixes it. */
  readonly movable: boolean
  /** Beyond it the scale does not follow: a clip ends the range. */
  readonly largestScale: number
  /** The range that gives a scale back. */
  readonly form: RangeForm
}

/** `full`: from the lowest to the highest number of the grid; `symmetric`: the highest to both sides. */
export type RangeForm = 'full' | 'symmetric'

/** How a target chooses scales, found out by asking it. */
export interface ScaleClasses {
  readonly typed: TypedGraph
  /** By value of the typed graph. */
  readonly of: ReadonlyMap<string, ScaleClass>
  readonly all: readonly ScaleClass[]
  /** Ranges that give `typed` when nothing but min and max counts. */
  readonly ranges: Ranges
  /** Scales are numbers of float16, rounded up. */
  readonly scaleGrid: 'float16' | null
}

/** Ends of a grid at another scale. */
export function rangeOfGrid({ lowest, highest }: Grid, scale: number, form: RangeForm): TensorRange {
  return { min: (form === 'full' ? lowest : -highest) * scale, max: highest * scale }
}

/**
 * Finds the scales of a typed graph and which of them are free by preparing again over ranges that differ a little: what
 * moves together is one scale, what does not move is fixed, and what cannot be widened is clipped. No target needs to
 * say anything of itself.
 *
 * @param chosen the typed graph to start from, made with whatever way to choose ranges
 */
export function scaleClassesOf(
  graph: Graph,
  chosen: TypedGraph,
  ranges: Ranges,
  target: QuantizationTarget,
): ScaleClasses {
  const start = explicitRanges(graph, chosen, ranges, target)
  const typed = target.prepare(graph, start.ranges)
  const scaleGrid = hasFloat16Scales(typed.graph) ? 'float16' : null
  const probes = [0, 1, 2].map((round) =>
    target.prepare(
      graph,
      scaled(start.ranges, (index) => shrink(index, round)),
    ),
  )
  const wide = target.prepare(
    graph,
    scaled(start.ranges, () => widening),
  )
  const groups = new Map<string, { values: string[]; grid: Grid }>()
  for (const [name, { type }] of typed.graph.values) {
    const grid = gridOf(type)
    if (!grid) continue
    const seen = probes.map((probe) => scaleIn(probe, name))
    const key = JSON.stringify([grid.scale, grid.lowest, grid.highest, ...seen])
    const group = groups.get(key)
    if (group) group.values.push(name)
    else groups.set(key, { values: [name], grid })
  }
  const classes = [...groups.values()].map(({ values, grid }): ScaleClass => {
    const sources = target.wanted.filter((name) => values.includes(typed.stored?.get(name) ?? name))
    const moved = probes.every((probe) => (scaleIn(probe, values[0]!) ?? grid.scale) < grid.scale)
    const constant = values.some((name) => typed.graph.values.get(name)!.constant)
    const widest = scaleIn(wide, values[0]!) ?? grid.scale
    return {
      name: sources[0] ?? values[0]!,
      grid,
      sources,
      movable: moved && !constant && sources.length > 0,
      largestScale: widest < 0.99 * widening * grid.scale ? widest : Number.POSITIVE_INFINITY,
      form: start.forms.get(sources[0] ?? '') ?? 'full',
    }
  })
  const settled = withoutStubborn(graph, classes, groups, start.ranges, target, scaleGrid)
  return {
    typed,
    of: new Map(
      [...groups.values()].flatMap(({ values }, index) => values.map((name) => [name, settled[index]!])),
    ),
    all: settled,
    ranges: start.ranges,
    scaleGrid,
  }
}

/** Of all sources at once: far enough apart that no two classes stay alike by chance. */
function shrink(index: number, round: number): number {
  return 1 - 0.005 - 0.06 * (((index + 1) * [0.618034, 0.414214, 0.732051][round]!) % 1)
}

const widening = 8

function scaled(ranges: Ranges, factor: (index: number) => number): Ranges {
  return new Map(
    [...ranges].map(([name, { min, max }], index) => [
      name,
      { min: min * factor(index), max: max * factor(index) },
    ]),
  )
}

function scaleIn({ graph }: TypedGraph, name: string): number | null {
  const type = graph.values.get(name)?.type
  return (type && gridOf(type)?.scale) ?? null
}

/** Ranges in min and max alone from which the target makes the same scales again. */
function explicitRanges(
  graph: Graph,
  chosen: TypedGraph,
  ranges: Ranges,
  target: QuantizationTarget,
): { ranges: Ranges; forms: ReadonlyMap<string, RangeForm> } {
  const made = (form: (name: string) => RangeForm) =>
    new Map(
      target.wanted.map((name) => {
        const grid = storedGrid(chosen, name)
        const { min, max } = ranges.get(name)!
        return [name, grid ? rangeOfGrid(grid, grid.scale, form(name)) : { min, max }] as const
      }),
    )
  const full = target.prepare(
    graph,
    made(() => 'full'),
  )
  const forms = new Map(
    target.wanted.map((name): [string, RangeForm] => [
      name,
      sameGrid(storedGrid(full, name), storedGrid(chosen, name)) ? 'full' : 'symmetric',
    ]),
  )
  return { ranges: made((name) => forms.get(name)!), forms }
}

function storedGrid({ graph, stored }: TypedGraph, name: string): Grid | null {
  const type = graph.values.get(stored?.get(name) ?? name)?.type
  return type ? gridOf(type) : null
}

/** A class that does not take a scale exactly as its ranges say is held where it is. */
function withoutStubborn(
  graph: Graph,
  classes: readonly ScaleClass[],
  groups: ReadonlyMap<string, { values: string[] }>,
  ranges: Ranges,
  target: QuantizationTarget,
  scaleGrid: 'float16' | null,
): ScaleClass[] {
  const wanted = classes.map(({ grid }, index) =>
    onScaleGrid(grid.scale * (0.985 - 0.0001 * (index % 64)), scaleGrid),
  )
  const asked = new Map(ranges)
  classes.forEach(({ grid, sources, movable, form }, index) => {
    if (movable) for (const name of sources) asked.set(name, rangeOfGrid(grid, wanted[index]!, form))
  })
  const given = target.prepare(graph, asked)
  return [...groups.values()].map(({ values }, index) => {
    const one = classes[index]!
    return { ...one, movable: one.movable && scaleIn(given, values[0]!) === wanted[index]! }
  })
}

export function onScaleGrid(scale: number, scaleGrid: 'float16' | null): number {
  return scaleGrid === 'float16' ? float16Scale(scale) : Math.fround(scale)
}

function hasFloat16Scales(graph: Graph): boolean {
  const scales = [...graph.values.values()].flatMap(({ type }) => type.quantization?.scales ?? [])
  return scales.length > 0 && scales.every(isFloat16)
}
