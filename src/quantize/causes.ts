import type { Asked, Cause, TensorFacts } from './cause-facts.ts'
import { best, cut, inFloat, tune, wide } from './cause-remedies.ts'
import { concatMismatch, isStorage, isWeights, rules } from './cause-rules.ts'
import { called, decibels, number } from './cause-words.ts'

export type * from './cause-facts.ts'

/** Above this nobody asks why. */
const fineDb = 30
const mostCauses = 3
/** A bit: what passes through a layer grows and shrinks a little anyway. */
const grownDb = 6

/**
 * The causes of a tensor's error, weightiest first; none where it is near enough to float. What it adds itself is
 * explained where that is much, even where it inherits more: mending the layers before would bring it out.
 */
export function causesOf(facts: TensorFacts, asked: Asked): Cause[] {
  // a wide branch drowns what a narrow one loses
  if (facts.db >= fineDb) return facts.concat ? [concatMismatch(facts, asked)!] : []
  const share = ownShare(facts)
  const own = facts.ownDb < fineDb || share >= 0.25 ? ownCauses(facts, asked) : []
  const inherited = share < 0.5 ? accumulated(facts, asked) : null
  return namedOnce(inherited ? [...own, inherited] : own)
}

function ownCauses(facts: TensorFacts, asked: Asked): Cause[] {
  const particular = rules.flatMap((rule) => rule(facts, asked) ?? [])
  if (particular.length > 0) return particular.slice(0, mostCauses)
  const general = rounding(facts, asked)
  return general ? [general] : []
}

/** A remedy of several causes stands with the first. */
function namedOnce(causes: readonly Cause[]): Cause[] {
  const named = new Set<string>()
  return causes.map((cause) => ({
    ...cause,
    remedies: cause.remedies.filter(({ option, why }) => {
      const key = option ?? why
      if (named.has(key)) return false
      named.add(key)
      return true
    }),
  }))
}

/** Nothing particular: 8 bits are few for it. */
function rounding(facts: TensorFacts, asked: Asked): Cause | null {
  const { weights, stored, seen } = facts
  if (weights && isWeights(facts))
    return {
      kind: 'weight-rounding',
      sentence: `Rounding its weights makes most of its own error (weights alone: ${decibels(weights.db)}).`,
      remedies: [...best(asked, 'chooses how each weight is rounded'), ...inFloat(facts)],
    }
  if (!stored) return null
  return {
    kind: 'result-rounding',
    sentence: `Its root mean square is ${number(seen.rms)}, a step ${number(stored.scale)}: ${isStorage(facts) ? 'rounding its result' : 'the integer arithmetic'} makes most of its own error.`,
    remedies: [...cut(asked, 'a smaller range has smaller steps'), ...inFloat(facts), ...wide(asked)],
  }
}

/** Good by itself, on bad operands. */
function accumulated({ db, ownDb, operandDb, origin }: TensorFacts, asked: Asked): Cause | null {
  if (!origin || operandDb === null) return null
  const own = ownDb === Number.POSITIVE_INFINITY ? 'Exact by itself' : `By itself it has ${decibels(ownDb)}`
  // sums that nearly cancel and steep functions leave less signal than error
  const from =
    operandDb - db >= grownDb
      ? `what it reads has ${decibels(operandDb)}, and grows through it to ${decibels(db)}`
      : `the ${decibels(db)} come with what it reads`
  const most = `${called(origin.name)} (own ${decibels(origin.ownDb)})`
  const standsOut = origin.ownDb < fineDb
  return {
    kind: 'accumulated',
    sentence: standsOut
      ? `${own}: ${from}, most of all from ${most}.`
      : `${own}: ${from}. Errors add up over the layers before it, of which none stands out: the most is of ${most}.`,
    remedies: standsOut ? [] : [...best(asked, 'tries all that there is'), ...wide(asked), tune],
  }
}

/** Noise-to-signal of its own over that of all; small where error is inherited. */
function ownShare({ db, ownDb }: TensorFacts): number {
  return Math.min(1, 10 ** ((db - ownDb) / 10))
}
