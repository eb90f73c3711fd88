import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { repositoryRoot } from './fixtures.ts'

const run = promisify(execFile)

/** What a person's own npm settings print is theirs: npm is run without them, and without asking for advisories. */
const npmEnv = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS|NODE_TEST)/i.test(name)),
  ),
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_update_notifier: 'false',
  npm_config_prefer_offline: 'true',
}

describe('the package', { timeout: 600_000 }, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'edgewright-package-'))
  const elsewhere = join(scratch, 'elsewhere')
  const manifest = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as {
    version: string
  }
  after(() => rmSync(scratch, { recursive: true, force: true }))

  before(async () => {
    // as cloned: what git does not know is not there, so that nothing built earlier gets in
    const clone = join(scratch, 'clone')
    mkdirSync(clone)
    for (const file of trackedFiles()) cpSync(join(repositoryRoot, file), join(clone, file))
    symlinkSync(join(repositoryRoot, 'node_modules'), join(clone, 'node_modules'))
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', scratch], {
      cwd: clone,
      env: npmEnv,
      maxBuffer: 64 << 20,
    })
    const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [{ filename: string }]
    mkdirSync(elsewhere)
    writeFileSync(join(elsewhere, 'package.json'), '{"name":"elsewhere","private":true,"type":"module"}')
    await run('npm', ['install', '--ignore-scripts', '--omit=dev', join(scratch, filename)], {
      cwd: elsewhere,
      env: npmEnv,
    })
  })

  test('installed elsewhere from its tarball, the command says its version and its help', async () => {
    const command = join(elsewhere, 'node_modules', '.bin', 'edgewright')
    const version = await run(command, ['--version'], { cwd: elsewhere })
    assert.equal(version.stdout.trim(), manifest.version)
    const help = await run(command, ['--help'], { cwd: elsewhere })
    for (const name of ['inspect', 'compile', 'evaluate', 'deploy', 'bench', 'run', 'devices', 'profiles'])
      assert.match(help.stdout, new RegExp(`^\\s*(edgewright )?${name}\\b`, 'm'))
  })

  test('installed elsewhere, the library can be imported by name', async () => {
    const script = "import * as library from 'edgewright'; console.log(JSON.stringify(Object.keys(library)))"
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: elsewhere })
    const names = JSON.parse(stdout) as string[]
    for (const name of [
      'EdgewrightError',
      'compileModel',
      'runMainJob',
      'compareNetworks',
      'renderJunit',
      'rollbackOn',
    ])
      assert.ok(names.includes(name), `${name} is not among ${names.join(', ')}`)
    assert.ok(existsSync(join(elsewhere, 'node_modules/edgewright/dist/src/index.d.ts')))
  })

  test('installed elsewhere, the boards that it knows come with it', async () => {
    const command = join(elsewhere, 'node_modules', '.bin', 'edgewright')
    const { stdout } = await run(command, ['profiles', 'list', '--json'], { cwd: elsewhere })
    assert.ok(stdout.includes('raspberry-pi-5'))
  })

  test('installed elsewhere, the runner is a program still', {
    skip: process.platform !== 'linux' && 'needs Linux',
  }, async () => {
    const folder = process.arch === 'arm64' ? 'linux-arm64' : 'linux-x64'
    const runner = join(elsewhere, 'node_modules/edgewright/runner/prebuilt', folder, 'edgewright-runner')
    assert.match((await run(runner, ['--version'])).stdout, /^edgewright-runner \d+\.\d+\.\d+/)
  })

  test('the package holds no tests, no sources of the lab and no fixtures', () => {
    const installed = join(elsewhere, 'node_modules', 'edgewright')
    for (const folder of ['test', 'scripts', 'src', 'bench', '.lab', '.ci'])
      assert.equal(existsSync(join(installed, folder)), false, folder)
    for (const file of ['LICENSE', 'README.md', 'profiles', 'runner/prebuilt'])
      assert.ok(existsSync(join(installed, file)), file)
  })
})

describe('npm ci', { timeout: 600_000 }, () => {
  test('the lock lets no dependency run an install script', () => {
    // npm asks the lock whether there is one: onnxruntime-node's would fetch CUDA from outside the registry
    const lock = readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')
    assert.equal(
      lock.includes('hasInstallScript'),
      false,
      `npm put hasInstallScript back: sed -i '/"hasInstallScript": true,/d' package-lock.json`,
    )
  })

  for (const major of [10, 11])
    test(`ends well and without a warning under npm ${major}`, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'edgewright-ci-'))
      t.after(() => rmSync(folder, { recursive: true, force: true }))
      for (const file of ['package.json', 'package-lock.json'])
        cpSync(join(repositoryRoot, file), join(folder, file))
      const { stdout, stderr } = await run('npm', ['exec', '--yes', `npm@${major}`, '--', 'ci'], {
        cwd: folder,
        env: npmEnv,
      })
      const complaints = `${stdout}\n${stderr}`
        .split('\n')
        .filter((line) => /warn|err/i.test(line) && !isTheirs(line))
      assert.deepEqual(complaints, [])
      assert.ok(existsSync(join(folder, 'node_modules/onnxruntime-node/bin')))
    })
})

/** About the settings of the person who runs the tests, or an old package that we do not choose. */
function isTheirs(line: string): boolean {
  return (
    line.includes('Unknown user config') ||
    line.includes('Unknown env config') ||
    line.includes('npm warn deprecated')
  )
}

/** Tracked, or new and not ignored: what a commit of everything would hold. */
function trackedFiles(): string[] {
  const listing = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: repositoryRoot,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
  return listing.split('\0').filter((file) => file !== '' && existsSync(join(repositoryRoot, file)))
}
