/** The shape that two shapes broadcast to by numpy's rule, or null where they do not. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] | null {
  const rank = Math.max(a.length, b.length)
  const result = new Array<number>(rank)
  for (let i = 1; i <= rank; i++) {
    const left = a.at(-i) ?? 1
    const right = b.at(-i) ?? 1
    if (left !== right && left !== 1 && right !== 1) return null
    result[rank - i] = left === 1 ? right : left
  }
  return result
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i])
}
