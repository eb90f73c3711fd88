/** What the CPUs did since the board started, in clock ticks (proc(5): hundredths of a second). */
export interface CpuTimes {
  readonly busy: number
  readonly total: number
}

const ticksPerSecond = 100

/** The first line of /proc/stat; null where it is none. */
export function parseCpuTimes(line: string | null): CpuTimes | null {
  const match = /^cpu +(\d{1,15}(?: \d{1,15}){3,9})$/.exec(line ?? '')
  if (!match) return null
  // user nice system idle iowait irq softirq steal; guest times are in user and nice already
  const times = match[1]!.split(' ').slice(0, 8).map(Number)
  const total = times.reduce((sum, ticks) => sum + ticks, 0)
  return { busy: total - times[3]! - (times[4] ?? 0), total }
}

/** Share of all CPUs' time that was not idle, less `ownSeconds` of our own; null where no time went by. */
export function busyShare(begin: CpuTimes, end: CpuTimes, ownSeconds = 0): number | null {
  const total = end.total - begin.total
  if (!(total > 0)) return null
  const others = end.busy - begin.busy - ownSeconds * ticksPerSecond
  return Math.min(1, Math.max(0, others / total))
}

/**
 * What others took of all CPUs while a run went on, from what its supervisor wrote: /proc/stat before and after, and the
 * shell's `times` with the CPU time of the processes it waited for.
 */
export function loadBesideRun(lines: readonly string[]): number | null {
  const after = (key: string) =>
    lines.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1) ?? null
  const [begin, end] = [parseCpuTimes(after('stat.begin')), parseCpuTimes(after('stat.end'))]
  const own = ownSeconds(after('times'))
  return begin && end && own !== null ? busyShare(begin, end, own) : null
}

/** `times`: two pairs of user and system time, `0m1.23s`; the second pair is of the children. */
function ownSeconds(text: string | null): number | null {
  const times = [...(text ?? '').matchAll(/(\d{1,9})m(\d{1,2}(?:[.,]\d{1,9})?)s/g)].map(
    ([, minutes, seconds]) => Number(minutes) * 60 + Number(seconds!.replace(',', '.')),
  )
  return times.length === 4 ? times[2]! + times[3]! : null
}
