import { blockFigures } from '../../../src/measure/compare/blocks.ts'
import { compareLatency } from '../../../src/measure/compare/verdict.ts'
import type { Comparison, ComparisonPass, ComparisonSide } from '../../../src/store/comparison.ts'
import { normal, random } from '../../measure/noise.ts'

/** Figures of twelve blocks whose level is `levelNs`. */
export function figuresAt(levelNs: number, seed: number, noise = 0.002, blocks = 12) {
  const next = random(seed)
  return blockFigures(
    Array.from({ length: blocks }, () =>
      Float64Array.from({ length: 400 }, () => levelNs * Math.exp(noise * normal(next))),
    ),
  )
}

/** A pass in which B takes `effect` more than A, and A's second load `control` more than its first. */
export function passWith(effect: number, { control = 0, noise = 0.002, seed = 1 } = {}): ComparisonPass {
  const figures = {
    a: figuresAt(4e6, seed, noise),
    b: figuresAt(4e6 * (1 + effect), seed + 100, noise),
    control: figuresAt(4e6 * (1 + control), seed + 200, noise),
  }
  return {
    ...compareLatency(figures),
    seed,
    figures: structuredClone(figures) as ComparisonPass['figures'],
    orders: [],
    peakRssBytes: { a: 30e6, b: 31e6 },
  }
}

export function sideWith(levelNs: number, changes: Partial<ComparisonSide> = {}): ComparisonSide {
  return {
    path: 'net',
    kind: 'artifact',
    bytes: 100_000,
    sha256: 'ab'.repeat(32),
    target: 'onnxruntime',
    scheme: 'full-int8',
    runtime: { name: 'onnxruntime', version: '1.30.0', sha256: 'cd'.repeat(32) },
    latency: {
      p50Ns: levelNs,
      p90Ns: levelNs * 1.1,
      p99Ns: levelNs * 1.2,
      meanNs: levelNs * 1.01,
      minNs: levelNs * 0.9,
      count: 4800,
      firstNs: levelNs * 3,
    },
    peakRssBytes: 30e6,
    accuracy: { metric: 'top-1', value: 0.91, samples: 500, measuredOn: 'host' },
    energy: { value: 2500, uncertainty: 25, reason: null },
    ...changes,
  }
}

export function sampleComparison(changes: Partial<Comparison> = {}): Comparison {
  return {
    schemaVersion: 1,
    kind: 'comparison',
    createdAt: '2026-11-23T04:00:00.000Z',
    edgewright: '0.1.0',
    environment: {
      device: 'pi@board',
      profile: 'raspberry-pi-5',
      kernel: '6.1.0',
      cpu: 'Cortex-A76',
      governor: 'performance',
      runtime: { name: 'onnxruntime', version: '1.30.0', sha256: 'cd'.repeat(32) },
      threads: 1,
      preset: 'standard',
      emulated: null,
    },
    conditions: null,
    a: sideWith(4e6),
    b: sideWith(4.16e6, {
      peakRssBytes: 31e6,
      bytes: 110_000,
      energy: { value: 2600, uncertainty: 26, reason: null },
    }),
    baseline: null,
    passes: [passWith(0.04)],
    outputs: {
      comparable: true,
      inputs: 'data',
      samples: 16,
      identicalShare: 0.4,
      maxDifference: 0.02,
      maxSteps: 2,
      sqnrDb: 31.4,
      agreement: 1,
    },
    accuracy: { change: -0.02, pValue: 0.004 },
    gate: [],
    warnings: [],
    ...changes,
  }
}
