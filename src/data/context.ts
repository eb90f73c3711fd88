import type { Warning } from '../progress.ts'
import type { PreprocessingOverrides } from './preprocessing.ts'
import type { InputSpec } from './types.ts'

/** What every reader needs to know, parsed. */
export interface OpenContext {
  readonly inputs: readonly InputSpec[]
  readonly said: PreprocessingOverrides
  readonly warn?: (warning: Warning) => void
  readonly signal?: AbortSignal
}
