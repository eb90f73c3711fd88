import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Asked,
  type CauseKind,
  causesOf,
  type StoredFacts,
  type TensorFacts,
  type WeightFacts,
} from '../../src/quantize/causes.ts'

/** Steps of 0.1 from −12.8 to 12.7. */
const stored: StoredFacts = {
  min: -12.8,
  max: 12.7,
  bits: 8,
  scale: 0.1,
  clippedShare: 0,
  clippedNoiseShare: 0,
  zeroedShare: 0.01,
}

/** A tensor whose error is all its own, made by storing it, with nothing peculiar about it. */
const plain: TensorFacts = {
  db: 20,
  ownDb: 20,
  storageDb: 20,
  stored,
  seen: { min: -12, max: 12, rms: 4, bulk: { min: -10, max: 10 }, negativeShare: 0.5 },
  calibrated: { min: -12.8, max: 12.7 },
  shiftShare: 0.05,
  channels: [10, 11, 12, 9, 10, 12, 11, 10],
  weights: null,
  addends: [],
  concat: null,
  fixedBy: null,
  curve: null,
  operandDb: 50,
  origin: { name: 'before', ownDb: 50 },
  keepFloat: ['layer'],
}

const asked: Asked = {
  preset: 'balanced',
  method: 'auto',
  perChannel: true,
  perChannelAllowed: true,
  floatOutputs: true,
  wideActivations: true,
}

/** Its error is made by rounding these. */
const weights: WeightFacts = {
  perTensor: true,
  depthwise: true,
  db: 25,
  magnitudes: [1, 1.1, 0.9, 1.2],
  storedMagnitudes: [106, 116, 95, 127],
}
const byWeights = { storageDb: 50, weights } as const

function kinds(changes: Partial<TensorFacts>, other: Partial<Asked> = {}): CauseKind[] {
  return causesOf({ ...plain, ...changes }, { ...asked, ...other }).map(({ kind }) => kind)
}

function only(changes: Partial<TensorFacts>, other: Partial<Asked> = {}) {
  const causes = causesOf({ ...plain, ...changes }, { ...asked, ...other })
  assert.equal(causes.length, 1, causes.map(({ kind }) => kind).join())
  return causes[0]!
}

const options = (cause: { remedies: readonly { option: string | null }[] }) =>
  cause.remedies.map(({ option }) => option)

test('a tensor that is near enough to float has no cause, whatever else is true of it', () => {
  assert.deepEqual(kinds({ db: 31, ownDb: 31, shiftShare: 0.9 }), [])
})

test('nothing peculiar: 8 bits are few, and the part that makes the error is named', () => {
  const stores = only({})
  assert.equal(stores.kind, 'result-rounding')
  assert.match(stores.sentence, /root mean square is 4, a step 0\.1: rounding its result/)
  assert.deepEqual(options(stores), ['--keep-float layer', '--scheme int16x8'])
  assert.equal(options(only({}, { preset: 'fast', method: 'min-max' }))[0], '--calibration mse')
  const rounds = only(byWeights)
  assert.equal(rounds.kind, 'weight-rounding')
  assert.match(rounds.sentence, /weights alone: 25\.0 dB/)
  assert.match(only({ storageDb: 50 }).sentence, /the integer arithmetic makes most/)
})

test('one weight scale for filters of very different size costs the small ones their bits', () => {
  // median 2 of 64: five bits
  const spread = { ...weights, magnitudes: [64, 2, 1, 2], storedMagnitudes: [127, 4, 2, 4] }
  const cause = only({ ...byWeights, weights: spread }, { perChannel: false })
  assert.equal(cause.kind, 'weight-spread')
  assert.match(
    cause.sentence,
    /4 filters of a depthwise convolution: the widest reaches 64, the median one 2, which keeps 3\.0 of 8 bits; 3 of them have 7 steps or fewer/,
  )
  assert.deepEqual(options(cause), ['--per-channel', '--preset best', '--keep-float layer'])
  assert.deepEqual(cause.remedies[0]!.change, { kind: 'per-channel' })
  assert.deepEqual(kinds({ weights: spread }), ['result-rounding'], 'the weights do not make this error')
  assert.deepEqual(kinds({ ...byWeights, weights: { ...spread, perTensor: false } }), ['dead-filters'])
  assert.deepEqual(kinds(byWeights), ['weight-rounding'], 'filters alike')
})

test('per-channel weights are no remedy where the board cannot have them', () => {
  const spread = { ...weights, magnitudes: [64, 2, 1, 2] }
  const cause = only(
    { ...byWeights, weights: spread },
    { perChannel: false, perChannelAllowed: false, preset: 'best' },
  )
  assert.deepEqual(options(cause), ['--keep-float layer'])
})

