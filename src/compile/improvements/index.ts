import { absorbBias } from './absorb-bias.ts'
import { classRanges } from './class-ranges.ts'
import { biasesBySamples } from './correct-biases.ts'
import { equalize } from './equalize.ts'
import type { Improvement } from './improvement.ts'
import { biasesAsTheyAre, withoutHeadroom } from './leave-out.ts'
import { mixedPrecision } from './mixed-precision.ts'
import { rangesAgain } from './ranges-again.ts'
import { roundingByOutput } from './round-weights.ts'
import { rowScales } from './row-scales.ts'
import { smoothQuant } from './smooth-quant.ts'

/** In the order in which they are tried: what changes the float network, then ranges, then weights, then biases. */
export const improvements: readonly Improvement[] = [
  equalize,
  absorbBias,
  smoothQuant,
  rangesAgain,
  rowScales,
  classRanges,
  roundingByOutput,
  biasesAsTheyAre,
  biasesBySamples,
  withoutHeadroom,
  mixedPrecision,
]
