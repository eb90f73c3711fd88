import { EdgewrightError } from '../../src/error.ts'
import { activationRange } from '../../src/quantize/activation-range.ts'
import { type Affine, affineOf, integerRange } from '../../src/quantize/affine.ts'
import type { ActivationRangeMethod, Ranges } from '../../src/quantize/ranges.ts'
import type { TargetOptions } from '../target.ts'
import type { Plan } from './plan.ts'

interface Bounds {
  readonly min: number
  readonly max: number
}

/** Scale and zero point of every activation: one for each class of the plan, from the ranges of its sources. */
export class ActivationScales {
  readonly #plan: Plan
  readonly #ranges: Ranges
  readonly #options: Pick<TargetOptions, 'activationRange' | 'valueRanges'>
  readonly #dtype: 'int8' | 'uint8'
  readonly #affines = new Map<string, Affine>()
  /** Outputs whose range an operator fixes, and those that an activation clips. */
  readonly #fixed = new Map<string, Bounds>()
  readonly #clips = new Map<string, Bounds>()

  constructor(
    plan: Plan,
    ranges: Ranges,
    options: Pick<TargetOptions, 'activationRange' | 'valueRanges'>,
    dtype: 'int8' | 'uint8',
  ) {
    this.#plan = plan
    this.#ranges = ranges
    this.#options = options
    this.#dtype = dtype
    for (const [node, { how, signature }] of plan.placements) {
      if (how !== 'int8') continue
      if (signature.role === 'fixed') this.#fixed.set(node.outputs[0]!, signature)
      if (signature.role === 'saturate') this.#clips.set(node.outputs[0]!, signature)
    }
    for (const fused of plan.fused.values()) this.#clips.set(fused.output, fused)
  }

  /** That of a value's class. */
  of(name: string): Affine {
    const own = this.#affines.get(name)
    if (own) return own
    const representative = this.#plan.classes.find(name)
    const affine = this.#affines.get(representative) ?? this.#ofClass(representative)
    this.#affines.set(representative, affine)
    this.#affines.set(name, affine)
    return affine
  }

  /** For a constant, whose range is its own. */
  fix(name: string, affine: Affine): void {
    this.#affines.set(name, affine)
  }

  #ofClass(representative: string): Affine {
    const sources = this.#plan.sources.get(representative) ?? [representative]
    const own = this.#options.valueRanges
    const method = sources.map((source) => own?.get(source)).find(Boolean) ?? this.#options.activationRange
    const ends = sources.map((source) => this.#rangeOf(source, method))
    const min = Math.min(...ends.map((end) => end.min))
    const max = Math.max(...ends.map((end) => end.max))
    const affine = affineOf(min, max, this.#dtype)
    if (min !== 0 || max !== 0) return affine
    // never seen above or below 0: the type must still saturate where the activation clips
    const [low, high] = integerRange[this.#dtype]
    const clips = sources.map((source) => this.#clips.get(source))
    if (clips.every((clip) => clip?.min === 0)) return { ...affine, zeroPoint: low }
    return clips.every((clip) => clip?.max === 0) ? { ...affine, zeroPoint: high } : affine
  }

  #rangeOf(name: string, wanted: ActivationRangeMethod): Bounds {
    const fixed = this.#fixed.get(name)
    if (fixed) return fixed
    const seen = this.#ranges.get(name)
    if (!seen)
      throw new EdgewrightError('INTERNAL', 'Internal error: a value was not calibrated.', { where: name })
    const method: ActivationRangeMethod = this.#plan.unclipped.has(name) ? { kind: 'min-max' } : wanted
    const range = activationRange(seen, method, { dtype: this.#dtype })
    const clip = this.#clips.get(name)
    return clip ? { min: Math.max(range.min, clip.min), max: Math.min(range.max, clip.max) } : range
  }
}
