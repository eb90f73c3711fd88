import type { Manifest, RuntimeNeed, Scheme } from '../src/artifact/manifest.ts'
import type { Graph, Node, Quantization } from '../src/graph/types.ts'
import type { ActivationRangeMethod, Ranges, WeightRangeMethod } from '../src/quantize/ranges.ts'
import type { Ties } from '../src/quantize/ties.ts'
import type { LayerTunings } from '../src/quantize/weighted-layer.ts'
import type { DType } from '../src/tensor.ts'

/** Facts about the board that a target's numerics depend on. */
export interface CpuFacts {
  /** As `uname -m` says it. */
  readonly architecture: 'aarch64' | 'x86_64'
  /** As /proc/cpuinfo names them: `asimddp`, `i8mm`, `avx512_vnni`, … */
  readonly features: readonly string[]
}

/** Facts about the accelerator of a board that a target's numerics depend on. */
export interface AcceleratorFacts {
  /** Of an NVIDIA GPU, as NVIDIA counts: `8.7`; null where it is none. */
  readonly computeCapability: string | null
  /** NVIDIA deep learning accelerators beside the GPU. */
  readonly dlaCores: number
  /** The newest TensorRT that the vendor's images for this board carry, `8.2`; null where the newest of all. */
  readonly newestTensorRt: string | null
}

/** What a board's profile sets or narrows, with the sentence that explains it. */
export type BoardConstraint =
  | { readonly kind: 'no-int8'; readonly sentence: string }
  | { readonly kind: 'per-tensor-weights'; readonly sentence: string }
  /** Only these operator kinds may have per-channel weights. */
  | { readonly kind: 'per-channel-only'; readonly operators: readonly string[]; readonly sentence: string }

export interface TargetOptions {
  readonly cpu: CpuFacts
  /** Absent: nothing is known of one. */
  readonly accelerator?: AcceleratorFacts
  readonly scheme: Scheme
  readonly io: 'float' | 'int8' | 'uint8'
  readonly activationRange: ActivationRangeMethod
  readonly weightRange: WeightRangeMethod
  readonly perChannel: boolean
  /** Take back in biases what rounding the weights shifts on average; undefined: where the target can. */
  readonly correctBias?: boolean
  /** Fully connected layers get a scale for each row, also where the target would find that too dear in size. */
  readonly rowScales?: boolean
  /** What was learnt of single layers, by node name of the tailored graph. */
  readonly layers?: LayerTunings
  /** Ways to choose ranges that differ from `activationRange`, by name of any value of a same-scale class. */
  readonly valueRanges?: ReadonlyMap<string, ActivationRangeMethod>
  /** Node or value names that stay in float. */
  readonly keepFloat: readonly string[]
  /** On this computer Q/DQ of an emitted file compute as written: ONNX Runtime would fuse them as its own kernels want. */
  readonly plainQdq?: boolean
  /** Integers wherever there is a kernel: the accelerator behind the target knows nothing else. */
  readonly preferIntegers?: boolean
  readonly constraints: readonly BoardConstraint[]
  /** Changes of the network's function that the user allows, by the names that the target gives them. */
  readonly allow?: readonly string[]
}

export type Basis = 'documented' | 'observed' | 'assumed'
export type Check = { readonly ok: true } | { readonly ok: false; readonly saw: string }

/** A limit of a target. The sentence is the error, the `inspect` row and the line of the support table. */
export interface Constraint {
  readonly id: string
  readonly sentence: string
  readonly basis: Basis
  /** Rewrite or choice that would mend it. */
  readonly remedy?: string
  check(node: Node, graph: Graph, options: TargetOptions): Check
}

/** Where one operator lands on a target. */
export interface Placement {
  readonly index: number
  readonly sourceOp: string
  readonly name: string
  readonly outputs: readonly string[]
  readonly placement: 'accelerator' | 'cpu' | 'unsupported'
  readonly precision: 'int8' | 'float'
  /** As tables name it where an accelerator computes in several precisions: `int8`, `fp16`. */
  readonly label?: string
  /** Why it is not int8 on the target's best unit; empty where it is. */
  readonly reason: string
  readonly remedy: string | null
  readonly basis: Basis | null
}

/** A choice that was made, for the report. */
export interface Decision {
  readonly where: string
  readonly reason: string
}

/** A float graph tailored to a target: every value has the type that the target computes in. */
export interface Prepared {
  readonly graph: Graph
  readonly decisions: readonly Decision[]
  /** True where every operator between the boundary conversions computes on integers. */
  readonly integerOnly: boolean
  /** By value of the float graph: the value of `graph` that holds it, stored as its class is; absent where no type changed. */
  readonly stored?: ReadonlyMap<string, string>
  /** Values of the graph that leave the range of float16, as far as samples showed. */
  readonly beyondFloat16?: ReadonlySet<string>
}

