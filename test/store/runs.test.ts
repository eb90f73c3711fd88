import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { EdgewrightError } from '../../src/error.ts'
import {
  newRunId,
  type RunDocument,
  runDocumentJsonSchema,
  runDocumentSchema,
} from '../../src/store/document.ts'
import { listRuns, loadRaw, loadRun, saveRun } from '../../src/store/runs.ts'
import { repositoryRoot } from '../fixtures.ts'
import { sampleRun } from './sample-run.ts'

const scratch = mkdtempSync(join(tmpdir(), 'edgewright-store-'))
test.after(() => rmSync(scratch, { recursive: true, force: true }))
let stores = 0

function newStore(): string {
  return join(scratch, `store-${stores++}`, '.edgewright')
}

function at(runId: string, createdAt: string): RunDocument {
  return { ...sampleRun(runId).document, createdAt }
}

async function failure(action: () => Promise<unknown>): Promise<EdgewrightError> {
  const error = await action().then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof EdgewrightError, String(error))
  return error
}

test('a run comes back as it was kept, with its raw latencies and its report', async () => {
  const store = newStore()
  const { document, raw } = sampleRun()
  const files = Object.fromEntries(Object.entries(raw).map(([path, value]) => [path, JSON.stringify(value)]))
  const { path, warnings } = await saveRun(store, document, { ...files, 'report.html': '<!doctype html>' })
  assert.deepEqual(warnings, [])
  assert.equal(path, join(store, 'runs', document.runId))
  assert.deepEqual(await loadRun(store, document.runId), document)
  assert.deepEqual(await loadRaw(store, document), raw)
  assert.deepEqual(readdirSync(path).sort(), ['raw', 'report.html', 'run.json'])
  assert.deepEqual(readdirSync(join(store, 'runs')), [document.runId])
})

test('runs are listed newest first, and found by prefix and as latest', async () => {
  const store = newStore()
  await saveRun(store, at('20260101-000000-aaaaaa', '2026-01-01T00:00:00Z'))
  await saveRun(store, at('20260301-000000-cccccc', '2026-03-01T00:00:00Z'))
  await saveRun(store, at('20260201-000000-bbbbbb', '2026-02-01T00:00:00Z'))
  const runs = await listRuns(store)
  assert.deepEqual(
    runs.map(({ runId }) => runId),
    ['20260301-000000-cccccc', '20260201-000000-bbbbbb', '20260101-000000-aaaaaa'],
  )
  assert.equal(runs[0]?.results[0]?.int8P50Ns, sampleRun().document.results[0]?.latency?.p50Ns)
  assert.deepEqual(Object.keys(runs[0] ?? {}).sort(), ['createdAt', 'model', 'problem', 'results', 'runId'])
  assert.equal((await loadRun(store, 'latest')).runId, '20260301-000000-cccccc')
  assert.equal((await loadRun(store, '20260201')).runId, '20260201-000000-bbbbbb')
  const many = await failure(() => loadRun(store, '2026'))
  assert.equal(many.code, 'RUN_NOT_FOUND')
  assert.match(many.saw ?? '', /aaaaaa.*bbbbbb|bbbbbb.*aaaaaa/)
  assert.equal((await failure(() => loadRun(store, '../../etc'))).code, 'RUN_NOT_FOUND')
})

test('an empty store lists nothing and says that there is no latest run', async () => {
  const store = newStore()
  assert.deepEqual(await listRuns(store), [])
  assert.equal((await failure(() => loadRun(store, 'latest'))).code, 'RUN_NOT_FOUND')
  assert.equal(existsSync(store), false)
})

