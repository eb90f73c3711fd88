import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { sha256 } from '../../src/digest.ts'
import { repositoryRoot } from '../fixtures.ts'

const scratch = mkdtempSync(join(tmpdir(), 'edgewright-resume-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const digits = join(repositoryRoot, 'examples/mnist')

test('a training that is killed goes on to the very weights of one that was not', async () => {
  const whole = join(scratch, 'whole')
  assert.equal((await tune(whole)).code, 0)
  const killed = join(scratch, 'killed')
  const first = await tune(killed, [], 'SIGKILL', 'distill.checkpoint')
  assert.equal(first.signal, 'SIGKILL')
  assert.ok(existsSync(join(killed, 'distill.checkpoint')))
  assert.ok(!existsSync(join(killed, 'mnist.onnx')))
  assert.equal((await tune(killed, ['--resume'])).code, 0)
  assert.equal(digestOf(killed), digestOf(whole))
  assert.ok(!existsSync(join(killed, 'distill.checkpoint')), 'a finished tuning leaves no checkpoint')
})

test('Ctrl-C saves where a training stands, and resuming reaches the same weights', async () => {
  const interrupted = join(scratch, 'interrupted')
  const first = await tune(interrupted, [], 'SIGINT', 'distill.checkpoint')
  assert.equal(first.code, 130, first.said)
  assert.equal((await tune(interrupted, ['--resume'])).code, 0)
  assert.equal(digestOf(interrupted), digestOf(join(scratch, 'whole')))
})

test('a checkpoint of other options, or a damaged one, is refused', async () => {
  const folder = join(scratch, 'refused')
  await tune(folder, [], 'SIGKILL', 'distill.checkpoint')
  const other = await tune(folder, ['--resume', '--learning-rate', '0.01'])
  assert.match(other.said, /CHECKPOINT_INVALID/)
  const path = join(folder, 'distill.checkpoint')
  const bytes = readFileSync(path)
  bytes[bytes.length >> 1]! ^= 1
  writeFileSync(path, bytes)
  const damaged = await tune(folder, ['--resume'])
  assert.match(damaged.said, /CHECKPOINT_INVALID/)
  assert.notEqual(damaged.code, 0)
})

/** Distills the example's network on its own calibration digits; sends a signal once a file is there. */
async function tune(
  out: string,
  more: readonly string[] = [],
  signal?: 'SIGKILL' | 'SIGINT',
  onceThere?: string,
): Promise<{ code: number | null; signal: NodeJS.Signals | null; said: string }> {
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', join(repositoryRoot, 'test/cli/from-sources.ts')],
      ...['tune', join(digits, 'mnist.onnx'), '--method', 'distill', '--scheme', 'float'],
      ...['--data', join(digits, 'calibration.yaml'), '--epochs', '12', '--threads', '1'],
      ...['--learning-rate', '0.001', '--augment', 'shift:2', '--device', 'none', '--out', out, ...more],
    ],
    { cwd: repositoryRoot, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
  const ended = once(child, 'close')
  if (signal && onceThere) {
    const watch = setInterval(() => {
      if (existsSync(join(out, onceThere))) child.kill(signal)
    }, 5)
    ended.finally(() => clearInterval(watch))
  }
  const [code, by] = (await ended) as [number | null, NodeJS.Signals | null]
  return { code, signal: by, said }
}

function digestOf(folder: string): string {
  return sha256(readFileSync(join(folder, 'mnist.onnx')))
}
