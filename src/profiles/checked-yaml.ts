import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { type ErrorCode, EdgewrightError } from '../error.ts'

/** Far above any profile; keeps a wrong file from being parsed for minutes. */
const maxBytes = 1 << 20
const maxReported = 40

export interface Mistake {
  readonly line: number
  readonly message: string
}

/** A mistake that no schema can see, found by looking at the whole document. */
export interface ExtraMistake {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/**
 * Parses YAML and checks it against a schema. All mistakes come back in one error, each with its line.
 *
 * @param where The file's name, for the message.
 * @param extra Finds mistakes across parts of the document; it is given the document even where the schema refuses it.
 * @throws EdgewrightError with `code`; `saw` holds one mistake a line.
 */
export function parseCheckedYaml<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  where: string,
  code: ErrorCode,
  extra: (document: unknown) => ExtraMistake[] = () => [],
): z.infer<Schema> {
  if (text.length > maxBytes)
    throw new EdgewrightError(code, `${where} is too large to be read.`, {
      where,
      saw: `${text.length} characters`,
      hint: 'The limit is 1 MiB.',
    })
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const mistakes: Mistake[] = document.errors.map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    message: error.message,
  }))
  let value: unknown
  if (mistakes.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: 100 })
    } catch (error) {
      mistakes.push({ line: 1, message: error instanceof Error ? error.message : String(error) })
    }
  }
  if (mistakes.length > 0) throw invalid(code, where, mistakes)
  const lineOf = (path: readonly PropertyKey[], key?: string) => lineAt(document.contents, lines, path, key)
  const result = schema.safeParse(value)
  if (!result.success) mistakes.push(...result.error.issues.flatMap((issue) => mistakesOf(issue, lineOf)))
  for (const { path, message } of extra(value))
    mistakes.push({ line: lineOf(path), message: `${pathText(path)}: ${message}` })
  if (!result.success || mistakes.length > 0) throw invalid(code, where, mistakes)
  return result.data
}

/** An error that lists mistakes found after parsing, in the same form. */
export function invalid(code: ErrorCode, where: string, mistakes: readonly Mistake[]): EdgewrightError {
  const sorted = [...mistakes].sort((a, b) => a.line - b.line)
  const shown = sorted.slice(0, maxReported).map(({ line, message }) => `line ${line}: ${message}`)
  if (sorted.length > maxReported) shown.push(`and ${sorted.length - maxReported} more`)
  const number = sorted.length === 1 ? 'one mistake' : `${sorted.length} mistakes`
  return new EdgewrightError(code, `${where} has ${number}.`, {
    where,
    saw: shown.join('\n'),
    hint: 'Mend the lines named and try again.',
  })
}

function mistakesOf(
  issue: z.core.$ZodIssue,
  lineOf: (path: readonly PropertyKey[], key?: string) => number,
): Mistake[] {
  const at = pathText(issue.path)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      line: lineOf(issue.path, key),
      message: `${at === '' ? '' : `${at}: `}unknown key ${JSON.stringify(key)}`,
    }))
  return [{ line: lineOf(issue.path), message: `${at === '' ? 'the document' : at}: ${wording(issue)}` }]
}

function wording(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
    ? 'is missing'
    : issue.message
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? String(part) : `.${String(part)}`))
    .join('')
}

/** The line of the node at `path`, or of its nearest parent that is there; with `key`, of that key inside it. */
function lineAt(root: unknown, lines: LineCounter, path: readonly PropertyKey[], key?: string): number {
  let node: unknown = root
  let line = 1
  for (const part of path) {
    const next = child(node, part)
    if (next === undefined) break
    line = startLine(next.at, lines) ?? line
    node = next.value
  }
  if (key === undefined) return line
  const inner = child(node, key)
  return inner === undefined ? line : (startLine(inner.at, lines) ?? line)
}

function child(node: unknown, part: PropertyKey): { at: unknown; value: unknown } | undefined {
  if (isMap(node)) {
    const pair = node.items.find(
      (item) => (isScalar(item.key) ? String(item.key.value) : '') === String(part),
    )
    return pair === undefined ? undefined : { at: pair.key, value: pair.value }
  }
  if (isSeq(node)) {
    const value = node.items[Number(part)]
    return value === undefined ? undefined : { at: value, value }
  }
  return undefined
}

function startLine(node: unknown, lines: LineCounter): number | undefined {
  const range = (node as { range?: [number, number, number] | null } | null)?.range
  return range ? lines.linePos(range[0]).line : undefined
}
