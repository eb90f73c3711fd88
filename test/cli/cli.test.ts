import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { repositoryRoot } from '../fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'edgewright-cli-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** The real command line, from its sources. */
function edgewright(...args: string[]) {
  const loader = join(repositoryRoot, 'node_modules/tsx/dist/esm/index.mjs')
  const child = spawnSync(
    process.execPath,
    ['--import', loader, join(repositoryRoot, 'test/cli/from-sources.ts'), ...args],
    {
      encoding: 'utf8',
      cwd: folder,
      timeout: 60_000,
      env: { ...process.env, XDG_CONFIG_HOME: folder },
    },
  )
  return { status: child.status, stdout: child.stdout, stderr: child.stderr }
}

const example = join(repositoryRoot, 'examples', 'mnist')

test('--help names every command', () => {
  const { status, stdout } = edgewright('--help')
  assert.equal(status, 0)
  for (const command of [
    'run',
    'inspect',
    'compile',
    'evaluate',
    'deploy',
    'bench',
    'devices',
    'profiles',
    'targets',
    'runs',
  ])
    assert.match(stdout, new RegExp(`edgewright ${command}\\b`))
})

test('an unknown option is a usage error with a way out', () => {
  const { status, stderr } = edgewright('compile', 'x.onnx', '--profil', 'y')
  assert.equal(status, 2)
  assert.match(stderr, /error USAGE/)
  assert.match(stderr, /profil/)
  assert.match(stderr, /--help/)
})

test('a missing model is bad input', () => {
  const { status, stderr } = edgewright('compile', 'nowhere.onnx')
  assert.equal(status, 3)
  assert.match(stderr, /MODEL_NOT_FOUND/)
  assert.match(stderr, /nowhere\.onnx/)
})

test('with --json a failure is one document on standard output too', () => {
  const { status, stdout } = edgewright('inspect', 'nowhere.onnx', '--json')
  assert.equal(status, 3)
  assert.equal(JSON.parse(stdout).error.code, 'MODEL_NOT_FOUND')
})

test('with --json standard output is exactly one document, progress goes elsewhere', () => {
  const { status, stdout, stderr } = edgewright(
    'inspect',
    join(example, 'mnist.onnx'),
    '--profile',
    'raspberry-pi-5',
    '--json',
  )
  assert.equal(status, 0, stderr)
  const document = JSON.parse(stdout)
  assert.equal(document.target, 'onnxruntime')
  assert.ok(
    document.operators.every((row: { placement: string; sourceOp: string }) => row.placement && row.sourceOp),
  )
  assert.match(stderr, /rewrite/)
})

test('bytes that are no model end in one clear sentence', () => {
  writeFileSync(join(folder, 'noise.onnx'), Buffer.from('not a model at all \x1b[31m'))
  const { status, stderr } = edgewright('inspect', 'noise.onnx')
  assert.equal(status, 3)
  assert.match(stderr, /error MODEL_/)
  assert.ok(!stderr.includes('\x1b[31m'), 'a foreign escape sequence reached the terminal')
})

test('an empty data folder is named', () => {
  const { status, stderr } = edgewright(
    'compile',
    join(example, 'mnist.onnx'),
    '--data',
    folder.replace(/$/, '/empty'),
    '--profile',
    'raspberry-pi-5',
  )
  assert.equal(status, 3)
  assert.match(stderr, /DATA_NOT_FOUND/)
})

test('a target that is not built yet is refused by name, with what to use meanwhile', () => {
  const { status, stderr } = edgewright(
    'inspect',
    join(example, 'mnist.onnx'),
    '--target',
    'rknn',
    '--profile',
    'rk3588',
  )
  assert.equal(status, 3)
  assert.match(stderr, /TARGET_UNKNOWN/)
  assert.match(stderr, /rknn is not built/)
})

