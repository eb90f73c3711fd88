import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { readKeras } from '../../../src/formats/keras/read.ts'
import { repositoryRoot } from '../../fixtures.ts'
import { runLayersModel, worstDifference } from './run-layers-model.ts'

const folder = join(repositoryRoot, 'test/formats/keras/models')

interface Golden {
  readonly inputs: readonly (readonly number[])[]
  readonly outputs: readonly (readonly number[])[]
}
const golden = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Record<string, Golden>

describe('every model computes what Keras computes', () => {
  for (const [file, { inputs, outputs }] of Object.entries(golden))
    test(file, async () => {
      const model = await readKeras({ bytes: bytesOf(file), name: file })
      const results = await runLayersModel(model, inputs)
      assert.equal(results.length, outputs.length)
      // where a value falls on the edge between two levels, the sums may round apart
      const tolerance = file.startsWith('quantized') ? 1e-2 : 1e-5
      results.forEach((found, i) => {
        const worst = worstDifference(found, outputs[i]!)
        assert.ok(worst <= tolerance, `output ${i} differs by ${worst}`)
      })
    })
})

function bytesOf(file: string): Uint8Array {
  return file.endsWith('.h5')
    ? gunzipSync(readFileSync(join(folder, `${file}.gz`)))
    : readFileSync(join(folder, file))
}
