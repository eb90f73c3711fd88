import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  type Baseline,
  baselineSchema,
  type Comparison,
  comparisonSchema,
} from '../../src/store/comparison.ts'
import { repositoryRoot } from '../fixtures.ts'
import { equalLayers } from '../lab/layers.ts'

const program = join(repositoryRoot, 'test', 'cli', 'from-sources.ts')
const example = join(repositoryRoot, 'examples', 'mnist')

/** On this computer, whatever else it does: verdicts that noise could turn are not asked for. */
describe('compare on this computer', { skip: process.platform !== 'linux' && 'needs Linux' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-compare-'))
  const board = join(folder, 'board')
  const few = join(folder, 'few.onnx')
  const many = join(folder, 'many.onnx')
  const artifact = join(folder, 'int8')
  before(async () => {
    writeFileSync(few, equalLayers(10))
    writeFileSync(many, equalLayers(40))
    const { code, stderr } = await edgewright([
      'compile',
      join(example, 'mnist.onnx'),
      ...['--data', join(example, 'data.yaml'), '--calibration-data', join(example, 'calibration.yaml')],
      ...['--preset', 'fast', '--no-cache', '--profile', 'this-computer', '--out', artifact],
    ])
    assert.equal(code, 0, stderr)
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const short = ['--blocks', '8', '--block-seconds', '0.03', '--root', board]

  test('four times the layers are slower, break a limit twice over, and every report says so', async () => {
    const { code, json } = await compared([
      ...[few, many, '--fail-if', 'latency.p50 > +50%', '--fail-if', 'size > +1000%'],
      ...['--junit', join(folder, 'out.xml'), '--markdown', join(folder, 'out.md')],
    ])
    const comparison = comparisonSchema.parse(json)
    assert.equal(code, 10)
    assert.equal(comparison.passes.length, 2, 'a broken limit is measured again')
    assert.notEqual(comparison.passes[0]!.seed, comparison.passes[1]!.seed)
    const [first] = comparison.passes
    assert.equal(first!.verdict, 'slower', first!.reason)
    assert.ok(first!.changes.p50!.estimate > 1, first!.reason)
    assert.equal(first!.orders.length, 8)
    assert.deepEqual(
      comparison.gate.map(({ status }) => status),
      ['broken', 'kept'],
    )
    assert.match(readFileSync(join(folder, 'out.xml'), 'utf8'), /failures="1" errors="0"/)
    assert.match(readFileSync(join(folder, 'out.md'), 'utf8'), /### B is slower/)
    assert.deepEqual(readdirSync(join(board, 'runs')), [], 'nothing is left on the board')
  })

  test('the same network twice gives the same outputs and no wide limit is broken', async () => {
    const { code, json } = await compared([few, few, '--fail-if', 'latency.p50 > +100%'])
    const { outputs, passes } = json as Comparison
    assert.ok(outputs.comparable && outputs.identicalShare === 1)
    assert.equal(passes.length, 1)
    assert.ok([0, 11].includes(code!), String(code))
  })

  test('an artifact is held against its float network: outputs, accuracy, size, memory', async () => {
    const { code, json, stderr } = await compared([
      ...[artifact, '--float', '--data', join(example, 'data.yaml'), '--limit', '60'],
      ...['--fail-if', 'accuracy < -20%', '--fail-if', 'size > -50%'],
    ])
    assert.equal(code, 0, stderr)
    const { a, b, outputs, accuracy, gate } = json as Comparison
    assert.equal(a.path, join(example, 'mnist.onnx'))
    assert.equal(b.scheme, 'full-int8')
    assert.ok(outputs.comparable)
    assert.equal(outputs.inputs, 'data')
    assert.ok(outputs.identicalShare < 1 && outputs.sqnrDb! > 15, JSON.stringify(outputs))
    assert.ok(outputs.agreement! >= 0.9)
    assert.equal(a.accuracy!.samples, 60)
    assert.ok(a.accuracy!.value > 0.8)
    assert.notEqual(accuracy!.pValue, null)
    assert.ok(a.peakRssBytes! > 1e6 && b.peakRssBytes! > 1e6)
    assert.ok(b.bytes < a.bytes / 2)
    assert.deepEqual(
      gate.map(({ status }) => status),
      ['kept', 'kept'],
    )
  })

  test('networks that take other shapes are timed all the same, and why no outputs are compared is said', async () => {
    const { code, json } = await compared([few, join(example, 'mnist.onnx')])
    assert.equal(code, 0)
    const { outputs } = json as Comparison
    assert.ok(!outputs.comparable)
    assert.match(outputs.reason, /A takes 1×8×4×4 and B /)
  })

  test('a baseline is written, compared with, named as weaker, and refused where threads differ', async () => {
    const file = join(folder, 'baseline.json')
    const attempt = async () => {
      const written = await compared([few, '--write-baseline', file])
      assert.equal(written.code, 0, written.stderr)
      return compared([many, '--baseline', file, '--fail-if', 'latency.p50 > +50%'])
    }
    let result = await attempt()
    // what else runs here may leave it open, and is told so: then it is measured again
    for (let again = 0; result.code === 11 && again < 3; again++) result = await attempt()
    const { code, json } = result
    assert.equal(code, 10)
    const baseline: Baseline = baselineSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
    assert.equal(baseline.blocks.p50.length, 8)
    const comparison = json as Comparison
    assert.equal(comparison.baseline!.path, file)
    assert.deepEqual(comparison.baseline!.differences, [])
    assert.equal(comparison.a.sha256, baseline.subject.sha256)
    assert.equal(comparison.passes[0]!.figures.a, null)

    const other = join(folder, 'other.json')
    writeFileSync(
      other,
      JSON.stringify({ ...baseline, environment: { ...baseline.environment, kernel: '2.6.32' } }),
    )
    const refused = await edgewright(['compare', few, '--baseline', other, ...short])
    assert.equal(refused.code, 3)
    assert.match(refused.stderr, /BASELINE_INVALID[\s\S]*kernel: 2\.6\.32, now /)
    const forced = await edgewright(['compare', few, '--baseline', other, '--force', ...short])
    assert.equal(forced.code, 0, forced.stderr)
    assert.match(forced.stdout, /weaker.*Insisted on although it differs: kernel: 2\.6\.32/)
  })

  test('two threads take long turns with a pause between, and have a verdict too', async () => {
    const { code, json } = await compared([few, many, '--threads', '2', '--blocks', '6'])
    assert.equal(code, 0)
    const { passes, environment } = json as Comparison
    assert.equal(environment.threads, 2)
    assert.equal(passes[0]!.figures.b.p50.length, 6)
  })

  test('a board that is away writes an error into the JUnit file, and exits as a device does', async () => {
    const junit = join(folder, 'away.xml')
    const { code } = await edgewright([
      'compare',
      few,
      many,
      '--device',
      'ssh://pi@127.0.0.1:1',
      '--junit',
      junit,
    ])
    assert.equal(code, 4)
    assert.match(readFileSync(junit, 'utf8'), /failures="0" errors="1"/)
  })

  test('Ctrl-C ends the run on the board and leaves nothing of it', async () => {
    const child = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        program,
        'compare',
        few,
        many,
        '--blocks',
        '60',
        '--block-seconds',
        '5',
        '--root',
        board,
      ],
      { cwd: repositoryRoot, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      const before = said
      said += chunk.toString()
      if (!/compare: in turns/.test(before) && /compare: in turns/.test(said))
        setTimeout(() => child.kill('SIGINT'), 1_000)
    })
    const code = await new Promise((resolve) => child.on('exit', resolve))
    assert.equal(code, 130, said)
    assert.deepEqual(readdirSync(join(board, 'runs')), [])
  })

  for (const [name, args, saw] of [
    ['nothing to compare with', [few], /nothing to compare it with/],
    ['a limit of another kind', [few, many, '--fail-if', 'latency.p50 > +3ms'], /in percent/],
    [
      'a folder that is not there',
      [few, many, '--junit', join(folder, 'no', 'out.xml')],
      /cannot be written/,
    ],
    ['one block', [few, many, '--blocks', '1'], /--blocks cannot be 1/],
    ['a float of no artifact', [few, '--float'], /Only an artifact knows/],
    ['three things at once', [few, many, '--float'], /One network is enough/],
    ['a preset of bench', [few, many, '--preset', 'tiny'], /no preset/],
  ] as const)
    test(`${name} is refused before anything is measured`, async () => {
      const { code, stderr } = await edgewright(['compare', ...args])
      assert.equal(code, 2, stderr)
      assert.match(stderr, saw)
    })

  async function compared(args: readonly string[]) {
    const answer = await edgewright(['compare', ...short, ...args, '--json'])
    return { ...answer, json: JSON.parse(answer.stdout) as unknown }
  }
})

function edgewright(
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const out = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk: Buffer) => {
      out.stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      out.stderr += chunk.toString()
    })
    child.on('close', (code) => resolve({ code, ...out }))
  })
}
