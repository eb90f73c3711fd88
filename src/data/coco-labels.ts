import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { TrueBox } from './boxes.ts'

/** Objects by picture, boxes in pixels of the picture. A picture that the labels do not know has no entry. */
export interface ObjectLabels {
  readonly classNames: readonly string[] | null
  of(file: string): readonly TrueBox[] | null
}

/** `in-order`: classes count from 0 by ascending category id. `ids`: category ids are class indices. */
export type CategoryNumbering = 'in-order' | 'ids'

const fileLimitBytes = 400 * 2 ** 20

/**
 * Reads a COCO file of instances: `images`, `annotations` (`bbox` is [x, y, width, height]) and `categories`. With
 * class names given, categories are found by name.
 *
 * @throws DATA_NOT_FOUND, DATA_BROKEN, DATA_LABELS
 */
export async function readCocoLabels(
  path: string,
  numbering: CategoryNumbering | undefined,
  given: readonly string[] | null,
): Promise<ObjectLabels> {
  const document = await readJson(path)
  const images = new Map(
    listOf(document, 'images', path).map((image, index) => {
      const { id, file_name: name } = image
      if (!isId(id) || typeof name !== 'string' || name === '') throw broken(path, `images[${index}]`, image)
      return [id, name] as const
    }),
  )
  const categories = listOf(document, 'categories', path).map((category, index) => {
    const { id, name } = category
    if (!isId(id) || typeof name !== 'string') throw broken(path, `categories[${index}]`, category)
    return { id, name }
  })
  const { classes, classNames } = classesOf(categories, numbering, given, path)
  const byFile = new Map<string, TrueBox[]>([...images.values()].map((name) => [name, []]))
  for (const [index, annotation] of listOf(document, 'annotations', path).entries()) {
    const { image_id: image, category_id: category, bbox, iscrowd } = annotation
    const file = images.get(image as number)
    const label = classes.get(category as number)
    if (file === undefined || label === undefined || !isBox(bbox))
      throw broken(path, `annotations[${index}]`, annotation)
    const [x, y, width, height] = bbox
    const crowd = iscrowd === 1 || iscrowd === true
    byFile
      .get(file)!
      .push({ x1: x, y1: y, x2: x + width, y2: y + height, class: label, crowd, ignored: false })
  }
  return { classNames, of: lookup(byFile) }
}

function classesOf(
  categories: readonly { id: number; name: string }[],
  numbering: CategoryNumbering | undefined,
  given: readonly string[] | null,
  path: string,
): { classes: Map<number, number>; classNames: readonly string[] | null } {
  if (numbering === 'ids')
    return { classes: new Map(categories.map(({ id }) => [id, id])), classNames: given }
  const ordered = [...categories].sort((a, b) => a.id - b.id)
  if (numbering === 'in-order' || given === null)
    return {
      classes: new Map(ordered.map(({ id }, index) => [id, index])),
      classNames: given ?? ordered.map(({ name }) => name),
    }
  const classes = new Map(ordered.map(({ id, name }) => [id, given.indexOf(name)]))
  const missing = ordered.find(({ id }) => classes.get(id) === -1)
  if (missing)
    throw new EdgewrightError('DATA_LABELS', 'A category is not among the class names.', {
      where: path,
      saw: missing.name,
      hint: 'Correct classNames, or number the categories with `categories: in-order` or `ids`.',
    })
  return { classes, classNames: given }
}

/** By whole relative path first, then by base name where only one picture has it. */
function lookup(byFile: ReadonlyMap<string, readonly TrueBox[]>): ObjectLabels['of'] {
  const byBase = new Map<string, string | null>()
  for (const name of byFile.keys()) byBase.set(basename(name), byBase.has(basename(name)) ? null : name)
  return (file) => {
    const name = byFile.has(file) ? file : byBase.get(basename(file))
    return (name && byFile.get(name)) || null
  }
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  const { size } = await stat(path).catch((error) => {
    throw new EdgewrightError('DATA_NOT_FOUND', 'The file of labels is not there.', {
      where: path,
      cause: error,
    })
  })
  if (size > fileLimitBytes)
    throw new EdgewrightError('DATA_BROKEN', 'The file of labels is too large.', {
      where: path,
      saw: `${size} bytes, at most ${fileLimitBytes}`,
    })
  try {
    const document: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (typeof document === 'object' && document !== null) return document as Record<string, unknown>
  } catch (error) {
    throw new EdgewrightError('DATA_BROKEN', 'The file of labels is not valid JSON.', {
      where: path,
      saw: error instanceof Error ? error.message : String(error),
      cause: error,
    })
  }
  throw broken(path, 'the document', null)
}

function listOf(document: Record<string, unknown>, key: string, path: string): Record<string, unknown>[] {
  const list = document[key]
  if (!Array.isArray(list))
    throw new EdgewrightError('DATA_LABELS', `The file of labels has no list of ${key}.`, {
      where: path,
      saw: Object.keys(document).slice(0, 8).join(', ') || 'an empty document',
      hint: 'Expected COCO instances: images, annotations, categories.',
    })
  return list.map((entry) => (typeof entry === 'object' && entry !== null ? entry : {}))
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isBox(value: unknown): value is [number, number, number, number] {
  return (
    Array.isArray(value) &&
    value.length === 4 &&
    value.every((number) => typeof number === 'number' && Number.isFinite(number)) &&
    value[2] >= 0 &&
    value[3] >= 0
  )
}

function broken(path: string, where: string, saw: unknown): EdgewrightError {
  return new EdgewrightError('DATA_LABELS', 'An entry of the COCO labels cannot be read.', {
    where: `${path}, ${where}`,
    saw: JSON.stringify(saw)?.slice(0, 200),
    hint: 'An annotation needs the id of a picture and of a category that are there, and a bbox [x, y, width, height].',
  })
}
