import type { Latency, RawLatency, RunDocument, RunResult } from '../../src/store/document.ts'

const sha = (digit: string) => digit.repeat(64)

/** Latencies with a bump and a tail, the same at every call. */
export function sampleNs(count: number, medianNs: number, seed: number): number[] {
  let state = seed
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  return Array.from({ length: count }, (_, i) => {
    const bell = (random() + random() + random() - 1.5) * 0.06
    const tail = i % 41 === 40 ? random() * 0.5 : 0
    return Math.round(medianNs * (1 + bell + tail))
  })
}

export function latencyOf(ns: readonly number[], firstNs: number): Latency {
  const sorted = [...ns].sort((a, b) => a - b)
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!
  return {
    p50Ns: at(0.5),
    p90Ns: at(0.9),
    p99Ns: at(0.99),
    meanNs: ns.reduce((a, b) => a + b, 0) / ns.length,
    minNs: sorted[0]!,
    count: ns.length,
    firstNs,
  }
}

function okResult(
  device: string,
  profile: string,
  floatNs: readonly number[],
  int8Ns: readonly number[],
  changes: Partial<RunResult>,
): RunResult {
  const latency = latencyOf(int8Ns, int8Ns[0]! * 3)
  const floatLatency = latencyOf(floatNs, floatNs[0]! * 4)
  return {
    status: 'ok',
    device,
    profile,
    target: 'onnxruntime',
    scheme: 'full-int8',
    calibrated: true,
    runtime: { name: 'onnxruntime', version: '1.30.0', sha256: sha('b') },
    threads: 4,
    artifact: { path: 'artifacts/kws_dscnn_float-raspberry-pi-4b', bytes: 38_412, sha256: sha('c') },
    baseline: { accuracy: 0.918, latency: floatLatency, memory: { peakRssBytes: 31_457_280 } },
    accuracy: {
      float: 0.918,
      int8: 0.916,
      drop: 0.002,
      agreement: 0.986,
      metric: 'top-1',
      samples: 500,
      measuredOn: 'host',
      sqnrDb: 24.318,
    },
    parity: { samples: 64, maxSteps: 0, identicalShare: 1, tolerance: 0, ok: true },
    latency,
    speedup: floatLatency.p50Ns / latency.p50Ns,
    memory: { peakRssBytes: 27_262_976 },
    energy: { value: null, reason: 'The board has no power sensor.' },
    conditions: {
      preset: 'standard',
      startedAt: '2026-11-22T20:47:31Z',
      endedAt: '2026-11-22T20:48:02Z',
      measuredWith: 'runner',
      emulated: null,
      hostname: 'raspberrypi',
      kernel: '6.12.34+rpt-rpi-v8',
      os: 'Debian GNU/Linux 12 (bookworm)',
      cpu: 'Cortex-A72',
      cpuCount: 4,
      governor: 'ondemand',
      affinity: [],
      rateHz: 0,
      order: 'interleaved',
      stability: 'steady',
      temperatureMilliC: { start: 48_200, end: 55_100, min: 48_200, max: 55_500 },
      clockKHz: { start: 1_800_000, end: 1_800_000, min: 1_800_000, max: 1_800_000 },
    },
    warnings: [],
    verdict: { choice: 'int8', sentence: 'Ship int8: 1.83 times as fast at 0.2 points of accuracy.' },
    size: { floatBytes: 95_744, int8Bytes: 38_412, floatWeightBytes: 88_000, int8WeightBytes: 22_000 },
    operators: {
      float: [
        { operator: 'Conv', meanNs: 4_100_000, calls: 9 },
        { operator: 'Gemm', meanNs: 42_000, calls: 1 },
        { operator: 'Softmax', meanNs: 11_000, calls: 1 },
        { operator: 'ReduceMean', meanNs: 30_000, calls: 1 },
      ],
      int8: [
        { operator: 'QLinearConv', meanNs: 2_150_000, calls: 9 },
        { operator: 'QGemm', meanNs: 18_000, calls: 1 },
        { operator: 'Softmax', meanNs: 11_500, calls: 1 },
        { operator: 'ReduceMean', meanNs: 33_000, calls: 1 },
        { operator: 'DequantizeLinear', meanNs: 24_000, calls: 2 },
        { operator: 'QuantizeLinear', meanNs: 12_000, calls: 2 },
      ],
    },
    layers: [
      { name: '/layers/4/depthwise/Conv', operator: 'Conv', sqnrDb: 17.2 },
      { name: '/layers/2/depthwise/Conv', operator: 'Conv', sqnrDb: 19.9 },
    ],
    ...changes,
  }
}

