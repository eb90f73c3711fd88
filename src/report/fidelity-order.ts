import type { FidelityTensor } from '../store/fidelity.ts'

/** The tensors that add most error themselves first, exact ones last. */
export function worstFirst<T extends Pick<FidelityTensor, 'ownDb' | 'sqnrDb'>>(tensors: readonly T[]): T[] {
  const rank = (db: number | null) => db ?? Number.POSITIVE_INFINITY
  const order = (a: number, b: number) => (a === b ? 0 : a - b)
  return [...tensors].sort(
    (a, b) => order(rank(a.ownDb), rank(b.ownDb)) || order(rank(a.sqnrDb), rank(b.sqnrDb)),
  )
}
