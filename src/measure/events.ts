import { z } from 'zod'
import { EdgewrightError } from '../error.ts'
import type { RunnerEvent } from './plan.ts'

/** A line beyond this is no line of the runner: its longest hold 2048 latencies, or the names of 2048 tensors. */
const maxLineBytes = 8 << 20

const count = z.number().int().nonnegative()
/** Nanoseconds since boot pass 2^53 after 104 days: any finite number will do. */
const nanoseconds = z.number().nonnegative()
const text = z.string().max(8192)
const tensors = z
  .array(
    z.object({ name: text, dtype: z.string().max(16), shape: z.array(z.number().int().min(-1)).max(16) }),
  )
  .max(1024)

const shared = { seq: count, t: nanoseconds }
const eventSchema = z.discriminatedUnion('type', [
  z.object({ ...shared, type: z.literal('hello'), runner: text, pid: count, schema: z.literal(1) }),
  z.object({
    ...shared,
    type: z.literal('loaded'),
    artifact: text,
    runtime: text,
    loadNs: nanoseconds,
    rssBytes: count,
    inputs: tensors,
    outputs: tensors,
    delegate: z.object({ library: text, version: text.nullable() }).optional(),
  }),
  z.object({
    ...shared,
    type: z.literal('step'),
    index: count,
    do: z.enum(['warmup', 'measure', 'interleave', 'infer', 'idle']),
    artifact: text.optional(),
  }),
  z.object({ ...shared, type: z.literal('first'), artifact: text, ns: nanoseconds }),
  z.object({
    ...shared,
    type: z.literal('latency'),
    step: count,
    artifact: text,
    at: nanoseconds,
    ns: z.array(nanoseconds).max(65_536),
  }),
  z.object({ ...shared, type: z.literal('sensor'), name: text, value: z.number() }),
  z.object({
    ...shared,
    type: z.literal('meter'),
    step: count,
    name: text,
    at: z.array(nanoseconds).max(4096),
    spent: z.array(nanoseconds).max(4096),
    values: z.array(z.array(z.number().nullable()).max(8)).max(4096),
  }),
  z.object({
    ...shared,
    type: z.literal('reading'),
    step: count,
    name: text,
    at: nanoseconds,
    spent: nanoseconds,
    exit: z.number().int(),
    text: z.string().max(16_384),
  }),
  z.object({ ...shared, type: z.literal('operators'), artifact: text, file: text }),
  z.object({ ...shared, type: z.literal('inferred'), step: count, count }),
  z.object({ ...shared, type: z.literal('done'), step: count, count, elapsedNs: nanoseconds }),
  z.object({ ...shared, type: z.literal('memory'), peakRssBytes: count, rssBytes: count }),
  z.object({ ...shared, type: z.literal('error'), code: z.string().max(64), message: text }),
  z.object({ ...shared, type: z.literal('end') }),
])

export interface EventParser {
  /** Events of the lines that this chunk completes; a cut last line is kept for the next chunk. */
  push(chunk: Uint8Array): RunnerEvent[]
  /** Bytes of the line that is not complete yet: 0 once the runner has ended well. */
  readonly pendingBytes: number
}

/**
 * Reads a runner's lines as they come, in chunks cut anywhere. Nothing in them is trusted: lines are bounded, every
 * field is checked, and `seq` must count from 0 without gaps.
 *
 * `push` throws EdgewrightError DEVICE_ANSWER_INVALID for anything else; the parser is of no use after that.
 */
export function createEventParser(): EventParser {
  let pending: Uint8Array[] = []
  let pendingBytes = 0
  let expected = 0

  function take(line: Uint8Array): RunnerEvent {
    const event = parseLine(line, expected)
    if (event.seq !== expected)
      throw answerInvalid(
        `line ${expected} says it is number ${event.seq}`,
        'Lines of the run are missing or repeated.',
      )
    expected++
    return event
  }

  return {
    push(chunk) {
      const events: RunnerEvent[] = []
      let start = 0
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
        const rest = chunk.subarray(start, end)
        events.push(take(pendingBytes === 0 ? rest : Buffer.concat([...pending, rest])))
        pending = []
        pendingBytes = 0
        start = end + 1
      }
      if (start < chunk.byteLength) {
        // A copy: the caller may use its buffer again.
        pending.push(new Uint8Array(chunk.subarray(start)))
        pendingBytes += chunk.byteLength - start
      }
      if (pendingBytes > maxLineBytes) throw answerInvalid(`a line of more than ${maxLineBytes} bytes`)
      return events
    },
    get pendingBytes() {
      return pendingBytes
    },
  }
}

/** All events of a whole file; a cut last line is left out. */
export function parseEvents(bytes: Uint8Array): RunnerEvent[] {
  return createEventParser().push(bytes)
}

function parseLine(line: Uint8Array, number: number): RunnerEvent {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line))
  } catch (error) {
    throw answerInvalid(`line ${number} is not JSON`, undefined, error)
  }
  const parsed = eventSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw answerInvalid(`line ${number}, ${issue?.path.join('.') || 'type'}: ${issue?.message ?? 'invalid'}`)
}

function answerInvalid(
  saw: string,
  message = 'The runner’s answer does not follow its protocol.',
  cause?: unknown,
): EdgewrightError {
  return new EdgewrightError('DEVICE_ANSWER_INVALID', message, {
    saw,
    hint: 'Run again; if it stays so, the board’s disk or another program may be writing to the run’s folder.',
    cause,
  })
}
