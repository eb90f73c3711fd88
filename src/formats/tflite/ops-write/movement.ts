import { numbersOf } from '../../../graph/constant.ts'
import { constantOfNumbers } from '../../../graph/encode.ts'
import { sliceExtent } from '../../../graph/infer.ts'
import { options } from '../write-graph.ts'
import type { NodeInWriting } from './context.ts'

export function writeReshape(node: NodeInWriting<'Reshape'>): void {
  const { shape } = node.op
  node.write(
    'RESHAPE',
    [node.input(0), node.integers(shape, 'shape')],
    options('ReshapeOptions', { newShape: shape }),
  )
}

export function writeConcat(node: NodeInWriting<'Concat'>): void {
  node.write('CONCATENATION', node.inputs, options('ConcatenationOptions', { axis: node.op.axis }))
}

export function writeSplit(node: NodeInWriting<'Split'>): void {
  const { axis, sizes } = node.op
  const along = node.integers([axis], 'axis', [])
  const numSplits = sizes.length
  if (sizes.every((size) => size === sizes[0]))
    node.write('SPLIT', [along, node.input(0)], options('SplitOptions', { numSplits }))
  else
    node.write(
      'SPLIT_V',
      [node.input(0), node.integers(sizes, 'sizes'), along],
      options('SplitVOptions', { numSplits }),
    )
}

export function writeSlice(node: NodeInWriting<'Slice'>): void {
  const { axes, starts, ends, steps } = node.op
  const { shape } = node.type(0)
  const cuts = shape.map((size, axis) => {
    const i = axes.indexOf(axis)
    return i < 0
      ? { start: 0, count: size, step: 1 }
      : { ...sliceExtent(size, starts[i]!, ends[i]!, steps[i]!), step: steps[i]! }
  })
  const begin = node.integers(
    cuts.map(({ start }) => start),
    'begin',
  )
  if (cuts.every(({ step }) => step === 1)) {
    node.write('SLICE', [
      node.input(0),
      begin,
      node.integers(
        cuts.map(({ count }) => count),
        'size',
      ),
    ])
    return
  }
  // an end before the first element can only be left out
  const stops = cuts.map(({ start, count, step }) => start + count * step)
  const endMask = stops.reduce((mask, stop, axis) => (stop < 0 ? mask | (1 << axis) : mask), 0)
  const end = node.integers(
    stops.map((stop, axis) => Math.min(Math.max(stop, 0), shape[axis]!)),
    'end',
  )
  const strides = node.integers(
    cuts.map(({ step }) => step),
    'strides',
  )
  node.write(
    'STRIDED_SLICE',
    [node.input(0), begin, end, strides],
    options('StridedSliceOptions', { endMask }),
  )
}

/** Negative pads crop: first, so that what is mirrored is what is left. */
export function writePad(node: NodeInWriting<'Pad'>): void {
  const { mode, padsBegin, padsEnd, value } = node.op
  const { shape } = node.type(0)
  const crops = [...padsBegin, ...padsEnd].some((pad) => pad < 0)
  const begin = padsBegin.map((pad) => Math.max(-pad, 0))
  const size = shape.map((length, axis) => length - begin[axis]! - Math.max(-padsEnd[axis]!, 0))
  const x = crops
    ? node.moved(
        'SLICE',
        node.input(0),
        [node.integers(begin, 'begin'), node.integers(size, 'size')],
        'cropped',
        size,
      )
    : node.input(0)
  const pairs = padsBegin.flatMap((pad, axis) => [Math.max(pad, 0), Math.max(padsEnd[axis]!, 0)])
  const paddings = node.integers(pairs, 'paddings', [padsBegin.length, 2])
  if (mode === 'reflect') node.write('MIRROR_PAD', [x, paddings], options('MirrorPadOptions', { mode: 0 }))
  else if (mode !== 'constant') throw node.unsupported(`a pad of mode ${mode}`)
  else if (value === 0) node.write('PAD', [x, paddings])
  else node.write('PADV2', [x, paddings, node.scalar(value, 'value', node.type(0))])
}

export function writeResize(node: NodeInWriting<'Resize'>): void {
  const { op } = node
  const { shape } = node.type(0)
  const [batch, height, width, channels] = op.sizes
  const spatial = shape.length === 4 && batch === shape[0] && channels === shape[3]
  const coordinates = resizeOptions(node)
  if (!spatial || !coordinates || op.antialias || op.excludeOutside || op.roi)
    throw node.unsupported(
      'a resize of this kind',
      `${op.mode}, ${op.coordinateTransformation}, ${op.nearestMode}`,
    )
  const size = node.integers([height!, width!], 'size')
  if (op.mode === 'linear')
    node.write('RESIZE_BILINEAR', [node.input(0), size], options('ResizeBilinearOptions', coordinates))
  else
    node.write(
      'RESIZE_NEAREST_NEIGHBOR',
      [node.input(0), size],
      options('ResizeNearestNeighborOptions', coordinates),
    )
}

