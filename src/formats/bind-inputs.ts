import { EdgewrightError } from '../error.ts'
import type { ShapeSignature, TensorType } from '../graph/types.ts'
import { type DType, elementCount } from '../tensor.ts'

/** An input of a model as its file states it. */
export interface DeclaredInput {
  readonly name: string
  readonly dtype: DType
  /** A number where the file fixes it, a symbol's name or null where it does not; null where the rank is open too. */
  readonly dimensions: readonly (number | string | null)[] | null
}

export interface BoundInputs {
  readonly types: ReadonlyMap<string, TensorType>
  readonly signatures: readonly ShapeSignature[]
  /** Whether the file left any dimension open. */
  readonly open: boolean
  /** What an open leading dimension was bound to; 1 where none is open. */
  readonly batch: number
}

/**
 * Static types of the graph's inputs. A dimension is what the user says, else what the file fixes, else what the same
 * symbol is elsewhere; an open leading dimension is the batch. Anything else must be said.
 * @throws MODEL_SHAPE_MISSING, MODEL_SHAPE_INVALID
 */
export function bindInputs(
  inputs: readonly DeclaredInput[],
  shapes: Readonly<Record<string, readonly number[]>>,
  batch: number,
): BoundInputs {
  requireKnownNames(inputs, shapes)
  if (!Number.isSafeInteger(batch) || batch < 1)
    throw new EdgewrightError('USAGE', 'The batch size must be a positive whole number.', {
      saw: String(batch),
    })
  const symbols = new Map<string, number>()
  for (const input of inputs) bindSymbols(input, shapes[input.name], symbols)
  const types = new Map<string, TensorType>()
  const signatures: ShapeSignature[] = []
  let bound = 1
  for (const input of inputs) {
    if (types.has(input.name))
      throw new EdgewrightError(
        'MODEL_BROKEN',
        `Two inputs of the model are named ${JSON.stringify(input.name)}.`,
      )
    const { dtype, dimensions } = input
    const asked = shapes[input.name]
    if (!dimensions && !asked) throw missing(input.name, 'its shape', [])
    const signature = (dimensions ?? asked!).map((dimension) =>
      typeof dimension === 'number' && !dimensions ? null : dimension,
    )
    signatures.push({ name: input.name, dimensions: signature })
    const shape = signature.map((dimension, i) => {
      if (asked) return asked[i]!
      if (typeof dimension === 'number') return dimension
      if (dimension !== null && symbols.has(dimension)) return symbols.get(dimension)!
      if (i > 0)
        throw missing(
          input.name,
          `its dimension ${i}${dimension ? ` (${JSON.stringify(dimension)})` : ''}`,
          signature,
        )
      if (dimension !== null) symbols.set(dimension, batch)
      return batch
    })
    if (signature.length > 0 && typeof signature[0] !== 'number') bound = Math.max(bound, shape[0]!)
    if (!(elementCount(shape) <= 2 ** 32))
      throw new EdgewrightError('MODEL_TOO_LARGE', 'An input of the model has more than 2^32 elements.', {
        where: input.name,
        saw: `[${shape.join(',')}]`,
      })
    types.set(input.name, { dtype, shape, quantization: null })
  }
  const open = signatures.some(({ dimensions }) =>
    dimensions.some((dimension) => typeof dimension !== 'number'),
  )
  return { types, signatures, open, batch: bound }
}

function requireKnownNames(
  inputs: readonly DeclaredInput[],
  shapes: Readonly<Record<string, readonly number[]>>,
): void {
  for (const name of Object.keys(shapes)) {
    if (inputs.some((input) => input.name === name)) continue
    throw new EdgewrightError(
      'MODEL_SHAPE_INVALID',
      `The model has no input named ${JSON.stringify(name)}.`,
      {
        where: name,
        hint: `Its inputs are ${inputs.map((input) => input.name).join(', ')}.`,
      },
    )
  }
}

/** What the user said about one input holds for the same symbol in all. */
function bindSymbols(
  input: DeclaredInput,
  asked: readonly number[] | undefined,
  symbols: Map<string, number>,
): void {
  if (!asked) return
  const { dimensions } = input
  const invalid = (message: string, saw: string) =>
    new EdgewrightError(
      'MODEL_SHAPE_INVALID',
      `The shape given for input ${JSON.stringify(input.name)} ${message}.`,
      { where: input.name, saw },
    )
  if (asked.some((size) => !Number.isSafeInteger(size) || size < 0))
    throw invalid('is not of whole numbers', `[${asked.join(',')}]`)
  if (!dimensions) return
  const stated = `[${dimensions.map((dimension) => dimension ?? '?').join(',')}]`
  if (dimensions.length !== asked.length)
    throw invalid('has another rank than the model’s', `[${asked.join(',')}] for ${stated}`)
  for (const [i, dimension] of dimensions.entries()) {
    const size = asked[i]!
    if (
      typeof dimension === 'number'
        ? dimension !== size
        : dimension !== null && (symbols.get(dimension) ?? size) !== size
    )
      throw invalid('does not fit the model', `[${asked.join(',')}] for ${stated}`)
    if (typeof dimension === 'string') symbols.set(dimension, size)
  }
}

function missing(
  name: string,
  what: string,
  signature: readonly (number | string | null)[],
): EdgewrightError {
  const example =
    signature.length > 0
      ? signature
          .map((dimension, i) => (typeof dimension === 'number' ? dimension : i === 0 ? 1 : 224))
          .join(',')
      : '1,3,224,224'
  return new EdgewrightError(
    'MODEL_SHAPE_MISSING',
    `The model leaves open ${what} of input ${JSON.stringify(name)}.`,
    {
      where: name,
      saw:
        signature.length > 0 ? `[${signature.map((dimension) => dimension ?? '?').join(',')}]` : 'no shape',
      hint: `Say its shape: --shape ${name}=${example}`,
    },
  )
}
