import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  type CalibrationKey,
  cachedCalibration,
  calibrationCacheFolder,
} from '../../src/compile/calibration-cache.ts'
import type { Warning } from '../../src/progress.ts'
import { Histogram } from '../../src/quantize/histogram.ts'
import type { Ranges } from '../../src/quantize/ranges.ts'

async function folderFor(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgewright-cache-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const key: CalibrationKey = {
  graph: 'a'.repeat(64),
  wanted: ['x', 'y'],
  channelStatistics: ['z'],
  histograms: true,
  samples: 'b'.repeat(64),
  computedBy: ['1.0.0', 'a processor', 1],
}

function ranges(seed = 1): Ranges {
  const histogram = new Histogram('x')
  histogram.observe(Float32Array.of(seed, -2, 3))
  return new Map([
    ['x', { min: -2, max: 3, histogram }],
    ['y', { min: 0, max: 1, histogram: new Histogram('y') }],
    ['z', { min: 0, max: 1, channelMeans: Float64Array.of(0.5) }],
  ])
}

/** Counts how often it was asked. */
function counted(given: Ranges = ranges()) {
  const made = {
    times: 0,
    async make() {
      made.times++
      return given
    },
  }
  return made
}

test('the second calibration with one key is the first, exactly', async (context) => {
  const folder = await folderFor(context)
  const { make } = counted()
  const first = await cachedCalibration(key, make, { folder })
  const never = counted()
  let hits = 0
  const second = await cachedCalibration(key, never.make, { folder, onHit: () => hits++ })
  assert.deepEqual(second, first)
  assert.deepEqual([never.times, hits], [0, 1])
})

test('whatever a result depends on makes another key; the order of names does not', async (context) => {
  const folder = await folderFor(context)
  await cachedCalibration(key, counted().make, { folder })
  const others: Partial<CalibrationKey>[] = [
    { graph: 'c'.repeat(64) },
    { wanted: ['x'] },
    { wanted: ['x', 'z'], channelStatistics: ['y'] },
    { histograms: false },
    { samples: 'd'.repeat(64) },
    { computedBy: ['1.0.0', 'a processor', 2] },
    { computedBy: ['1.0.1', 'a processor', 1] },
  ]
  for (const other of others) {
    const made = counted()
    await cachedCalibration({ ...key, ...other }, made.make, { folder })
    assert.equal(made.times, 1, JSON.stringify(other))
  }
  const same = counted()
  await cachedCalibration({ ...key, wanted: ['y', 'x'] }, same.make, { folder })
  assert.equal(same.times, 0)
})

test('a damaged entry is made again and mended', async (context) => {
  const folder = await folderFor(context)
  await cachedCalibration(key, counted().make, { folder })
  const [name] = await readdir(folder)
  const path = join(folder, name!)
  const whole = await readFile(path)
  const flipped = Buffer.from(whole)
  flipped[whole.length - 9]! ^= 1
  for (const damaged of [Buffer.alloc(0), whole.subarray(0, 100), flipped, Buffer.from('no ranges at all')]) {
    await writeFile(path, damaged)
    const made = counted()
    assert.deepEqual(await cachedCalibration(key, made.make, { folder }), ranges())
    assert.equal(made.times, 1)
    assert.deepEqual(await readFile(path), whole)
  }
})

test('an entry with a right digest and other tensors in it is not taken', async (context) => {
  const [folder, other] = [await folderFor(context), await folderFor(context)]
  await cachedCalibration(key, counted().make, { folder })
  const few: Ranges = new Map([['x', ranges().get('x')!]])
  await cachedCalibration({ ...key, wanted: ['x'], channelStatistics: [] }, counted(few).make, {
    folder: other,
  })
  const [path, stranger] = [
    join(folder, (await readdir(folder))[0]!),
    join(other, (await readdir(other))[0]!),
  ]
  await writeFile(path, await readFile(stranger))
  const made = counted()
  assert.deepEqual(await cachedCalibration(key, made.make, { folder }), ranges())
  assert.equal(made.times, 1)
})

test('what was not used for the longest goes first; the newest stays however large', async (context) => {
  const folder = await folderFor(context)
  const keyOf = (graph: string) => ({ ...key, graph })
  for (const graph of ['1', '2', '3']) await cachedCalibration(keyOf(graph), counted().make, { folder })
  const names = await readdir(folder)
  const { size } = await stat(join(folder, names[0]!))
  // all long ago; then the first is used again
  for (const name of names) await utimes(join(folder, name), new Date(1e12), new Date(1e12))
  await cachedCalibration(keyOf('1'), counted().make, { folder })
  await cachedCalibration(keyOf('4'), counted().make, { folder, limitBytes: 2 * size })
  const known = async (graph: string) => {
    let hit = false
    await cachedCalibration(keyOf(graph), counted().make, { folder: folder, onHit: () => (hit = true) })
    return hit
  }
  assert.equal((await readdir(folder)).length, 2)
  assert.deepEqual([await known('1'), await known('4'), await known('2')], [true, true, false])
  await cachedCalibration(keyOf('5'), counted().make, { folder, limitBytes: 1 })
  assert.equal((await readdir(folder)).length, 1)
  assert.ok(await known('5'))
})

test('what a killed process left half written goes after an hour, and what is not ours stays', async (context) => {
  const folder = await folderFor(context)
  for (const name of ['old.ranges.1.ab.partial', 'new.ranges.2.cd.partial', 'notes.txt'])
    await writeFile(join(folder, name), 'x')
  for (const name of ['old.ranges.1.ab.partial', 'notes.txt'])
    await utimes(join(folder, name), new Date(1e12), new Date(1e12))
  await cachedCalibration(key, counted().make, { folder, limitBytes: 1 })
  const left = (await readdir(folder)).filter((name) => !name.endsWith('.ranges'))
  assert.deepEqual(left.sort(), ['new.ranges.2.cd.partial', 'notes.txt'])
})

test('a calibration that fails leaves nothing behind', async (context) => {
  const folder = await folderFor(context)
  const fail = async () => {
    throw new Error('the network diverged')
  }
  await assert.rejects(cachedCalibration(key, fail, { folder }), /diverged/)
  assert.deepEqual(await readdir(folder), [])
})

test('a cache that cannot be written warns and gives the ranges', async (context) => {
  const folder = await folderFor(context)
  // a file where the folder should be: this stops root too
  const blocked = join(folder, 'file')
  await writeFile(blocked, '')
  await chmod(blocked, 0o400)
  const warnings: Warning[] = []
  const made = await cachedCalibration(key, counted().make, {
    folder: join(blocked, 'calibration'),
    warn: (warning) => warnings.push(warning),
  })
  assert.deepEqual(made, ranges())
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ['CALIBRATION_NOT_CACHED'],
  )
})

test('the folder follows XDG_CACHE_HOME where that is an absolute path', () => {
  assert.equal(calibrationCacheFolder({ XDG_CACHE_HOME: '/a' }), '/a/edgewright/calibration')
  assert.match(calibrationCacheFolder({ XDG_CACHE_HOME: 'a' }), /\.cache\/edgewright\/calibration$/)
  assert.match(calibrationCacheFolder({}), /\.cache\/edgewright\/calibration$/)
})
