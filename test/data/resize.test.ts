import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ResizeKernel, resizePicture } from '../../src/data/resize.ts'

// Expected values were computed with Pillow 12.0 (Image.resize; version 13 may do the vertical pass first, which moves values by one) and PyTorch 2.13 (torch.nn.functional.interpolate) on this picture.
const from = { height: 7, width: 9, channels: 3 }
const picture = Uint8Array.from({ length: 7 * 9 * 3 }, (_, i) => (i * i * 31 + i * 17 + (i % 5) * 40) % 256)

const pillowDown: Record<ResizeKernel, number[]> = {
  nearest: [
    250, 150, 112, 124, 140, 218, 182, 58, 252, 168, 160, 14, 164, 140, 122, 214, 250, 92, 136, 32, 246, 242,
    254, 72, 190, 130, 188, 48, 160, 22, 146, 62, 40, 116, 148, 242,
  ],
  bilinear: [
    149, 159, 135, 121, 173, 169, 133, 100, 159, 163, 120, 93, 125, 165, 106, 172, 147, 138, 134, 121, 146,
    90, 163, 144, 155, 133, 122, 146, 101, 112, 140, 105, 143, 131, 125, 205,
  ],
  bicubic: [
    150, 158, 136, 118, 182, 172, 130, 95, 162, 172, 120, 85, 119, 171, 100, 185, 142, 143, 132, 123, 146, 75,
    167, 146, 154, 133, 121, 151, 92, 109, 137, 106, 143, 134, 125, 210,
  ],
  lanczos3: [
    153, 160, 140, 117, 186, 175, 126, 90, 160, 181, 122, 81, 120, 174, 96, 193, 137, 145, 130, 128, 147, 65,
    168, 146, 151, 132, 120, 159, 84, 105, 134, 111, 143, 134, 124, 214,
  ],
}
const pillowUp: Record<ResizeKernel, number[]> = {
  nearest: [
    0, 88, 238, 194, 212, 92, 234, 182, 192, 234, 182, 192, 8, 198, 138, 140, 204, 74, 62, 56, 112, 230, 154,
    196, 230, 154, 196, 244, 98, 14,
  ],
  bilinear: [
    33, 81, 192, 164, 161, 124, 207, 194, 146, 145, 189, 177, 61, 177, 150, 127, 171, 87, 106, 77, 146, 146,
    110, 191, 192, 131, 121, 216, 107, 48,
  ],
  bicubic: [
    27, 68, 199, 171, 163, 120, 228, 202, 143, 143, 189, 184, 48, 177, 147, 134, 176, 78, 98, 70, 147, 139,
    110, 210, 201, 137, 118, 230, 103, 28,
  ],
  lanczos3: [
    25, 58, 198, 165, 156, 124, 240, 212, 136, 129, 181, 192, 51, 177, 137, 140, 177, 72, 103, 73, 142, 125,
    105, 227, 204, 146, 110, 236, 97, 24,
  ],
}
const torchBilinear = [
  169.0833, 134.6667, 120.5833, 95.75, 165.5, 189.5833, 138.1667, 66.0833, 207.6667, 184.3333, 111.0833, 41.5,
  105.5, 182.75, 95.0, 208.0, 220.75, 103.5, 120.25, 46.5, 219.75, 154.25, 236.0, 123.75, 177.5834, 136.5,
  138.0833, 83.9167, 120.6667, 39.75, 156.6666, 56.5834, 76.5, 161.1666, 141.5833, 213.6667,
]

for (const kernel of ['nearest', 'bilinear', 'bicubic', 'lanczos3'] as const) {
  test(`${kernel} with antialiasing shrinks as Pillow does, bit for bit`, () => {
    assert.deepEqual(
      [...resizePicture(picture, from, { height: 3, width: 4 }, kernel, true)],
      pillowDown[kernel],
    )
  })
  test(`${kernel} with antialiasing enlarges as Pillow does, bit for bit`, () => {
    assert.deepEqual(
      [...resizePicture(picture, from, { height: 5, width: 11 }, kernel, true)].slice(0, 30),
      pillowUp[kernel],
    )
  })
}

test('bilinear without antialiasing is PyTorch interpolate with half-pixel centres, fractions kept', () => {
  const out = resizePicture(picture, from, { height: 3, width: 4 }, 'bilinear', false)
  assert.ok(out instanceof Float32Array)
  for (let i = 0; i < out.length; i++)
    assert.ok(Math.abs(out[i]! - torchBilinear[i]!) < 1e-3, `${i}: ${out[i]} beside ${torchBilinear[i]}`)
})

test('a resize to the same size leaves the pixels untouched', () => {
  assert.equal(resizePicture(picture, from, { height: 7, width: 9 }, 'lanczos3', true), picture)
})

// tf.image.resize of TensorFlow 2.21, antialias=False, the first 24 values of 3×4. Its bicubic reads weights from a table of 1024.
const tensorflow = {
  bilinear: [
    169.083, 134.667, 120.583, 95.75, 165.5, 189.583, 138.167, 66.083, 207.667, 184.333, 111.083, 41.5, 105.5,
    182.75, 95.0, 208.0, 220.75, 103.5, 120.25, 46.5, 219.75, 154.25, 236.0, 123.75,
  ],
  bicubic: [
    181.389, 125.48, 118.418, 94.469, 158.507, 194.4, 139.554, 62.846, 228.007, 197.434, 109.664, 20.079,
    105.633, 191.25, 90.776, 208.164, 231.031, 102.352, 118.281, 32.117, 237.688, 170.937, 243.521, 126.034,
  ],
  lanczos3: [
    177.804, 117.856, 121.359, 93.603, 156.776, 193.007, 129.043, 63.841, 244.095, 212.593, 106.01, 14.441,
    102.195, 205.892, 83.701, 204.535, 223.401, 109.165, 109.056, 28.173, 239.77, 176.136, 242.824, 137.416,
  ],
}
for (const kernel of ['bilinear', 'bicubic', 'lanczos3'] as const)
  test(`${kernel} without antialiasing is tf.image.resize`, () => {
    const out = resizePicture(picture, from, { height: 3, width: 4 }, kernel, false)
    tensorflow[kernel].forEach((expected, i) => {
      assert.ok(
        Math.abs(out[i]! - expected) < (kernel === 'bicubic' ? 0.1 : 2e-2),
        `${i}: ${out[i]} beside ${expected}`,
      )
    })
  })
