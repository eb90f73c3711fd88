import { EdgewrightError } from '../error.ts'
import { sha256 } from '../digest.ts'
import { elementCount, type Tensor, viewAs } from '../tensor.ts'
import { bytesPerElement, halfOfFloat } from './elements.ts'
import { type Generator, seededGenerator } from './generator.ts'
import { resolveTensor } from './preprocessing.ts'
import type { Dataset, InputSpec } from './types.ts'

export interface RandomOptions {
  readonly seed?: number
  /** Number of samples, 64 unless stated. */
  readonly length?: number
}

/**
 * Random inputs for where there is no data: ranges that come from them are not those of real inputs.
 * Floats are standard normal (as normalized inputs are, about); 8- and 16-bit integers take their full range; wider
 * integers, mostly indices or masks, and bools are 0 or 1. Sample i is the same for a seed, whatever was read before.
 */
export function randomDataset(
  inputs: readonly InputSpec[],
  { seed = 0, length = 64 }: RandomOptions = {},
): Dataset {
  return {
    description: 'seeded random inputs',
    length,
    labelled: false,
    labels: new Array<null>(length).fill(null),
    classNames: null,
    preprocessing: resolveTensor({}, null),
    digest: async () => sha256(JSON.stringify(['random', 1, seed, length, inputs])),
    fingerprint: async (indices) => sha256(JSON.stringify(['random', 1, seed, indices, inputs])),
    async sample(index) {
      if (!(Number.isInteger(index) && index >= 0 && index < length))
        throw new RangeError(`sample ${index} of ${length}`)
      const generator = seededGenerator(Math.imul(seed + 1, 0x9e3779b1) ^ index)
      return {
        id: `random[${index}]`,
        inputs: new Map(inputs.map((spec) => [spec.name, randomTensor(spec, generator)])),
        label: null,
      }
    },
  }
}

function randomTensor({ name, dtype, shape }: InputSpec, generator: Generator): Tensor {
  if (dtype === 'string' || dtype === 'int4' || dtype === 'uint4' || dtype === 'bfloat16')
    throw new EdgewrightError('DATA_SHAPE', `Random inputs cannot be made for the ${dtype} input ${name}.`, {
      where: name,
      hint: 'Give data.',
    })
  const count = elementCount(shape)
  const data = viewAs(dtype, new Uint8Array(count * bytesPerElement(dtype)))
  const next = elementSource(dtype, generator)
  for (let i = 0; i < count; i++) data[i] = next()
  return { dtype, shape, data }
}

function elementSource(dtype: InputSpec['dtype'], generator: Generator): () => number & bigint {
  const element = (): number | bigint => {
    switch (dtype) {
      case 'float16':
        return halfOfFloat(generator.normal())
      case 'float32':
      case 'float64':
        return generator.normal()
      case 'int64':
      case 'uint64':
        return BigInt(generator.integer(2))
      case 'int8':
      case 'uint8':
      case 'int16':
      case 'uint16':
        // Signed arrays wrap what is above their middle.
        return generator.integer(dtype.endsWith('8') ? 256 : 65536)
      default:
        return generator.integer(2)
    }
  }
  return element as () => number & bigint
}