test('an index that is gone, torn or somebody else’s is made again from the run folders', async () => {
  const store = newStore()
  await saveRun(store, at('20260101-000000-aaaaaa', '2026-01-01T00:00:00Z'))
  await saveRun(store, at('20260201-000000-bbbbbb', '2026-02-01T00:00:00Z'))
  const expected = await listRuns(store)
  const path = join(store, 'index.db')
  const clear = () => ['', '-wal', '-shm'].map((suffix) => rmSync(`${path}${suffix}`, { force: true }))
  clear()
  assert.deepEqual(await listRuns(store), expected)
  clear()
  writeFileSync(
    path,
    'this is not a database, and it is longer than one hundred bytes so that its header is looked at: '.repeat(
      50,
    ),
  )
  assert.deepEqual(await listRuns(store), expected)
  clear()
  const { default: Database } = await import('libsql')
  const other = new Database(path)
  other.exec("CREATE TABLE runs (something TEXT); INSERT INTO runs VALUES ('else')")
  other.close()
  assert.deepEqual(await listRuns(store), expected)
  const torn = readFileSync(path)
  clear()
  writeFileSync(
    path,
    Buffer.concat([torn.subarray(0, 100), Buffer.alloc(Math.max(0, torn.length - 100), 0x5a)]),
  )
  assert.deepEqual(await listRuns(store), expected)
  assert.deepEqual((await saveRun(store, at('20260301-000000-cccccc', '2026-03-01T00:00:00Z'))).warnings, [])
  assert.equal((await listRuns(store)).length, 3)
})

test('a run folder removed or brought by hand is seen at the next listing', async () => {
  const store = newStore()
  await saveRun(store, at('20260101-000000-aaaaaa', '2026-01-01T00:00:00Z'))
  await saveRun(store, at('20260201-000000-bbbbbb', '2026-02-01T00:00:00Z'))
  await listRuns(store)
  rmSync(join(store, 'runs', '20260101-000000-aaaaaa'), { recursive: true })
  mkdirSync(join(store, 'runs', '20260401-000000-dddddd'))
  writeFileSync(
    join(store, 'runs', '20260401-000000-dddddd', 'run.json'),
    JSON.stringify(at('20260401-000000-dddddd', '2026-04-01T00:00:00Z')),
  )
  assert.deepEqual(
    (await listRuns(store)).map(({ runId }) => runId),
    ['20260401-000000-dddddd', '20260201-000000-bbbbbb'],
  )
})

test('a broken run.json is listed as such and hides no other run', async () => {
  const store = newStore()
  await saveRun(store, at('20260101-000000-aaaaaa', '2026-01-01T00:00:00Z'))
  mkdirSync(join(store, 'runs', '20260501-000000-eeeeee'))
  writeFileSync(join(store, 'runs', '20260501-000000-eeeeee', 'run.json'), '{"schemaVersion": 1')
  const runs = await listRuns(store)
  assert.deepEqual(
    runs.map(({ runId, problem }) => [runId, problem === null]),
    [
      ['20260101-000000-aaaaaa', true],
      ['20260501-000000-eeeeee', false],
    ],
  )
  assert.equal((await failure(() => loadRun(store, '20260501'))).code, 'STORE_BROKEN')
})

test('a run of the same id is not overwritten and leaves nothing half written', async () => {
  const store = newStore()
  await saveRun(store, at('20260101-000000-aaaaaa', '2026-01-01T00:00:00Z'))
  const error = await failure(() => saveRun(store, at('20260101-000000-aaaaaa', '2026-09-09T00:00:00Z')))
  assert.equal(error.code, 'STORE_BROKEN')
  assert.equal((await loadRun(store, 'latest')).createdAt, '2026-01-01T00:00:00Z')
  assert.deepEqual(readdirSync(join(store, 'runs')), ['20260101-000000-aaaaaa'])
})

test('a file name that would leave the run’s folder is refused and leaves nothing behind', async () => {
  const store = newStore()
  for (const name of ['../escape', '/tmp/escape', 'raw/../../escape', 'raw\\x', '.hidden', 'raw/'])
    assert.equal(
      (await failure(() => saveRun(store, sampleRun().document, { [name]: 'x' }))).code,
      'STORE_BROKEN',
      name,
    )
  assert.deepEqual(readdirSync(join(store, 'runs')), [])
})

