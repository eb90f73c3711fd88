import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { parse } from 'csv-parse/sync'
import { EdgewrightError } from '../error.ts'
import { type Annotation, ignoredClass } from './types.ts'

/** A table of labels: which file has which. */
export interface LabelTable {
  readonly path: string
  /** File name as the table states it, or null where the rows stand in the samples' order. */
  readonly rows: readonly { readonly file: string | null; readonly label: string }[]
}

export interface LabelTableFormat {
  /** Names of the columns, for a file without a header row. */
  readonly columns?: readonly string[]
  /** Column of file names: its name or its index. */
  readonly file?: string | number
  /** Column of labels. */
  readonly label?: string | number
}

const csvLimitBytes = 256 * 2 ** 20
const fileNames = ['file', 'filename', 'file_name', 'image', 'path', 'name', 'id']
const labelNames = ['label', 'labels', 'class', 'class_id', 'target', 'category', 'y']

/**
 * Reads a CSV of labels. The first row is a header where a known or asked-for column name stands in it; without one,
 * columns are the file's first two, or those that `columns` names.
 *
 * @throws DATA_LABELS, DATA_BROKEN
 */
export async function readLabelTable(path: string, format: LabelTableFormat = {}): Promise<LabelTable> {
  const records = await readRecords(path)
  const first = records[0]
  if (!first) throw new EdgewrightError('DATA_EMPTY', 'The table of labels is empty.', { where: path })
  const asked = [format.file, format.label].filter((column) => typeof column === 'string')
  const known = [...fileNames, ...labelNames, ...asked].map((name) => name.toLowerCase())
  const hasHeader =
    format.columns === undefined && first.some((cell) => known.includes(cell.trim().toLowerCase()))
  const names = (format.columns ?? (hasHeader ? first : [])).map((name) => name.trim().toLowerCase())
  const column = (said: string | number | undefined, usual: readonly string[]): number | null => {
    if (typeof said === 'number') return said
    if (said !== undefined) {
      const found = names.indexOf(said.toLowerCase())
      if (found >= 0) return found
      throw new EdgewrightError('DATA_LABELS', `The table of labels has no column ${said}.`, {
        where: path,
        saw: names.join(', ') || 'no header row',
        hint: 'Name the columns of a file without a header with `columns`.',
      })
    }
    const found = names.findIndex((name) => usual.includes(name))
    return found >= 0 ? found : null
  }
  const file = column(format.file, fileNames) ?? (names.length === 0 && first.length > 1 ? 0 : null)
  const label = column(format.label, labelNames) ?? (first.length > 1 ? 1 : 0)
  const rows = records.slice(hasHeader ? 1 : 0).map((record, index) => {
    const value = record[label]?.trim()
    if (value === undefined || value === '')
      throw new EdgewrightError('DATA_LABELS', 'A row of the table has no label.', {
        where: `${path}, row ${index + 1 + (hasHeader ? 1 : 0)}`,
      })
    return { file: file === null ? null : (record[file]?.trim() ?? null), label: value }
  })
  return { path, rows }
}

async function readRecords(path: string): Promise<string[][]> {
  const { size } = await stat(path).catch((error) => {
    throw new EdgewrightError('DATA_NOT_FOUND', 'The table of labels is not there.', {
      where: path,
      cause: error,
    })
  })
  if (size > csvLimitBytes)
    throw new EdgewrightError('DATA_BROKEN', 'The table of labels is too large.', {
      where: path,
      saw: `${size} bytes`,
    })
  try {
    return parse(await readFile(path), { bom: true, skip_empty_lines: true, relax_column_count: true })
  } catch (error) {
    throw new EdgewrightError('DATA_BROKEN', 'The table of labels is not valid CSV.', {
      where: path,
      saw: error instanceof Error ? error.message : String(error),
      cause: error,
    })
  }
}

