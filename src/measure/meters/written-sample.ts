/** One sample as a program wrote it: when, if it says so, and the power. */
export interface WrittenSample {
  readonly time: WrittenTime | null
  readonly milliW: number
}

export type WrittenTime = { readonly clock: 'wall' | 'monotonic'; readonly ns: number }

/** Seconds from here on are since 1970, below since this computer started. */
const wallFromSeconds = 1e9
const maxMilliW = 1e9

/**
 * Reads one line of a program: `TIME,WATTS`, `WATTS`, or a JSON object `{"t": TIME, "w": WATTS}` or
 * `{"t": TIME, "v": VOLTS, "a": AMPERES}`. TIME: seconds since 1970, seconds of the monotonic clock, or ISO 8601.
 * Null: no sample (a heading, a remark).
 */
export function parseWrittenSample(line: string): WrittenSample | null {
  const text = line.trim()
  const fields = text.startsWith('{') ? ofJson(text) : ofList(text)
  if (fields === null) return null
  const [written, watts] = fields
  const time = written === null ? null : parseTime(written)
  if (time === undefined || !Number.isFinite(watts) || Math.abs(watts * 1000) > maxMilliW) return null
  return { time, milliW: watts * 1000 }
}

function ofList(text: string): [string | number | null, number] | null {
  const parts = text.split(/\s*[,;\t]\s*/)
  const [first, second] = parts
  if (parts.length > 2 || first === undefined || first === '') return null
  if (second === undefined) return [null, Number(first)]
  return second === '' ? null : [first, Number(second)]
}

function ofJson(text: string): [string | number | null, number] | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  const { t = null, w, v, a } = value as Record<string, unknown>
  if (t !== null && typeof t !== 'string' && typeof t !== 'number') return null
  if (typeof w === 'number') return [t, w]
  return typeof v === 'number' && typeof a === 'number' ? [t, v * a] : null
}

/** Undefined: no time. */
export function parseTime(written: string | number): WrittenTime | undefined {
  const seconds =
    typeof written === 'number'
      ? written
      : /^\d+(\.\d*)?(e[+-]?\d+)?$/i.test(written)
        ? Number(written)
        : Number.NaN
  if (Number.isFinite(seconds) && seconds >= 0)
    return { clock: seconds >= wallFromSeconds ? 'wall' : 'monotonic', ns: seconds * 1e9 }
  if (typeof written === 'string' && /^\d{4}-\d\d-\d\d[T ]\d/.test(written)) {
    const ms = Date.parse(written)
    // a Date keeps milliseconds only; finer digits are added by hand
    const finer = /\.\d{3}(\d{1,6})/.exec(written)?.[1] ?? ''
    if (Number.isFinite(ms)) return { clock: 'wall', ns: ms * 1e6 + Number(finer.padEnd(6, '0')) }
  }
  return undefined
}
