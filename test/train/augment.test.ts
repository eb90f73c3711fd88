import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededGenerator } from '../../src/data/generator.ts'
import type { Tensor } from '../../src/tensor.ts'
import { parseAugment } from '../../src/train/augment.ts'
import type { PixelUnits } from '../../src/train/augment-plane.ts'

const height = 12
const width = 9
/** ImageNet's usual numbers. */
const normalized: PixelUnits = {
  kind: 'image',
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  channelOrder: 'RGB',
}
const raw: PixelUnits = { kind: 'image', scale: 1, mean: [0], std: [1], channelOrder: 'RGB' }

type Pixel = (y: number, x: number, channel: number) => number

/** A picture, channels last. */
function pictureOf(pixel: Pixel, channels = 3, high = height, wide = width): Tensor {
  const data = Float32Array.from({ length: high * wide * channels }, (_, at) =>
    pixel(Math.floor(at / (wide * channels)), Math.floor(at / channels) % wide, at % channels),
  )
  return { dtype: 'float32', shape: [1, high, wide, channels], data }
}

function pixelsOf({ data, shape }: Tensor): Pixel {
  const [, , wide, channels] = shape as [number, number, number, number]
  return (y, x, channel) => Number(data[(y * wide + x) * channels + channel])
}

function floats({ data }: Tensor): Float32Array {
  return data as Float32Array
}

function changed(written: string, tensor: Tensor, seed: number, units?: PixelUnits): Tensor {
  return parseAugment(
    written,
    tensor.shape.length === 4 ? 'NHWC' : null,
    units,
  )(new Map([['x', tensor]]), seed).get('x')!
}

const seeds = (count: number) => Array.from({ length: count }, (_, seed) => seed)
const noise = seededGenerator(1)
const random = pictureOf(() => noise.next() * 255)
/** Row, column and their product: all three are exact under bilinear interpolation. */
const ramps = pictureOf((y, x, channel) => [y, x, x * y][channel]!, 3, 15, 15)

