import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { seededGenerator } from '../../src/data/generator.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Graph } from '../../src/graph/types.ts'
import { SmallGraph } from '../targets/small-graphs.ts'

const side = 640
const cell = 64
const cells = side / cell
const stride = 4
const fine = side / stride

/**
 * A detector of red, green and blue squares made by hand, with the head of a YOLOv8: [1, 4 + 3, 100], centres and sizes
 * in pixels beside scores of 0 to 1. In each cell of 64 pixels the farthest coloured pixels, found by the highest of a
 * ramp over a mask, are the sides of the box; it is exact for one square a cell on a grid of 4 pixels.
 */
export function squareDetector(): Graph {
  const graph = new SmallGraph('squares')
  const x = graph.input('picture', 1, 3, side, side)
  const stem = [0, 1, 2].flatMap((own) =>
    [0, 1, 2].flatMap((channel) => new Array(stride ** 2).fill((channel === own ? 1 : -0.5) / stride ** 2)),
  )
  const colour = graph.node(
    { kind: 'Relu' },
    [graph.node(conv(stride), [x, graph.constant([3, 3, stride, stride], stem), null], 'stem')],
    'colour',
  )
  const mask = graph.node(
    { kind: 'Clip', min: 0, max: 1 },
    [
      graph.node(
        conv(1),
        [colour, graph.constant([1, 3, 1, 1], [10, 10, 10]), graph.constant([1], [-1])],
        'any',
      ),
    ],
    'mask',
  )
  const marked = graph.node(
    { kind: 'Binary', fn: 'Mul' },
    [mask, graph.constant([1, 4, fine, fine], ramps())],
    'marked',
  )
  const edges = graph.node(maxPool(cell / stride), [marked], 'edges')
  // of left, right, top, bottom reach: half of their difference is the centre's offset, their sum the size and a cell
  const decode = [-0.5, 0.5, 0, 0, 0, 0, -0.5, 0.5, 1, 1, 0, 0, 0, 0, 1, 1]
  const offsets = graph.node(
    conv(1),
    [edges, graph.constant([4, 4, 1, 1], decode), graph.constant([4], [cell / 2, cell / 2, -cell, -cell])],
    'offsets',
  )
  const boxes = graph.node(
    { kind: 'Binary', fn: 'Add' },
    [offsets, graph.constant([1, 4, cells, cells], corners())],
    'boxes',
  )
  const logits = graph.node(
    conv(1),
    [
      graph.node(maxPool(cell / stride), [colour], 'strongest'),
      graph.constant([3, 3, 1, 1], [12, 0, 0, 0, 12, 0, 0, 0, 12]),
      graph.constant([3], [-4, -4, -4]),
    ],
    'logits',
  )
  const flat = (name: string, value: string, channels: number) =>
    graph.node({ kind: 'Reshape', shape: [1, channels, cells ** 2] }, [value], name)
  const scores = graph.node({ kind: 'Sigmoid' }, [flat('flat_logits', logits, 3)], 'scores')
  return graph.finish(graph.node({ kind: 'Concat', axis: 1 }, [flat('flat_boxes', boxes, 4), scores], 'head'))
}

/** Distance to the far side of the cell, to the left, right, top and bottom. */
function ramps(): number[] {
  const along = (at: number) => ((at * stride) % cell) + stride
  const plane = (of: (y: number, x: number) => number) =>
    Array.from({ length: fine ** 2 }, (_, i) => of(Math.floor(i / fine), i % fine))
  return [
    ...plane((_, x) => cell + stride - along(x)),
    ...plane((_, x) => along(x)),
    ...plane((y) => cell + stride - along(y)),
    ...plane((y) => along(y)),
  ]
}

function corners(): number[] {
  const plane = (of: (y: number, x: number) => number) =>
    Array.from({ length: cells ** 2 }, (_, i) => of(Math.floor(i / cells), i % cells))
  return [...plane((_, x) => x * cell), ...plane((y) => y * cell), ...new Array(2 * cells ** 2).fill(0)]
}

function conv(step: number): Op {
  return {
    kind: 'Conv',
    group: 1,
    layout: 'channels-first',
    strides: [step, step],
    dilations: [1, 1],
    padsBegin: [0, 0],
    padsEnd: [0, 0],
  }
}

function maxPool(size: number): Op {
  return {
    kind: 'MaxPool',
    kernel: [size, size],
    strides: [size, size],
    dilations: [1, 1],
    padsBegin: [0, 0],
    padsEnd: [0, 0],
    ceilMode: false,
    layout: 'channels-first',
  }
}

/** Pictures of coloured squares on noise with labels as YOLO has them, and their data.yaml; the folder's own path. */
export async function writeSquares(folder: string, pictures: number, seed = 5): Promise<string> {
  const random = seededGenerator(seed)
  await mkdir(join(folder, 'images'), { recursive: true })
  await mkdir(join(folder, 'labels'), { recursive: true })
  for (let index = 0; index < pictures; index++) {
    const pixels = Buffer.from(
      Array.from({ length: side * side }, () => 100 + random.integer(12)).flatMap((v) => [v, v, v]),
    )
    const lines: string[] = []
    for (let count = 0, taken = new Set<number>(); count < 8; count++) {
      const at = random.integer(cells ** 2)
      if (taken.has(at)) continue
      taken.add(at)
      const [width, height] = [24 + 4 * random.integer(9), 24 + 4 * random.integer(9)]
      const left = (at % cells) * cell + 4 * random.integer((cell - width) / 4 + 1)
      const top = Math.floor(at / cells) * cell + 4 * random.integer((cell - height) / 4 + 1)
      const own = random.integer(3)
      const strength = 90 + random.integer(150)
      for (let y = top; y < top + height; y++)
        for (let x = left; x < left + width; x++)
          for (let channel = 0; channel < 3; channel++)
            pixels[(y * side + x) * 3 + channel] = channel === own ? strength : 4
      lines.push(
        [own, ...[left + width / 2, top + height / 2, width, height].map((of) => of / side)].join(' '),
      )
    }
    await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
      .png({ compressionLevel: 1 })
      .toFile(join(folder, `images/${index}.png`))
    await writeFile(join(folder, `labels/${index}.txt`), `${lines.join('\n')}\n`)
  }
  await writeFile(
    join(folder, 'data.yaml'),
    `
files: {images: images}
preprocess: {fit: letterbox, scale: 0.00392156862745098}
labels: {yolo: labels}
classNames: [red, green, blue]
detection: {format: yolo-v8}
`,
  )
  return folder
}
