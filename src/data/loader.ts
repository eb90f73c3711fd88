import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sha256, sha256OfFile } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { bytesOf, type DType, elementCount, type Tensor, type TensorData } from '../tensor.ts'
import type { OpenContext } from './context.ts'
import { floatsOf, inputTensor } from './elements.ts'
import { normalizeTensor } from './normalize.ts'
import { resolveTensor } from './preprocessing.ts'
import type { SampleSource } from './source.ts'
import type { InputSpec, Preprocessing } from './types.ts'

/** What a loader yields: values by input name, or `x` for a network with one input. Plain or typed arrays, flat. */
export interface LoadedSample {
  readonly inputs?: Readonly<Record<string, LoadedValues>>
  readonly x?: LoadedValues
  readonly label?: number | null
  readonly id?: string | number
}

export type LoadedValues =
  | TensorData
  | readonly number[]
  | { readonly data: TensorData | readonly number[]; readonly shape?: readonly number[] }

/** How long one sample of a loader may take. */
const sampleDeadlineMs = 120_000
const sampleLimit = 10_000_000

/**
 * Opens a loader: a module whose default export is an (async) iterable of samples, or a function that returns one and is
 * called again for each pass with the network's inputs. The samples must be the same in every pass; the first pass, done
 * here, learns how many there are and their labels.
 *
 * @throws DATA_BROKEN naming the module, DATA_SHAPE naming the sample
 */
export async function openLoader(path: string, context: OpenContext): Promise<SampleSource> {
  const preprocessing = resolveTensor(
    context.said,
    context.inputs.length === 1 ? context.inputs[0]! : null,
    'loader',
  )
  const start = await startOf(path, context.inputs)
  const ids: string[] = []
  const labels: (number | null)[] = []
  const digests: string[] = []
  const pass = new LoaderPass(path, start, context.signal)
  for (let loaded = await pass.next(); loaded; loaded = await pass.next()) {
    const id = String(loaded.id ?? `${basename(path)}[${ids.length}]`)
    const label = loaded.label ?? null
    if (label !== null && !Number.isInteger(label))
      throw new EdgewrightError('DATA_LABELS', 'A label of the loader is not a whole number.', {
        where: `${path}: ${id}`,
        saw: String(label),
      })
    digests.push(digestOf(tensorsOf(loaded, id, context.inputs, preprocessing)))
    ids.push(id)
    labels.push(label)
    if (ids.length > sampleLimit) throw broken(path, `more than ${sampleLimit} samples`, 'A loader must end.')
  }
  const cursor = sequentialReader(path, start, context.signal)
  return {
    description: `${ids.length} samples of ${path}`,
    length: ids.length,
    id: (index) => ids[index]!,
    labels,
    classNames: null,
    preprocessing,
    read: async (index) => tensorsOf(await cursor(index), ids[index]!, context.inputs, preprocessing),
    contentDigest: async () => sha256(JSON.stringify([await sha256OfFile(path), digests])),
  }
}

type Start = () => Promise<AsyncIterator<unknown> | Iterator<unknown>>

async function startOf(path: string, inputs: readonly InputSpec[]): Promise<Start> {
  let module: { default?: unknown }
  try {
    module = (await import(pathToFileURL(path).href)) as { default?: unknown }
  } catch (error) {
    throw broken(
      path,
      error instanceof Error ? error.message : String(error),
      'The loader must be an ES module.',
      error,
    )
  }
  const exported = module.default
  return async () => {
    let made: unknown
    try {
      made = typeof exported === 'function' ? await exported(inputs) : exported
    } catch (error) {
      throw broken(path, error instanceof Error ? error.message : String(error), 'The loader threw.', error)
    }
    const iterable = made as
      | { [Symbol.asyncIterator]?: () => AsyncIterator<unknown>; [Symbol.iterator]?: () => Iterator<unknown> }
      | null
      | undefined
    const iterator =
      iterable?.[Symbol.asyncIterator]?.() ??
      (typeof made === 'object' ? iterable?.[Symbol.iterator]?.() : undefined)
    if (iterator) return iterator
    throw broken(
      path,
      `default export: ${exported === undefined ? 'missing' : typeof made}`,
      'Export default an async generator function, or an iterable, of {x, label, id}.',
    )
  }
}

/** One pass over a loader's samples, each pull with a deadline. */
class LoaderPass {
  #iterator: AsyncIterator<unknown> | Iterator<unknown> | null = null
  readonly #path: string
  readonly #start: Start
  readonly #signal: AbortSignal | undefined

  constructor(path: string, start: Start, signal: AbortSignal | undefined) {
    this.#path = path
    this.#start = start
    this.#signal = signal
  }

