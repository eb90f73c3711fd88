import { roundHalfEven } from './encode.ts'
import type { Binary, Comparison, Reduce, Unary } from './ops.ts'

/** One function for integers, one for reals; absent where that kind is not evaluated. Null: no defined result. */
export interface Pointwise {
  readonly integer?: (...elements: bigint[]) => bigint | boolean | null
  readonly real?: (...elements: number[]) => number | boolean
}

/** A reduction of at least one element. */
interface Reduction {
  readonly integer: (elements: bigint[]) => bigint
  readonly real: (elements: number[]) => number
}

const unary: { readonly [F in Unary['fn']]?: Pointwise } = {
  Abs: { integer: (x) => (x! < 0n ? -x! : x!), real: (x) => Math.abs(x!) },
  Neg: { integer: (x) => -x!, real: (x) => -x! },
  Sign: { integer: (x) => (x! > 0n ? 1n : x! < 0n ? -1n : 0n), real: (x) => Math.sign(x!) },
  Ceil: { real: (x) => Math.ceil(x!) },
  Floor: { real: (x) => Math.floor(x!) },
  Round: { real: (x) => roundHalfEven(x!) },
  Sqrt: { real: (x) => Math.sqrt(x!) },
  Reciprocal: { real: (x) => 1 / x! },
  Not: { integer: (x) => x === 0n },
}

const binary: { readonly [F in Binary['fn']]?: Pointwise } = {
  Add: { integer: (a, b) => a! + b!, real: (a, b) => a! + b! },
  Sub: { integer: (a, b) => a! - b!, real: (a, b) => a! - b! },
  Mul: { integer: (a, b) => a! * b!, real: (a, b) => a! * b! },
  // integers are cut towards zero
  Div: { integer: (a, b) => (b === 0n ? null : a! / b!), real: (a, b) => a! / b! },
  Pow: { integer: (a, b) => (b! < 0n || b! > 64n ? null : a! ** b!), real: (a, b) => a! ** b! },
  Min: { integer: (a, b) => least(a!, b!), real: Math.min },
  Max: { integer: (a, b) => most(a!, b!), real: Math.max },
}

const comparison: { readonly [F in Comparison['fn']]?: Pointwise } = {
  Equal: { integer: (a, b) => a === b, real: (a, b) => a === b },
  Greater: { integer: (a, b) => a! > b!, real: (a, b) => a! > b! },
  GreaterOrEqual: { integer: (a, b) => a! >= b!, real: (a, b) => a! >= b! },
  Less: { integer: (a, b) => a! < b!, real: (a, b) => a! < b! },
  LessOrEqual: { integer: (a, b) => a! <= b!, real: (a, b) => a! <= b! },
  And: { integer: (a, b) => a !== 0n && b !== 0n },
  Or: { integer: (a, b) => a !== 0n || b !== 0n },
  Xor: { integer: (a, b) => (a !== 0n) !== (b !== 0n) },
}

const reduce: { readonly [F in Reduce['fn']]?: Reduction } = {
  Sum: { integer: sumOfIntegers, real: sum },
  Mean: {
    integer: (elements) => sumOfIntegers(elements) / BigInt(elements.length),
    real: (elements) => sum(elements) / elements.length,
  },
  Prod: {
    integer: (elements) => elements.reduce((product, x) => product * x, 1n),
    real: (elements) => elements.reduce((product, x) => product * x, 1),
  },
  Max: {
    integer: (elements) => elements.reduce(most),
    real: (elements) => elements.reduce((a, b) => Math.max(a, b)),
  },
  Min: {
    integer: (elements) => elements.reduce(least),
    real: (elements) => elements.reduce((a, b) => Math.min(a, b)),
  },
}

function least(a: bigint, b: bigint): bigint {
  if (a < b) return a
  return b
}

function most(a: bigint, b: bigint): bigint {
  if (a > b) return a
  return b
}

function sum(elements: number[]): number {
  return elements.reduce((total, x) => total + x, 0)
}

function sumOfIntegers(elements: bigint[]): bigint {
  return elements.reduce((total, x) => total + x, 0n)
}

/** What each function does to integers and to reals. Transcendental ones are left to a runtime. */
export const arithmetic = { unary, binary, comparison, reduce }
