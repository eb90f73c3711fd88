import type { Basis, Profile, ProfileConstraint } from './schema.ts'

/** Why a parameter is what it is: shown by `compile`, kept in the artifact. */
export interface ConstraintNote {
  readonly id: string
  readonly sentence: string
  readonly basis: Basis
  readonly source: readonly string[]
}

/** What a board sets or narrows for one target, as plain parameters for the compiler. */
export interface CompileConstraints {
  readonly profile: string
  readonly target: string
  readonly cpu: { readonly architecture: string; readonly features: readonly string[] }
  readonly int8Allowed: boolean
  /** True where int8 may lose to float here, so that both must be measured. */
  readonly int8MayLose: boolean
  readonly perChannelAllowed: boolean
  /** The only operators whose weights may be per channel; null: any. */
  readonly perChannelOperators: readonly string[] | null
  /** Weights and activations together. */
  readonly memoryLimitBytes: number | null
  readonly weightCacheBytes: number | null
  readonly notes: readonly ConstraintNote[]
}

/** The constraints of a profile that hold for a target, folded into parameters: the narrowest of each wins. */
export function compileConstraints(profile: Profile, target: string): CompileConstraints {
  const holding = profile.constraints.filter(
    (constraint) => concerns(constraint, target) && holds(constraint, profile),
  )
  const effects = holding.map(({ effect }) => effect)
  const operators = effects.flatMap(({ perChannelOperators }) =>
    perChannelOperators === undefined ? [] : [perChannelOperators],
  )
  return {
    profile: profile.id,
    target,
    cpu: { architecture: profile.cpu.architecture, features: profile.cpu.features },
    int8Allowed: effects.every(({ int8 }) => int8 !== 'refuse'),
    int8MayLose: effects.some(({ int8 }) => int8 === 'warn'),
    perChannelAllowed: effects.every(({ weights }) => weights !== 'per-tensor'),
    perChannelOperators:
      operators.length === 0 ? null : operators.reduce((a, b) => a.filter((name) => b.includes(name))),
    memoryLimitBytes: smallestBytes(effects.map(({ memoryLimitMiB }) => memoryLimitMiB)),
    weightCacheBytes: smallestBytes(effects.map(({ weightCacheMiB }) => weightCacheMiB)),
    notes: holding.map(({ id, sentence, basis, source }) => ({ id, sentence, basis, source })),
  }
}

function concerns(constraint: ProfileConstraint, target: string): boolean {
  return constraint.targets === undefined || constraint.targets.includes(target)
}

function holds({ when }: ProfileConstraint, { cpu, memory }: Profile): boolean {
  if (when === undefined) return true
  const has = (word: string) => cpu.features.includes(word)
  if (when.architecture !== undefined && when.architecture !== cpu.architecture) return false
  if (when.cpuLacks?.some(has)) return false
  if (when.cpuHas !== undefined && !when.cpuHas.every(has)) return false
  if (when.memoryBelowMiB !== undefined) {
    // The smallest board that is sold decides, unless a probe has said how large this one is.
    const smallest = memory.optionsMiB[0]
    if (smallest === undefined || smallest >= when.memoryBelowMiB) return false
  }
  return true
}

function smallestBytes(limitsMiB: readonly (number | undefined)[]): number | null {
  const known = limitsMiB.filter((limit) => limit !== undefined)
  return known.length === 0 ? null : Math.min(...known) * 2 ** 20
}
