import { executeGraph } from '../compile/execute-graph.ts'
import { type SamplePart, samplesOf } from '../compile/samples.ts'
import type { Graph } from '../graph/types.ts'
import type { Progress } from '../progress.ts'
import type { Tensor } from '../tensor.ts'

/** Runs a network over samples and shows the values asked for, sample by sample. */
export async function observe(
  graph: Graph,
  names: readonly string[],
  part: SamplePart,
  progress: Progress,
  see: (values: ReadonlyMap<string, Tensor>) => void,
): Promise<void> {
  if (names.length === 0) return
  const evaluator = await executeGraph({ ...graph, outputs: [...new Set(names)] })
  try {
    let done = 0
    for await (const { inputs } of samplesOf(part, progress.signal)) {
      see(await evaluator.run(inputs))
      progress.tick(++done, part.indices.length, 'samples')
    }
  } finally {
    await evaluator.close()
  }
}

/** The first samples of a part. */
export function firstOf({ dataset, indices }: SamplePart, count: number): SamplePart {
  return { dataset, indices: indices.slice(0, count) }
}