test('a board whose best target is not built falls back loudly', () => {
  const { status, stderr } = edgewright('inspect', join(example, 'mnist.onnx'), '--profile', 'rk3588')
  assert.equal(status, 0, stderr)
  assert.match(stderr, /rknn.*not built.*onnxruntime/s)
})

test('a profile from outside the package works, and its mistakes are all named', () => {
  writeFileSync(join(folder, 'mine.yaml'), 'id: Mine\nname: x\n')
  const { status, stderr } = edgewright('profiles', 'show', './mine.yaml')
  assert.equal(status, 3)
  assert.match(stderr, /PROFILE_INVALID/)
  assert.match(stderr, /line 1/)
})

test('boards are remembered by name', () => {
  assert.equal(edgewright('devices', 'add', 'desk', 'ssh://pi@10.0.0.7').status, 0)
  assert.match(edgewright('devices', 'list').stdout, /desk\s+ssh:\/\/pi@10\.0\.0\.7/)
  assert.equal(edgewright('devices', 'remove', 'desk').status, 0)
  assert.equal(edgewright('devices', 'remove', 'desk').status, 4)
})

test('a name for a board that is no plain word is refused', () => {
  assert.equal(edgewright('devices', 'add', '../../x', 'local:').status, 2)
})

test('run without a model and without a configuration says what to write', () => {
  const { status, stderr } = edgewright('run')
  assert.equal(status, 2)
  assert.match(stderr, /edgewright\.yaml/)
})

test('all mistakes of a configuration are reported at once', () => {
  writeFileSync(join(folder, 'bad.yaml'), 'modle: x.onnx\nthreads: [0]\nbudgets: 3\n')
  const { status, stderr } = edgewright('run', '--config', 'bad.yaml')
  assert.equal(status, 3)
  for (const word of ['model', 'modle', 'threads.0', 'budgets'])
    assert.match(stderr, new RegExp(word.replace('.', '\\.')))
})

test('a value that begins with a minus sign is judged as a value', () => {
  const { status, stderr } = edgewright('compile', join(example, 'mnist.onnx'), '--max-drop', '-1%')
  assert.equal(status, 2)
  assert.match(stderr, /Not a share from 0 to 100 %: "-1%"/)
})

test('an artifact in place of a network is told from a damaged file', () => {
  mkdirSync(join(folder, 'made'))
  writeFileSync(join(folder, 'made', 'manifest.json'), '{}')
  const { status, stderr } = edgewright('inspect', 'made')
  assert.equal(status, 3)
  assert.match(stderr, /MODEL_FORMAT_UNSUPPORTED: This is a folder that compile made/)
})

test('a lone minus sign is a value', () => {
  const { status, stderr } = edgewright('runs', 'export', 'latest', '--out', '-')
  assert.equal(status, 3)
  assert.match(stderr, /RUN_NOT_FOUND/)
})

test('one thread count is asked of explain and compare', () => {
  for (const asked of [['explain'], ['compare', join(example, 'mnist.onnx')]]) {
    const { status, stderr } = edgewright(...asked, join(example, 'mnist.onnx'), '--threads', '1,2')
    assert.equal(status, 2)
    assert.match(stderr, /One thread count is measured at a time[\s\S]*saw: +1,2/)
  }
})

test('--help of every command describes each option, and its examples are lines that can be typed', async () => {
  const { commands } = await import('../../src/cli/commands/index.ts')
  const all = commands.flatMap((command) => [command, ...(command.subcommands ?? [])])
  for (const { name, options, positionals, examples } of all) {
    for (const [option, { describe }] of Object.entries({ ...options, ...positionals }))
      assert.ok(describe, `${name}: ${option} is not described`)
    for (const [line] of examples ?? []) {
      const typed = line.split(' ').flatMap((word) => /^--([a-z-]+)/.exec(word)?.[1] ?? [])
      assert.ok(!line.startsWith('edgewright'), `${name}: ${line} names the program twice`)
      for (const option of typed)
        assert.ok(option in (options ?? {}), `${name}: no --${option} as in ${line}`)
    }
  }
})
