import type { Asked, Remedy, TensorFacts, WeightFacts } from './cause-facts.ts'

export const tune: Remedy = {
  option: null,
  why: 'training with quantization (later: edgewright tune)',
  change: null,
}

export function perChannel({ perTensor }: WeightFacts, asked: Asked): Remedy[] {
  return perTensor && !asked.perChannel && asked.perChannelAllowed
    ? [{ option: '--per-channel', why: 'a scale for each filter', change: { kind: 'per-channel' } }]
    : []
}

export function best({ preset }: Asked, why: string): Remedy[] {
  return preset === 'best' ? [] : [{ option: '--preset best', why, change: null }]
}

/** Nothing where ranges are cut already. The fast preset tries no ways to choose ranges, but takes one that is named. */
export function cut({ method, preset }: Asked, why: string): Remedy[] {
  if (method !== 'min-max') return []
  return [{ option: `--calibration ${preset === 'fast' ? 'mse' : 'auto'}`, why, change: null }]
}

export function wide({ wideActivations }: Asked): Remedy[] {
  return wideActivations
    ? [{ option: '--scheme int16x8', why: '16-bit activations, at a cost in time', change: null }]
    : []
}

export function inFloat({ keepFloat: names }: TensorFacts): Remedy[] {
  return names && names.length > 0 ? [keepFloat(names, 'leave it in float, at a cost in time')] : []
}

export function keepFloat(names: readonly string[], why: string): Remedy {
  return {
    option: names.map((name) => `--keep-float ${word(name)}`).join(' '),
    why,
    change: { kind: 'keep-float', names },
  }
}

/** As a POSIX shell takes it for one word. */
function word(name: string): string {
  return /^[\w@%+=:,./-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`
}