test('filters that a large bias leaves without steps are counted', () => {
  const dead = {
    ...weights,
    perTensor: false,
    magnitudes: [1, 1, 0, 0.01],
    storedMagnitudes: [127, 127, 0, 0],
  }
  const cause = only({ ...byWeights, weights: dead })
  assert.equal(cause.kind, 'dead-filters')
  assert.match(cause.sentence, /^1 of 4 filters is stored in 7 steps or fewer, 1 of them as zeros: .*bias/)
  const zero = { ...dead, magnitudes: [1, 1, 0, 0], storedMagnitudes: [127, 127, 0, 0] }
  assert.deepEqual(
    kinds({ ...byWeights, weights: zero }),
    ['weight-rounding'],
    'a filter of zeros loses nothing',
  )
})

test('one channel that sets the step for all is named with its number', () => {
  const cause = only({ channels: [0.7, 0.8, 12, 0.9, 0.75, 0.8, 0.6, 0] })
  assert.equal(cause.kind, 'outlier-channel')
  // log2(12 / 0.8) = 3.9
  assert.match(
    cause.sentence,
    /^Channel 2 reaches 12, the median channel 0\.8: one channel of 8 sets the step for all, the others keep 4\.1 of 8 bits/,
  )
  assert.deepEqual(
    kinds({ channels: [12, 11, 1, 1, 1, 1, 1, 1] }),
    ['result-rounding'],
    'two of eight are no outliers',
  )
  assert.deepEqual(kinds({ channels: [12, 2, 2, 2, 2, 2, 2, 2] }), ['result-rounding'], 'under three bits')
  assert.deepEqual(kinds({ channels: [12, 0.1, 0.1] }), ['result-rounding'], 'too few channels to tell')
})

test('clipped values: cut by the chosen range, or never seen in calibration', () => {
  const clips = { ...stored, clippedShare: 0.002, clippedNoiseShare: 0.8 }
  const seen = { ...plain.seen, max: 30 }
  const cut = only({ stored: clips, seen, calibrated: { min: -12, max: 31 } })
  assert.equal(cut.kind, 'clipped')
  assert.match(
    cut.sentence,
    /^0\.2 % of its elements lie beyond .* by up to 17\.3, and are clipped: 80 % of what/,
  )
  assert.deepEqual(options(cut), ['--calibration min-max', '--keep-float layer'])
  const unseen = only({ stored: clips, seen })
  assert.match(unseen.sentence, /Calibration saw −12\.8 to 12\.7 only/)
  assert.deepEqual(options(unseen), ['--samples', '--keep-float layer'])
  assert.ok(!kinds({ stored: { ...clips, clippedNoiseShare: 0.1 } }).includes('clipped'), 'a worthwhile cut')
})

test('a range that belongs to others: fixed by the operator, or shared', () => {
  const small = { ...plain.seen, min: 0, max: 2, bulk: { min: 0, max: 2 }, negativeShare: 0 }
  const shared = only({ seen: small })
  assert.equal(shared.kind, 'foreign-range')
  // 25.5 over 2: 13 times, 3.7 bits
  assert.match(
    shared.sentence,
    /spans 0 to 2, a 13th of its stored range \(−12\.8 to 12\.7\): 3\.7 of 8 bits are unused/,
  )
  assert.match(shared.sentence, /share one scale/)
  assert.match(only({ seen: small, fixedBy: 'Softmax' }).sentence, /Softmax has a fixed range/)
  assert.deepEqual(kinds({ seen: { ...small, max: 9, bulk: { min: 0, max: 9 } } }), ['result-rounding'])
})

test('rare elements that take the range from the others', () => {
  const seen = { ...plain.seen, bulk: { min: -1, max: 1.5 } }
  const cause = only({ seen }, { method: 'min-max' })
  assert.equal(cause.kind, 'heavy-tail')
  // 24 over 2.5
  assert.match(
    cause.sentence,
    /99\.9 % of its elements lie between −1 and 1\.5, a 10th of .*: rare ones take 3\.3 of 8 bits/,
  )
  assert.deepEqual(options(cause), ['--calibration auto', '--preset best', '--keep-float layer'])
  assert.deepEqual(options(only({ seen })), ['--preset best', '--keep-float layer'], 'auto is in use already')
  assert.deepEqual(kinds({ seen: { ...seen, bulk: { min: -5, max: 5 } } }), ['result-rounding'])
})

test('the narrow negative tail of a swish has few steps', () => {
  const seen = { ...plain.seen, min: -0.375, negativeShare: 0.6 }
  const cause = only({ seen, curve: 'HardSwish' })
  assert.equal(cause.kind, 'negative-tail')
  assert.match(
    cause.sentence,
    /60 % of its elements are negative, down to −0\.375 only, where HardSwish saturates: 4 of 256 steps/,
  )
  assert.ok(cause.remedies.some(({ why }) => why.includes('training')))
  assert.deepEqual(kinds({ seen }), ['result-rounding'], 'no such activation')
  assert.deepEqual(kinds({ seen: { ...seen, negativeShare: 0.05 }, curve: 'HardSwish' }), ['result-rounding'])
  const fine = { ...stored, scale: 0.01 }
  assert.deepEqual(kinds({ seen, stored: fine, curve: 'HardSwish' }), ['result-rounding'], '37 steps do')
})

