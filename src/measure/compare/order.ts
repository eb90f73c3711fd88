/**
 * The turns of each block: all arms in an order drawn by chance, then back (A B C C B A). The way back cancels what drifts
 * evenly. The draw is what the test rests on: whatever the noise was, any two arms were as likely to have changed places.
 *
 * @param random uniform in [0, 1)
 */
export function turnOrders(arms: readonly string[], blocks: number, random: () => number): string[][] {
  return Array.from({ length: blocks }, () => {
    const there = shuffled(arms, random)
    return [...there, ...there.toReversed()]
  })
}

/** Fisher and Yates. */
export function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const out = [...values]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[out[i], out[j]] = [out[j]!, out[i]!]
  }
  return out
}
