import { ScaleClasses } from './scale-classes.ts'

/** Magnitudes that are stored in integers: the weights of a layer, or an activation. */
export interface EqualizedTensor {
  /** max|x| of each entry before anything is scaled. */
  readonly peaks: ArrayLike<number>
  /** By entry: the group whose scale divides it. */
  readonly dividedBy: ArrayLike<number>
  /** By entry: the group whose scale multiplies it. */
  readonly multipliedBy: ArrayLike<number>
  /** By entry: the output channel with a storage scale of its own; null where all entries share one. */
  readonly storedWith: ArrayLike<number> | null
}

export interface EqualizationProblem {
  /** Groups of channels that are scaled alike. Group 0 keeps scale 1. */
  readonly groups: number
  /** In the order of the network. */
  readonly tensors: readonly EqualizedTensor[]
  /** By group: no scale below it; 1 and more hold the scale at 1. */
  readonly least?: ArrayLike<number>
}

/** Four bits: a channel that uses less of its range is nearly dead, and balancing it only moves its noise elsewhere. */
export const mostScale = 16

/** As a part of the largest of its tensor: what is smaller carries nothing. */
const deadShare = 1e-8
const mostRounds = 20
/** Of the logarithm of a scale. */
const settledChange = 1e-4

/**
 * Scales of cross-layer equalization (Nagel et al. 2019, section 4.1) over groups of channels: for each group the part
 * of their ranges that its channels fill, in what the scale divides, comes to be the part that they fill in what it
 * multiplies. For two layers s = √(r₁/r₂); a depthwise layer between two others gives all three the cube root of the
 * product. Several tensors on one side count by their geometric mean. Where output channels are stored with scales of
 * their own, the rows that give a channel say nothing, and a column fills what part of its rows it fills.
 *
 * @returns by group; in [1/16, 16], never below `least`, and 1 for a channel that is dead on either side
 */
export function equalizationScales(problem: EqualizationProblem): Float64Array {
  const scales = new Float64Array(problem.groups).fill(1)
  const stages = stagesOf(problem)
  for (let round = 0; round < mostRounds; round++) {
    let change = 0
    for (const stage of stages) change = Math.max(change, balance(stage, scales, problem))
    if (change < settledChange) break
  }
  return scales
}

/** Groups between the same tensors, balanced at one time. */
interface Stage {
  readonly groups: readonly number[]
  readonly tensors: readonly EqualizedTensor[]
}

/** Groups that divide, or multiply, one tensor belong together: chains are gone through stage by stage. */
function stagesOf({ groups, tensors }: EqualizationProblem): Stage[] {
  const classes = new ScaleClasses()
  const sides = tensors.map(({ dividedBy, multipliedBy }) =>
    [dividedBy, multipliedBy].map((side) => [...new Set(Array.from(side))].filter((group) => group !== 0)),
  )
  for (const side of sides.flat()) for (const group of side) classes.unite(`${side[0]}`, `${group}`)
  const stages = new Map<string, { groups: number[]; tensors: Set<EqualizedTensor> }>()
  const stageOf = (group: number) => {
    const root = classes.find(`${group}`)
    const stage = stages.get(root) ?? { groups: [], tensors: new Set<EqualizedTensor>() }
    stages.set(root, stage)
    return stage
  }
  for (let group = 1; group < groups; group++) stageOf(group).groups.push(group)
  sides.forEach((both, index) => {
    for (const [first] of both) if (first !== undefined) stageOf(first).tensors.add(tensors[index]!)
  })
  return [...stages.values()].map((stage) => ({ groups: stage.groups, tensors: [...stage.tensors] }))
}

/** One step of all groups of a stage towards balance. Returns the largest change of a scale's logarithm. */
function balance(
  { groups, tensors }: Stage,
  scales: Float64Array,
  { least = [] }: EqualizationProblem,
): number {
  const divided = new LogMean(scales.length)
  const multiplied = new LogMean(scales.length)
  for (const tensor of tensors) addShares(tensor, scales, divided, multiplied)
  let change = 0
  for (const group of groups) {
    const terms = divided.terms[group]! + multiplied.terms[group]!
    if (divided.terms[group] === 0 || multiplied.terms[group] === 0) continue
    const before = scales[group]!
    const wanted = before * Math.exp((divided.sums[group]! - multiplied.sums[group]!) / terms)
    scales[group] = limited(wanted, least[group] ?? 0)
    change = Math.max(change, Math.abs(Math.log(scales[group]! / before)))
  }
  return change
}

function limited(scale: number, least: number): number {
  return least >= 1 ? 1 : Math.min(mostScale, Math.max(1 / mostScale, least, scale))
}

class LogMean {
  readonly sums: Float64Array
  readonly terms: Uint32Array

  constructor(groups: number) {
    this.sums = new Float64Array(groups)
    this.terms = new Uint32Array(groups)
  }

  /** By group the part of its range that it fills. */
  add(shares: Float64Array): void {
    for (let group = 0; group < shares.length; group++) {
      if (shares[group]! < deadShare) continue
      this.sums[group]! += Math.log(shares[group]!)
      this.terms[group]!++
    }
  }
}

/** Of each group the largest part that one of its entries fills of the range it is stored in. */
function addShares(
  { peaks, dividedBy, multipliedBy, storedWith }: EqualizedTensor,
  scales: Float64Array,
  divided: LogMean,
  multiplied: LogMean,
): void {
  const count = peaks.length
  const scaled = new Float64Array(count)
  const ranges = new Float64Array(storedWith ? 1 + largestOf(storedWith) : 1)
  for (let entry = 0; entry < count; entry++) {
    const peak = (peaks[entry]! * scales[multipliedBy[entry]!]!) / scales[dividedBy[entry]!]!
    const row = storedWith ? storedWith[entry]! : 0
    scaled[entry] = peak
    if (peak > ranges[row]!) ranges[row] = peak
  }
  const above = new Float64Array(scales.length)
  const below = new Float64Array(scales.length)
  for (let entry = 0; entry < count; entry++) {
    const share = scaled[entry]! / (ranges[storedWith ? storedWith[entry]! : 0]! || 1)
    if (share > above[multipliedBy[entry]!]!) above[multipliedBy[entry]!] = share
    if (share > below[dividedBy[entry]!]!) below[dividedBy[entry]!] = share
  }
  multiplied.add(above)
  if (!storedWith) divided.add(below)
}

function largestOf(numbers: ArrayLike<number>): number {
  let largest = 0
  for (let i = 0; i < numbers.length; i++) largest = Math.max(largest, numbers[i]!)
  return largest
}
