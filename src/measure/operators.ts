import { EdgewrightError } from '../error.ts'
import { median } from './statistics.ts'

export interface OperatorTime {
  /** The kernel's operator, e.g. `Conv`, `QLinearConv`, `DequantizeLinear`. */
  readonly operator: string
  readonly nodes: number
  /** Mean microseconds per inference. */
  readonly meanUs: number
  /** Of the time in all kernels. */
  readonly share: number
}

export interface NodeTime {
  readonly node: string
  readonly operator: string
  readonly provider: string
  readonly meanUs: number
  /** Less moved by what else the board did meanwhile. */
  readonly medianUs: number
  readonly share: number
}

/** Where a profiled session spent its time, largest first. */
export interface OperatorProfile {
  /** Inferences that it holds. */
  readonly runs: number
  /** Mean microseconds in kernels per inference; the rest of a latency is the runtime's own. */
  readonly kernelUs: number
  readonly byOperator: readonly OperatorTime[]
  readonly byNode: readonly NodeTime[]
}

const maxBytes = 256 << 20
const maxNodes = 100_000

interface Kernel {
  node: string
  /** The runtime's own number of the node: names need not be unique after its optimizations. */
  index: string
  operator: string
  provider: string
  us: number
  start: number
}

interface Total {
  node: string
  operator: string
  provider: string
  us: number
  count: number
  readonly each: number[]
}

/**
 * Reads ONNX Runtime's profile: the trace events of category `Node` named `<node>_kernel_time`, whole microseconds.
 * The file of a session that was killed lacks its closing bracket and is read as far as it goes.
 *
 * @param skipRuns inferences at the start that are left out (the first one lays out memory)
 * @throws EdgewrightError DEVICE_ANSWER_INVALID where it is no such profile or larger than 256 MiB
 */
export function parseOperatorProfile(bytes: Uint8Array, skipRuns = 1): OperatorProfile {
  const starts: number[] = []
  const kernels: Kernel[] = []
  for (const event of readTrace(bytes)) {
    const { cat, name, dur, ts, args } = event as Record<string, unknown>
    if (typeof name !== 'string' || !isTime(dur) || !isTime(ts)) continue
    if (cat === 'Session' && name === 'model_run') starts.push(ts)
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || typeof args !== 'object' || args === null)
      continue
    const { op_name: operator, provider, node_index: index } = args as Record<string, unknown>
    kernels.push({
      node: name.slice(0, -'_kernel_time'.length).slice(0, 1024),
      index: typeof index === 'string' ? index.slice(0, 16) : '',
      operator: typeof operator === 'string' ? operator.slice(0, 256) : 'unknown',
      provider: typeof provider === 'string' ? provider.slice(0, 256) : 'unknown',
      us: dur,
      start: ts,
    })
  }
  starts.sort((a, b) => a - b)
  const skipped = Math.max(0, Math.min(skipRuns, starts.length - 1))
  const from = starts[skipped] ?? 0
  return tabulate(
    kernels.filter((kernel) => kernel.start >= from),
    Math.max(1, starts.length - skipped),
  )
}

function tabulate(kernels: readonly Kernel[], runs: number): OperatorProfile {
  const nodes = new Map<string, Total>()
  for (const { node, index, operator, provider, us } of kernels) {
    const key = `${index} ${node}`
    const total = nodes.get(key) ?? { node, operator, provider, us: 0, count: 0, each: [] }
    total.us += us
    total.count++
    total.each.push(us)
    nodes.set(key, total)
    if (nodes.size > maxNodes) throw invalid(`more than ${maxNodes} nodes`)
  }
  const operators = new Map<string, { us: number; nodes: number }>()
  let allUs = 0
  for (const { operator, us } of nodes.values()) {
    const total = operators.get(operator) ?? { us: 0, nodes: 0 }
    total.us += us
    total.nodes++
    operators.set(operator, total)
    allUs += us
  }
  const share = (us: number): number => (allUs === 0 ? 0 : us / allUs)
  return {
    runs,
    kernelUs: allUs / runs,
    byOperator: [...operators]
      .map(([operator, { us, nodes }]) => ({ operator, nodes, meanUs: us / runs, share: share(us) }))
      .sort((a, b) => b.meanUs - a.meanUs || (a.operator < b.operator ? -1 : 1)),
    byNode: [...nodes.values()]
      .map(({ node, operator, provider, us, count, each }) => ({
        node,
        operator,
        provider,
        meanUs: us / runs,
        // a node inside a loop runs several times an inference
        medianUs: (median(each) * count) / runs,
        share: share(us),
      }))
      .sort((a, b) => b.meanUs - a.meanUs || (a.node < b.node ? -1 : 1)),
  }
}

function readTrace(bytes: Uint8Array): object[] {
  if (bytes.byteLength > maxBytes) throw invalid(`${bytes.byteLength} bytes`)
  const text = new TextDecoder().decode(bytes).trimEnd()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    value = salvage(text, error)
  }
  if (!Array.isArray(value)) throw invalid('no list of events')
  return value.filter((event): event is object => typeof event === 'object' && event !== null)
}

/** The runtime writes one event a line: what comes before the last whole line is valid once the bracket is closed. */
function salvage(text: string, cause: unknown): unknown {
  const end = text.lastIndexOf('},\n')
  try {
    if (end > 0) return JSON.parse(`${text.slice(0, end + 1)}]`)
  } catch {
    // neither whole nor cut: reported below
  }
  throw invalid('not JSON', cause)
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function invalid(saw: string, cause?: unknown): EdgewrightError {
  return new EdgewrightError('DEVICE_ANSWER_INVALID', 'The operator profile cannot be read.', { saw, cause })
}