test('a signal below half a step is gone', () => {
  const cause = only({ stored: { ...stored, zeroedShare: 0.7 } })
  assert.equal(cause.kind, 'tiny-signal')
  assert.match(cause.sentence, /70 % of its elements are smaller than half a step \(0\.05\) and become zero/)
  assert.deepEqual(kinds({ stored: { ...stored, zeroedShare: 0.3 } }), ['result-rounding'])
})

test('a small addend loses its bits at the step of the sum', () => {
  const addends = [
    { name: 'skip', min: -10, max: 12 },
    { name: 'branch', min: -0.25, max: 0.25 },
  ]
  const cause = only({ addends })
  assert.equal(cause.kind, 'add-mismatch')
  // 22 over 0.5: 5.5 bits
  assert.match(cause.sentence, /^It adds branch, which spans 0\.5, to what spans 22: .* keeps 2\.5 of 8 bits/)
  assert.deepEqual(kinds({ addends: [addends[0]!, { name: 'branch', min: -2, max: 2 }] }), [
    'result-rounding',
  ])
})

test('a hurt branch of a concatenation is told even where the whole looks fine', () => {
  const concat = {
    sentence: 'One scale for branches whose ranges differ 100 times.',
    isOutput: true,
    keepFloat: ['boxes', 'scores'],
  }
  const cause = only({ db: 45, ownDb: 45, concat })
  assert.equal(cause.kind, 'concat-mismatch')
  assert.deepEqual(options(cause), ['--keep-float boxes --keep-float scores'])
  const ends = { db: 45, ownDb: 45, concat }
  assert.deepEqual(
    options(only(ends, { floatOutputs: false })),
    ['--io float'],
    'an integer output has one scale again',
  )
  const narrow = { ...plain.seen, min: 0, max: 1, bulk: { min: 0, max: 1 } }
  assert.deepEqual(
    kinds({ concat, seen: narrow }),
    ['concat-mismatch'],
    'the shared range is that of the concatenation',
  )
})

test('a constant shift is no noise', () => {
  const cause = only({ shiftShare: 0.7 }, { preset: 'fast' })
  assert.equal(cause.kind, 'bias-shift')
  assert.match(cause.sentence, /70 % of its own error is a constant shift/)
  assert.deepEqual(options(cause), ['--preset balanced'])
  assert.deepEqual(options(only({ shiftShare: 0.7 })), ['--samples', '--preset best'])
  assert.deepEqual(kinds({ shiftShare: 0.4 }), ['result-rounding'])
})

test('inherited error is laid on the layer that made it', () => {
  const inherits = { db: 8, ownDb: 35, operandDb: 9, origin: { name: 'culprit', ownDb: 12 } }
  const cause = only(inherits)
  assert.equal(cause.kind, 'accumulated')
  assert.equal(
    cause.sentence,
    'By itself it has 35.0 dB: the 8.0 dB come with what it reads, most of all from culprit (own 12.0 dB).',
  )
  assert.match(
    only({ ...inherits, operandDb: 20 }).sentence,
    /what it reads has 20\.0 dB, and grows through it to 8\.0 dB/,
  )
  assert.match(only({ ...inherits, ownDb: Number.POSITIVE_INFINITY }).sentence, /^Exact by itself/)
  const even = only({ ...inherits, origin: { name: 'one of many', ownDb: 33 } })
  assert.match(even.sentence, /none stands out: the most is of one of many \(own 33\.0 dB\)/)
  assert.deepEqual(options(even), ['--preset best', '--scheme int16x8', null])
})

test('a layer that is bad itself and reads bad operands is told both', () => {
  assert.deepEqual(kinds({ db: 3, ownDb: 20, shiftShare: 0.8, origin: { name: 'x', ownDb: 5 } }), [
    'bias-shift',
    'accumulated',
  ])
})

test('names are quoted for a shell, and shortened in sentences only', () => {
  const evil = `a'; rm -rf "$HOME"`
  const cause = only({ keepFloat: [evil, 'plain/name:0'] })
  assert.equal(options(cause)[0], `--keep-float 'a'\\''; rm -rf "$HOME"' --keep-float plain/name:0`)
  const long = `${'x'.repeat(500)}end`
  const inherits = only({ db: 8, ownDb: 35, origin: { name: long, ownDb: 12 } })
  assert.ok(inherits.sentence.length < 200 && inherits.sentence.includes('end (own'))
})

test('a remedy of several causes is named once', () => {
  const causes = causesOf({ ...plain, shiftShare: 0.7, stored: { ...stored, zeroedShare: 0.7 } }, asked)
  const all = causes.flatMap(options)
  assert.equal(causes.length, 2)
  assert.equal(new Set(all).size, all.length)
})