/** Labels for files by name (whole relative path first, then base name); a file that the table lacks is an error. */
export function labelsByFile(table: LabelTable, files: readonly string[]): string[] {
  const byName = new Map<string, string>()
  for (const { file, label } of table.rows) if (file !== null) byName.set(file.replace(/^\.\//, ''), label)
  if (byName.size === 0) {
    if (table.rows.length === files.length) return table.rows.map((row) => row.label)
    throw new EdgewrightError(
      'DATA_LABELS',
      'The table of labels names no files and has another number of rows.',
      {
        where: table.path,
        saw: `${table.rows.length} rows for ${files.length} files`,
      },
    )
  }
  return files.map((file) => {
    const label = byName.get(file) ?? byName.get(basename(file))
    if (label !== undefined) return label
    throw new EdgewrightError('DATA_LABELS', 'A file has no row in the table of labels.', {
      where: file,
      saw: `${byName.size} rows in ${table.path}`,
      hint: 'Add the row, or take the file out of the folder.',
    })
  })
}

/**
 * Labels as class indices: numbers are taken as they are, names by their place among the class names (sorted, where no
 * list is given).
 */
export function classIndices(
  labels: readonly string[],
  given: readonly string[] | null,
  where: string,
): { labels: number[]; classNames: readonly string[] | null } {
  if (labels.every((label) => /^-?\d+$/.test(label)) && !labels.some((label) => given?.includes(label)))
    return { labels: labels.map(Number), classNames: given }
  const classNames = given ?? [...new Set(labels)].sort(byCodeUnit)
  const index = new Map(classNames.map((name, position) => [name, position]))
  return {
    classNames,
    labels: labels.map((label) => {
      const found = index.get(label)
      if (found !== undefined) return found
      throw new EdgewrightError('DATA_LABELS', 'A label is not among the class names.', {
        where,
        saw: label,
        hint: `The names are ${classNames.slice(0, 12).join(', ')}${classNames.length > 12 ? ', …' : ''}.`,
      })
    }),
  }
}

/** Same order on every machine and locale, and that of Python's sorted for the names in use. */
export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** One class name a line; `index name` and `index: name` lines are understood where they count up from 0. */
export async function readClassNames(path: string): Promise<string[]> {
  const { size } = await stat(path).catch((error) => {
    throw new EdgewrightError('DATA_NOT_FOUND', 'The file of class names is not there.', {
      where: path,
      cause: error,
    })
  })
  if (size > 2 ** 24)
    throw new EdgewrightError('DATA_BROKEN', 'The file of class names is too large.', {
      where: path,
      saw: `${size} bytes`,
    })
  const lines = (await readFile(path, 'utf8')).split(/\r?\n/).map((line) => line.trim())
  while (lines.at(-1) === '') lines.pop()
  const numbered = lines.map((line, index) => new RegExp(`^${index}\\s*[:,\\s]\\s*(.+)$`).exec(line)?.[1])
  return numbered.every((name) => name !== undefined) ? (numbered as string[]) : lines
}

/**
 * An annotation with the label offset added to its classes. Pixels that fall below class 0 do not count.
 *
 * @throws DATA_LABELS where a class is not one of the network's
 */
export function withOffset(
  annotation: Annotation,
  offset: number,
  classes: number | null,
  where: string,
): Annotation {
  const isKnown = (index: number) => index >= 0 && (classes === null || index < classes)
  const unknown = (index: number) =>
    new EdgewrightError(
      'DATA_LABELS',
      `A label is not one of the classes${classes === null ? '' : ` (0 to ${classes - 1})`}.`,
      {
        where,
        saw: offset === 0 ? `class ${index}` : `class ${index} (${index - offset} with offset ${offset})`,
        hint: 'Set `labels.offset`, or list all classNames.',
      },
    )
  if (annotation.kind === 'boxes') {
    const boxes = annotation.boxes.map((box) => ({ ...box, class: box.class + offset }))
    const wrong = boxes.find((box) => !isKnown(box.class))
    if (wrong) throw unknown(wrong.class)
    return { ...annotation, boxes }
  }
  const shifted = annotation.classes.map((of) =>
    of === ignoredClass || of + offset < 0 || of + offset > ignoredClass ? ignoredClass : of + offset,
  )
  const wrong = shifted.find((of) => of !== ignoredClass && !isKnown(of))
  if (wrong !== undefined) throw unknown(wrong)
  return { ...annotation, classes: shifted }
}
