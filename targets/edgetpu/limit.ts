import type { Basis, Check } from '../target.ts'
import type { Operand, Operator } from './operators.ts'
import type { Source } from './sources.ts'

/** The words of `edgetpu_compiler` for an operator that it leaves on the CPU. */
export type Status =
  | 'Mapped to Edge TPU'
  | 'Operation not supported'
  | 'Operation is otherwise supported, but not mapped due to some unspecified limitation'
  | 'More than one subgraph is not supported'
  | 'Operation version not supported'
  | 'Operation is working on an unsupported data type'
  | 'Tensor has unsupported rank (up to 3 innermost dimensions mapped)'

/** A limit of the Edge TPU. */
export interface Limit {
  readonly id: string
  /** Operators that it is about; null: all of them. */
  readonly operators: readonly string[] | null
  readonly sentence: string
  readonly basis: Basis
  readonly source: Source
  readonly status: Status
  readonly remedy?: string
  check(operator: Operator): Check
}

export const ok: Check = { ok: true }
export const saw = (what: string): Check => ({ ok: false, saw: what })
export const limited: Status =
  'Operation is otherwise supported, but not mapped due to some unspecified limitation'
export const wrongType: Status = 'Operation is working on an unsupported data type'

export function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1)
}

export function shapeText({ type }: Operand): string {
  return `[${type.shape.join(', ')}]`
}

export function places(shape: readonly number[]): string {
  return shape.slice(1, 3).join('×')
}
