/** One way to write each quantity, everywhere: table, Markdown, HTML. */

/** Time with three significant digits: `431 ns`, `4.31 µs`, `4.31 ms`, `4.31 s`. */
export function formatNs(ns: number): string {
  return scaled(ns, [
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'µs'],
    [1, 'ns'],
  ])
}

/** Decimal units: `812 B`, `38.4 kB`, `27.3 MB`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, [
    [1e9, 'GB'],
    [1e6, 'MB'],
    [1e3, 'kB'],
    [1, 'B'],
  ])
}

/** `1.84×`, `12.3×`, `0.40×`. */
export function formatRatio(ratio: number): string {
  if (!Number.isFinite(ratio)) return 'n/a'
  return `${ratio >= 100 ? ratio.toFixed(0) : ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2)}×`
}

/** A fraction from 0 to 1 as `91.8 %`. */
export function formatShare(fraction: number): string {
  return `${(fraction * 100).toFixed(1)} %`
}

/** A change of accuracy in percentage points, with its sign: `−0.2 points`, `±0.0 points`. */
export function formatPoints(change: number): string {
  const points = (Math.abs(change) * 100).toFixed(1)
  return `${points === '0.0' ? '±' : change < 0 ? '−' : '+'}${points} points`
}

export function formatDb(db: number): string {
  return `${db.toFixed(1).replace('-', '−')} dB`
}

/** How int8 stands to float by medians: `1.84× faster`, `1.44× slower`, `equal`. */
export function formatSpeedup(speedup: number): string {
  const text = formatRatio(speedup >= 1 ? speedup : 1 / speedup)
  return text === '1.00×' ? 'equal' : `${text} ${speedup > 1 ? 'faster' : 'slower'}`
}

/** Energy per inference. */
export function formatMicrojoules(microjoules: number): string {
  return scaled(microjoules, [
    [1e6, 'J'],
    [1e3, 'mJ'],
    [1, 'µJ'],
  ])
}

/** `2026-11-22 20:47 UTC` of an ISO time. */
export function formatTime(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`
}

function scaled(value: number, units: readonly (readonly [size: number, unit: string])[]): string {
  if (!Number.isFinite(value)) return 'n/a'
  // 999.6 µs reads 1.00 ms, not 1000 µs.
  const fits = units.find(([size]) => Number((value / size).toPrecision(3)) >= 1) ?? units.at(-1)!
  const [size, unit] = fits
  return `${threeDigits(value / size, size === 1)} ${unit}`
}

function threeDigits(value: number, whole: boolean): string {
  if (value === 0 || (whole && Number.isInteger(value))) return String(value)
  const rounded = Number(value.toPrecision(3))
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded))))
  return rounded.toFixed(Math.min(6, decimals))
}

/** Text from outside, on one line and without characters that steer a terminal or turn the reading direction. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]+/gu, ' ').trim()
}
