import type { Resize } from '../../../graph/ops.ts'
import { NotExpressible, type OnnxOperator } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const resize: ReadTable = {
  Resize: (operator) => (operator.opset < 11 ? readOldResize(operator) : readResize(operator)),
  Upsample: readOldResize,
}

const modes = ['nearest', 'linear', 'cubic'] as const
const coordinateModes = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'tf_half_pixel_for_nn',
  'tf_crop_and_resize',
] as const
const nearestModes = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const

/**
 * Upsample (7, 9) and Resize 10: coordinates are asymmetric. Nearest takes the pixel below when it enlarges and the
 * one above when it shrinks, as ONNX Runtime has always read these versions; where it does both, one after the other.
 */
function readOldResize(operator: OnnxOperator): void {
  const shape = operator.shape(0)
  const scales =
    operator.opType === 'Upsample' && operator.opset < 9
      ? operator.attributes.floats('scales')
      : operator.numbers(1, 'scales')
  const mode = operator.attributes.string('mode', 'nearest')
  if (mode !== 'nearest' && mode !== 'linear' && mode !== 'bilinear')
    throw new NotExpressible(`its mode is ${JSON.stringify(mode)}`)
  if (!scales || scales.length !== shape.length) throw operator.broken('has scales for another rank')
  const halves = [scales.map((scale) => Math.max(scale, 1)), scales.map((scale) => Math.min(scale, 1))]
  const steps = (mode === 'nearest' ? halves : [scales]).filter((step) => step.some((scale) => scale !== 1))
  const asked = (from: string, step: readonly number[]): Resize =>
    complete({
      mode: mode === 'nearest' ? 'nearest' : 'linear',
      sizes: sizesOf(operator, operator.shapeOf(from), step),
      scales: step,
      coordinateTransformation: 'asymmetric',
      nearestMode: step.some((scale) => scale < 1) ? 'ceil' : 'floor',
    })
  const x = operator.input(0)
  const between = steps
    .slice(0, -1)
    .reduce((from, step) => operator.step(asked(from, step), [from], 'enlarged'), x)
  if (steps.length === 0) operator.alias(x)
  else operator.produce(asked(between, steps.at(-1)!), [between])
}

function readResize(operator: OnnxOperator): void {
  const { attributes } = operator
  const shape = operator.shape(0)
  const mode = oneOf(operator, 'mode', modes, 'nearest')
  const coordinateTransformation = oneOf(
    operator,
    'coordinate_transformation_mode',
    coordinateModes,
    'half_pixel',
  )
  const axes = operator.axes(attributes.ints('axes') ?? shape.map((_, i) => i), shape.length)
  const spread = (values: readonly number[], rest: readonly number[], what: string) => {
    if (values.length !== axes.length)
      throw operator.broken(`has ${what} for another rank`, `${values.length} for ${axes.length} axes`)
    const all = [...rest]
    for (const [i, axis] of axes.entries()) all[axis] = values[i]!
    return all
  }
  const statedScales = nonEmpty(operator.optionalNumbers(2, 'scales'))
  const statedSizes = nonEmpty(operator.optionalNumbers(3, 'sizes'))
  const scales =
    statedScales &&
    spread(
      statedScales,
      shape.map(() => 1),
      'scales',
    )
  if (!scales && !statedSizes) throw operator.broken('has neither scales nor sizes')
  const sizes =
    statedSizes && !scales ? spread(statedSizes, shape, 'sizes') : sizesOf(operator, shape, scales!)
  if (sizes.some((size) => size < 1 || size > 2 ** 31))
    throw operator.broken('has impossible sizes', `[${sizes.join(',')}]`)
  keepsAspectRatio(operator, statedSizes, axes, shape)
  const attributesRead = {
    mode,
    sizes,
    scales,
    coordinateTransformation,
    nearestMode: oneOf(operator, 'nearest_mode', nearestModes, 'round_prefer_floor'),
    cubicCoefficient: attributes.float('cubic_coeff_a', -0.75),
    excludeOutside: attributes.flag('exclude_outside'),
    extrapolationValue: attributes.float('extrapolation_value', 0),
    roi: coordinateTransformation === 'tf_crop_and_resize' ? roiOf(operator, axes, shape.length) : null,
    antialias: attributes.flag('antialias'),
  }
  operator.produce(complete(attributesRead), [operator.input(0)])
}

/** Other policies than stretching are the same as it where the sizes have the input's aspect ratio already. */
function keepsAspectRatio(
  operator: OnnxOperator,
  sizes: number[] | null,
  axes: readonly number[],
  shape: readonly number[],
): void {
  const policy = operator.attributes.string('keep_aspect_ratio_policy', 'stretch')
  if (policy === 'stretch' || !sizes) return
  const ratios = axes.map((axis, i) => sizes[i]! / shape[axis]!)
  if (ratios.some((ratio) => ratio !== ratios[0]))
    throw new NotExpressible(`it keeps the aspect ratio (${policy})`)
}

function complete(
  resize: Pick<Resize, 'mode' | 'sizes' | 'scales' | 'coordinateTransformation' | 'nearestMode'> &
    Partial<Resize>,
): Resize {
  return {
    kind: 'Resize',
    cubicCoefficient: -0.75,
    excludeOutside: false,
    extrapolationValue: 0,
    roi: null,
    antialias: false,
    layout: 'channels-first',
    ...resize,
  }
}

/** floor(size · scale), in the file's own float32. */
function sizesOf(operator: OnnxOperator, shape: readonly number[], scales: readonly number[]): number[] {
  const sizes = shape.map((size, i) => Math.floor(Math.fround(size * Math.fround(scales[i]!))))
  if (scales.some((scale) => !(scale > 0)) || sizes.some((size) => size < 0 || size > 2 ** 31))
    throw operator.broken('has impossible scales', `[${scales.join(',')}]`)
  return sizes
}

/** [starts…, ends…] of every axis, in shares of its size. */
function roiOf(operator: OnnxOperator, axes: readonly number[], rank: number): number[] {
  const stated = operator.numbers(1, 'region')
  if (stated.length !== 2 * axes.length) throw operator.broken('has a region for another rank')
  const roi = [...new Array<number>(rank).fill(0), ...new Array<number>(rank).fill(1)]
  for (const [i, axis] of axes.entries()) {
    roi[axis] = stated[i]!
    roi[rank + axis] = stated[i + axes.length]!
  }
  return roi
}

function nonEmpty(numbers: number[] | null): number[] | null {
  return numbers && numbers.length > 0 ? numbers : null
}

function oneOf<T extends string>(operator: OnnxOperator, name: string, known: readonly T[], absent: T): T {
  const value = operator.attributes.string(name, absent)
  if (!known.includes(value as T)) throw new NotExpressible(`its ${name} is ${JSON.stringify(value)}`)
  return value as T
}
