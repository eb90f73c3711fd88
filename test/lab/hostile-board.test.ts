import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { prebuiltRunner } from '../../src/measure/prebuilt-runner.ts'
import { type Board, startBoard } from './board.ts'
import { type CommandRun, edgewright, reach } from './command-line.ts'
import { labMissing } from './requirements.ts'
import { mnistModel } from './runner.ts'

const nasty = `\u001b]0;owned\u0007\u001b[2J\u001b[31m../../../../tmp/owned '; touch /tmp/owned; ' "$(touch /tmp/owned)" \r\b\n`
/** Where the board keeps it. */
const sayNasty = 'cat /etc/nasty'
const root = '/home/pi/.local/share/edgewright'

describe('a board that answers with hostile output harms nothing', {
  skip: labMissing(),
  timeout: 900_000,
}, () => {
  const cwd = mkdtempSync(join(tmpdir(), 'edgewright-hostile-'))
  let board: Board
  before(async () => {
    board = await startBoard()
    writeFileSync(board.path('/etc/nasty'), nasty)
  })
  after(async () => {
    await board?.stop()
    rmSync(cwd, { recursive: true, force: true })
  })

  /** Puts a program before the system's own; returns what takes it away again. */
  function replace(name: string, body: string): () => void {
    const path = board.path(`/usr/local/bin/${name}`)
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 })
    return () => rmSync(path)
  }

  /** A script in place of the runner's blob, of the very size that the store expects. */
  async function replaceRunner(body: string): Promise<void> {
    const { sha256, bytes } = prebuiltRunner('aarch64')
    const script = `#!/bin/sh\n${body}\nexit 0\n#`
    await board.ssh(`mkdir -p ${root}/blobs && rm -f ${root}/blobs/${sha256}`)
    writeFileSync(board.path(`${root}/blobs/${sha256}`), script.padEnd(bytes, '#'), { mode: 0o555 })
  }

  function harmless(run: CommandRun, codes: readonly number[]): void {
    assert.ok(codes.includes(run.exitCode!), `exit ${run.exitCode}: ${run.stderr.slice(-2000)}`)
    const said = run.stdout + run.stderr
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    assert.doesNotMatch(said, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
    assert.doesNotMatch(run.stderr, /Internal error|\n {4}at /, 'one sentence, no stack')
    assert.ok(said.length < 50_000, `${said.length} characters`)
    assert.ok(run.peakRssBytes < 700e6, `${run.peakRssBytes} bytes of memory`)
    assert.deepEqual(
      readdirSync(cwd).filter((name) => name !== '.edgewright'),
      [],
    )
    assert.equal(readdirSync(tmpdir()).includes('owned'), false)
  }

  test('names and versions that steer a terminal or leave a folder', async () => {
    const undo = replace('uname', `case $1 in -m) echo aarch64 ;; *) ${sayNasty}; ${sayNasty} ;; esac`)
    harmless(await edgewright(['devices', 'probe', ...asPositional()], { cwd }), [0])
    undo()
  })

  const measure = () => ['bench', mnistModel, ...reach(board)]
  const list = () => ['releases', 'list', ...reach(board)]
  for (const [what, program, body, command] of [
    ['a gigabyte where a number is wanted', 'df', 'head -c 1000000000 /dev/zero', measure],
    ['endless lines', 'date', 'yes "release ../../x 1 installed 1 2" | head -c 100000000', measure],
    ['escape sequences in place of a digest', 'sha256sum', sayNasty, measure],
    ['a link that leads out of the store', 'readlink', 'echo ../../../../../etc', list],
    [
      'endless lines of releases',
      'readlink',
      'yes "release ../../x 1 installed 1 2" | head -c 100000000',
      list,
    ],
  ] as const)
    test(`${what}, from ${program}`, async () => {
      const undo = replace(program, body)
      harmless(await edgewright(command(), { cwd }), [0, 4])
      undo()
    })

  for (const [what, body] of [
    ['says escape sequences', `${sayNasty}; ${sayNasty} >&2; exit 3`],
    ['never stops talking', `while :; do head -c 10000000 /dev/zero | tr '\\\\000' x; done`],
    [
      'names files outside of its run',
      `echo '{"seq":0,"t":1,"type":"hello","runner":"x","pid":1,"schema":1}'
echo '{"seq":1,"t":2,"type":"operators","artifact":"model-t1","file":"../../../../../../etc/passwd"}'
echo '{"seq":2,"t":3,"type":"end"}'`,
    ],
    [
      'claims a billion latencies in a line',
      `printf '{"seq":0,"t":1,"type":"latency","step":0,"artifact":"model-t1","at":1,"ns":['
yes 1, | head -c 100000000`,
    ],
    [
      'names artifacts with escape sequences',
      `echo '{"seq":0,"t":1,"type":"hello","runner":"\\u001b[2J","pid":1,"schema":1}'
echo '{"seq":1,"t":2,"type":"error","code":"\\u001b[31m","message":"\\u001b]0;owned\\u0007\\n../../x"}'
exit 1`,
    ],
  ] as const)
    test(`a runner that ${what}`, async () => {
      await replaceRunner(body)
      const run = await edgewright(['bench', mnistModel, ...reach(board)], { cwd })
      harmless(run, [4])
      assert.ok(!run.stdout.includes('root:x:0') && !run.stderr.includes('root:x:0'))
      await board.ssh(`pkill -9 -f edgewright; rm -rf ${root}/runs ${root}/lock`)
    })

  test('no secret stands in what is said, kept, or left on the board', async () => {
    const { sha256 } = prebuiltRunner('aarch64')
    await board.ssh(`rm -f ${root}/blobs/${sha256}`)
    const secret = 'planted-9b1f-secret'
    const environment = { EDGEWRIGHT_SSH_PASSWORD: secret, EDGEWRIGHT_DEBUG: '1' }
    const report = join(cwd, '.edgewright', 'report.html')
    const model = ['run', mnistModel, ...reach(board), '--report', report]
    const said: string[] = []
    for (const args of [
      model,
      [...model, '--json'],
      ['run', 'missing.onnx', ...reach(board)],
      ['bench', mnistModel, '--device', board.spec.replace('pi@', 'nobody@'), ...reach(board).slice(2)],
      ['bench', mnistModel, '--device', `ssh://pi:${secret}@127.0.0.1:${board.port}`],
      ['run', mnistModel, '--device', `pi:${secret}@127.0.0.1:${board.port}`],
      ['devices', 'doctor', `openssh://nobody@127.0.0.1:${board.port}`, ...reach(board).slice(2)],
    ]) {
      const run = await edgewright(args, { cwd, environment })
      said.push(run.stdout, run.stderr)
    }
    assert.ok(said[0]!.includes('int8'), said[1]!.slice(-1000))
    for (const text of said) assert.ok(!text.includes(secret), text.slice(0, 500))
    for (const file of filesBelow(cwd)) assert.ok(!readFileSync(file).includes(secret), file)
    const { stdout } = await board.ssh(`grep -rl ${secret} /home/pi /tmp; echo searched`)
    assert.equal(stdout, 'searched\n')
  })

  function asPositional(): string[] {
    const [, spec, ...rest] = reach(board)
    return [spec!, ...rest]
  }
})

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : []
  })
}
