import { wilsonInterval } from '../../src/data/significance.ts'
import { type TuneReport, type TuneStep, tuneReportSchema } from '../../src/tune/report/document.ts'
import type { TuneRow } from '../../src/tune/report/rows.ts'

const samples = 1000
const originalNs = 84_000

interface RowFacts {
  readonly stage: string
  readonly form: string
  readonly bytes: number | null
  readonly weights: number
  readonly macs: number
  readonly right: number
  readonly p: number | null
  readonly agreement: number
  readonly sqnrDb: number | null
  readonly ns: number | null
  readonly apart?: boolean
}

/** A row as a tuning writes it; the table is held to what stands here. */
export function sampleRow(facts: RowFacts): TuneRow {
  const { stage, form, bytes, weights, macs, right, p, agreement, sqnrDb, ns, apart = true } = facts
  const first = stage === 'float' && form === 'float'
  return {
    stage,
    form,
    choice: form === 'int8, PTQ' ? 'entropy activations, per-channel weights' : null,
    fileBytes: bytes,
    weights,
    macs,
    accuracy: {
      metric: 'top-1',
      value: right / samples,
      interval: wilsonInterval(right, samples),
      pValue: p,
    },
    agreement,
    sqnrDb,
    samples,
    latency:
      ns === null
        ? null
        : {
            p50Ns: ns,
            p90Ns: ns * 1.1,
            interval: { lowNs: ns * 0.98, highNs: ns * 1.02 },
            speedup: originalNs / ns,
            apart: first ? null : apart,
            peakRssBytes: 41_200_000,
          },
    notes: [],
  }
}

const epochs = (count: number, from: number, accuracy: number, metric = 'accuracy'): TuneStep['epochs'] =>
  Array.from({ length: count }, (_, epoch) => ({
    epoch,
    metrics: {
      loss: from * 0.8 ** epoch + 0.01,
      [metric]: accuracy + (0.99 - accuracy) * (1 - 0.7 ** epoch),
    },
    seconds: 1.4,
  }))

const layer = (
  name: string,
  what: string,
  weights: [number, number],
  macs: [number, number],
  error: number | null,
) => ({
  layer: name,
  what,
  weightsBefore: weights[0],
  weightsAfter: weights[1],
  macsBefore: macs[0],
  macsAfter: macs[1],
  error,
})

