import { readFile, stat } from 'node:fs/promises'
import { isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml'
import type { z } from 'zod'
import { EdgewrightError } from '../error.ts'

const yamlLimitBytes = 2 ** 20

/**
 * Reads a YAML file and checks it against a schema: all mistakes at once, each with its line.
 *
 * @throws CONFIG_INVALID, DATA_NOT_FOUND
 */
export async function readYaml<T extends z.ZodType>(
  path: string,
  schema: T,
  hint: string,
): Promise<z.output<T>> {
  const { size } = await stat(path).catch((error) => {
    throw new EdgewrightError('DATA_NOT_FOUND', 'The file is not there.', { where: path, cause: error })
  })
  if (size > yamlLimitBytes)
    throw new EdgewrightError('CONFIG_INVALID', 'The file is too large to be a description.', {
      where: path,
      saw: `${size} bytes`,
    })
  const lines = new LineCounter()
  const document = parseDocument(await readFile(path, 'utf8'), { lineCounter: lines, prettyErrors: false })
  const mistakes: string[] = document.errors.map(
    (error) => `line ${lines.linePos(error.pos[0]).line}: ${error.message}`,
  )
  if (mistakes.length === 0) {
    let value: unknown
    try {
      value = document.toJS({ maxAliasCount: 100 })
    } catch (error) {
      throw invalid(path, [error instanceof Error ? error.message : String(error)], hint)
    }
    const result = schema.safeParse(value)
    if (result.success) return result.data
    for (const issue of result.error.issues) mistakes.push(...describe(issue, document, lines))
  }
  throw invalid(path, mistakes, hint)
}

function invalid(path: string, mistakes: readonly string[], hint: string): EdgewrightError {
  return new EdgewrightError(
    'CONFIG_INVALID',
    mistakes.length === 1
      ? 'The description has a mistake.'
      : `The description has ${mistakes.length} mistakes.`,
    {
      where: path,
      saw: mistakes.join('; '),
      hint,
    },
  )
}

function describe(issue: z.core.$ZodIssue, document: Document, lines: LineCounter): string[] {
  const at = issue.path as (string | number)[]
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(
      (key) => `line ${lineOf([...at, key], document, lines)}: ${[...at, key].join('.')}: no such field`,
    )
  const message = issue.code === 'invalid_union' ? unionMessage(issue) : issue.message
  return [`line ${lineOf(at, document, lines)}: ${at.length > 0 ? `${at.join('.')}: ` : ''}${message}`]
}

/** What each form of a field would have needed. */
function unionMessage(issue: z.core.$ZodIssueInvalidUnion): string {
  const each = issue.errors.map((errors) => errors.map((error) => error.message).join(', '))
  return [...new Set(each)].join(' / ') || issue.message
}

/** Line of a field: of its key, or of the nearest thing around it that is there. */
function lineOf(path: readonly (string | number)[], document: Document, lines: LineCounter): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true)
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === path[depth - 1])
      if (pair && isScalar(pair.key) && pair.key.range) return lines.linePos(pair.key.range[0]).line
    }
    const node = document.getIn(path.slice(0, depth), true) as
      | { range?: readonly number[] | null }
      | undefined
    if (node?.range) return lines.linePos(node.range[0]!).line
  }
  return 1
}
