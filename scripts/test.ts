/**
 * `npm test [FILTER…] [--test-name-pattern=REGEX]`: types, lint, then every test that this machine allows. Says in one
 * line what was left out and how to get it; with CI set, leaving out is failing.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec, tap } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

const fileDeadlineMs = 15 * 60_000

/** Tests that need the machine to themselves: emulators, timing, and the one that builds the package. */
const aloneTests = [/^test\/lab\//, /^test\/package\.test\.ts$/, /\.alone\.test\.ts$/]

type TestEvent = { type: string; data: Record<string, unknown> & { nesting?: number; testNumber?: number } }

/** What the runner counts, in the order in which it says so at the end. */
const counts = { tests: 0, suites: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0, duration_ms: 0 }
const leftOut = new Map<string, number>()

const patterns = process.argv.slice(2).filter((argument) => argument.startsWith('--test-name-pattern='))
const filters = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const files = testFiles().filter(
  (file) => filters.length === 0 || filters.some((filter) => file.includes(filter)),
)

const broken = [
  check('tsc', ['--noEmit', '-p', 'tsconfig.json']),
  check('biome', ['lint', '--diagnostic-level=error']),
].filter((name) => name !== null)
await report()
closingLines()

function testFiles(): string[] {
  return readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name))
    .sort()
}

/** Runs a checker; its name where it found something. */
function check(name: string, args: readonly string[]): string | null {
  process.stdout.write(`# ${name} ${args.join(' ')}\n`)
  const { status, error } = spawnSync(join('node_modules', '.bin', name), args, { stdio: 'inherit' })
  if (error) process.stdout.write(`# ${name}: ${error.message}; run npm ci first\n`)
  return status === 0 ? null : name
}

async function report(): Promise<void> {
  const reporter = process.stdout.isTTY ? new spec() : tap
  const source = allEvents()
  // spec is a stream, tap an async generator function
  const output =
    typeof reporter === 'function' ? reporter(source as never) : Readable.from(source).pipe(reporter)
  for await (const chunk of output) process.stdout.write(chunk as string)
}

/** Both groups as one run: numbered through, one plan, one summary. */
async function* allEvents(): AsyncGenerator<TestEvent> {
  const alone = files.filter((file) => aloneTests.some((pattern) => pattern.test(file)))
  const together = files.filter((file) => !alone.includes(file))
  let planned = 0
  for (const [group, concurrency] of [
    [together, 2],
    [alone, 1],
  ] as const) {
    if (group.length === 0) continue
    const before = planned
    for await (const event of groupEvents(group, concurrency)) {
      const outermost = event.data?.nesting === 0
      if (outermost && event.type === 'test:plan') planned += Number(event.data.count)
      else if (outermost && isSummary(event)) continue
      else if (outermost && event.data.testNumber !== undefined)
        yield { ...event, data: { ...event.data, testNumber: before + event.data.testNumber } }
      else yield event
      noteSkip(event)
    }
  }
  yield { type: 'test:plan', data: { nesting: 0, count: planned } }
  for (const [name, count] of Object.entries(counts))
    yield { type: 'test:diagnostic', data: { nesting: 0, message: `${name} ${count}` } }
}

function groupEvents(group: string[], concurrency: number): AsyncIterable<TestEvent> {
  const testNamePatterns = patterns.map((pattern) => new RegExp(pattern.slice(pattern.indexOf('=') + 1)))
  return run({
    files: group,
    concurrency,
    timeout: fileDeadlineMs,
    // Node 20 can spin for ever when it closes handles at its natural end: a file that is through says so and ends
    ...{ forceExit: true },
    ...(testNamePatterns.length > 0 ? { testNamePatterns } : {}),
  }) as unknown as AsyncIterable<TestEvent>
}

/** Takes a closing `pass 12` into the sum. */
function isSummary({ type, data }: TestEvent): boolean {
  const [, name, count] =
    /^(\w+) ([\d.]+)$/.exec(type === 'test:diagnostic' ? String(data.message) : '') ?? []
  if (name === undefined || !(name in counts)) return false
  counts[name as keyof typeof counts] += Number(count)
  return true
}

function noteSkip({ type, data }: TestEvent): void {
  if (type !== 'test:pass' || data.skip === undefined || data.skip === false) return
  const reason = typeof data.skip === 'string' ? data.skip : `without a reason: ${data.name}`
  if (reason === 'test name does not match pattern') return
  leftOut.set(reason, (leftOut.get(reason) ?? 0) + 1)
}

function closingLines(): void {
  const reasons = [...leftOut].map(([reason, count]) => `${count} × ${reason}`)
  process.stdout.write(`# left out: ${reasons.length === 0 ? 'nothing' : reasons.join('; ')}\n`)
  if (broken.length > 0) process.stdout.write(`# failed before the tests: ${broken.join(', ')}\n`)
  const incomplete = leftOut.size > 0 && isCi()
  if (incomplete) process.stdout.write('# CI leaves nothing out: failed\n')
  const failed = broken.length > 0 || counts.fail > 0 || counts.cancelled > 0 || incomplete
  if (counts.tests === 0) process.stdout.write(`# no test matches ${filters.join(' ')}\n`)
  process.exitCode = failed || counts.tests === 0 ? 1 : 0
}

function isCi(): boolean {
  return !['', '0', 'false'].includes(process.env.CI ?? '')
}