/** A tuning by prune, low-rank and qat with every figure that a report may have. */
export function sampleReport(changes: Partial<TuneReport> = {}): TuneReport {
  return tuneReportSchema.parse({
    schemaVersion: 1,
    kind: 'tune',
    createdAt: '2026-11-23T08:00:00.000Z',
    edgewright: '0.1.0',
    model: { name: 'digits', path: 'models/digits.onnx', sha256: 'ab'.repeat(32), bytes: 902_000 },
    data: {
      description: 'digits/train.yaml',
      learnt: 8936,
      judged: samples,
      judgedOn: 'digits/test.yaml',
    },
    target: 'onnxruntime',
    profile: 'raspberry-pi-5',
    seed: 1,
    steps: [
      {
        method: 'prune',
        options: { epochs: 8, batchSize: 32, learningRate: 0.0005, importance: 'taylor', kind: 'channels' },
        epochs: epochs(8, 0.9, 0.81, 'agreement'),
        notes: ['Learnt from the network as given.'],
        layers: [
          layer('conv1', '20 of 32 channels', [288, 180], [194_688, 121_680], 0.021),
          layer('conv2', '30 of 64 channels', [18_432, 5400], [2_230_272, 653_400], 0.083),
          layer('dense1', '750 of 1600 inputs', [204_800, 96_000], [204_800, 96_000], null),
        ],
      },
      {
        method: 'low-rank',
        options: { epochs: 4, batchSize: 32, learningRate: 0.0005 },
        epochs: epochs(4, 0.2, 0.95, 'agreement'),
        notes: [],
        layers: [layer('dense1', 'rank 24 of 128', [96_000, 21_072], [96_000, 21_072], 0.114)],
      },
      {
        method: 'qat',
        options: { epochs: 5, batchSize: 32, learningRate: 0.0001, learnScales: true },
        epochs: epochs(5, 0.1, 0.96, 'agreement'),
        notes: ['18 ranges learnt.'],
        layers: [],
      },
    ],
    rows: [
      {
        stage: 'float',
        form: 'float',
        bytes: 902_000,
        weights: 224_800,
        macs: 2_631_000,
        right: 991,
        p: null,
        agreement: 1,
        sqnrDb: null,
        ns: originalNs,
      },
      {
        stage: 'float',
        form: 'int8, PTQ',
        bytes: 238_000,
        weights: 224_800,
        macs: 2_631_000,
        right: 990,
        p: 1,
        agreement: 0.998,
        sqnrDb: 31.2,
        ns: 51_000,
      },
      {
        stage: 'prune',
        form: 'float',
        bytes: 410_000,
        weights: 102_860,
        macs: 872_360,
        right: 986,
        p: 0.227,
        agreement: 0.989,
        sqnrDb: 17.3,
        ns: 39_000,
      },
      {
        stage: 'prune',
        form: 'int8, PTQ',
        bytes: 112_000,
        weights: 102_860,
        macs: 872_360,
        right: 978,
        p: 0.0011,
        agreement: 0.981,
        sqnrDb: 16.1,
        ns: 28_000,
      },
      {
        stage: 'low-rank',
        form: 'float',
        bytes: 111_000,
        weights: 27_932,
        macs: 797_432,
        right: 987,
        p: 0.34,
        agreement: 0.988,
        sqnrDb: 16.4,
        ns: 37_500,
      },
      {
        stage: 'low-rank',
        form: 'int8, PTQ',
        bytes: 38_000,
        weights: 27_932,
        macs: 797_432,
        right: 976,
        p: 0.0003,
        agreement: 0.979,
        sqnrDb: 15.2,
        ns: 27_000,
      },
      {
        stage: 'qat',
        form: 'float',
        bytes: 111_000,
        weights: 27_932,
        macs: 797_432,
        right: 988,
        p: 0.549,
        agreement: 0.989,
        sqnrDb: 17,
        ns: 37_400,
      },
      {
        stage: 'qat',
        form: 'int8, QAT',
        bytes: 38_100,
        weights: 27_932,
        macs: 797_432,
        right: 988,
        p: 0.549,
        agreement: 0.988,
        sqnrDb: 16.8,
        ns: 27_200,
      },
    ].map(sampleRow),
    warnings: [],
    device: {
      name: 'pi@kitchen',
      profile: 'raspberry-pi-5',
      runtime: { name: 'onnxruntime', version: '1.30.1', sha256: 'cd'.repeat(32) },
      threads: 1,
      conditions: {
        preset: 'standard',
        startedAt: '2026-11-23T08:10:00.000Z',
        endedAt: '2026-11-23T08:11:30.000Z',
        measuredWith: 'runner',
        emulated: null,
        hostname: 'kitchen',
        kernel: 'Linux 6.12',
        os: 'Debian 13',
        cpu: 'Cortex-A76',
        cpuCount: 4,
        governor: 'ondemand',
        affinity: [],
        rateHz: 0,
        order: 'interleaved',
        stability: 'steady',
        temperatureMilliC: { start: 48_000, end: 55_000, min: 48_000, max: 55_000 },
        clockKHz: { start: 2_400_000, end: 2_400_000, min: 2_400_000, max: 2_400_000 },
        backgroundLoad: { before: 0.01, during: 0.01 },
      },
    },
    ...changes,
  } satisfies TuneReport)
}

/** The same as measured where an emulator stands for the board: no times, only ratios. */
export function emulatedReport(): TuneReport {
  const report = sampleReport()
  const { device } = report
  return sampleReport({
    rows: report.rows.map((row) => ({
      ...row,
      latency: row.latency && { ...row.latency, p50Ns: null, p90Ns: null, interval: null },
    })),
    device: device && { ...device, conditions: { ...device.conditions, emulated: 'QEMU user mode' } },
  })
}
