import { formatDb, formatNs, formatShare, printable } from '../../report/format.ts'
import type { Explanation } from './explain.ts'
import { type ExplainedUnit, wholeOf } from './findings.ts'

/** Units beyond these cost next to nothing. */
const mostRows = 24

/** For people: the whole, then what was found, then operator by operator, costliest first. */
export function describeExplanation(explanation: Explanation): string {
  const { float, int8, emulated, quality, boardConstraints } = explanation
  const ratio = float && int8 ? int8.p50Ns / float.p50Ns : null
  const wordOf = (latency: typeof float) => (latency ? formatNs(latency.p50Ns) : 'not measured')
  return [
    `${explanation.model} on ${explanation.device} (${explanation.profile}), ${explanation.target}, ${explanation.threads === 1 ? '1 thread' : `${explanation.threads} threads`}`,
    ...(emulated
      ? [
          `! ${emulated} emulates this board: times are the emulator's, not a board's; only shares are shown, and they are its too.`,
        ]
      : []),
    `  latency    ${emulated ? '' : `float ${wordOf(float)}, int8 ${wordOf(int8)} (median); `}int8 takes ${ratio === null ? 'an unknown share' : `${ratio.toFixed(2)} ×`} of float's time`,
    `  fidelity   output SQNR ${quality.sqnrDb === null ? 'exact' : formatDb(quality.sqnrDb)}${quality.agreement === null ? '' : `, agrees with float on ${formatShare(quality.agreement)}`} of ${quality.samples} samples`,
    `  board      ${describeParity(explanation)}`,
    ...boardConstraints.map((sentence) => `  note       ${sentence}`),
    '',
    ...describeFindings(explanation),
    '',
    ...describeUnits(explanation),
  ].join('\n')
}

function describeParity({ parity, parting }: Explanation): string {
  if (!parity) return 'its outputs were not compared with this computer'
  if (parity.ok)
    return `gives what this computer gives over ${parity.samples} samples (${formatShare(parity.identicalShare)} of the values bit for bit)`
  if (!parting)
    return `parts from this computer by ${parity.maxSteps.toFixed(1)} steps, but not once inner values are looked at: it happens inside fused operators. ${printable(parity.firstDivergence!)}`
  return `parts from this computer at ${parting.operator} ${JSON.stringify(printable(parting.value))}: all that it reads agrees, its result differs by up to ${parting.difference.steps.toFixed(1)} steps (${printable(parting.difference.seen)}; found in ${parting.comparisons} comparisons)`
}

function describeFindings({ findings, units }: Explanation): string[] {
  const weakest = units
    .filter(({ sqnrDb }) => sqnrDb !== null)
    .toSorted((a, b) => a.sqnrDb! - b.sqnrDb!)
    .slice(0, 3)
  const lines = findings.flatMap(({ message, where, remedy }, index) => [
    `  • ${printable(where)}: ${printable(message)}`,
    // the same advice once
    ...(findings.findIndex((other) => other.remedy === remedy) === index ? [`    ${printable(remedy)}`] : []),
  ])
  return [
    'why int8 is not faster still',
    ...(lines.length > 0 ? lines : ['  • nothing stands out: every operator of weight gains from int8.']),
    ...(weakest.length > 0
      ? [
          `farthest from float: ${weakest.map(({ name, operator, sqnrDb }) => `${operator} ${JSON.stringify(printable(name))} ${formatDb(sqnrDb!)}`).join(', ')} (edgewright diagnose says why)`,
        ]
      : []),
  ]
}

function describeUnits({ units, emulated, timed, int8, conversionNs, runtimeNs }: Explanation): string[] {
  const inPlace = timed === 'in place'
  const total = wholeOf(units, {
    int8: int8?.p50Ns ?? 0,
    conversions: conversionNs,
    runtime: runtimeNs,
    inPlace,
  })
  const shown = units.toSorted((a, b) => (b.int8Ns ?? 0) - (a.int8Ns ?? 0)).slice(0, mostRows)
  const width = Math.max(8, ...shown.map(({ operator }) => operator.length))
  const time = (ns: number | null) => (ns === null ? '–' : emulated ? '·' : formatNs(ns)).padStart(10)
  const row = (unit: ExplainedUnit) => {
    const { operator, name, precision, floatNs, int8Ns, sqnrDb } = unit
    const ratio = floatNs && int8Ns !== null ? (int8Ns / floatNs).toFixed(2) : '–'
    const share = int8Ns === null || total === 0 ? '–' : formatShare(int8Ns / total)
    return `  ${operator.padEnd(width)}  ${precision.padEnd(11)}${emulated ? '' : time(floatNs) + time(int8Ns)}${ratio.padStart(8)}${share.padStart(8)}${(sqnrDb === null ? '–' : formatDb(sqnrDb)).padStart(10)}  ${printable(name)}`
  }
  return [
    inPlace
      ? 'operator by operator, as the runtime timed them in a session of its own'
      : 'operator by operator, each measured by itself: caches are warmer than inside the network',
    `  ${'operator'.padEnd(width)}  ${'runs in'.padEnd(11)}${emulated ? '' : `${'float'.padStart(10)}${'int8'.padStart(10)}`}${'×'.padStart(8)}${'share'.padStart(8)}${'SQNR'.padStart(10)}  name`,
    ...shown.map(row),
    ...(units.length > shown.length ? [`  … ${units.length - shown.length} more in --json`] : []),
  ]
}
