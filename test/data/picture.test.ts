import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pictureTensor } from '../../src/data/picture.ts'
import type { Preprocessing } from '../../src/data/types.ts'
import { sha256 } from '../../src/digest.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'

const torchvision: Preprocessing = {
  kind: 'image',
  resize: { height: 256, width: 256, fit: 'short-side', kernel: 'bilinear', antialias: true },
  crop: { height: 224, width: 224, anchor: 'centre' },
  channelOrder: 'RGB',
  layout: 'NHWC',
  scale: 1,
  mean: [0],
  std: [1],
  audio: null,
  dequantize: null,
  labelOffset: 0,
}

// sha256 of the 224×224×3 bytes that Pillow 12.0 gives: open, convert('RGB'), resize of the short side to 256, centre crop.
const pillow: Record<string, string> = {
  'imagenet/val/n01484850_great_white_shark.JPEG':
    'bbd9388a10c91898dd37e87e86fccda9456bc7b8466148aae10ff0827a2b23e1',
  'imagenet/val/n02676566_acoustic_guitar.JPEG':
    '2568d95634b1a8d63c5052a8ae2fd6e6df7d87b2c2fd11412a457916ccf00d33',
  'imagenet/tune256/n01560419_bulbul.JPEG':
    'a04864e9c8b8b2626c236189592f921cdebaf8af5e61337b04d20f34bc9cdebb',
  'imagenet/val/n03109150_corkscrew.JPEG': 'd001b2bf33252586769539e5bb193b847034aac2297cbf839d5d456aa61b8cb1',
  'imagenet/tune256/n01443537_goldfish.JPEG':
    'da69a57af7ae2438b3af3766716c19c94ece082083eb7aa293feafd68f3717a3',
}

for (const [name, digest] of Object.entries(pillow))
  test(`${name} is decoded, resized and cropped bit for bit as Pillow and torchvision do`, {
    skip: fixturesMissing,
  }, async () => {
    const { data } = await pictureTensor(
      fixture(name),
      name,
      { name: 'x', dtype: 'uint8', shape: [1, 224, 224, 3] },
      torchvision,
    )
    assert.equal(sha256(data as Uint8Array), digest)
  })