test('what a crashed process left half written is not listed, and removed once it is old', async () => {
  const store = newStore()
  const old = join(store, 'runs', '.new-20250101-000000-ffffff-abc')
  const fresh = join(store, 'runs', '.new-20260101-000000-ffffff-abc')
  mkdirSync(old, { recursive: true })
  mkdirSync(fresh)
  utimesSync(old, new Date(0), new Date(0))
  await saveRun(store, at('20260101-000000-aaaaaa', '2026-01-01T00:00:00Z'))
  assert.equal((await listRuns(store)).length, 1)
  assert.equal(existsSync(old), false)
  assert.equal(existsSync(fresh), true)
})

test('a store that cannot be written ends in STORE_BROKEN', async () => {
  const store = newStore()
  mkdirSync(store, { recursive: true })
  writeFileSync(join(store, 'runs'), 'a file stands where the folder should')
  assert.equal((await failure(() => saveRun(store, sampleRun().document))).code, 'STORE_BROKEN')
  assert.equal((await failure(() => listRuns(store))).code, 'STORE_BROKEN')
})

test('an index that cannot be written costs a warning, not the run', async () => {
  const store = newStore()
  mkdirSync(join(store, 'index.db', 'in-the-way'), { recursive: true })
  const { warnings } = await saveRun(store, sampleRun().document)
  assert.equal(warnings[0]?.code, 'INDEX_NOT_WRITTEN')
  assert.equal((await loadRun(store, sampleRun().document.runId)).runId, sampleRun().document.runId)
  assert.equal((await failure(() => listRuns(store))).code, 'STORE_BROKEN')
  assert.ok(existsSync(join(store, 'index.db', 'in-the-way')))
})

test('several processes that write at once lose no run', async () => {
  const store = newStore()
  const writer = fileURLToPath(new URL('./write-runs.ts', import.meta.url))
  const exits = await Promise.all(
    ['a', 'b', 'c'].map(
      (letter) =>
        new Promise<string>((resolve) => {
          const child = spawn(process.execPath, ['--import', 'tsx', writer, store, letter, '12'], {
            stdio: ['ignore', 'pipe', 'pipe'],
          })
          let output = ''
          child.stdout.on('data', (chunk) => (output += chunk))
          child.stderr.on('data', (chunk) => (output += chunk))
          child.on('close', (code) => resolve(`${code} ${output}`))
        }),
    ),
  )
  assert.deepEqual(exits, ['0 12 0\n', '0 12 0\n', '0 12 0\n'])
  const { default: Database } = await import('libsql')
  const database = new Database(join(store, 'index.db'))
  const rows = database.prepare('SELECT run_id FROM runs').all() as { run_id: string }[]
  database.close()
  assert.equal(new Set(rows.map(({ run_id }) => run_id)).size, 36)
  assert.equal((await listRuns(store)).length, 36)
})

test('docs/run.schema.json is what the schema says today', () => {
  assert.equal(
    readFileSync(join(repositoryRoot, 'docs', 'run.schema.json'), 'utf8'),
    runDocumentJsonSchema(),
    'run npm run docs:schema',
  )
})

test('a document that breaks the schema is refused: a shouted digest, a drop above 1, a raw path outside', () => {
  const { document } = sampleRun()
  const with0 = (changes: object) => ({ ...document, results: [{ ...document.results[0], ...changes }] })
  assert.equal(runDocumentSchema.safeParse(document).success, true)
  assert.equal(
    runDocumentSchema.safeParse({ ...document, model: { ...document.model, sha256: 'A'.repeat(64) } })
      .success,
    false,
  )
  assert.equal(
    runDocumentSchema.safeParse(with0({ accuracy: { ...document.results[0]!.accuracy, drop: 3 } })).success,
    false,
  )
  assert.equal(
    runDocumentSchema.safeParse(with0({ samples: { float: 'raw/../../x', int8: null } })).success,
    false,
  )
  assert.equal(runDocumentSchema.safeParse(with0({ status: 'great' })).success, false)
})

test('run ids sort by time and fit the schema', () => {
  const ids = [0, 1000, 86_400_000].map((ms) =>
    newRunId(new Date(Date.UTC(2026, 10, 22, 20, 47, 31) + ms), () => 0.25),
  )
  assert.deepEqual(ids, ['20261122-204731-400000', '20261122-204732-400000', '20261123-204731-400000'])
})
