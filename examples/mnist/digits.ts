import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

/** Gray digits, each 28×28 bytes, and which they are. */
export interface Digits {
  readonly count: number
  readonly images: Uint8Array
  readonly labels: Uint8Array
}

export const side = 28

/** 9,000 digits to train on; none is a test digit. */
export function trainingDigits(): Digits {
  return readDigits('digits/train-images.idx3-ubyte.gz', 'digits/train-labels.idx1-ubyte.gz')
}

/** 1,000 digits that no training sees. */
export function testDigits(): Digits {
  return readDigits('test-images.idx3-ubyte', 'test-labels.idx1-ubyte')
}

/** The first so many. */
export function firstOf({ count, images, labels }: Digits, most: number): Digits {
  const taken = Math.min(count, most)
  return { count: taken, images: images.subarray(0, taken * side * side), labels: labels.subarray(0, taken) }
}

/** Pixels in 0..1, as the networks take them: [count, 28, 28, 1]. */
export function pixelsOf({ images }: Digits): Float32Array {
  return Float32Array.from(images, (pixel) => pixel / 255)
}

/** As `tune` and `compareForms` take samples that a program holds. */
export function samplesOf(digits: Digits) {
  const { count, labels } = digits
  return { x: { data: pixelsOf(digits), shape: [count, side, side, 1] }, labels }
}

/** Share of the digits whose row of ten logits is largest at their label. */
export function accuracyOf(logits: ArrayLike<number>, { count, labels }: Digits): number {
  let right = 0
  for (let row = 0; row < count; row++) {
    let likeliest = 0
    for (let digit = 1; digit < 10; digit++)
      if (logits[row * 10 + digit]! > logits[row * 10 + likeliest]!) likeliest = digit
    if (likeliest === labels[row]) right++
  }
  return right / count
}

function readDigits(imagesFile: string, labelsFile: string): Digits {
  const images = readIdx(imagesFile, 3)
  const labels = readIdx(labelsFile, 1)
  return { count: labels.length, images, labels }
}

/** The elements of an idx file of bytes: a header of 4 bytes and 4 for each axis, then the data. */
function readIdx(file: string, axes: number): Uint8Array {
  const stored = readFileSync(new URL(file, import.meta.url))
  const bytes = file.endsWith('.gz') ? gunzipSync(stored) : stored
  if (bytes.readUInt32BE(0) !== 0x800 + axes) throw new Error(`${file} is not an idx file of ${axes} axes.`)
  return bytes.subarray(4 + 4 * axes)
}
