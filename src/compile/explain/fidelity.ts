import { SqnrMeter } from '../../quantize/fidelity.ts'
import { type Progress, throwIfAborted } from '../../progress.ts'
import type { Compiled, Prepared } from '../compile.ts'
import { observeFloat, observeQuantized } from '../observe.ts'
import { samplesOf } from '../samples.ts'
import type { Unit } from './units.ts'

/** Samples that tell how far each operator's result lies from float's. */
const fidelitySamples = 16

/** SQNR in dB of each unit's result beside float's, the error of all before it included; by unit name. */
export async function unitFidelity(
  units: readonly Unit[],
  { samples }: Pick<Prepared, 'samples'>,
  { made, board }: Pick<Compiled, 'made' | 'board'>,
  progress: Progress,
): Promise<Map<string, number>> {
  const results = new Map(units.map(({ name, values }) => [values.at(-1)!, name]))
  const quantized = await observeQuantized(made, board, [...results.keys()])
  const float = await observeFloat(made.trial.graph, quantized.names)
  const meters = new Map(float.names.map((name) => [name, new SqnrMeter()]))
  const part = { ...samples.evaluation, indices: samples.evaluation.indices.slice(0, fidelitySamples) }
  progress.stage('compare', `${part.indices.length} samples, ${meters.size} values`)
  try {
    for await (const sample of samplesOf(part, progress.signal)) {
      throwIfAborted(progress.signal)
      const [reference, candidate] = [await float.run(sample), await quantized.run(sample)]
      for (const [name, meter] of meters) meter.add(reference.get(name)!, candidate.get(name)!)
    }
  } finally {
    await Promise.all([float.close(), quantized.close()])
  }
  return new Map([...meters].map(([value, meter]) => [results.get(value)!, meter.db]))
}
