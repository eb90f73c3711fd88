import type { GraphBuilder } from '../builder.ts'
import type { Parameter } from '../network.ts'
import { bounded } from './bounded.ts'
import type { FakeGrid } from './fake-quantize.ts'
import { roundedUpToFloat16 } from './fake-weights.ts'
import { type Grid, narrowed } from './grid.ts'
import { onScaleGrid, type ScaleClass, type ScaleClasses } from './scale-parameters.ts'

/** A learned scale: `initial scale · parameter`, so that a step means the same for small and large ones. */
export interface LearnedScale {
  readonly parameter: string
  readonly of: ScaleClass
  /** Where it starts. */
  readonly grid: Grid
}

export interface LearnedScalesOptions {
  /** Scales of activations but the inputs' are learned where the target leaves them free (LSQ). Default true. */
  readonly learnScales?: boolean
  /** Fewer than the target's: for what no artifact exists for. */
  readonly activationBits?: number
  /** Factor on the learning rate of scales, which are relative to where they start; 10 by default. */
  readonly scaleRate?: number
  /** For a file of its own: computes the same wherever it runs, in more operators. */
  readonly portable?: boolean
}

/** That of a class in training, before its scale is learned. */
export function gridAt({ grid }: ScaleClass, bits: number | undefined): Grid {
  return bits === undefined ? grid : narrowed(grid, bits)
}

/** How the parameters of scales are trained. */
export function scaleRole({ scaleRate = 10 }: LearnedScalesOptions) {
  return { trainable: true, decay: false, rateFactor: scaleRate }
}

/** The share of its start below which no scale is learned. */
const leastShare = 2 ** -6

/** With more levels rounding is no loss, and its gradient is lost in the last bits of float32. */
const coarsest = 255

/** The grids of the program: one learned scale for each class that the target leaves free. */
export class LearnedScales {
  readonly parameters: Parameter[] = []
  readonly learned: LearnedScale[] = []
  readonly #b: GraphBuilder
  readonly #classes: ScaleClasses
  readonly #inputs: ReadonlySet<string>
  readonly #options: LearnedScalesOptions
  readonly #known = new Map<ScaleClass, FakeGrid>()

  /** @param inputs of the network: their grid is that of the data, on which pixels lie exactly */
  constructor(
    b: GraphBuilder,
    classes: ScaleClasses,
    inputs: readonly string[],
    options: LearnedScalesOptions,
  ) {
    this.#b = b
    this.#inputs = new Set(inputs)
    this.#classes = classes
    this.#options = options
  }

  /** @param typed a value of the typed graph */
  of(typed: string): FakeGrid {
    const one = this.#classes.of.get(typed)!
    const known = this.#known.get(one)
    if (known) return known
    const grid = gridAt(one, this.#options.activationBits)
    const isInput = one.sources.some((name) => this.#inputs.has(name))
    const coarse = grid.highest - grid.lowest <= coarsest
    const free = one.movable && !isInput && coarse && (this.#options.learnScales ?? true)
    const made: FakeGrid = {
      ...grid,
      parameter: free ? this.#parameter(one, grid) : null,
      portable: this.#options.portable ?? false,
    }
    this.#known.set(one, made)
    return made
  }

  #parameter(one: ScaleClass, grid: Grid): string {
    const b = this.#b
    const parameter = `scale/${one.name}`
    b.input(parameter, [])
    this.parameters.push({
      name: parameter,
      shape: [],
      initial: Float32Array.of(1),
      ...scaleRole(this.#options),
    })
    this.learned.push({ parameter, of: one, grid })
    return b.within(parameter, () => {
      const most = largestShare(one)
      const share = bounded(b, parameter, b.scalar(leastShare), most === null ? null : b.scalar(most))
      const scale = b.mul(b.scalar(grid.scale), share)
      if (this.#classes.scaleGrid === null) return scale
      return b.customGradient(roundedUpToFloat16(b, scale), [scale], ({ gradients }) => [gradients[0]!])
    })
  }
}

/** How far a scale may grow until a clip ends its range; null: without end. */
function largestShare({ largestScale, grid }: ScaleClass): number | null {
  if (!Number.isFinite(largestScale)) return null
  let share = Math.fround(largestScale / grid.scale)
  while (Math.fround(grid.scale * share) > largestScale) share = Math.fround(share * (1 - 2 ** -23))
  return share
}

/** What a learned scale is once its parameter has a value: the very number of the program. */
export function scaleAt({ of: one, grid }: LearnedScale, parameter: number, classes: ScaleClasses): number {
  const most = largestShare(one)
  const share = Math.min(Math.max(parameter, leastShare), most ?? Number.POSITIVE_INFINITY)
  const scale = Math.fround(grid.scale * share)
  return classes.scaleGrid === 'float16' ? onScaleGrid(scale, 'float16') : scale
}
