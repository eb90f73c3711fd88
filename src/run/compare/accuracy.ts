import { isHit, scoresOf } from '../../data/metric.ts'
import { mcnemarTest } from '../../data/significance.ts'
import type { Progress } from '../../progress.ts'
import type { ComparisonSide } from '../../store/comparison.ts'
import { type Evaluation, evaluateSubject } from '../evaluate.ts'
import type { CompareRequest } from './request.ts'
import type { Side } from './side.ts'

export interface ComparedAccuracy {
  readonly a: ComparisonSide['accuracy']
  readonly b: ComparisonSide['accuracy']
  readonly change: { readonly change: number; readonly pValue: number | null } | null
}

/** The metric of both over the same data, where there are any; of classes with a paired test. */
export async function compareAccuracy(
  a: Side | null,
  b: Side,
  baseline: ComparisonSide | null,
  request: CompareRequest,
  progress: Progress,
): Promise<ComparedAccuracy> {
  if (request.data === undefined) return { a: null, b: null, change: null }
  const first = a && (await evaluate(a, request, progress))
  const second = await evaluate(b, request, progress)
  const before = first?.accuracy ?? baseline?.accuracy ?? null
  const after = second.accuracy
  if (!before || !after || before.metric !== after.metric) return { a: before, b: after, change: null }
  const k = /^top-([15])$/.exec(after.metric)?.[1] as '1' | '5' | undefined
  const pairs = k && first && first.hits[k].length > 0 && first.hits[k].length === second.hits[k].length
  return {
    a: before,
    b: after,
    change: {
      change: after.value - before.value,
      pValue: pairs ? mcnemarTest(first.hits[k], second.hits[k]).pValue : null,
    },
  }
}

interface Evaluated {
  readonly accuracy: ComparisonSide['accuracy']
  /** Right or wrong by labelled sample, as top-1 and top-5 count. */
  readonly hits: Readonly<Record<'1' | '5', boolean[]>>
}

async function evaluate(side: Side, request: CompareRequest, progress: Progress): Promise<Evaluated> {
  const hits: Record<'1' | '5', boolean[]> = { 1: [], 5: [] }
  const evaluation = await evaluateSubject(
    {
      subject: side.path,
      shapes: request.shapes,
      data: request.data,
      metric: request.metric,
      recipe: request.recipe,
      // what an accelerator's compiler made runs nowhere else
      device: side.accelerator ? request.device : undefined,
      limit: request.limit,
      connection: request.connection,
    },
    progress,
    ({ label }, outputs) => {
      if (typeof label !== 'number') return
      const scores = scoresOf(outputs)
      hits[1].push(isHit(scores, label, 1))
      hits[5].push(isHit(scores, label, 5))
    },
  )
  return { accuracy: accuracyOf(evaluation), hits }
}

function accuracyOf({ metric, value, samples, measuredOn }: Evaluation): ComparisonSide['accuracy'] {
  return value === null || !Number.isFinite(value) ? null : { metric, value, samples, measuredOn }
}
