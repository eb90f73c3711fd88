import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { repositoryRoot } from './fixtures.ts'

const longestFileLines = 500

/** What everything may import: files directly in src/ that hold no room of their own. */
const foundation = ['src/error.ts', 'src/progress.ts', 'src/tensor.ts', 'src/digest.ts']

/** Contracts between rooms: files whose types (and nothing else) other rooms may name than those that may import them. */
const contracts: Record<string, readonly string[]> = {
  // what a probe found on a board
  'src/deploy/types.ts': ['profiles', 'compile'],
  // what executes a graph: passed in where it is needed
  'src/execute/evaluator.ts': ['passes', 'quantize', 'targets'],
}

/** Room to the rooms that it may import besides itself and the foundation; the library's entry may import any. */
const mayImport: Record<string, readonly string[]> = {
  graph: [],
  artifact: [],
  runtimes: ['artifact'],
  data: [],
  formats: ['graph'],
  passes: ['graph'],
  quantize: ['graph'],
  execute: ['graph', 'formats', 'artifact', 'data'],
  targets: ['graph', 'formats', 'passes', 'quantize', 'artifact', 'profiles', 'runtimes'],
  train: ['graph', 'formats', 'passes', 'quantize', 'execute', 'data'],
  profiles: ['artifact'],
  compile: [
    'graph',
    'formats',
    'passes',
    'quantize',
    'targets',
    'execute',
    'data',
    'artifact',
    'profiles',
    'train',
  ],
  deploy: ['artifact'],
  measure: ['artifact', 'deploy', 'profiles'],
  store: ['artifact', 'deploy', 'measure', 'profiles'],
  report: ['artifact', 'deploy', 'measure', 'store', 'profiles'],
  run: [
    'artifact',
    'compile',
    'data',
    'execute',
    'deploy',
    'measure',
    'store',
    'report',
    'profiles',
    'runtimes',
  ],
  tune: [
    'artifact',
    'compile',
    'data',
    'execute',
    'deploy',
    'formats',
    'graph',
    'measure',
    'passes',
    'profiles',
    'quantize',
    'report',
    'run',
    'runtimes',
    'store',
    'targets',
    'train',
  ],
}

interface Import {
  readonly from: string
  readonly to: string
  /** `import type`: gone once compiled. */
  readonly typeOnly?: boolean
}

const sources = [...list('src'), ...list('targets')].filter((file) => file.endsWith('.ts'))
const imports = sources.flatMap(importsOf)

test('imports run downward only', () => {
  assert.ok(imports.length > 20)
  const unknown = [...new Set(sources.map(room))].filter(
    (name) => !(name in mayImport) && !['cli', '(top)'].includes(name),
  )
  assert.deepEqual(unknown, [], 'a room that the table above does not know')
  assert.deepEqual(imports.filter(forbidden).map(print), [])
})

test('deploy and measure reach no graph, no format and no target, over any number of imports', () => {
  const above = ['graph', 'formats', 'passes', 'quantize', 'targets', 'compile', 'train', 'execute']
  const reached = sources
    .filter((file) => ['deploy', 'measure'].includes(room(file)))
    .flatMap((file) =>
      [...reachable(file)]
        .filter((target) => above.includes(room(target)))
        .map((to) => print({ from: file, to })),
    )
  assert.deepEqual(reached, [])
})

test('no file imports itself in a circle of rooms', () => {
  const circles = Object.keys(mayImport).filter((name) => roomsBelow(name).has(name))
  assert.deepEqual(circles, [])
})

test('only the command line writes to the terminal', () => {
  const printing = sources
    .filter((file) => room(file) !== 'cli')
    .filter((file) =>
      /\bconsole\s*\.|\bprocess\s*\.\s*(stdout|stderr)\b/.test(withoutStrings(withoutComments(read(file)))),
    )
  assert.deepEqual(printing, [])
})

test('no process exit outside the command line', () => {
  const exiting = sources
    .filter((file) => room(file) !== 'cli')
    .filter((file) => /\bprocess\s*\.\s*exit(Code)?\b/.test(withoutStrings(withoutComments(read(file)))))
  assert.deepEqual(exiting, [])
})

test(`no source file is over ${longestFileLines} lines`, () => {
  const long = sources
    .map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
    .filter(({ lines }) => lines > longestFileLines)
  assert.deepEqual(long, [])
})

test('profiles are data', () => {
  assert.deepEqual(
    list('profiles').filter((file) => !/\.ya?ml$|\.md$/.test(file)),
    [],
  )
})

test('no file and no folder is a place for anything', () => {
  const names = /(^|\/)(utils?|helpers?|manager|misc|common)(\.ts)?($|\/)/
  assert.deepEqual(
    sources.filter((file) => names.test(file)),
    [],
  )
})

/** `graph` of src/graph/types.ts, `targets` of all below targets/, `(top)` of src/index.ts. */
function room(file: string): string {
  if (file.startsWith('targets/')) return 'targets'
  const [, name, rest] = file.split('/')
  return rest === undefined ? '(top)' : name!
}

function forbidden({ from, to, typeOnly }: Import): boolean {
  const [source, target] = [room(from), room(to)]
  if (source === target || foundation.includes(to) || source === 'cli') return false
  if (typeOnly && contracts[to]?.includes(source)) return false
  if (source === '(top)') return foundation.includes(from) || target === 'cli'
  return !(mayImport[source] ?? []).includes(target)
}

function print({ from, to }: Import): string {
  return `${from} imports ${to}`
}

function reachable(file: string, seen = new Set<string>()): Set<string> {
  for (const { from, to } of imports)
    if (from === file && !seen.has(to)) {
      seen.add(to)
      reachable(to, seen)
    }
  return seen
}

/** Rooms that `name` may import, over any number of steps. */
function roomsBelow(name: string, seen = new Set<string>()): Set<string> {
  for (const next of mayImport[name] ?? [])
    if (!seen.has(next)) {
      seen.add(next)
      roomsBelow(next, seen)
    }
  return seen
}

/** Every `import`, `export … from` and `import()` of one of our own files. */
function importsOf(file: string): Import[] {
  const code = withoutComments(read(file))
  const statements =
    /\b(?:(?<statement>import|export)\b(?<names>[^'"();]*?)\bfrom|import\s*\(?)\s*(['"])(?<path>\.[^'"]+)\3/g
  return [...code.matchAll(statements)].map(({ groups }) => ({
    from: file,
    to: relative('.', join(dirname(file), groups!.path!)),
    typeOnly: /^\s+type\b/.test(groups!.names ?? ''),
  }))
}

/** Good enough to find names in code: a `//` inside a string goes too. */
function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"])\/\/.*$/gm, '$1')
}

/** Text that we write into files for others may say `console.log`; it is not a call of ours. */
function withoutStrings(code: string): string {
  return code.replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, "''")
}

function read(file: string): string {
  return readFileSync(join(repositoryRoot, file), 'utf8')
}

function list(folder: string): string[] {
  return readdirSync(join(repositoryRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(repositoryRoot, join(entry.parentPath, entry.name)))
}
