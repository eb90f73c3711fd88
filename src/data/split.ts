import { EdgewrightError } from '../error.ts'
import { seededGenerator, shuffle } from './generator.ts'
import type { Splits } from './types.ts'

/** How large a part is: a count (1 or more, or 0 for none), or a fraction of the samples (between 0 and 1). */
export interface SplitSizes {
  /** Default: a quarter of the samples, at most 512. */
  readonly calibration?: number
  /** Default: a quarter of the samples, at most 256. */
  readonly selection?: number
  /** Default: all the others. */
  readonly evaluation?: number
}

/**
 * Splits samples into three disjoint parts by seed; where labels are known each part holds the classes in about the
 * proportions of the whole. Sizes that nobody states shrink with the data: two samples give calibration and evaluation
 * one each, one sample is for calibration. Give `calibration: 0` where other data calibrates.
 *
 * @returns indices in ascending order, so that files are read forwards
 * @throws RECIPE_INVALID where stated sizes are more than there is, DATA_EMPTY
 */
export function splitDataset(
  length: number,
  sizes: SplitSizes,
  seed: number,
  labels?: readonly (number | null)[] | null,
): Splits {
  if (length < 1) throw new EdgewrightError('DATA_EMPTY', 'There are no samples to split.')
  const { calibration, selection, evaluation } = partSizes(length, sizes)
  const order = stratifiedOrder(length, seed, labels ?? null)
  const part = (from: number, count: number) => order.slice(from, from + count).sort((a, b) => a - b)
  return {
    calibration: part(0, calibration),
    selection: part(calibration, selection),
    evaluation: part(calibration + selection, evaluation),
  }
}

function partSizes(
  length: number,
  sizes: SplitSizes,
): { calibration: number; selection: number; evaluation: number } {
  const stated = (name: keyof SplitSizes): number | undefined => {
    const size = sizes[name]
    if (size === undefined) return undefined
    if (Number.isInteger(size) && size >= 0) return size
    if (size > 0 && size < 1) return Math.max(1, Math.round(size * length))
    throw new EdgewrightError(
      'RECIPE_INVALID',
      `The number of ${name} samples must be a count or a fraction below 1.`,
      {
        where: name,
        saw: String(size),
      },
    )
  }
  const asked = {
    calibration: stated('calibration'),
    selection: stated('selection'),
    evaluation: stated('evaluation'),
  }
  const total = (asked.calibration ?? 0) + (asked.selection ?? 0) + (asked.evaluation ?? 0)
  if (total > length)
    throw new EdgewrightError('RECIPE_INVALID', 'More samples are asked for than there are.', {
      where: 'calibration, selection, evaluation',
      saw: `${asked.calibration ?? 0} + ${asked.selection ?? 0} + ${asked.evaluation ?? 0} of ${length}`,
      hint: 'Ask for fewer, or give other data with --calibration-data.',
    })
  let spare = length - total
  const take = (size: number | undefined, usual: number): number => {
    if (size !== undefined) return size
    const count = Math.min(spare, usual)
    spare -= count
    return count
  }
  const quarter = Math.floor(length / 4)
  const calibration = take(asked.calibration, Math.max(1, Math.min(512, quarter)))
  // One sample is kept back for evaluation before selection gets any.
  if (asked.evaluation === undefined && spare > 0) spare--
  const selection = take(asked.selection, Math.max(1, Math.min(256, quarter)))
  const evaluation = asked.evaluation ?? length - calibration - selection
  return { calibration, selection, evaluation }
}

/**
 * An order in which every run of neighbours holds the classes in about their proportions: sample j of g in its class
 * stands at (j + u) / g, u drawn once a class.
 */
function stratifiedOrder(length: number, seed: number, labels: readonly (number | null)[] | null): number[] {
  const generator = seededGenerator(seed)
  const indices = shuffle(
    Array.from({ length }, (_, index) => index),
    generator,
  )
  if (!labels) return indices
  const groups = new Map<number | null, number[]>()
  for (const index of indices) {
    const label = labels[index] ?? null
    const group = groups.get(label)
    if (group) group.push(index)
    else groups.set(label, [index])
  }
  const placed: { index: number; at: number }[] = []
  for (const [, group] of [...groups].sort(([a], [b]) => (a ?? -1) - (b ?? -1))) {
    const shift = generator.next()
    group.forEach((index, j) => {
      placed.push({ index, at: (j + shift) / group.length })
    })
  }
  return placed.sort((a, b) => a.at - b.at || a.index - b.index).map(({ index }) => index)
}
