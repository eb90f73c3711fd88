import { constantOf, float16ToNumber } from '../../graph/constant.ts'
import { type DType, elementCount, viewAs } from '../../tensor.ts'
import { brokenModel, isRecord } from '../keras/config.ts'
import { narrow } from '../keras/store.ts'
import type { StoredWeight, WeightStore } from '../keras/weights.ts'

/** One entry of a manifest: how a weight lies in the bytes of its group. */
export interface ManifestWeight {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: 'float32' | 'int32' | 'bool'
  readonly stored: 'float32' | 'float16' | 'int32' | 'bool' | 'uint8' | 'uint16'
  /** value = stored · scale + min, where it is stored as uint8 or uint16. */
  readonly scale: number
  readonly min: number
}

export interface ManifestGroup {
  readonly paths: readonly string[]
  readonly weights: readonly ManifestWeight[]
}

const widths = { float32: 4, float16: 2, int32: 4, bool: 1, uint8: 1, uint16: 2 } as const
const mostWeights = 100_000

/** @throws MODEL_BROKEN */
export function parseManifest(manifest: unknown, where: string): ManifestGroup[] {
  if (!Array.isArray(manifest)) throw brokenModel('The model.json has no list of weights.', where)
  const groups = manifest.map((group): ManifestGroup => {
    if (!isRecord(group) || !Array.isArray(group.paths) || !Array.isArray(group.weights))
      throw brokenModel('A group of weights cannot be read.', where, group)
    if (!group.paths.every((path) => typeof path === 'string'))
      throw brokenModel('A group of weights has a path that is no text.', where, group.paths)
    return {
      paths: group.paths as string[],
      weights: group.weights.map((entry) => parseWeight(entry, where)),
    }
  })
  if (groups.reduce((sum, { weights }) => sum + weights.length, 0) > mostWeights)
    throw brokenModel(`The model has more than ${mostWeights} weights.`, where)
  return groups
}

function parseWeight(entry: unknown, where: string): ManifestWeight {
  const broken = (what: string) =>
    brokenModel(`A weight of the manifest has no usable ${what}.`, where, entry)
  if (!isRecord(entry) || typeof entry.name !== 'string') throw broken('name')
  const { name, shape, dtype } = entry
  const isSize = (size: unknown) => Number.isSafeInteger(size) && (size as number) >= 0
  if (!Array.isArray(shape) || shape.length > 8 || !shape.every(isSize) || !(elementCount(shape) < 2 ** 31))
    throw broken('shape')
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') throw broken('element type')
  const { quantization } = entry
  if (quantization === undefined || quantization === null)
    return { name, shape, dtype, stored: dtype, scale: 1, min: 0 }
  if (!isRecord(quantization)) throw broken('quantization')
  const { dtype: stored, scale = 1, min = 0 } = quantization
  if (stored === 'float16') return { name, shape, dtype, stored, scale: 1, min: 0 }
  const isLinear = stored === 'uint8' || stored === 'uint16'
  if (!isLinear || !Number.isFinite(scale) || !Number.isFinite(min)) throw broken('quantization')
  return { name, shape, dtype, stored, scale: scale as number, min: min as number }
}

/** Bytes that the weights of a group take together. */
export function groupBytes({ weights }: ManifestGroup): number {
  return weights.reduce((sum, { shape, stored }) => sum + elementCount(shape) * widths[stored], 0)
}

/** Weights one after another, as they lie in the joined files of a group. */
export function decodeWeights(group: ManifestGroup, bytes: Uint8Array, where: string): StoredWeight[] {
  const needed = groupBytes(group)
  if (bytes.byteLength !== needed)
    throw brokenModel('The weight files have another length than the manifest says.', where, {
      bytes: bytes.byteLength,
      manifest: needed,
    })
  let at = 0
  return group.weights.map((weight) => {
    const length = elementCount(weight.shape) * widths[weight.stored]
    const slice = bytes.subarray(at, at + length)
    at += length
    return { name: weight.name, constant: decode(weight, slice) }
  })
}

function decode({ shape, dtype, stored, scale, min }: ManifestWeight, bytes: Uint8Array) {
  const elements = viewAs(stored as DType, bytes) as Float32Array
  if (stored === 'float16') return constantOf('float32', shape, Float32Array.from(elements, float16ToNumber))
  if (stored === 'uint8' || stored === 'uint16') {
    const numbers = Float32Array.from(elements, (element) => element * scale + min)
    return dtype === 'int32'
      ? constantOf('int32', shape, Int32Array.from(numbers, Math.round))
      : constantOf('float32', shape, numbers)
  }
  return constantOf(dtype, shape, elements.slice())
}

/** Weights by the names of their layers, which tfjs keeps unique over the whole model. */
export function layerStore(stored: readonly StoredWeight[]): WeightStore {
  const byPart = new Map<string, StoredWeight[]>()
  for (const weight of stored)
    for (const part of new Set(weight.name!.split('/').slice(0, -1))) {
      const list = byPart.get(part)
      if (list) list.push(weight)
      else byPart.set(part, [weight])
    }
  return {
    variables({ names }) {
      // the innermost name that weights are under
      const name = names.findLast((part) => byPart.has(part))
      return name === undefined ? [] : narrow(byPart.get(name)!, names)
    },
  }
}
