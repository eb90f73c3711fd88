import { lastLine, printable } from '../../deploy/printable.ts'
import { EdgewrightError, type ErrorCode } from '../../error.ts'

/** What ended a trtexec, as far as its log tells. */
export interface Failure {
  readonly kind:
    | 'out-of-memory'
    | 'killed'
    | 'version-mismatch'
    | 'gpu-mismatch'
    | 'engine-damaged'
    | 'node'
    | 'int8-unsupported'
    | 'fp16-unsupported'
    | 'dla-missing'
    | 'dla-refused'
    | 'no-space'
    | 'library'
    | 'cuda'
    | 'option'
    | 'not-onnx'
    | 'unknown'
  readonly code: ErrorCode
  readonly sentence: string
  readonly hint: string
  /** The line of the log that says it. */
  readonly saw: string
}

interface Rule {
  readonly kind: Failure['kind']
  readonly code?: ErrorCode
  readonly pattern: RegExp
  sentence(found: RegExpExecArray): string
  readonly hint: string
}

/** In order: the first that the log matches is what the user is told, so causes stand before their consequences. */
const rules: readonly Rule[] = [
  {
    kind: 'option',
    pattern: /Unknown option: (--\S+)/,
    sentence: ([, option]) => `The board’s trtexec does not know ${option}.`,
    hint: 'Its version differs from those that Edgewright knows: 8.0 to 11. Please report it.',
  },
  {
    kind: 'library',
    pattern:
      /error while loading shared libraries: (\S+?):|Could not load library (\S+)|Unable to load library: (\S+)/,
    sentence: ([, a, b, c]) => `trtexec cannot load ${a ?? b ?? c}.`,
    hint: 'TensorRT and CUDA on the board do not fit together: install both from the same JetPack (apt install nvidia-jetpack).',
  },
  {
    kind: 'no-space',
    code: 'DEVICE_DISK_FULL',
    pattern: /No space left on device|Disk quota exceeded|Saving engine to file failed/i,
    sentence: () => 'The disk of the board is full.',
    hint: 'Free some space on the board, or give another --root.',
  },
  {
    kind: 'version-mismatch',
    pattern:
      /Version tag does not match|engine plan file is not compatible with this version of TensorRT|Magic tag does not match/i,
    sentence: () => 'The engine was built by another version of TensorRT.',
    hint: 'It has to be built again on this board.',
  },
  {
    kind: 'gpu-mismatch',
    pattern:
      /engine plan file is generated on an incompatible device|Target GPU SM \d+ is not supported|Platform (?:specific )?tag mismatch/i,
    sentence: () => 'The engine was built for another GPU.',
    hint: 'It has to be built again on this board.',
  },
  {
    kind: 'engine-damaged',
    pattern:
      /Error opening engine file|Error loading engine file|Engine deserialization failed|Deserialize the cuda engine failed|Could not deserialize/i,
    sentence: () => 'The engine on the board cannot be read.',
    hint: 'It has to be built again on this board.',
  },
  {
    kind: 'int8-unsupported',
    code: 'DEVICE_UNSUPPORTED',
    pattern:
      /QuantizeLayer\/DequantizeLayer layers require hardware with Int8 support|platform does ?n[o']t support INT8|Int8 mode is not supported|no fast INT8/i,
    sentence: () => 'The GPU of this board does not compute in int8.',
    hint: 'Use --scheme float16: it is the fastest that this GPU has.',
  },
  {
    kind: 'fp16-unsupported',
    code: 'DEVICE_UNSUPPORTED',
    pattern: /platform does ?n[o']t support FP16/i,
    sentence: () => 'The GPU of this board does not compute in float16.',
    hint: 'Use --scheme float.',
  },
  {
    kind: 'dla-missing',
    code: 'DEVICE_UNSUPPORTED',
    pattern:
      /Cannot create DLA engine, \d+ not available|condition: dlaEngineCount > 0|DLA core \d+ is not available/i,
    sentence: () => 'The board has no such DLA, or TensorRT there cannot use it.',
    hint: 'Compile without a DLA. Xavier, AGX Orin and Orin NX have one; Nano, TX2, Orin Nano and Thor have none.',
  },
  {
    kind: 'dla-refused',
    pattern:
      /(?:cannot|can not|does not|doesn't) run on DLA[^\n]*|DLA validation failed[^\n]*|Default DLA is enabled but layer (\S+)[^\n]*/i,
    sentence: ([, layer]) =>
      `The DLA does not take ${layer ? `the layer ${printable(layer, 120)}` : 'a layer of this network'}.`,
    hint: 'Allow the GPU for such layers (dla.allowGpuFallback), or compile without a DLA.',
  },
  {
    kind: 'node',
    pattern: /In node \d+ with name: (.*?) and operator: (\S+) \(/,
    sentence: ([, name, operator]) => unsupportedNode(name!, operator!),
    hint: 'Look at edgewright inspect --target tensorrt: it names what this TensorRT cannot take.',
  },
  {
    kind: 'node',
    pattern: /While parsing node number \d+ \[(\S+)(?: -> "([^"\n]*)")?\]/,
    sentence: ([, operator, output]) => unsupportedNode(output ?? '', operator!),
    hint: 'Look at edgewright inspect --target tensorrt: it names what this TensorRT cannot take.',
  },
  {
    kind: 'not-onnx',
    pattern: /Failed to parse ONNX model from file|Could not open (?:file|input file)|ModelProto/i,
    sentence: () => 'trtexec cannot read the ONNX file.',
    hint: 'Check the file with edgewright inspect.',
  },
  {
    kind: 'out-of-memory',
    pattern:
      /OutOfMemory|out of memory|std::bad_alloc|Cannot allocate memory|cudaErrorMemoryAllocation|insufficient memory|Requested amount of GPU memory/i,
    sentence: () => 'The board has too little memory for this engine.',
    hint: 'CPU and GPU share it: end what else runs there (the desktop most of all), add swap, or limit the builder’s workspace.',
  },
  {
    kind: 'cuda',
    pattern:
      /Cuda (?:failure|Runtime|Driver)[^\n]*|CUDA initialization failure[^\n]*|no CUDA-capable device[^\n]*/i,
    sentence: () => 'CUDA failed on the board.',
    hint: 'Reboot the board; if it comes back, compare the JetPack release with the installed CUDA packages.',
  },
]

function unsupportedNode(name: string, operator: string): string {
  const which = printable(operator, 60)
  return name === ''
    ? `TensorRT cannot take an operator of this network: ${which}.`
    : `TensorRT cannot take ${which} "${printable(name, 120)}" of this network.`
}

const killedBy: Readonly<Record<number, string>> = {
  137: 'SIGKILL',
  139: 'SIGSEGV',
  134: 'SIGABRT',
  135: 'SIGBUS',
}

/**
 * What a trtexec that did not end well ran into.
 *
 * @param log what it printed, as far as it was kept
 * @param exitCode as a shell says it; null where it ended without a word
 */
export function failureOf(log: string, exitCode: number | null): Failure {
  // a builder that tries what does not fit into memory warns and goes on: no warning is why it ended
  const told = log
    .split('\n')
    .filter((line) => !/^\[[^\]]*\] \[W\]/.test(line))
    .join('\n')
  for (const rule of rules) {
    const found = rule.pattern.exec(told)
    if (found)
      return {
        kind: rule.kind,
        code: rule.code ?? 'ENGINE_FAILED',
        sentence: rule.sentence(found),
        hint: rule.hint,
        saw: lineAround(told, found.index),
      }
  }
  const signal = exitCode === null ? 'no exit status' : killedBy[exitCode]
  if (signal === 'SIGKILL' || exitCode === null)
    return {
      kind: 'killed',
      code: 'ENGINE_FAILED',
      sentence: 'trtexec was killed on the board: most likely it ran out of memory.',
      hint: 'Look at dmesg for "Out of memory". CPU and GPU share memory: end what else runs there, or add swap.',
      saw: signal ?? 'SIGKILL',
    }
  return {
    kind: 'unknown',
    code: 'ENGINE_FAILED',
    sentence: 'trtexec failed on the board.',
    hint: 'Run the command by hand there with --verbose.',
    saw: lastError(log) || signal || `exit code ${exitCode}`,
  }
}

/** One of ours, with where it happened. */
export function engineFailed(failure: Failure, where: string, what: string): EdgewrightError {
  return new EdgewrightError(failure.code, `${what}: ${failure.sentence}`, {
    where,
    saw: failure.saw,
    hint: failure.hint,
  })
}

/** Whether building the engine anew may help. */
export function isStale({ kind }: Failure): boolean {
  return kind === 'version-mismatch' || kind === 'gpu-mismatch' || kind === 'engine-damaged'
}

function lineAround(log: string, index: number): string {
  const start = log.lastIndexOf('\n', index) + 1
  const end = log.indexOf('\n', index)
  return withoutStamp(printable(log.slice(start, end < 0 ? undefined : end), 300))
}

function lastError(log: string): string {
  const errors = log.split('\n').filter((line) => /\[E\]|terminate called|Assertion/.test(line))
  return withoutStamp(printable(errors.at(-1) ?? '', 300) || lastLine(log))
}

/** `[11/23/2026-03:28:08] [E] [TRT] ` says nothing to the user. */
function withoutStamp(line: string): string {
  return line.replace(/^\[[\d/]+-[\d:]+\] (?:\[\w\] )?(?:\[TRT\] )?/, '')
}
