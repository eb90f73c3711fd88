import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { sha256 } from '../digest.ts'
import type { Warning } from '../progress.ts'
import type { Ranges } from '../quantize/ranges.ts'
import { decodeRanges, encodeRanges } from '../quantize/ranges-bytes.ts'

/** All that the results of a calibration depend on. How ranges are chosen from them is not part of it. */
export interface CalibrationKey {
  /** Digest of the file that is executed. */
  readonly graph: string
  readonly wanted: readonly string[]
  /** Values with statistics of their channels besides; `none`: no value has them. */
  readonly channelStatistics: readonly string[] | 'none'
  readonly histograms: boolean
  /** Which samples, in which state, prepared how: `Dataset.fingerprint`. */
  readonly samples: string
  /** What computes: versions of this program and of the runtime, processor, threads. */
  readonly computedBy: readonly (string | number)[]
}

export interface CalibrationCacheOptions {
  /** Default `calibrationCacheFolder()`. */
  readonly folder?: string
  /** Entries that were not used for the longest go when there is more; default 1 GB. */
  readonly limitBytes?: number
  /** A cache that cannot be written is no reason to stop. */
  readonly warn?: (warning: Warning) => void
  /** Called where `make` was not. */
  readonly onHit?: () => void
}

/** `$XDG_CACHE_HOME/edgewright/calibration`. */
export function calibrationCacheFolder(environment = process.env): string {
  const given = environment.XDG_CACHE_HOME
  // the XDG specification has relative paths ignored
  const cache = given !== undefined && isAbsolute(given) ? given : join(homedir(), '.cache')
  return join(cache, 'edgewright', 'calibration')
}

/**
 * What a calibration with this key gave before, or what `make` gives now, kept for the next time. An entry that is
 * damaged, or not of this key, is made again.
 */
export async function cachedCalibration(
  key: CalibrationKey,
  make: () => Promise<Ranges>,
  {
    folder = calibrationCacheFolder(),
    limitBytes = 2 ** 30,
    warn = () => {},
    onHit = () => {},
  }: CalibrationCacheOptions = {},
): Promise<Ranges> {
  const path = join(folder, `${digestOf(key)}${extension}`)
  const known = await readEntry(path, key)
  if (known) {
    onHit()
    const now = new Date()
    await utimes(path, now, now).catch(() => undefined)
    return known
  }
  const ranges = await make()
  try {
    await writeEntry(path, ranges)
    await evict(folder, limitBytes, path)
  } catch (error) {
    warn({
      code: 'CALIBRATION_NOT_CACHED',
      message: `The results of the calibration cannot be kept in ${folder}: ${error instanceof Error ? error.message : error}.`,
      hint: 'The next compile calibrates again. XDG_CACHE_HOME names another place.',
    })
  }
  return ranges
}

const extension = '.ranges'
/** Goes up when what an entry means changes. */
const format = 'edgewright ranges 1\n'
const digestLength = 64
/** No calibration is larger; a file that claims to be is not read. */
const largestEntryBytes = 2 ** 29

function digestOf({ wanted, channelStatistics, ...key }: CalibrationKey): string {
  return sha256(
    JSON.stringify([
      format,
      [...wanted].sort(),
      [...channelStatistics].sort(),
      key.graph,
      key.histograms,
      key.samples,
      key.computedBy,
    ]),
  )
}

async function readEntry(path: string, key: CalibrationKey): Promise<Ranges | null> {
  let bytes: Buffer
  try {
    const { size } = await stat(path)
    if (size > largestEntryBytes) return null
    bytes = await readFile(path)
  } catch {
    return null
  }
  const start = format.length + digestLength
  const body = bytes.subarray(start)
  if (bytes.length < start || bytes.toString('latin1', 0, start) !== format + sha256(body)) return null
  const ranges = decodeRanges(body)
  return ranges && answers(ranges, key) ? ranges : null
}

function answers(ranges: Ranges, { wanted, channelStatistics, histograms }: CalibrationKey): boolean {
  const names = new Set([...wanted, ...channelStatistics])
  return (
    ranges.size === names.size &&
    [...names].every((name) => ranges.has(name)) &&
    (!histograms || wanted.every((name) => ranges.get(name)!.histogram))
  )
}

/** In one step: who looks meanwhile sees the old state or the new one. */
async function writeEntry(path: string, ranges: Ranges): Promise<void> {
  const body = encodeRanges(ranges)
  const partial = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.partial`
  await mkdir(dirname(path), { recursive: true })
  try {
    await writeFile(partial, Buffer.concat([Buffer.from(format + sha256(body), 'latin1'), body]))
    await rename(partial, path)
  } finally {
    await rm(partial, { force: true })
  }
}

/** Left behind by a process that was killed while it wrote. */
const abandonedMs = 3_600_000

/** Removes what was not used for the longest until the rest fits; never the entry that was just made. */
async function evict(folder: string, limitBytes: number, kept: string): Promise<void> {
  const entries = []
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => null)
    if (!found?.isFile()) continue
    if (name.endsWith(extension)) entries.push({ path, bytes: found.size, usedMs: found.mtimeMs })
    else if (name.endsWith('.partial') && Date.now() - found.mtimeMs > abandonedMs)
      await unlink(path).catch(() => undefined)
  }
  let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0)
  for (const entry of entries.sort((a, b) => a.usedMs - b.usedMs)) {
    if (bytes <= limitBytes) return
    if (entry.path === kept) continue
    await unlink(entry.path).catch(() => undefined)
    bytes -= entry.bytes
  }
}
