/** What a line of trtexec's log says of how far it is. */
export type Step = 'parsing' | 'building' | 'serializing' | 'loading' | 'warming up' | 'done'

const steps: readonly (readonly [RegExp, Step])[] = [
  [/Start parsing network model/, 'parsing'],
  [/Finish(?:ed)? parsing network model/, 'building'],
  [/Engine generation completed|Engine built in/, 'serializing'],
  [/Engine loaded in|Loaded engine size|Engine deserialized in/, 'loading'],
  [/Starting inference/, 'warming up'],
  [/^&&&& PASSED TensorRT\.trtexec/, 'done'],
]

export function stepOf(line: string): Step | null {
  return steps.find(([pattern]) => pattern.test(line))?.[1] ?? null
}

/** Trouble that did not end it: `[W]` lines that bear on what was measured. */
export interface LogWarning {
  readonly code: string
  readonly message: string
  readonly hint: string
}

const warnings: readonly (readonly [RegExp, (found: RegExpExecArray) => LogWarning])[] = [
  [
    /Throughput may be bound by Enqueue Time/,
    () => ({
      code: 'ENQUEUE_BOUND',
      message: 'The CPU is slower at queueing inferences than the GPU at computing them.',
      hint: 'The network is small for this GPU: use CUDA graphs in the application, or run it on the CPU.',
    }),
  ],
  [
    /CUDA graph capture on the stream has failed/i,
    () => ({
      code: 'NO_CUDA_GRAPH',
      message: 'This engine cannot be captured into a CUDA graph; it was measured without.',
      hint: 'Latency includes the launch of every kernel.',
    }),
  ],
  [
    /Layer '?([^'\n]{1,200}?)'? \(\w+\): Unsupported on DLA|Default DLA is enabled but layer (\S+) is not supported on DLA, falling back to GPU/i,
    ([, a, b]) => ({
      code: 'DLA_FALLBACK',
      message: `The DLA leaves layers to the GPU, ${a ?? b ?? 'one'} among them.`,
      hint: 'Each change between the two costs a copy: measure without the DLA as well.',
    }),
  ],
]

/** Lines longer than this are cut: nothing that is looked for stands so far right. */
const maxLineLength = 4096
/** The end of a log that is kept for messages. */
const maxKept = 128 * 1024

export interface LogReader {
  push(chunk: Uint8Array): void
  /** The last of what was printed, and the lines of errors before it. */
  text(): string
  readonly step: Step | null
  warnings(): LogWarning[]
}

/** Reads a log as it grows, in bounded memory whatever comes. */
export function createLogReader(onLine: (line: string) => void = () => {}): LogReader {
  const decoder = new TextDecoder()
  let rest = ''
  let kept = ''
  let errors = ''
  let step: Step | null = null
  const warned = new Map<string, LogWarning>()
  const line = (raw: string) => {
    const text = raw.slice(0, maxLineLength)
    step = stepOf(text) ?? step
    for (const [pattern, make] of warnings) {
      const found = pattern.exec(text)
      if (!found) continue
      const warning = make(found)
      if (!warned.has(warning.code)) warned.set(warning.code, warning)
    }
    if (/\[E\]|error while loading|Killed|bad_alloc/.test(text) && errors.length < maxKept)
      errors += `${text}\n`
    kept += `${text}\n`
    if (kept.length > 2 * maxKept) kept = kept.slice(-maxKept)
    onLine(text)
  }
  return {
    push(chunk) {
      rest += decoder.decode(chunk, { stream: true })
      const lines = rest.split('\n')
      rest = lines.pop()!
      for (const one of lines) line(one)
      // a line that never ends is not waited for
      if (rest.length > maxLineLength) rest = rest.slice(0, maxLineLength)
    },
    text: () => `${errors}${kept}${rest}`,
    get step() {
      return step
    },
    warnings: () => [...warned.values()],
  }
}
