/** A size as the compiler prints it, in bytes. */
export interface CompilerSizes {
  readonly inputBytes: number | null
  readonly outputBytes: number | null
  /** Parameters that stay on the Edge TPU between inferences. */
  readonly cachedBytes: number | null
  readonly cacheLeftBytes: number | null
  /** Parameters that are sent again at every inference. */
  readonly streamedBytes: number | null
}

/** One line of the operator table. */
export interface CompilerRow {
  readonly type: string
  readonly count: number
  readonly status: string
}

/** What `edgetpu_compiler` said. */
export interface CompilerReport {
  readonly outcome: 'compiled' | 'failed' | 'unclear'
  readonly version: string | null
  readonly timeMs: number | null
  readonly inputModel: string | null
  readonly outputModel: string | null
  readonly logFile: string | null
  readonly sizes: CompilerSizes
  readonly subgraphs: number | null
  readonly operators: number | null
  readonly onEdgeTpu: number | null
  readonly onCpu: number | null
  readonly rows: readonly CompilerRow[]
  readonly errors: readonly string[]
}

/** An honest log has a few hundred lines; a hostile one is cut here. */
const mostCharacters = 1 << 20
const mostLineCharacters = 2000
const mostRows = 4096
const mostErrors = 32

/** Reads the standard output, standard error or `.log` file of `edgetpu_compiler`; what it does not know it passes over. */
export function parseCompilerLog(text: string): CompilerReport {
  const lines = text
    .slice(0, mostCharacters)
    .split(/\r?\n/)
    .map((line) => line.slice(0, mostLineCharacters).trim())
  const after = (label: string) => {
    const line = lines.find((candidate) => candidate.startsWith(label))
    return line ? line.slice(label.length).trim() : null
  }
  const rows = lines
    .map(rowOf)
    .filter((row) => row !== null)
    .slice(0, mostRows)
  const mapped = countOf(after('Number of operations that will run on Edge TPU:'))
  const total = countOf(after('Total number of operations:'))
  return {
    outcome: outcomeOf(lines),
    version: after('Edge TPU Compiler version')?.match(/^[\w.-]{1,40}/)?.[0] ?? null,
    timeMs: countOf(after('Model compiled successfully in')?.replace(/ ms\.?$/, '') ?? null),
    inputModel: after('Input model:') ?? after('Input:'),
    outputModel: after('Output model:') ?? after('Output:'),
    logFile: after('Operation log:'),
    sizes: {
      inputBytes: bytesOf(after('Input size:')),
      outputBytes: bytesOf(after('Output size:')),
      cachedBytes: bytesOf(after('On-chip memory used for caching model parameters:')),
      cacheLeftBytes: bytesOf(after('On-chip memory remaining for caching model parameters:')),
      streamedBytes: bytesOf(after('Off-chip memory used for streaming uncached model parameters:')),
    },
    subgraphs: countOf(after('Number of Edge TPU subgraphs:')),
    operators: total ?? sum(rows),
    onEdgeTpu: mapped ?? onEdgeTpu(rows, total),
    onCpu: countOf(after('Number of operations that will run on CPU:')) ?? onCpu(rows),
    rows,
    errors: errorsOf(lines),
  }
}

/** `1.44MiB`, `503.25KiB`, `0.00B`. */
function bytesOf(text: string | null): number | null {
  const match = text?.match(/^(\d{1,12}(?:\.\d{1,6})?) ?(B|KiB|MiB|GiB)$/)
  if (!match) return null
  const units = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }
  return Math.round(Number(match[1]) * units[match[2] as keyof typeof units])
}

function countOf(text: string | null): number | null {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null
}

/** Three columns, two or more spaces (or a tab) apart. */
function rowOf(line: string): CompilerRow | null {
  const columns = line.split(/\s{2,}|\t/)
  if (columns.length !== 3 || !/^[A-Z][A-Za-z0-9_]{0,63}$/.test(columns[0]!)) return null
  const count = countOf(columns[1]!)
  return count === null ? null : { type: columns[0]!, count, status: columns[2]! }
}

function outcomeOf(lines: readonly string[]): CompilerReport['outcome'] {
  const said = (pattern: RegExp) => lines.some((line) => pattern.test(line))
  if (said(/^Compilation failed\b/) || said(/^Internal compiler error/)) return 'failed'
  if (
    said(/^Model compiled successfully\b/) ||
    said(/^Model successfully compiled\b/) ||
    said(/^Compilation succeeded!/)
  )
    return 'compiled'
  return said(/^ERROR:/) || said(/^Invalid model\b/) ? 'failed' : 'unclear'
}

function errorsOf(lines: readonly string[]): string[] {
  const errors = lines.filter((line) =>
    /^(ERROR:|Internal compiler error|Invalid model|Compilation failed: )/.test(line),
  )
  return errors.slice(0, mostErrors)
}

function sum(rows: readonly CompilerRow[]): number | null {
  return rows.length > 0 ? rows.reduce((total, { count }) => total + count, 0) : null
}

function onEdgeTpu(rows: readonly CompilerRow[], total: number | null): number | null {
  if (rows.length > 0) return sum(rows.filter(isMapped)) ?? 0
  // the two counts are printed only where something is left out
  return total
}

function onCpu(rows: readonly CompilerRow[]): number | null {
  if (rows.length === 0) return 0
  return sum(rows.filter((row) => !isMapped(row))) ?? 0
}

function isMapped({ status }: CompilerRow): boolean {
  return status === 'Mapped to Edge TPU'
}
