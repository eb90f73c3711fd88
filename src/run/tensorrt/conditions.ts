import type { RunResult } from '../../store/document.ts'
import type { BoardTensorRt } from './find.ts'

type Conditions = NonNullable<RunResult['conditions']>

/** What is different where trtexec measured: no runner, no threads, no rate of ours. */
export function conditionsWith(
  conditions: Conditions,
  { powerMode }: Pick<BoardTensorRt, 'powerMode'>,
  interleaved: boolean,
): Conditions {
  return {
    ...conditions,
    measuredWith: 'trtexec',
    order: interleaved ? 'interleaved' : 'sequential',
    rateHz: 0,
    affinity: [],
    powerMode: powerMode?.name ?? conditions.powerMode ?? null,
  }
}
