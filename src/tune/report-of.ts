import { edgewrightVersion } from '../artifact/version.ts'
import { mcnemarTest, wilsonInterval } from '../data/significance.ts'
import type { Stage, TuneContext } from './context.ts'
import type { Judged } from './judge.ts'
import type { Latencies } from './latency.ts'
import type { TuneReport } from './report/document.ts'
import type { TuneRow } from './report/rows.ts'

/** The document of a tuning: what its steps did, with every form of the network judged on the same samples. */
export function reportOf(
  stages: readonly Stage[],
  judged: readonly Judged[],
  latencies: Latencies | null,
  context: TuneContext,
): TuneReport {
  const { original, samples, training, request, board, progress } = context
  const { source } = original
  const inMemory = typeof request.model !== 'string'
  return {
    schemaVersion: 1,
    kind: 'tune',
    createdAt: new Date().toISOString(),
    edgewright: edgewrightVersion(),
    model: {
      name: source.name,
      path: inMemory ? null : source.path,
      sha256: source.sha256,
      bytes: source.bytes,
    },
    data: {
      description: training.dataset.description,
      learnt: training.indices.length,
      judged: samples.evaluation.indices.length,
      judgedOn: samples.evaluation.dataset.description,
    },
    target: board.target.name,
    profile: board.profile.id,
    seed: request.recipe.seed,
    steps: stages.slice(1).map(({ name, options, epochs, notes, layers }) => ({
      method: name,
      options: { ...options },
      epochs: epochs.map((epoch) => ({ ...epoch, metrics: { ...epoch.metrics } })),
      notes: [...notes],
      layers: layers.map((layer) => ({ ...layer })),
    })),
    rows: judged.map((one, index) => rowOf(one, judged[0]!, latencies?.rows.get(rowId(index)) ?? null)),
    warnings: [...progress.warnings],
    device: latencies?.device ?? null,
  }
}

/** Names a row where it is measured. */
export function rowId(index: number): string {
  return `row-${index}`
}

function rowOf(one: Judged, original: Judged, latency: TuneRow['latency']): TuneRow {
  const { quality } = one
  return {
    stage: one.stage,
    form: one.form,
    choice: one.choice,
    fileBytes: one.file?.byteLength ?? null,
    weights: one.weights,
    macs: one.macs,
    accuracy: accuracyOf(one, original),
    agreement: quality.agreement,
    sqnrDb: Number.isFinite(quality.sqnrDb) ? quality.sqnrDb : null,
    samples: quality.samples,
    latency,
    notes: [],
  }
}

function accuracyOf({ quality }: Judged, original: Judged): TuneRow['accuracy'] {
  const { compiled, compiledRight, metric } = quality
  if (compiled === null) return null
  const right = compiledRight.filter(Boolean).length
  const counted = metric === 'top-1' && compiledRight.length > 0
  const self = quality === original.quality
  return {
    metric,
    value: compiled,
    interval: counted ? wilsonInterval(right, compiledRight.length) : null,
    pValue: counted && !self ? mcnemarTest(original.quality.compiledRight, compiledRight).pValue : null,
  }
}