  async next(): Promise<LoadedSample | null> {
    this.#iterator ??= await this.#start()
    let result: IteratorResult<unknown>
    try {
      result = await withDeadline(Promise.resolve(this.#iterator.next()), this.#path, this.#signal)
    } catch (error) {
      if (error instanceof EdgewrightError) throw error
      throw broken(
        this.#path,
        error instanceof Error ? error.message : String(error),
        'The loader threw.',
        error,
      )
    }
    if (result.done) return null
    if (typeof result.value === 'object' && result.value !== null) return result.value as LoadedSample
    throw broken(
      this.#path,
      `a sample of type ${typeof result.value}`,
      'Yield {x, label, id} or {inputs, label, id}.',
    )
  }

  async close(): Promise<void> {
    await this.#iterator?.return?.()
  }
}

/** Any sample by index: forwards from where the last pass stands, or from the beginning again. One read at a time. */
function sequentialReader(
  path: string,
  start: Start,
  signal: AbortSignal | undefined,
): (index: number) => Promise<LoadedSample> {
  let pass = new LoaderPass(path, start, signal)
  let position = 0
  let queue: Promise<unknown> = Promise.resolve()
  const read = async (index: number): Promise<LoadedSample> => {
    if (index < position) {
      await pass.close()
      pass = new LoaderPass(path, start, signal)
      position = 0
    }
    for (;;) {
      const loaded = await pass.next()
      if (!loaded) {
        pass = new LoaderPass(path, start, signal)
        position = 0
        throw broken(
          path,
          `the pass ended before sample ${index}`,
          'Every pass must give the same samples; export a function that starts anew each time it is called.',
        )
      }
      if (position++ === index) return loaded
    }
  }
  return (index) => {
    const next = queue.then(() => read(index))
    queue = next.catch(() => undefined)
    return next
  }
}

async function withDeadline<T>(wait: Promise<T>, path: string, signal: AbortSignal | undefined): Promise<T> {
  if (signal?.aborted) throw new EdgewrightError('INTERRUPTED', 'Interrupted.')
  let timer: NodeJS.Timeout | undefined
  let onAbort: (() => void) | undefined
  try {
    return await Promise.race([
      wait,
      new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(broken(path, `no sample within ${sampleDeadlineMs / 1000} s`, 'The loader hangs.')),
          sampleDeadlineMs,
        )
        onAbort = () => reject(new EdgewrightError('INTERRUPTED', 'Interrupted.'))
        signal?.addEventListener('abort', onAbort, { once: true })
      }),
    ])
  } finally {
    clearTimeout(timer)
    if (onAbort) signal?.removeEventListener('abort', onAbort)
  }
}

function tensorsOf(
  loaded: LoadedSample,
  id: string,
  inputs: readonly InputSpec[],
  preprocessing: Preprocessing,
): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>()
  for (const spec of inputs) {
    const given = loaded.inputs?.[spec.name] ?? (inputs.length === 1 ? loaded.x : undefined)
    if (given === undefined)
      throw new EdgewrightError('DATA_SHAPE', `A sample of the loader lacks the input ${spec.name}.`, {
        where: id,
        saw: Object.keys(loaded.inputs ?? loaded).join(', '),
        hint: 'Yield {inputs: {name: values}}, or {x: values} for a network with one input.',
      })
    tensors.set(spec.name, tensorOf(given, id, spec, preprocessing))
  }
  return tensors
}

function tensorOf(given: LoadedValues, id: string, spec: InputSpec, preprocessing: Preprocessing): Tensor {
  const { data, shape } = 'data' in given ? given : { data: given, shape: undefined }
  const elements = elementCount(spec.shape)
  const squeeze = (dimensions: readonly number[]) => dimensions.filter((dimension) => dimension !== 1).join()
  if (
    !(Array.isArray(data) || ArrayBuffer.isView(data)) ||
    data.length !== elements ||
    (shape && squeeze(shape) !== squeeze(spec.shape))
  )
    throw new EdgewrightError(
      'DATA_SHAPE',
      `A sample of the loader does not have the shape that input ${spec.name} takes.`,
      {
        where: id,
        saw: `${shape ? `[${shape.join(', ')}]` : `${data?.length ?? typeof data} values`}, expected [${spec.shape.join(', ')}] (${elements} values)`,
      },
    )
  const list = data as TensorData | number[]
  if (list instanceof BigInt64Array && spec.dtype === 'int64')
    return { dtype: 'int64', shape: spec.shape, data: list.slice() }
  if (list instanceof BigUint64Array && spec.dtype === 'uint64')
    return { dtype: 'uint64', shape: spec.shape, data: list.slice() }
  const floats = Array.isArray(list)
    ? Float32Array.from(list)
    : Float32Array.from(floatsOf(plainType(list), list))
  return inputTensor(normalizeTensor(floats, spec.shape, preprocessing), spec, id)
}

/** Elements as what they are: a loader's Uint16Array holds numbers, not half floats. */
function plainType(data: TensorData): DType {
  return data instanceof Uint16Array ? 'uint16' : 'float32'
}

function digestOf(tensors: ReadonlyMap<string, Tensor>): string {
  return sha256(
    JSON.stringify(
      [...tensors].map(([name, tensor]) => [name, tensor.dtype, tensor.shape, sha256(bytesOf(tensor.data))]),
    ),
  )
}

function broken(path: string, saw: string, hint: string, cause?: unknown): EdgewrightError {
  return new EdgewrightError('DATA_BROKEN', 'The loader cannot be used.', { where: path, saw, hint, cause })
}
