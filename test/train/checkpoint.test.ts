import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Checkpoint, readCheckpoint, writeCheckpoint } from '../../src/train/checkpoint.ts'
import { repositoryRoot } from '../fixtures.ts'

const scratch = mkdtempSync(join(tmpdir(), 'edgewright-checkpoint-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
let files = 0
const fresh = () => join(scratch, `${++files}.checkpoint`)

/** Every kind of float32: a subnormal, both zeros, infinities, NaN with a payload, and what decimals do not hold. */
const odd = new Float32Array(
  Uint32Array.of(1, 0x80000000, 0x7f800000, 0xff800000, 0x7fc12345, 0x3eaaaaab).buffer,
)
const tensors = new Map([
  ['conv/kernel', odd],
  ['__proto__', Float32Array.of(1, 2)],
  ['adam/m/“conv”', new Float32Array(0)],
])
const checkpoint: Checkpoint = { digest: 'd'.repeat(64), step: 12_345, epoch: 7, tensors }
const shapes = new Map<string, readonly number[]>([
  ['conv/kernel', [2, 3]],
  ['__proto__', [2]],
  ['adam/m/“conv”', [0, 4]],
])
const expected = { digest: checkpoint.digest, tensors: shapes }

async function written(): Promise<{ path: string; bytes: Buffer }> {
  const path = fresh()
  await writeCheckpoint(path, checkpoint)
  return { path, bytes: readFileSync(path) }
}

async function refused(bytes: Uint8Array, saw: RegExp, wanted = expected): Promise<void> {
  const path = fresh()
  writeFileSync(path, bytes)
  await assert.rejects(readCheckpoint(path, wanted), { code: 'CHECKPOINT_INVALID', where: path, saw })
}

/** A file as its format says, with any header and a checksum that holds. */
function forged(header: string, payload: Uint8Array = new Uint8Array(0), headerLength?: number): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(headerLength ?? Buffer.byteLength(header))
  const body = Buffer.concat([Buffer.from('edgewright checkpoint 1\n'), length, Buffer.from(header), payload])
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}

test('a training comes back bit by bit', async () => {
  const { path } = await written()
  const read = (await readCheckpoint(path, expected))!
  assert.deepEqual([read.digest, read.step, read.epoch], [checkpoint.digest, 12_345, 7])
  assert.deepEqual([...read.tensors.keys()], [...tensors.keys()])
  for (const [name, values] of tensors)
    assert.deepEqual(new Uint32Array(read.tensors.get(name)!.buffer), new Uint32Array(values.buffer), name)
})

test('parts of larger buffers are written, not the buffers', async () => {
  const path = fresh()
  const part = Float32Array.of(0, 1, 2, 3).subarray(1, 3)
  await writeCheckpoint(path, { ...checkpoint, tensors: new Map([['w', part]]) })
  const read = await readCheckpoint(path, { digest: checkpoint.digest, tensors: new Map([['w', [2]]]) })
  assert.deepEqual(read!.tensors.get('w'), Float32Array.of(1, 2))
})

test('where there is no checkpoint there is none; what is no file is refused', async () => {
  assert.equal(await readCheckpoint(join(scratch, 'none', 'here'), expected), null)
  await assert.rejects(readCheckpoint(scratch, expected), { code: 'CHECKPOINT_INVALID' })
  const pipe = fresh()
  if (spawnSync('mkfifo', [pipe]).status === 0)
    await assert.rejects(readCheckpoint(pipe, expected), {
      code: 'CHECKPOINT_INVALID',
      saw: 'It is not a file.',
    })
})

test('a file cut at any length is refused', async () => {
  const { bytes } = await written()
  for (let length = 0; length < bytes.length; length++) await refused(bytes.subarray(0, length), /cut/)
})

test('a file with any byte flipped, or one more, is refused', async () => {
  const { bytes } = await written()
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes)
    flipped[at]! ^= 1 << (at % 8)
    await refused(flipped, /no checkpoint|damaged/)
  }
  await refused(Buffer.concat([bytes, Buffer.of(0)]), /damaged/)
})

test('a checkpoint of another training or network is refused and says what differs', async () => {
  const { bytes } = await written()
  await refused(bytes, /another training/, { ...expected, digest: 'e'.repeat(64) })
  const without = (name: string) => new Map([...shapes].filter(([known]) => known !== name))
  await refused(bytes, /It holds "__proto__"/, { ...expected, tensors: without('__proto__') })
  await refused(bytes, /It lacks dense\/bias/, {
    ...expected,
    tensors: new Map([...shapes, ['dense/bias', [4]]]),
  })
  await refused(bytes, /conv\/kernel has another size in it: 6/, {
    ...expected,
    tensors: new Map([...shapes, ['conv/kernel', [7]]]),
  })
})

