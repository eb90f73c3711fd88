import type { Warning } from '../progress.ts'
import type { Latency, RunResult } from '../store/document.ts'

/** Medians closer than this count as equal: below it one run on one board proves nothing. */
export const equalSpeed = 0.05
/** Exact McNemar test, two-sided. */
const significance = 0.05

export interface VerdictInput {
  /** What the float network is compared with, as people call it: `int8`, `float16`. */
  readonly name: string
  readonly speedup: number | null
  /** False where the 95 % intervals of the two medians overlap: the run does not tell them apart. Null where unknown. */
  readonly apart: boolean | null
  readonly sizeRatio: number | null
  readonly accuracy: RunResult['accuracy']
  /** Probability of so uneven a split of the samples on which only one of the two is right; null where unknown. */
  readonly mcNemarP: number | null
  /** Cores without dot product and the like. */
  readonly int8MayLose: boolean
  readonly fixedRate: boolean
  /** An emulator's speed says nothing of a board's. */
  readonly emulated: boolean
}

/** Which of the two to ship on this board, in one sentence of figures. */
export function verdictOf(input: VerdictInput): NonNullable<RunResult['verdict']> {
  if (input.emulated) {
    const known = [sizeFact(input), accuracyFact(input)].filter(Boolean).join(', ')
    return { choice: 'undecided', sentence: `Emulated, so speed is not judged: ${input.name} is ${known}.` }
  }
  const facts = [speedFact(input), sizeFact(input), accuracyFact(input)].filter(Boolean).join(', ')
  if (losesAccuracy(input))
    return { choice: 'float', sentence: `Float: ${input.name} loses accuracy beyond chance (${facts}).` }
  if (input.speedup === null)
    return { choice: 'undecided', sentence: `Not measured side by side${facts ? `: ${facts}` : ''}.` }
  if (input.apart === false)
    return {
      choice: 'either',
      sentence: `Not told apart in speed, the intervals of the medians overlap: ${facts}. edgewright compare can tell.`,
    }
  if (input.speedup >= 1 + equalSpeed) return { choice: 'int8', sentence: `${input.name}: ${facts}.` }
  if (input.speedup <= 1 - equalSpeed)
    return {
      choice: 'float',
      sentence: `Float is the better choice here unless size matters more: ${facts}.`,
    }
  return { choice: 'either', sentence: `Equal in speed: ${facts}.` }
}

export function verdictWarnings(input: VerdictInput): Warning[] {
  if (input.emulated || input.apart === false || input.speedup === null || input.speedup > 1 - equalSpeed)
    return []
  return [
    {
      code: 'INT8_SLOWER',
      message: `${input.name} takes ${(1 / input.speedup).toFixed(2)}× the time of float on this device.`,
      hint: input.int8MayLose
        ? 'Its cores have no 8-bit dot product: float may stay faster. Ship float, or int8 for its size.'
        : 'See the time by operator in the report: conversions and operators left in float are the usual cause.',
    },
  ]
}

/** Whether the 95 % intervals of two medians lie apart; null where one has none. */
export function mediansApart(a: Latency | null, b: Latency | null): boolean | null {
  const [first, second] = [a?.intervals?.p50, b?.intervals?.p50]
  if (!first || !second) return null
  return first.highNs < second.lowNs || second.highNs < first.lowNs
}

function losesAccuracy({ accuracy, mcNemarP }: VerdictInput): boolean {
  return (
    accuracy?.drop !== null &&
    accuracy?.drop !== undefined &&
    accuracy.drop > 0.01 &&
    mcNemarP !== null &&
    mcNemarP < significance
  )
}

function speedFact({ speedup, fixedRate }: VerdictInput): string | null {
  if (speedup === null) return null
  const rate = fixedRate ? ' at the fixed rate' : ''
  if (Math.abs(speedup - 1) < equalSpeed) return `${speedup.toFixed(2)}× the speed of float${rate}`
  return speedup > 1 ? `${speedup.toFixed(2)}× faster${rate}` : `${(1 / speedup).toFixed(2)}× slower${rate}`
}

function sizeFact({ sizeRatio }: VerdictInput): string | null {
  return sizeRatio === null ? null : `${sizeRatio.toFixed(2)} of the size`
}

function accuracyFact({ accuracy }: VerdictInput): string | null {
  if (!accuracy) return null
  if (accuracy.drop !== null) {
    const points = -accuracy.drop * 100
    return `${accuracy.metric} ${points >= 0 ? '+' : '−'}${Math.abs(points).toFixed(1)} points`
  }
  return accuracy.agreement === null
    ? null
    : `agrees with float on ${(accuracy.agreement * 100).toFixed(1)} %`
}
