import { execFileSync } from 'node:child_process'
import { closeSync, fstatSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A disk that power losses hurt as they hurt an SD card: it has a write cache, which the kernel knows and flushes.
 * QEMU keeps every write and flush in a log (its blklogwrites driver; the format is dm-log-writes'). After a power loss
 * the disk has what was written before the last flush, and of what was written later each write or not, by chance.
 * A killed QEMU alone would lose nothing: what the machine wrote is safe in this computer's page cache.
 */
export interface PersistentDisk {
  /** Arguments of QEMU for the node `disk`; a fresh log. */
  powerOn(): readonly string[]
  /** Brings the disk to what a power loss leaves. */
  powerLoss(): PowerLoss
}

export interface PowerLoss {
  /** Writes since the last `powerOn`. */
  readonly kept: number
  readonly lost: number
  /** The disk as it is now: raw, the file system from its first byte. */
  readonly image: string
}

const flushFlag = 1n
const discardFlag = 4n
const sector = 512

export function createPersistentDisk(folder: string, image: string, seed: number): PersistentDisk {
  const durable = join(folder, 'durable.raw')
  const current = join(folder, 'current.raw')
  const log = join(folder, 'writes.log')
  const random = randomBits(seed)
  copySparse(image, durable)
  return {
    powerOn() {
      copySparse(durable, current)
      rmSync(log, { force: true })
      closeSync(openSync(log, 'w'))
      const node = {
        driver: 'blklogwrites',
        'node-name': 'disk',
        file: { driver: 'raw', file: { driver: 'file', filename: current } },
        log: { driver: 'file', filename: log },
      }
      return ['-blockdev', JSON.stringify(node)]
    },
    powerLoss() {
      const result = replay(log, durable, random)
      rmSync(current, { force: true })
      return { ...result, image: durable }
    },
  }
}

interface LoggedWrite {
  readonly diskOffset: number
  readonly logOffset: number
  readonly bytes: number
}

function replay(log: string, disk: string, keep: () => boolean): { kept: number; lost: number } {
  const from = openSync(log, 'r')
  const to = openSync(disk, 'r+')
  try {
    const { writes, flushed } = readLog(from)
    let kept = 0
    for (const [i, write] of writes.entries()) {
      if (i >= flushed && !keep()) continue
      kept++
      const data = Buffer.alloc(write.bytes)
      readSync(from, data, 0, data.length, write.logOffset)
      writeSync(to, data, 0, data.length, write.diskOffset)
    }
    return { kept, lost: writes.length - kept }
  } finally {
    closeSync(from)
    closeSync(to)
  }
}

/** All writes in order, and how many of them stand before the last flush. An entry that was cut ends the log. */
function readLog(fd: number): { writes: LoggedWrite[]; flushed: number } {
  const { size } = fstatSync(fd)
  const header = Buffer.alloc(sector)
  const writes: LoggedWrite[] = []
  let flushed = 0
  // the first sector is the log's own description
  for (let at = sector; at + sector <= size; ) {
    readSync(fd, header, 0, sector, at)
    const sectors = header.readBigUInt64LE(8)
    const flags = header.readBigUInt64LE(16)
    if (sectors === 0n && flags === 0n) break
    const bytes = Number(sectors) * sector
    if (flags & flushFlag) flushed = writes.length
    if (flags & discardFlag) {
      at += sector
      continue
    }
    if (at + sector + bytes > size) break
    if (bytes > 0)
      writes.push({ diskOffset: Number(header.readBigUInt64LE(0)) * sector, logOffset: at + sector, bytes })
    at += sector + bytes
  }
  return { writes, flushed }
}

function copySparse(from: string, to: string): void {
  execFileSync('cp', ['--sparse=always', '--reflink=auto', from, to])
}

/** The same seed loses the same writes (xorshift32). */
function randomBits(seed: number): () => boolean {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 8) % 2 === 0
  }
}
