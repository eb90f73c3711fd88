import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tensor } from '../../src/tensor.ts'
import { parseAugment } from '../../src/train/augment.ts'

function changed(written: string, tensor: Tensor, seed: number): Tensor {
  return parseAugment(written, 'NHWC')(new Map([['x', tensor]]), seed).get('x')!
}

const seeds = (count: number) => Array.from({ length: count }, (_, seed) => seed)
const frames = 6
const bins = 3
const spectrogram: Tensor = {
  dtype: 'float32',
  shape: [1, frames, bins],
  data: Float32Array.from({ length: frames * bins }, (_, at) => at),
}
const turned: Tensor = {
  ...spectrogram,
  shape: [1, bins, frames],
  data: Float32Array.from(
    { length: frames * bins },
    (_, at) => (at % frames) * bins + Math.floor(at / frames),
  ),
}

test('a spectrogram shifts in time with its edge after it, a signal with silence', () => {
  const edge = new Set(seeds(200).map((seed) => changed('time-shift:2', spectrogram, seed).data.join()))
  const row = (frame: number) => [3 * frame, 3 * frame + 1, 3 * frame + 2]
  const expected = [-2, -1, 0, 1, 2].map((by) =>
    [0, 1, 2, 3, 4, 5].flatMap((frame) => row(Math.min(5, Math.max(0, frame - by)))).join(),
  )
  assert.deepEqual([...edge].sort(), expected.sort())
  for (const shape of [
    [1, 4],
    [1, 1, 4],
    [1, 4, 1],
    [1, 1, 4, 1],
    [1, 4, 1, 1],
  ]) {
    const signal: Tensor = { dtype: 'float32', shape, data: Float32Array.of(1, 2, 3, 4) }
    const seen = new Set(seeds(100).map((seed) => changed('time-shift:1', signal, seed).data.join()))
    assert.deepEqual([...seen].sort(), ['0,1,2,3', '1,2,3,4', '2,3,4,0'], `[${shape}]`)
  }
})

test('masks hide up to so many frames or frequencies behind the mean of each frequency', () => {
  const means = [7.5, 8.5, 9.5]
  for (const [written, most, axis] of [
    ['time-mask:3', 3, 0],
    ['frequency-mask:2', 2, 1],
  ] as const) {
    const seen = new Set<string>()
    for (const seed of seeds(600)) {
      const { data } = changed(written, spectrogram, seed)
      const hidden: number[] = []
      data.forEach((value, at) => {
        if (Number(value) === at) return
        assert.equal(Number(value), means[at % bins])
        hidden.push(axis === 0 ? Math.floor(at / bins) : at % bins)
      })
      const places = [...new Set(hidden)].sort()
      assert.ok(places.length <= most)
      assert.equal(hidden.length, places.length * (axis === 0 ? bins : frames), 'across the whole other axis')
      if (places.length > 0) assert.equal(places.at(-1)! - places[0]! + 1, places.length, 'neighbours')
      seen.add(places.join())
    }
    const size = axis === 0 ? frames : bins
    let possible = 1
    for (let wide = 1; wide <= most; wide++) possible += size - wide + 1
    assert.equal(seen.size, possible, `${written}: every width at every place`)
  }
})

test('time may run along the columns', () => {
  for (const written of ['time-shift:2', 'time-mask:3', 'frequency-mask:2'])
    for (const seed of seeds(20)) {
      const along = changed(`${written}:columns`, turned, seed).data
      const down = changed(written, spectrogram, seed).data
      along.forEach((value, at) => {
        assert.equal(value, down[(at % frames) * bins + Math.floor(at / frames)], written)
      })
    }
})