/** How the file says where a pixel comes from; null where it cannot. */
function resizeOptions(node: NodeInWriting<'Resize'>) {
  const { op } = node
  const { shape } = node.type(0)
  // scales that are not the ratio of the sizes move the coordinates
  if (op.scales?.some((scale, axis) => Math.abs(scale * shape[axis]! - op.sizes[axis]!) > 1e-3)) return null
  const corners = { alignCorners: true, halfPixelCenters: false }
  const halves = { alignCorners: false, halfPixelCenters: true }
  const neither = { alignCorners: false, halfPixelCenters: false }
  if (op.mode === 'linear') {
    if (op.coordinateTransformation === 'align_corners') return corners
    if (op.coordinateTransformation === 'half_pixel') return halves
    return op.coordinateTransformation === 'asymmetric' ? neither : null
  }
  if (op.mode !== 'nearest') return null
  if (op.coordinateTransformation === 'align_corners')
    return op.nearestMode === 'round_prefer_ceil' ? corners : null
  if (op.coordinateTransformation === 'tf_half_pixel_for_nn')
    return op.nearestMode === 'floor' ? halves : null
  return op.coordinateTransformation === 'asymmetric' && op.nearestMode === 'floor' ? neither : null
}

/** The file takes a pixel's channels from blocks; what takes blocks from a channel has its channels put in that order. */
export function writeDepthToSpace(node: NodeInWriting<'DepthToSpace'>): void {
  const { blockSize, mode } = node.op
  const x = node.input(0)
  const write = (from: number) =>
    node.write('DEPTH_TO_SPACE', [from], options('DepthToSpaceOptions', { blockSize }))
  if (mode === 'DCR') {
    write(x)
    return
  }
  const { shape } = node.type(0)
  const area = blockSize ** 2
  const channels = shape[3]! / area
  const order = Array.from({ length: shape[3]! }, (_, i) => (i % channels) * area + Math.floor(i / channels))
  const gather = options('GatherOptions', { axis: 3 })
  write(node.moved('GATHER', x, [node.integers(order, 'order')], 'by_block', shape, gather))
}

/** Indices that count from the end are not for the file's operator. */
export function writeGather(node: NodeInWriting<'Gather'>): void {
  const { axis } = node.op
  const size = node.type(0).shape[axis]!
  const { constant, type } = node.network.value(node.name(1))
  const values = options('GatherOptions', { axis })
  const write = (indices: number) => node.write('GATHER', [node.input(0), indices], values)
  if (constant) {
    const numbers = numbersOf(constant)
    if (numbers.every((index) => index >= 0)) {
      write(node.input(1))
      return
    }
    const counted = numbers.map((index) => (index < 0 ? index + size : index))
    write(node.network.parameter(constantOfNumbers(type.dtype, type.shape, counted), node.inside('indices')))
  } else if (node.node.source?.opType === 'GATHER') write(node.input(1))
  else {
    const length = node.network.parameter(constantOfNumbers(type.dtype, [], [size]), node.inside('size'))
    write(node.step('FLOOR_MOD', [node.input(1), length], 'indices', type))
  }
}

/** 16-bit floats that are constant are stored behind this operator; runtimes unpack them when they load the file. */
export function writeCast(node: NodeInWriting<'Cast'>): void {
  const [from, to] = [node.type(0).dtype, node.outputType.dtype]
  const constant = node.network.value(node.name(0)).constant !== null
  if (constant && from === 'float16' && to === 'float32')
    node.network.addWidening(node.name(0), node.outputs[0]!)
  else
    node.write(
      'CAST',
      [node.input(0)],
      options('CastOptions', {
        inDataType: typeNumber(node, 0),
        outDataType: node.network.tensors[node.output]!.type,
      }),
    )
}

function typeNumber(node: NodeInWriting, index: number): number {
  return node.network.tensors[node.input(index)]!.type
}

/** To reals or between integers. */
export function writeConvert(node: NodeInWriting<'Convert'>): void {
  const { network, outputType } = node
  if (!outputType.quantization && network.value(node.name(0)).constant)
    network.addWidening(node.name(0), node.outputs[0]!)
  else node.write(outputType.quantization ? 'QUANTIZE' : 'DEQUANTIZE', [node.input(0)])
}