export interface EmittedTensor {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly quantization: Quantization | null
}

export interface Emitted {
  /** By path inside the artifact. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** The file that applications open; a key of `files`. */
  readonly model: string
  /** The one that says what the board computes, where that is another; a key of `files`. */
  readonly evaluated?: string
  /** A file for this computer alone that computes as the board would, where neither of these does here. */
  readonly emulated?: Uint8Array
  readonly inputs: readonly EmittedTensor[]
  readonly outputs: readonly EmittedTensor[]
}

/** A runtime library on this computer that is pushed to the board. */
export interface RuntimeBuild {
  readonly need: RuntimeNeed
  /** Where the library is on this computer, by architecture. */
  readonly paths: ReadonlyMap<string, string>
}

/** What a target says of a network as a whole. */
export interface TargetSummary {
  /** For people, a sentence a line. */
  readonly lines: readonly string[]
  /** For programs: plain values that JSON can carry. */
  readonly facts: Readonly<Record<string, unknown>>
}

/** A computer with a vendor's compiler. */
export interface CompilerHost {
  readonly label: string
  exec(
    command: readonly string[],
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }>
  uploadBytes(bytes: Uint8Array, remotePath: string, deadlineMs?: number): Promise<number>
  readFrom(remotePath: string, offset: number, maxBytes: number, deadlineMs?: number): Promise<Uint8Array>
}

export interface Target {
  readonly name: string
  readonly describe: string
  readonly available: true
  /** Which runtime executes what it emits, on this computer and by the runner. */
  readonly engine: 'onnxruntime' | 'litert'
  readonly schemes: readonly Scheme[]
  /** Why it does not take a scheme, a sentence each. */
  readonly refusals?: Partial<Readonly<Record<Scheme, string>>>
  /** What stands in for a scheme on boards whose profile refuses int8; absent: nothing does. */
  readonly insteadOfInt8?: Scheme
  /** Its accelerator computes in float as well: an operator in float does not leave it. */
  readonly acceleratesFloat?: boolean
  /** Its engine does not fuse Q/DQ as ONNX Runtime does: see `TargetOptions.plainQdq`. */
  readonly plainQdq?: boolean
  /** Kernels that round halves otherwise than to the even integer. */
  readonly ties?: Ties
  readonly constraints: readonly Constraint[]
  /** One row for each operator of the graph, in its order. */
  inspect(graph: Graph, options: TargetOptions): Placement[]
  /**
   * The float rewrites that this target alone wants, made before calibration: `wantedTensors` and `prepare` take what
   * it gives. Without it they take the graph as it is.
   */
  tailor?(graph: Graph, options: TargetOptions): Graph
  /** What the rows of `inspect` do not say: of the network as the user gave it, before `tailor`. */
  summary?(graph: Graph, options: TargetOptions): TargetSummary
  /** Values whose range `prepare` needs; calibrate exactly these. */
  wantedTensors(graph: Graph, options: TargetOptions): string[]
  prepare(graph: Graph, ranges: Ranges, options: TargetOptions): Prepared
  emit(typed: Graph, options: TargetOptions): Emitted
  /** Adds the files that only a board wants, once all was chosen. */
  complete?(
    emitted: Emitted,
    prepared: Prepared,
    options: TargetOptions,
  ): { emitted: Emitted; decisions: readonly Decision[] }
  /** What the board itself must do before the first inference. */
  preparation?(emitted: Emitted, prepared: Prepared, options: TargetOptions): Manifest['prepare']
  /**
   * What a vendor's own compiler on some host makes of the emitted files, after they were evaluated: the files that it
   * gave stay beside the new one. Without a host the files are as they were, and a decision says so.
   */
  finish?(
    emitted: Emitted,
    host: CompilerHost | null,
    signal: AbortSignal,
  ): Promise<{ emitted: Emitted; decisions: readonly Decision[] }>
  /** What the manifest calls the target of these files; without it, the target's own name. */
  labelOf?(emitted: Emitted): string
  runtimes(architecture: string): Promise<RuntimeBuild[]>
}

/** A target that profiles may name and that this version does not build yet. */
export interface PlannedTarget {
  readonly name: string
  readonly describe: string
  readonly available: false
  readonly schemes: readonly Scheme[]
  /** What to use meanwhile. */
  readonly meanwhile: string
}