test('a header that lies is refused although its checksum holds', async () => {
  const header = { digest: checkpoint.digest, step: 1, epoch: 0, tensors: [['w', 2]] }
  const wanted = { digest: checkpoint.digest, tensors: new Map([['w', [2]]]) }
  const path = fresh()
  writeFileSync(path, forged(JSON.stringify(header), new Uint8Array(8)))
  assert.ok(await readCheckpoint(path, wanted), 'what is forged well is read: the others differ in one thing')
  const lies: unknown[] = [
    { ...header, tensors: [['w', 3]] },
    {
      ...header,
      tensors: [
        ['w', 2],
        ['w', 0],
      ],
    },
    {
      ...header,
      tensors: [
        ['w', 4],
        ['v', -2],
      ],
    },
    { ...header, tensors: [['w', 1e300]] },
    { ...header, tensors: [['w', '2']] },
    {
      ...header,
      tensors: [
        ['w', 0.5],
        ['v', 1.5],
      ],
    },
    { ...header, tensors: { length: 1, 0: ['w', 2] } },
    { ...header, tensors: [null] },
    { ...header, tensors: undefined },
    { ...header, digest: { toString: 1 } },
    { ...header, step: -1 },
    { ...header, step: 1e17 },
    { ...header, epoch: '0' },
    ...[null, 5, [], 'x'],
  ]
  for (const lie of lies) await refused(forged(JSON.stringify(lie), new Uint8Array(8)), /header says/, wanted)
  for (const text of ['', '{', `{"__proto__":${JSON.stringify(header)}}`])
    await refused(forged(text, new Uint8Array(8)), /header says/, wanted)
  for (const length of [0, 5, 2 ** 31, 2 ** 32 - 1])
    await refused(forged(JSON.stringify(header), new Uint8Array(8), length), /header says/, wanted)
})

test('a file that is larger than it can be is not read into memory', async () => {
  const path = fresh()
  const made = spawnSync('truncate', ['-s', '20G', path])
  if (made.status !== 0) writeFileSync(path, Buffer.alloc(17 << 20))
  await assert.rejects(readCheckpoint(path, expected), { code: 'CHECKPOINT_INVALID', saw: /bytes/ })
})

test('what a kill left half written harms neither the old checkpoint nor the next one', async () => {
  const folder = join(scratch, 'half')
  const path = join(folder, 'qat.checkpoint')
  await writeCheckpoint(path, checkpoint)
  const whole = readFileSync(path)
  writeFileSync(join(folder, 'unfinished-qat.checkpoint'), whole.subarray(0, 100))
  assert.equal((await readCheckpoint(path, expected))!.step, 12_345)
  await writeCheckpoint(path, { ...checkpoint, step: 12_346 })
  assert.equal((await readCheckpoint(path, expected))!.step, 12_346)
  assert.deepEqual(readdirSync(folder), ['qat.checkpoint'])
})

test('a writer that is killed at any moment leaves a checkpoint that is whole', async () => {
  const path = join(scratch, 'killed', 'one.checkpoint')
  // many parts: most of the time goes into writing, where the kill shall hit
  const names = Array.from({ length: 400 }, (_, index) => `w${index}`)
  const module = pathToFileURL(join(repositoryRoot, 'src/train/checkpoint.ts')).href
  const program = `
    const { writeCheckpoint } = await import(${JSON.stringify(module)})
    for (let step = 1; ; step++) {
      const tensors = new Map(${JSON.stringify(names)}.map((name) => [name, new Float32Array(50).fill(step)]))
      await writeCheckpoint(${JSON.stringify(path)}, { digest: 'd', step, epoch: 0, tensors })
      if (step === 1) console.log('written')
    }`
  for (const delay of [0, 7, 13, 22]) {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    await new Promise((resolve) => setTimeout(resolve, delay))
    child.kill('SIGKILL')
    await once(child, 'close')
    const expected = { digest: 'd', tensors: new Map(names.map((name) => [name, [50]])) }
    const { step, tensors } = (await readCheckpoint(path, expected))!
    assert.ok(step >= 1)
    assert.ok([...tensors.values()].every((values) => values.every((value) => value === step)))
  }
})

test('where nothing can be written that is said, and the old one stays', async () => {
  const { path } = await written()
  mkdirSync(join(scratch, `unfinished-${files}.checkpoint`))
  await assert.rejects(writeCheckpoint(path, { ...checkpoint, step: 1 }), {
    code: 'CHECKPOINT_NOT_WRITTEN',
    where: path,
  })
  assert.equal((await readCheckpoint(path, expected))!.step, 12_345)
  const blocked = join(path, 'below-a-file')
  await assert.rejects(writeCheckpoint(blocked, checkpoint), { code: 'CHECKPOINT_NOT_WRITTEN' })
  assert.ok(!existsSync(blocked))
})
