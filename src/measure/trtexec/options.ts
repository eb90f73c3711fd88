import type { TensorRtVersion } from './version.ts'

/** What we ask of trtexec, by what it does; how a version spells it is in the table below. */
export type Wish =
  | 'model'
  | 'save'
  | 'load'
  | 'buildOnly'
  | 'workspace'
  | 'timingCache'
  | 'allowInt8'
  | 'allowFp16'
  | 'stronglyTyped'
  | 'dlaCore'
  | 'gpuFallback'
  | 'sparsity'
  | 'profilingVerbosity'
  | 'warmUp'
  | 'duration'
  | 'iterations'
  | 'averages'
  | 'dataTransfers'
  | 'noDataTransfers'
  | 'cudaGraph'
  | 'noCudaGraph'
  | 'spinWait'
  | 'loadInputs'
  | 'exportTimes'
  | 'exportProfile'
  | 'exportOutput'

export interface OptionRow {
  readonly wish: Wish
  /** `$` stands for the value. Null: this range of versions does so unasked, and knows no option for it. */
  readonly option: string | null
  /** First and last version that take it, as major and minor; without a last one, all since. */
  readonly since: readonly [number, number]
  readonly until?: readonly [number, number]
  /** Measuring goes on without it where the program's own help does not list it. */
  readonly dispensable?: true
}

/**
 * The options of trtexec that we use, by TensorRT version.
 *
 * Sources: samples/common/sampleOptions.cpp of NVIDIA/TensorRT, releases 8.0 to 10; NVIDIA's pages on migrating
 * trtexec from 8 to 10 and from 10 to 11. From 11 on precision flags are gone (networks are strongly typed), CUDA graphs and
 * spin-wait are on unless told otherwise, and transfers are left out unless told otherwise.
 */
export const optionTable: readonly OptionRow[] = [
  { wish: 'model', option: '--onnx=$', since: [8, 0] },
  { wish: 'save', option: '--saveEngine=$', since: [8, 0] },
  { wish: 'load', option: '--loadEngine=$', since: [8, 0] },
  { wish: 'buildOnly', option: '--buildOnly', since: [8, 0], until: [8, 5] },
  { wish: 'buildOnly', option: '--skipInference', since: [8, 6] },
  { wish: 'workspace', option: '--workspace=$', since: [8, 0], until: [8, 3] },
  { wish: 'workspace', option: '--memPoolSize=workspace:$', since: [8, 4] },
  { wish: 'timingCache', option: '--timingCacheFile=$', since: [8, 0], dispensable: true },
  { wish: 'allowInt8', option: '--int8', since: [8, 0], until: [10, 99] },
  { wish: 'allowFp16', option: '--fp16', since: [8, 0], until: [10, 99] },
  { wish: 'stronglyTyped', option: '--stronglyTyped', since: [10, 0], until: [10, 99] },
  { wish: 'stronglyTyped', option: null, since: [11, 0] },
  { wish: 'dlaCore', option: '--useDLACore=$', since: [8, 0] },
  { wish: 'gpuFallback', option: '--allowGPUFallback', since: [8, 0] },
  // takes sparse kernels where weights have the pattern 2:4 already; `force` would make it
  { wish: 'sparsity', option: '--sparsity=enable', since: [8, 0], dispensable: true },
  { wish: 'profilingVerbosity', option: null, since: [8, 0], until: [8, 1] },
  {
    wish: 'profilingVerbosity',
    option: '--profilingVerbosity=detailed',
    since: [8, 2],
    dispensable: true,
  },
  { wish: 'warmUp', option: '--warmUp=$', since: [8, 0] },
  { wish: 'duration', option: '--duration=$', since: [8, 0] },
  { wish: 'iterations', option: '--iterations=$', since: [8, 0] },
  { wish: 'averages', option: '--avgRuns=$', since: [8, 0], dispensable: true },
  { wish: 'dataTransfers', option: null, since: [8, 0], until: [10, 99] },
  { wish: 'dataTransfers', option: '--includeDataTransfers', since: [11, 0] },
  { wish: 'noDataTransfers', option: '--noDataTransfers', since: [8, 0] },
  { wish: 'cudaGraph', option: '--useCudaGraph', since: [8, 0] },
  { wish: 'noCudaGraph', option: null, since: [8, 0], until: [10, 99] },
  { wish: 'noCudaGraph', option: '--noCudaGraph', since: [11, 0] },
  { wish: 'spinWait', option: '--useSpinWait', since: [8, 0], dispensable: true },
  { wish: 'loadInputs', option: '--loadInputs=$', since: [8, 0] },
  { wish: 'exportTimes', option: '--exportTimes=$', since: [8, 0] },
  { wish: 'exportProfile', option: '--exportProfile=$', since: [8, 0] },
  { wish: 'exportOutput', option: '--exportOutput=$', since: [8, 0] },
]

/** Undefined where no option of this version does it. */
export function optionFor(wish: Wish, version: TensorRtVersion): OptionRow | undefined {
  return optionTable.find((row) => row.wish === wish && within(row, version))
}

function within({ since, until }: OptionRow, { major, minor }: TensorRtVersion): boolean {
  const number = major * 100 + minor
  return number >= since[0] * 100 + since[1] && number <= (until ? until[0] * 100 + until[1] : Infinity)
}
