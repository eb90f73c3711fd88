import type { Constant } from '../../graph/types.ts'
import { constantOf, numbersOf } from '../../graph/constant.ts'
import { EdgewrightError } from '../../error.ts'
import { elementCount } from '../../tensor.ts'
import { brokenModel } from './config.ts'

/** The variables of one layer as stored: named (Keras 2, tfjs), or by number only (Keras 3). */
export interface StoredWeight {
  /** As the file says, `conv2d/kernel:0`; null where it only has a number. */
  readonly name: string | null
  readonly constant: Constant
}

/** Where a layer stands: by name from the outermost model, and by the folders of Keras 3. */
export interface LayerAddress {
  readonly names: readonly string[]
  readonly folder: string
}

/** What a file format knows: the stored variables of a layer. */
export interface WeightStore {
  variables(address: LayerAddress): readonly StoredWeight[]
}

/** Variables of one layer, asked for by name and position. */
export class LayerWeights {
  readonly #stored: readonly StoredWeight[]
  readonly #where: string
  #next = 0

  constructor(stored: readonly StoredWeight[], where: string) {
    this.#stored = stored
    this.#where = where
  }

  /**
   * The variable of this name, else, where the file has no names, the next one. Float64 and float16 become float32.
   * @throws MODEL_BROKEN where it is missing or of another shape; MODEL_NAN_WEIGHTS
   */
  take(names: string | readonly string[], shape: readonly (number | null)[]): Constant {
    const wanted = typeof names === 'string' ? [names] : names
    const position = this.#next++
    const named = this.#stored.filter(({ name }) => name !== null && wanted.includes(baseName(name)))
    if (named.length > 1)
      throw brokenModel(
        `The file has several weights that could be ${wanted[0]} of a layer.`,
        this.#where,
        named.map(({ name }) => name),
      )
    const [byName] = named
    const unnamed = this.#stored[position]?.name === null ? this.#stored[position] : undefined
    const found = (byName ?? unnamed)?.constant
    if (!found)
      throw brokenModel(
        `The weight ${wanted[0]} of a layer is not in the file.`,
        this.#where,
        this.#stored.map(({ name, constant }, i) => `${name ?? i}[${constant.shape}]`),
      )
    const fits =
      found.shape.length === shape.length &&
      shape.every((size, i) => size === null || size === found.shape[i])
    if (!fits)
      throw brokenModel(
        `The weight ${wanted[0]} of a layer has another shape than the layer's settings say.`,
        this.#where,
        `[${found.shape}] instead of [${shape.map((size) => size ?? '?')}]`,
      )
    return asFloat(found, this.#where)
  }

  has(name: string): boolean {
    return this.#stored.some((weight) => weight.name !== null && baseName(weight.name) === name)
  }

  /** A small variable as numbers, by name only. */
  list(name: string): number[] {
    const found = this.#stored.find((weight) => weight.name !== null && baseName(weight.name) === name)
    return found ? numbersOf(found.constant) : []
  }
}

/** `model/conv2d/kernel:0` and `conv2d/kernel_1` are `kernel`. */
export function baseName(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1).replace(/:\d+$/, '')
}

function asFloat(constant: Constant, where: string): Constant {
  const float =
    constant.dtype === 'float32'
      ? constant
      : constantOf('float32', constant.shape, Float32Array.from(numbersOf(constant)))
  const bytes = float.bytes()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let i = 0; i < elementCount(float.shape); i++)
    if (!Number.isFinite(view.getFloat32(i * 4, true)))
      throw new EdgewrightError('MODEL_NAN_WEIGHTS', 'The weights of the model contain NaN or infinity.', {
        where,
        saw: `element ${i}`,
        hint: 'The training diverged, or the file is damaged: take an earlier checkpoint.',
      })
  return float
}
