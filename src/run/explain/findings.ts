import { formatShare } from '../../report/format.ts'

/** What is known of one unit of the compiled network, beside float. */
export interface ExplainedUnit {
  readonly name: string
  /** In the words of the model's file. */
  readonly operator: string
  readonly precision: 'int8' | 'float' | 'unsupported'
  /** Why it is not int8; empty where it is. */
  readonly reason: string
  readonly remedy: string | null
  /** Null where the runtime did not tell: fused into another, or not timed. */
  readonly floatNs: number | null
  readonly int8Ns: number | null
  /** Of its result beside float's; null where it was not compared. */
  readonly sqnrDb: number | null
  /** What of its shape keeps int8 from paying there; null where nothing does. */
  readonly note: string | null
}

/** Of the whole network, in nanoseconds an inference. */
export interface ExplainedTimes {
  readonly float: number
  readonly int8: number
  /** Null where the runtime does not tell. */
  readonly conversions: number | null
  /** Layout changes and the like, of the runtime's own making. */
  readonly runtime: number | null
  /** Whether unit times are parts of the whole, or of each unit by itself. */
  readonly inPlace: boolean
}

/** Why int8 is slower or worse here, with what would mend it. */
export interface Finding {
  readonly kind: 'conversions' | 'left in float' | 'slower in int8' | 'overhead' | 'layout'
  readonly where: string
  readonly message: string
  readonly remedy: string
  /** Share of the compiled network's time that it is about. */
  readonly share: number
}

/** Below this a cause is not worth a line. */
const worthNaming = 0.02
/** Beyond what single operators vary by from run to run. */
const clearlySlower = 1.2

/** Costliest first. */
export function findingsOf(units: readonly ExplainedUnit[], times: ExplainedTimes): Finding[] {
  const timed = timedOf(units, times)
  const whole = wholeOf(units, times)
  const shareOf = (ns: number) => (whole > 0 ? ns / whole : 0)
  const findings: Finding[] = []
  if (times.conversions !== null && shareOf(times.conversions) >= worthNaming)
    findings.push({
      kind: 'conversions',
      where: 'between int8 and float',
      message: `Conversions between int8 and float take ${formatShare(shareOf(times.conversions))} of an inference.`,
      remedy: neighboursOfFloat(units),
      share: shareOf(times.conversions),
    })
  if (times.runtime !== null && shareOf(times.runtime) >= 0.05)
    findings.push({
      kind: 'layout',
      where: 'transposes that the runtime put in',
      message: `Layout changes take ${formatShare(shareOf(times.runtime))} of an inference.`,
      remedy: 'Give the network in the layout that its inputs come in, or try the other runtime (--target).',
      share: shareOf(times.runtime),
    })
  for (const unit of units) {
    const share = shareOf(unit.int8Ns ?? 0)
    if (share < worthNaming) continue
    if (unit.precision === 'float')
      findings.push({
        kind: 'left in float',
        where: unit.name,
        message: `${unit.operator} takes ${formatShare(share)} and stays in float: ${unit.reason || 'no integer kernel.'}`,
        remedy: unit.remedy ?? 'None known: it costs what it did in float.',
        share,
      })
  }
  findings.push(...slowerUnits(units, shareOf))
  const overhead = times.int8 - timed
  if (times.inPlace && shareOf(overhead) >= 0.25)
    findings.push({
      kind: 'overhead',
      where: 'outside the operators',
      message: `${formatShare(shareOf(overhead))} of an inference is spent outside the operators: so small a network is ruled by what the runtime does around them.`,
      remedy:
        'A smaller runtime (--target litert), or more work an inference (a batch); int8 cannot help there.',
      share: shareOf(overhead),
    })
  return findings.sort((a, b) => b.share - a.share)
}

/** What shares are of: the inference where units were timed inside it, else all units together. */
export function wholeOf(
  units: readonly ExplainedUnit[],
  times: Pick<ExplainedTimes, 'int8' | 'conversions' | 'runtime' | 'inPlace'>,
): number {
  // timing every operator slows a small network: its parts may then sum to more than the whole took
  return times.inPlace ? Math.max(times.int8, timedOf(units, times)) : kernelsOf(units)
}

function timedOf(
  units: readonly ExplainedUnit[],
  { conversions, runtime }: Pick<ExplainedTimes, 'conversions' | 'runtime'>,
): number {
  return kernelsOf(units) + (conversions ?? 0) + (runtime ?? 0)
}

function kernelsOf(units: readonly ExplainedUnit[]): number {
  return units.reduce((sum, { int8Ns }) => sum + (int8Ns ?? 0), 0)
}

/** Those of one cause in one line. */
function slowerUnits(units: readonly ExplainedUnit[], shareOf: (ns: number) => number): Finding[] {
  const slower = units.filter(
    ({ precision, floatNs, int8Ns }) =>
      precision === 'int8' &&
      floatNs !== null &&
      int8Ns !== null &&
      int8Ns > clearlySlower * floatNs &&
      shareOf(int8Ns) >= worthNaming,
  )
  return [...new Set(slower.map(({ note }) => note))].map((note) => {
    const group = slower.filter((unit) => unit.note === note)
    const share = group.reduce((sum, { int8Ns }) => sum + shareOf(int8Ns!), 0)
    const ratios = group.map(({ name, floatNs, int8Ns }) => `${name} ${(int8Ns! / floatNs!).toFixed(2)} ×`)
    return {
      kind: 'slower in int8' as const,
      where: group.length === 1 ? group[0]!.operator : `${group.length} operators`,
      message: `${ratios.join(', ')} float's time, ${formatShare(share)} of an inference${note ? `: ${note}` : ''}.`,
      remedy:
        'In float (--keep-float NAME) it pays only if the conversions around it cost less: compile both and measure them. The other runtime (--target) has other kernels.',
      share,
    }
  })
}

function neighboursOfFloat(units: readonly ExplainedUnit[]): string {
  const named = units.filter(({ precision }) => precision === 'float').slice(0, 3)
  return named.length === 0
    ? 'Give and take integers: --io int8.'
    : `They stand around ${named.map(({ name, operator }) => `${operator} ${JSON.stringify(name)}`).join(', ')}, which stay in float: mend these, or give and take integers (--io int8).`
}
