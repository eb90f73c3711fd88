import { EdgewrightError } from '../../src/error.ts'
import { activationRange } from '../../src/quantize/activation-range.ts'
import { type Affine, symmetricAffineOf } from '../../src/quantize/affine.ts'
import { float16Scale } from '../../src/quantize/float16-grid.ts'
import type { ActivationRangeMethod, Ranges } from '../../src/quantize/ranges.ts'
import type { TargetOptions } from '../target.ts'
import type { Plan } from './plan.ts'

/** Scale of every quantized activation, zero point 0: one for each class of the plan, from the ranges of its members. */
export class ActivationScales {
  readonly #plan: Plan
  readonly #ranges: Ranges
  readonly #options: Pick<TargetOptions, 'activationRange' | 'valueRanges'>
  readonly #known = new Map<string, Affine>()

  constructor(plan: Plan, ranges: Ranges, options: Pick<TargetOptions, 'activationRange' | 'valueRanges'>) {
    this.#plan = plan
    this.#ranges = ranges
    this.#options = options
  }

  /** That of a value's class. */
  of(name: string): Affine {
    const representative = this.#plan.classes.find(name)
    const known = this.#known.get(representative)
    if (known) return known
    const affine = this.#ofClass(this.#plan.sources.get(representative) ?? [name])
    this.#known.set(representative, affine)
    return affine
  }

  #ofClass(members: readonly string[]): Affine {
    const own = this.#options.valueRanges
    const method = members.map((name) => own?.get(name)).find(Boolean) ?? this.#options.activationRange
    const magnitude = members.reduce((most, name) => Math.max(most, this.#magnitudeOf(name, method)), 0)
    const { scale, zeroPoint } = symmetricAffineOf(-magnitude, magnitude, 'int8')
    return { scale: float16Scale(scale), zeroPoint }
  }

  #magnitudeOf(name: string, wanted: ActivationRangeMethod): number {
    const seen = this.#ranges.get(name)
    if (!seen)
      throw new EdgewrightError('INTERNAL', 'Internal error: a value was not calibrated.', { where: name })
    const method: ActivationRangeMethod = this.#plan.unclipped.has(name) ? { kind: 'min-max' } : wanted
    const { min, max } = activationRange(seen, method, { dtype: 'int8', symmetric: true })
    return Math.max(-min, max)
  }
}