function near(found: number, expected: number, what: string, tolerance = 1e-4): void {
  assert.ok(
    Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${what}: ${found}, not ${expected}`,
  )
}

const all = [
  ...[
    'shift:3',
    'shift:3:reflect',
    'shift:3:edge',
    'flip',
    'crop:0.3',
    'rotate:30',
    'zoom:0.3:edge',
    'shear:20:reflect',
  ],
  ...['brightness:0.4', 'contrast:0.4', 'saturation:0.4', 'cutout:4', 'time-shift:3', 'time-mask:5:columns'],
  ...['frequency-mask:4', 'noise:1', 'scale:0.2'],
]

test('every change is decided by its seed, and leaves the sample as it was', () => {
  const before = random.data.slice()
  for (const written of all) {
    const results = seeds(20).map((seed) => changed(written, random, seed, raw))
    assert.deepEqual(changed(written, random, 7, raw), results[7], written)
    assert.ok(new Set(results.map(({ data }) => data.join())).size > 1, `${written} differs by seed`)
    for (const { dtype, shape, data } of results) {
      assert.deepEqual([dtype, shape, data.length], [random.dtype, random.shape, random.data.length])
      assert.ok(
        data.every((value) => Number.isFinite(value)),
        written,
      )
    }
  }
  assert.deepEqual(random.data, before)
})

test('a picture with its channels first is changed like one with its channels last', () => {
  const planar = (tensor: Tensor): Tensor => {
    const pixel = pixelsOf(tensor)
    const data = Float32Array.from({ length: tensor.data.length }, (_, at) =>
      pixel(Math.floor(at / width) % height, at % width, Math.floor(at / (height * width))),
    )
    return { dtype: 'float32', shape: [1, 3, height, width], data }
  }
  for (const written of all.filter((name) => !name.startsWith('noise')))
    for (const layout of ['NCHW', null] as const)
      for (const seed of [1, 2, 3]) {
        const first = parseAugment(
          written,
          layout,
          normalized,
        )(new Map([['x', planar(random)]]), seed).get('x')!
        assert.deepEqual(first, planar(changed(written, random, seed, normalized)), written)
      }
})

test('shift moves by each of its offsets equally often, and fills with what black became', () => {
  const black = normalized.mean.map((mean, channel) => Math.fround((0 - mean) / normalized.std[channel]!))
  const pixel = pixelsOf(random)
  const counts = new Map<string, number>()
  for (const seed of seeds(900)) {
    const moved = pixelsOf(changed('shift:1', random, seed, normalized))
    const offsets = [-1, 0, 1].flatMap((down) => [-1, 0, 1].map((right) => [down, right] as const))
    const found = offsets.filter(([down, right]) => moved(5, 5, 0) === pixel(5 - down, 5 - right, 0))
    assert.equal(found.length, 1)
    const [down, right] = found[0]!
    counts.set(`${down},${right}`, (counts.get(`${down},${right}`) ?? 0) + 1)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let channel = 0; channel < 3; channel++) {
          const inside = y - down >= 0 && y - down < height && x - right >= 0 && x - right < width
          assert.equal(moved(y, x, channel), inside ? pixel(y - down, x - right, channel) : black[channel])
        }
  }
  assert.equal(counts.size, 9)
  // 8 degrees of freedom: below 26 but for one seed in 1,000
  const chi = [...counts.values()].reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0)
  assert.ok(chi < 26, `chi-squared ${chi}`)
})

test('what lies beyond an edge is black, mirrored without the edge itself, or the edge', () => {
  const row: Tensor = { dtype: 'float32', shape: [1, 1, 4, 1], data: Float32Array.of(1, 2, 3, 4) }
  const expected = {
    black: ['0,0,0,0', '0,0,0,1', '0,0,1,2', '0,1,2,3', '1,2,3,4', '2,3,4,0', '3,4,0,0', '4,0,0,0'],
    edge: ['1,1,1,1', '1,1,1,2', '1,1,2,3', '1,2,3,4', '2,3,4,4', '3,4,4,4', '4,4,4,4'],
    // ... 3 4 3 2 1 2 3 4 3 2 1 2 ... from every place
    reflect: ['1,2,3,4', '2,1,2,3', '2,3,4,3', '3,2,1,2', '3,4,3,2', '4,3,2,1'],
  }
  for (const [fill, rows] of Object.entries(expected)) {
    const seen = new Set(seeds(300).map((seed) => changed(`shift:4:${fill}`, row, seed).data.join()))
    // beyond a single row, black is all that a shift down or up leaves
    assert.deepEqual([...seen].sort(), [...rows].sort(), fill)
  }
})

test('flip mirrors left and right, half of the samples unless another share is written', () => {
  const pixel = pixelsOf(random)
  const mirrored = pictureOf((y, x, channel) => pixel(y, width - 1 - x, channel))
  const share = (written: string) => {
    const flips = seeds(1000).filter((seed) => {
      const { data } = changed(written, random, seed)
      const flipped = data[0] !== random.data[0]
      assert.deepEqual(data, flipped ? mirrored.data : random.data)
      return flipped
    })
    return flips.length / 1000
  }
  near(share('flip'), 0.5, 'flip', 0.05)
  near(share('flip:0.1'), 0.1, 'flip:0.1', 0.03)
  assert.equal(share('flip:1'), 1)
})

test('crop takes a part of an area and aspect within its ranges, and enlarges it exactly', () => {
  const [areas, aspects]: [number[], number[]] = [[], []]
  for (const seed of seeds(400)) {
    const pixel = pixelsOf(changed('crop:0.3', ramps, seed))
    // between pixels 2 and 12 nothing touches an edge
    const rows = (pixel(12, 7, 0) - pixel(2, 7, 0)) / 10
    const columns = (pixel(7, 12, 1) - pixel(7, 2, 1)) / 10
    areas.push(rows * columns)
    aspects.push(columns / rows)
    const top = pixel(7, 7, 0) - 7.5 * rows + 0.5
    const left = pixel(7, 7, 1) - 7.5 * columns + 0.5
    assert.ok(top > -1e-4 && left > -1e-4 && top + 15 * rows < 15.0001 && left + 15 * columns < 15.0001)
    for (let y = 1; y < 14; y++)
      for (let x = 1; x < 14; x++) {
        near(pixel(y, x, 0), top + (y + 0.5) * rows - 0.5, 'row')
        near(pixel(y, x, 2), pixel(y, x, 0) * pixel(y, x, 1), 'product')
      }
  }
  assert.ok(Math.min(...areas) >= 0.2999 && Math.min(...areas) < 0.33, `${Math.min(...areas)}`)
  assert.ok(Math.max(...areas) <= 1.0001 && Math.max(...areas) > 0.9, `${Math.max(...areas)}`)
  assert.ok(Math.min(...aspects) >= 0.7499 && Math.min(...aspects) < 0.77, `${Math.min(...aspects)}`)
  assert.ok(Math.max(...aspects) <= 1.3334 && Math.max(...aspects) > 1.3, `${Math.max(...aspects)}`)
})

test('rotation, zoom and shear map pixels linearly about the centre, within their amounts', () => {
  const amounts = { rotate: [] as number[], zoom: [] as number[], shear: [] as number[] }
  const limits = { rotate: 20, zoom: 0.2, shear: 15 }
  const degrees = (tangent: number) => (Math.atan(tangent) * 180) / Math.PI
  for (const name of ['rotate', 'zoom', 'shear'] as const)
    for (const seed of seeds(200)) {
      const pixel = pixelsOf(changed(`${name}:${limits[name]}`, ramps, seed))
      near(pixel(7, 7, 0), 7, 'the centre stays')
      near(pixel(7, 7, 1), 7, 'the centre stays')
      const [a, b] = [pixel(8, 7, 0) - 7, pixel(7, 8, 0) - 7]
      const [c, d] = [pixel(8, 7, 1) - 7, pixel(7, 8, 1) - 7]
      for (const [y, x] of [
        [5, 9],
        [10, 8],
        [4, 4],
      ] as const) {
        near(pixel(y, x, 0), 7 + a * (y - 7) + b * (x - 7), name)
        near(pixel(y, x, 1), 7 + c * (y - 7) + d * (x - 7), name)
        near(pixel(y, x, 2), pixel(y, x, 0) * pixel(y, x, 1), name)
      }
      if (name === 'rotate') {
        for (const [found, expected] of [
          [a, d],
          [b, -c],
          [a * d - b * c, 1],
        ] as const)
          near(found, expected, name)
        amounts.rotate.push(degrees(c / a))
      } else if (name === 'zoom') {
        for (const [found, expected] of [
          [a, d],
          [b, 0],
          [c, 0],
        ] as const)
          near(found, expected, name)
        amounts.zoom.push(1 / a - 1)
      } else {
        for (const [found, expected] of [
          [a, 1],
          [b, 0],
          [d, 1],
        ] as const)
          near(found, expected, name)
        amounts.shear.push(degrees(c))
      }
    }
  for (const name of ['rotate', 'zoom', 'shear'] as const) {
    const [least, most] = [Math.min(...amounts[name]), Math.max(...amounts[name])]
    const limit = limits[name]
    assert.ok(least >= -1.001 * limit && least < -0.9 * limit, `${name} from ${least}`)
    assert.ok(most <= 1.001 * limit && most > 0.9 * limit, `${name} to ${most}`)
  }
})

test('corners that a rotation uncovers are filled as asked', () => {
  const white = pictureOf(() => 10, 1, 9, 9)
  const turned = (fill: string) =>
    seeds(20).map((seed) => changed(`rotate:45:${fill}`, white, seed, { ...raw, mean: [3], std: [2] }).data)
  assert.ok(turned('edge').every((data) => data.every((value) => value === 10)))
  assert.ok(turned('reflect').every((data) => data.every((value) => value === 10)))
  assert.ok(
    turned('black').some((data) => data[0] === -1.5),
    'black is (0 − 3) / 2',
  )
})

/** Raw values of a normalized sample. */
function rawOf(sample: Tensor, units: PixelUnits): number[] {
  return Array.from(floats(sample), (value, at) => {
    const channel = units.mean.length === 1 ? 0 : at % sample.shape[3]!
    return (value * units.std[channel]! + units.mean[channel]!) / units.scale
  })
}

function normalize(values: Tensor, units: PixelUnits): Tensor {
  const data = floats(values).map((value, at) => {
    const channel = units.mean.length === 1 ? 0 : at % values.shape[3]!
    return (value * units.scale - units.mean[channel]!) / units.std[channel]!
  })
  return { ...values, data }
}

const bounded = (value: number) => Math.min(255, Math.max(0, value))

test('brightness, contrast and saturation are what they are on the raw picture, whatever normalization did', () => {
  for (const order of ['RGB', 'BGR'] as const) {
    const luma = order === 'RGB' ? [0.299, 0.587, 0.114] : [0.114, 0.587, 0.299]
    const before = [...floats(random)]
    const gray = before.map((_, at) => {
      const first = at - (at % 3)
      return luma.reduce((sum, weight, channel) => sum + weight * before[first + channel]!, 0)
    })
    const mean = gray.reduce((sum, value) => sum + value, 0) / gray.length
    const other = { brightness: () => 0, contrast: () => mean, saturation: (at: number) => gray[at]! }
    const units = { ...normalized, channelOrder: order }
    for (const name of ['brightness', 'contrast', 'saturation'] as const) {
      const factors: number[] = []
      for (const seed of seeds(200)) {
        const after = rawOf(changed(`${name}:0.4`, normalize(random, units), seed, units), units)
        // the factor, from the element that is farthest from what it is drawn to and was not clipped
        const far = (at: number) => Math.abs(before[at]! - other[name](at))
        const free = before.map((_, at) => at).filter((at) => after[at]! > 1 && after[at]! < 254)
        const best = free.reduce((a, b) => (far(a) < far(b) ? b : a))
        const factor = (after[best]! - other[name](best)) / (before[best]! - other[name](best))
        factors.push(factor)
        after.forEach((value, at) => {
          near(
            value,
            bounded(factor * before[at]! + (1 - factor) * other[name](at)),
            `${name} by ${factor}`,
            2e-3,
          )
        })
      }
      assert.ok(
        Math.min(...factors) > 0.599 && Math.min(...factors) < 0.65,
        `${name} ${Math.min(...factors)}`,
      )
      assert.ok(
        Math.max(...factors) < 1.401 && Math.max(...factors) > 1.35,
        `${name} ${Math.max(...factors)}`,
      )
    }
  }
})

test('values that are no 8-bit picture are not clipped', () => {
  const bright = pictureOf(() => 300, 1)
  const factors = seeds(50).map((seed) => Number(changed('brightness:0.5', bright, seed).data[0]) / 300)
  assert.ok(Math.max(...factors) > 1.4)
})

test('cutout blanks one square, cut off at the edges, with its centre anywhere', () => {
  const ones = pictureOf(() => 1, 2, 6, 6)
  const centres = new Set<string>()
  for (const seed of seeds(1500)) {
    const pixel = pixelsOf(changed('cutout:3', ones, seed))
    const places = Array.from({ length: 36 }, (_, at) => [Math.floor(at / 6), at % 6] as const)
    const blank = places.filter(([y, x]) => pixel(y, x, 0) === 0)
    assert.ok(places.every(([y, x]) => pixel(y, x, 0) === pixel(y, x, 1)))
    const [ys, xs] = [blank.map(([y]) => y), blank.map(([, x]) => x)]
    const span = (some: number[]) => Math.max(...some) - Math.min(...some) + 1
    assert.equal(blank.length, span(ys) * span(xs))
    assert.ok([2, 3].includes(span(ys)) && [2, 3].includes(span(xs)))
    centres.add([Math.min(...ys), Math.max(...ys), Math.min(...xs), Math.max(...xs)].join())
  }
  assert.equal(centres.size, 36)
})

test('noise has its deviation, scale one factor', () => {
  const zeros: Tensor = { dtype: 'float32', shape: [1, 20_000], data: new Float32Array(20_000) }
  const data = [...floats(changed('noise:0.5', zeros, 3))]
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length
  const deviation = Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length)
  assert.ok(Math.abs(mean) < 0.015 && Math.abs(deviation - 0.5) < 0.01, `${mean}, ${deviation}`)
  const factors = seeds(100).map((seed) => {
    const scaled = changed('scale:0.2', random, seed)
    const factor = Number(scaled.data[5]) / Number(random.data[5])
    scaled.data.forEach((value, at) => {
      near(Number(value), factor * Number(random.data[at]), 'scaled')
    })
    return factor
  })
  assert.ok(Math.min(...factors) >= 0.8 && Math.min(...factors) < 0.83 && Math.max(...factors) > 1.17)
})

test('changes are made in the order written', () => {
  const ones = pictureOf(() => 1, 1)
  const seed = seeds(50).find((some) => floats(changed('scale:0.5,cutout:4', ones, some)).includes(0))!
  const cutLast = new Set(floats(changed('noise:1,cutout:4', ones, seed)))
  const cutFirst = new Set(floats(changed('cutout:4,noise:1', ones, seed)))
  assert.ok(cutLast.has(0) && !cutFirst.has(0))
})

test('of several inputs those that fit are changed, alike where their shapes are', () => {
  const other = new Map<string, Tensor>([
    ['left', random],
    ['right', random],
    ['age', { dtype: 'float32', shape: [1, 1], data: Float32Array.of(40) }],
    ['words', { dtype: 'int64', shape: [1, 2], data: BigInt64Array.of(1n, 2n) }],
  ])
  const made = parseAugment('shift:3,flip', 'NHWC')(other, 11)
  assert.deepEqual([...made.keys()], [...other.keys()])
  assert.notDeepEqual(made.get('left'), random)
  assert.deepEqual(made.get('left'), made.get('right'))
  assert.equal(made.get('age'), other.get('age'))
  assert.equal(made.get('words'), other.get('words'))
})

test('none changes nothing', () => {
  const inputs = new Map([['x', random]])
  assert.equal(parseAugment('none', null)(inputs, 1), inputs)
})

test('a change that no input can take is an error, not nothing', () => {
  const cases: [string, Tensor][] = [
    ['shift:2', { dtype: 'float32', shape: [1, 640], data: new Float32Array(640) }],
    ['noise:0.1', { dtype: 'uint8', shape: [1, 8, 8, 3], data: new Uint8Array(192) }],
    ['saturation:0.1', pictureOf(() => 1, 1)],
    ['frequency-mask:2', { dtype: 'float32', shape: [1, 1, 16_000], data: new Float32Array(16_000) }],
    ['flip', { dtype: 'float32', shape: [1, 2, 2, 2, 2], data: new Float32Array(16) }],
    ['flip', { dtype: 'float32', shape: [2, 4, 4], data: new Float32Array(32) }],
  ]
  for (const [written, tensor] of cases)
    assert.throws(() => changed(written, tensor, 1), { code: 'CONFIG_INVALID', where: '--augment' }, written)
  for (const shape of [
    [1, 3, 8, 3],
    [1, 8, 8, 8],
  ]) {
    const tensor: Tensor = { dtype: 'float32', shape, data: new Float32Array(shape.reduce((a, b) => a * b)) }
    assert.throws(() => parseAugment('flip', null)(new Map([['x', tensor]]), 1), {
      code: 'CONFIG_INVALID',
      hint: /layout: NCHW/,
    })
  }
})

test('what is not a change is refused by name, with what there is', () => {
  for (const written of [
    ...[
      '',
      'mirror',
      'toString:1',
      '__proto__',
      'shift',
      'shift:',
      'shift:0',
      'shift:-1',
      'shift:1.5',
      'shift:NaN',
    ],
    ...[
      'shift:4:mirror',
      'shift:4:edge:edge',
      'shift:1e9',
      'flip:2',
      'flip:0',
      'crop:0',
      'crop:1.1',
      'zoom:1',
    ],
    ...[
      'noise',
      'noise:edge',
      'noise:1:edge',
      'rotate:181',
      'time-mask:3:edge',
      'shift:2,',
      'shift:2,,flip',
      'flip,none',
    ],
  ])
    assert.throws(
      () => parseAugment(written, null),
      (error: { code?: string; hint?: string }) =>
        error.code === 'CONFIG_INVALID' && error.hint!.includes('frequency-mask:2'),
      written,
    )
})
