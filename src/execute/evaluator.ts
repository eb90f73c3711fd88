import type { DType, Tensor } from '../tensor.ts'

export interface TensorInfo {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
}

/** A graph or artifact ready to run on this computer. Tensors by name; `fetch` limits what comes back. */
export interface Evaluator {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  run(feeds: ReadonlyMap<string, Tensor>, fetch?: readonly string[]): Promise<Map<string, Tensor>>
  /**
   * Writes outputs, by name, into tensors that are given: nothing is allocated for them. Their types and shapes must be
   * those of the outputs. Absent where the runtime cannot.
   */
  runInto?(feeds: ReadonlyMap<string, Tensor>, outputs: ReadonlyMap<string, Tensor>): Promise<void>
  close(): Promise<void>
}
