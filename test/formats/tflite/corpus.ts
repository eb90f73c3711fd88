import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ReadTfliteOptions } from '../../../src/formats/tflite/read.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'

/** One .tflite file of the fixtures, read in one way. */
export interface CorpusFile {
  readonly name: string
  readonly options: ReadTfliteOptions
}

const folders = [
  'edgetpu/2019',
  'edgetpu/2021',
  'ethosu',
  'imagenet',
  'mlperf-tiny',
  'mnist',
  'tflite-single-op',
  'tflm',
]

/** What files cannot be read without: which of several signatures, or sizes that they leave open. */
const needs: Readonly<Record<string, readonly ReadTfliteOptions[]>> = {
  'tflite-single-op/two_signatures.tflite': [{ signature: 'add' }, { signature: 'multiply' }],
  'tflite-single-op/two_signatures_a8w8.tflite': [{ signature: 'add' }, { signature: 'multiply' }],
  'tflite-single-op/weight_sharing_fcs.tflite': [{ signature: 'sig1' }, { signature: 'sig2' }],
  'tflite-single-op/single_slice.tflite': [{ shapes: { input_tensor: [2, 3, 4], begin: [3], size: [3] } }],
}

/** Every .tflite file of the fixtures. */
export function corpus(): CorpusFile[] {
  if (fixturesMissing) return []
  return folders
    .flatMap((folder) =>
      readdirSync(fixture(folder))
        .filter((file) => file.endsWith('.tflite'))
        .toSorted()
        .map((file) => join(folder, file)),
    )
    .flatMap((name) => (needs[name] ?? [{}]).map((options) => ({ name, options })))
}
