import assert from 'node:assert/strict'
import { test } from 'node:test'
import { presetOf } from '../../src/cli/arguments.ts'
import { presetNames } from '../../src/measure/presets.ts'
import { configSchema } from '../../src/run/config.ts'

const kinds = ['compile', 'measure'] as const

test('every preset of the measurement can be asked for, alone or beside one of the compile', () => {
  for (const preset of presetNames) {
    assert.equal(presetOf({ preset }, 'measure'), preset)
    const both = { preset: `best,${preset}` }
    assert.deepEqual([presetOf(both, 'compile', kinds), presetOf(both, 'measure', kinds)], ['best', preset])
    assert.equal(configSchema.parse({ model: 'm.onnx', preset }).preset, preset)
  }
})

test('a preset that is none is refused, and the others are named', () => {
  for (const preset of ['tinny', 'best', 'standard,'])
    assert.throws(() => presetOf({ preset }, 'measure'), {
      code: 'USAGE',
      hint: /quick, standard, sustained, tiny/,
    })
})
