import type { Recipe } from '../../compile/recipe.ts'
import { EdgewrightError } from '../../error.ts'
import type { ComparisonLimit } from '../budget.ts'
import type { EnergyChoice } from '../energy.ts'
import type { ConnectionOptions } from '../open-device.ts'
import type { ConditionsChoice } from '../ready-board.ts'

/** What is held against what. */
export type Contest =
  /** Two networks; the same twice is a test of the device. */
  | { readonly kind: 'pair'; readonly a: string; readonly b: string }
  /** An artifact against the float network that it was made from. */
  | { readonly kind: 'float'; readonly b: string }
  /** A network against figures of another day. */
  | { readonly kind: 'baseline'; readonly b: string; readonly file: string; readonly force: boolean }

export interface CompareRequest {
  readonly contest: Contest
  readonly shapes: Readonly<Record<string, readonly number[]>>
  readonly device: string
  readonly threads: number
  readonly affinity: readonly number[]
  readonly preset: ComparePreset
  /** In place of the preset's. */
  readonly blocks: number | undefined
  readonly blockSeconds: number | undefined
  /** What counts as no difference, a share. */
  readonly band: number
  /** Draws the order of turns; the same for the same seed. */
  readonly seed: number
  readonly data: string | undefined
  readonly metric: string | undefined
  readonly limit: number | undefined
  readonly recipe: Recipe
  readonly energy: EnergyChoice
  readonly conditions?: ConditionsChoice
  readonly limits: readonly ComparisonLimit[]
  readonly writeBaseline: string | undefined
  readonly connection: ConnectionOptions
}

/** Seconds are what each network gets of a block; A is loaded twice. */
export const comparePresets = {
  quick: { blocks: 8, blockSeconds: 0.25, warmupSeconds: 0.2 },
  standard: { blocks: 12, blockSeconds: 0.8, warmupSeconds: 0.5 },
} as const
export type ComparePreset = keyof typeof comparePresets

const mostBlocks = 60

/** How a request measures. @throws USAGE where that cannot be */
export function shapeOf(request: CompareRequest): {
  blocks: number
  blockSeconds: number
  warmupSeconds: number
} {
  const preset = comparePresets[request.preset]
  const blocks = request.blocks ?? preset.blocks
  const blockSeconds = request.blockSeconds ?? preset.blockSeconds
  const wrong = (where: string, saw: number, hint: string) =>
    new EdgewrightError('USAGE', `${where} cannot be ${saw}.`, { where, hint })
  if (!(Number.isInteger(blocks) && blocks >= 2 && blocks <= mostBlocks))
    throw wrong('--blocks', blocks, `A whole number from 2 to ${mostBlocks}; below 6 nothing can be proved.`)
  if (!(blockSeconds > 0 && blockSeconds <= 600))
    throw wrong('--block-seconds', blockSeconds, 'Seconds that each network gets of a block, up to 600.')
  if (!(request.band >= 0 && request.band < 1)) throw wrong('--band', request.band, 'A share, e.g. 1%.')
  if (!(Number.isInteger(request.threads) && request.threads >= 1))
    throw wrong('--threads', request.threads, 'One thread count: a comparison has one verdict.')
  return { blocks, blockSeconds, warmupSeconds: Math.min(preset.warmupSeconds, blockSeconds) }
}