/** A run on a Pi 4, an emulated board where float wins, and a board that did not answer. */
export function sampleRun(runId = '20261122-204731-3f9a2c'): {
  document: RunDocument
  raw: Record<string, RawLatency>
} {
  const pi = { float: sampleNs(400, 4_300_000, 1), int8: sampleNs(400, 2_340_000, 2) }
  const emulated = { float: sampleNs(60, 61_000_000, 3), int8: sampleNs(60, 88_000_000, 4) }
  const piResult = okResult('pi@raspberrypi.local', 'raspberry-pi-4b', pi.float, pi.int8, {
    samples: { float: 'raw/0-float.json', int8: 'raw/0-int8.json' },
    constraints: [
      {
        id: 'no-dot-product',
        sentence: 'Cortex-A72 has no dot-product instructions: measure both.',
        basis: 'observed',
        source: ['NCNN'],
      },
    ],
    warnings: [
      {
        code: 'CLOCK_NOT_FIXED',
        message: 'The clock is governed by ondemand and may change while measuring.',
        hint: 'Set the governor to performance.',
      },
    ],
  })
  const emulatedResult = okResult(
    'ssh://root@127.0.0.1:2222',
    'generic-arm64',
    emulated.float,
    emulated.int8,
    {
      threads: 1,
      samples: { float: 'raw/1-float.json', int8: 'raw/1-int8.json' },
      verdict: { choice: 'float', sentence: 'Ship float: int8 takes 1.44 times as long here.' },
      parity: {
        samples: 64,
        maxSteps: 1,
        identicalShare: 0.998,
        tolerance: 1,
        ok: true,
        firstDivergence: 'Softmax output, sample 17',
      },
    },
  )
  const document: RunDocument = {
    schemaVersion: 1,
    runId,
    createdAt: '2026-11-22T20:47:31Z',
    edgewright: '0.1.0',
    model: { path: 'models/kws_dscnn_float.onnx', sha256: sha('a'), bytes: 95_744 },
    results: [
      piResult,
      {
        ...emulatedResult,
        conditions: {
          ...emulatedResult.conditions!,
          emulated: 'qemu-aarch64 8.2',
          temperatureMilliC: null,
          clockKHz: null,
        },
      },
      {
        status: 'failed',
        error: {
          code: 'DEVICE_UNREACHABLE',
          message: 'The board lab-orin.local does not answer.',
          where: 'lab-orin.local:22',
          saw: 'connect ETIMEDOUT',
          hint: 'Is it on, and in this network?',
        },
        device: 'nvidia@lab-orin.local',
        profile: null,
        target: null,
        scheme: null,
        calibrated: null,
        runtime: null,
        threads: null,
        artifact: null,
        baseline: null,
        accuracy: null,
        parity: null,
        latency: null,
        speedup: null,
        memory: null,
        energy: { value: null, reason: 'The board was not reached.' },
        conditions: null,
        warnings: [],
        verdict: null,
      },
    ],
  }
  const raw: Record<string, RawLatency> = {}
  for (const [i, set] of [pi, emulated].entries())
    for (const artifact of ['float', 'int8'] as const)
      raw[`raw/${i}-${artifact}.json`] = {
        schema: 1,
        artifact,
        device: document.results[i]!.device,
        ns: set[artifact],
      }
  return { document, raw }
}
