import type { Bounds } from './cause-facts.ts'

/** Of what is quantized: 0 is always in it. */
export function span({ min, max }: Bounds): number {
  return Math.max(0, max) - Math.min(0, min)
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}

/** A name inside a sentence: what is too long loses its middle, since layers differ at their ends. */
export function called(name: string): string {
  return name.length <= 64 ? name : `${name.slice(0, 20)}…${name.slice(-43)}`
}

/** Three significant digits. */
export function number(value: number): string {
  return String(Number(value.toPrecision(3))).replace('-', '−')
}

export function bits(count: number): string {
  return Math.max(0, count).toFixed(1)
}

export function decibels(db: number): string {
  if (db === Number.POSITIVE_INFINITY) return 'exact'
  return `${db.toFixed(1).replace('-', '−')} dB`
}

export function percent(share: number): string {
  return `${share >= 0.1 ? (share * 100).toFixed(0) : Number((share * 100).toPrecision(2))} %`
}

/** `7th`: of a ratio, a part. */
export function ordinal(ratio: number): string {
  const whole = Math.round(ratio)
  const teen = whole % 100 >= 11 && whole % 100 <= 13
  return `${whole}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][whole % 10] ?? 'th')}`
}

export function sentenceCase(text: string): string {
  return text.replace(/^./, (first) => first.toUpperCase())
}
