import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { repositoryRoot } from '../fixtures.ts'
import { temporaryFolder } from './run-runner.ts'

const compilers = { 'linux-arm64': 'aarch64-linux-gnu-gcc', 'linux-x64': 'x86_64-linux-gnu-gcc' } as const
const prebuilt = join(repositoryRoot, 'runner', 'prebuilt')

/** False where the compilers that made the committed binaries are here, else what is missing. */
function toolchainMissing(): string | false {
  const recorded = JSON.parse(readFileSync(join(prebuilt, 'BUILD.json'), 'utf8')) as Record<string, string>
  for (const [target, compiler] of Object.entries(compilers)) {
    const { status, stdout } = spawnSync(compiler, ['--version'], { encoding: 'utf8' })
    if (status !== 0)
      return `rebuilding the runner needs ${compiler}: apt-get install gcc gcc-aarch64-linux-gnu`
    const here = stdout.split('\n', 1)[0]
    if (here !== recorded[target])
      return `the runner for ${target} was built with ${recorded[target]}; here is ${here}`
  }
  return false
}

test('the committed binaries are what the committed sources build, byte for byte', {
  skip: toolchainMissing(),
}, (t) => {
  const folder = temporaryFolder(t)
  // From another place: no path of the machine may get into the bytes.
  const sources = join(folder, 'elsewhere', 'runner')
  mkdirSync(sources, { recursive: true })
  cpSync(join(repositoryRoot, 'runner'), sources, {
    recursive: true,
    filter: (path) => !path.includes('prebuilt'),
  })
  const { status, stderr } = spawnSync('sh', [join(sources, 'build.sh'), join(folder, 'out')], {
    encoding: 'utf8',
    timeout: 120_000,
  })
  assert.equal(status, 0, stderr)
  for (const target of Object.keys(compilers)) {
    const built = readFileSync(join(folder, 'out', target, 'edgewright-runner'))
    assert.ok(
      built.equals(readFileSync(join(prebuilt, target, 'edgewright-runner'))),
      `${target} differs: run runner/build.sh and commit the result`,
    )
    assert.ok(built.length < 200_000)
    assert.ok(!built.includes(repositoryRoot) && !built.includes(folder))
  }
})
