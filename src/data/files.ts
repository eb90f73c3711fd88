import { opendir, stat } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { extname, join } from 'node:path'
import { sha256OfFile } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { byCodeUnit, classIndices, labelsByFile, readLabelTable, type LabelTable } from './labels.ts'
import type { Warning } from '../progress.ts'

/** Sample files of one kind under a folder, with the labels that the folder states. */
export interface SampleFiles {
  readonly root: string
  /** Relative to the root, sorted by code unit. */
  readonly files: readonly string[]
  readonly labels: readonly (number | null)[]
  readonly classNames: readonly string[] | null
}

export interface FileLabels {
  /** A table, class sub-folders, or the part of the file name before the last `_` or `-` and number; null: whatever is there. */
  readonly from: { table: LabelTable } | 'folders' | 'file-names' | 'none' | null
  readonly classNames: readonly string[] | null
  readonly warn?: (warning: Warning) => void
}

const fileLimit = 2_000_000
const depthLimit = 8

/**
 * Lists a folder's sample files. With nothing said: a `labels.csv` in it, else class sub-folders (sorted by name as
 * torchvision and Keras do), else no labels.
 *
 * @throws DATA_EMPTY saying what was looked for, DATA_LABELS
 */
export async function sampleFiles(
  root: string,
  extensions: readonly string[],
  said: FileLabels,
): Promise<SampleFiles> {
  const files = await listFiles(root, extensions)
  if (files.length === 0)
    throw new EdgewrightError('DATA_EMPTY', 'The folder holds no samples.', {
      where: root,
      hint: `Looked for ${extensions.join(', ')} in it and its sub-folders.`,
    })
  const withLabels = (names: readonly string[], where: string): SampleFiles => ({
    root,
    files,
    ...classIndices(names, said.classNames, where),
  })
  if (said.from && typeof said.from === 'object')
    return withLabels(labelsByFile(said.from.table, files), said.from.table.path)
  const unlabelled: SampleFiles = { root, files, labels: files.map(() => null), classNames: said.classNames }
  if (said.from === 'none') return unlabelled
  if (said.from === 'file-names') return withLabels(files.map(prefixOf), root)
  const table =
    said.from === null && (await exists(join(root, 'labels.csv')))
      ? await readLabelTable(join(root, 'labels.csv'))
      : null
  if (table) return withLabels(labelsByFile(table, files), table.path)
  const folders = files.map((file) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : null))
  const names = new Set(folders)
  if (names.has(null) && (names.size > 1 || said.from === 'folders'))
    throw new EdgewrightError('DATA_LABELS', 'Some samples are in class sub-folders and some beside them.', {
      where: root,
      saw: `${folders.filter((folder) => folder === null).length} of ${files.length} beside, e.g. ${files[folders.indexOf(null)]}`,
      hint: 'Move them into their class folder, or put a labels.csv (columns file,label) in the folder.',
    })
  if (names.has(null) || (names.size === 1 && said.from === null)) return unlabelled
  return classFolders({ root, files, folders: folders as string[], said })
}

function classFolders({
  root,
  files,
  folders,
  said,
}: {
  root: string
  files: readonly string[]
  folders: readonly string[]
  said: FileLabels
}): SampleFiles {
  const names = said.classNames ?? [...new Set(folders)].sort(byCodeUnit)
  const byNumber = [...names].sort((a, b) => Number(a) - Number(b))
  if (
    said.classNames === null &&
    names.every((name) => /^\d+$/.test(name)) &&
    byNumber.some((name, index) => name !== names[index])
  )
    said.warn?.({
      code: 'LABEL_ORDER_ASSUMED',
      message: `The class folders are numbers; they are taken in the order of their names (${names.slice(0, 3).join(', ')}, …), as torchvision and Keras do, not by value.`,
      hint: 'List the class names in a data.yaml if the network was trained with another order.',
    })
  const index = new Map(names.map((name, position) => [name, position]))
  const labels = folders.map((folder) => {
    const label = index.get(folder)
    if (label !== undefined) return label
    throw new EdgewrightError('DATA_LABELS', 'A folder is not among the class names.', {
      where: join(root, folder),
      saw: folder,
    })
  })
  return { root, files, labels, classNames: names }
}

/** `automobile_0012.jpg` gives `automobile`. */
function prefixOf(file: string): string {
  const name = file.slice(file.lastIndexOf('/') + 1)
  const match = /^(.+)[_-]\d+\.[^.]+$/.exec(name)
  if (match) return match[1]!
  throw new EdgewrightError('DATA_LABELS', 'A file name does not say its class.', {
    where: file,
    hint: 'Expected <class>_<number>.<extension>.',
  })
}

/** Relative paths, `/` between folders. Hidden files and folders are passed over. */
async function listFiles(root: string, extensions: readonly string[]): Promise<string[]> {
  const found: string[] = []
  const visit = async (folder: string, depth: number): Promise<void> => {
    for await (const entry of await opendir(join(root, folder))) {
      if (entry.name.startsWith('.')) continue
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      const linked = entry.isSymbolicLink() ? await stat(join(root, path)).catch(() => null) : entry
      if (linked?.isDirectory()) {
        if (depth >= depthLimit)
          throw new EdgewrightError('DATA_BROKEN', `The folder is nested deeper than ${depthLimit} levels.`, {
            where: join(root, path),
            hint: 'A link to a parent folder does this.',
          })
        await visit(path, depth + 1)
      } else if (linked?.isFile() && extensions.includes(extname(entry.name).toLowerCase())) {
        found.push(path)
        if (found.length > fileLimit)
          throw new EdgewrightError('DATA_BROKEN', `The folder holds more than ${fileLimit} samples.`, {
            where: root,
          })
      }
    }
  }
  await visit('', 0)
  return found.sort(byCodeUnit)
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** sha256 over names and contents, in order. */
export async function digestOfFiles({ root, files }: Pick<SampleFiles, 'root' | 'files'>): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) hash.update(`${await sha256OfFile(join(root, file))}  ${file}\n`)
  return hash.digest('hex')
}
