import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { EdgewrightError } from '../error.ts'
import type { TensorType } from '../graph/types.ts'
import { type DType, elementCount, type Tensor, type TensorData } from '../tensor.ts'
import type { Evaluator, TensorInfo } from './evaluator.ts'
import { randomTensor } from './random.ts'
import { countHandedOut } from './reclaim.ts'

export interface OnnxEvaluatorOptions {
  /** Intra-operator threads; default 1, which keeps results independent of the machine. */
  threads?: number
  /** Graph optimizations of ONNX Runtime; default `all`. */
  optimize?: 'disabled' | 'basic' | 'extended' | 'all'
  /** Where ONNX Runtime writes the model that it really executes. */
  optimizedModelPath?: string
  /** Session configuration entries, e.g. `session.qdqisint8allowed`. */
  config?: Readonly<Record<string, string>>
}

/**
 * Loads an ONNX file's bytes into ONNX Runtime on this computer.
 *
 * Returned tensors own their memory. float16 comes back as bit patterns, bool as 0/1 bytes, int64 as BigInt64Array.
 * A symbolic dimension is reported as 0.
 * @throws TARGET_CANNOT_RUN with ONNX Runtime's own words when it refuses the file
 */
export async function createOnnxEvaluator(
  modelBytes: Uint8Array,
  options: OnnxEvaluatorOptions = {},
): Promise<Evaluator> {
  const ort = await loadOnnxRuntime()
  const session = await createSession(ort, modelBytes, options)
  let closed = false
  const given = (feeds: ReadonlyMap<string, Tensor>) => {
    if (closed) throw new EdgewrightError('INTERNAL', 'Internal error: the evaluator is closed.')
    return Object.fromEntries(session.inputNames.map((name) => [name, ortTensor(ort, name, feeds.get(name))]))
  }
  // making one costs as much as a small run
  const known = new WeakMap<Tensor, OrtTensor>()
  const reused = (name: string, tensor: Tensor) => {
    const made = known.get(tensor) ?? ortTensor(ort, name, tensor)
    known.set(tensor, made)
    return made
  }
  return {
    inputs: session.inputMetadata.map(infoOf),
    outputs: session.outputMetadata.map(infoOf),
    async run(feeds, fetch = session.outputNames) {
      const results = await run(session, given(feeds), fetch)
      const tensors = new Map<string, Tensor>()
      let bytes = 0
      for (const name of fetch) {
        const tensor = tensorOf(name, results[name])
        bytes += tensor.data.byteLength
        tensors.set(name, tensor)
      }
      countHandedOut(bytes)
      return tensors
    },
    async runInto(feeds, outputs) {
      const fetches: Record<string, OrtTensor> = {}
      for (const [name, tensor] of outputs) fetches[name] = reused(name, tensor)
      await run(session, given(feeds), fetches)
    },
    async close() {
      if (closed) return
      closed = true
      await session.release()
    },
  }
}

type Ort = typeof import('onnxruntime-node')

// loading the native library takes 50 ms: only on first use
let loaded: Promise<Ort> | undefined
function loadOnnxRuntime(): Promise<Ort> {
  loaded ??= import('onnxruntime-node').catch((cause: unknown) => {
    throw new EdgewrightError('RUNTIME_MISSING', 'ONNX Runtime cannot be loaded on this computer.', {
      saw: messageOf(cause),
      hint: 'Reinstall with `npm ci`; onnxruntime-node carries builds for linux, macOS and Windows on x64 and arm64.',
      cause,
    })
  })
  return loaded
}

async function createSession(
  ort: Ort,
  bytes: Uint8Array,
  options: OnnxEvaluatorOptions,
): Promise<InferenceSession> {
  const sessionOptions: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: options.optimize ?? 'all',
    // 3: errors only; warnings would be drawn over the progress view
    logSeverityLevel: 3,
    ...(options.optimizedModelPath ? { optimizedModelFilePath: options.optimizedModelPath } : {}),
    ...(options.config ? { extra: nested(options.config) } : {}),
  }
  try {
    return await ort.InferenceSession.create(bytes, sessionOptions)
  } catch (cause) {
    throw new EdgewrightError('TARGET_CANNOT_RUN', 'ONNX Runtime refuses the network.', {
      saw: messageOf(cause),
      cause,
    })
  }
}

/** `a.b: '1'` as `{a: {b: '1'}}`, the form onnxruntime-common wants. */
function nested(config: Readonly<Record<string, string>>): Record<string, unknown> {
  const root: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(config)) {
    const path = key.split('.')
    let at = root
    for (const part of path.slice(0, -1)) {
      at[part] ??= {}
      at = at[part] as Record<string, unknown>
    }
    at[path.at(-1)!] = value
  }
  return root
}

async function run(
  session: InferenceSession,
  feeds: Record<string, OrtTensor>,
  fetch: readonly string[] | Record<string, OrtTensor>,
): Promise<InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, fetch)
  } catch (cause) {
    throw new EdgewrightError('TARGET_CANNOT_RUN', 'ONNX Runtime failed while running the network.', {
      saw: messageOf(cause),
      cause,
    })
  }
}

function ortTensor(ort: Ort, name: string, tensor: Tensor | undefined): OrtTensor {
  if (!tensor)
    throw new EdgewrightError('DATA_SHAPE', 'An input of the network was not given.', { where: name })
  if (tensor.dtype === 'bfloat16' || tensor.dtype === 'string')
    throw new EdgewrightError('DATA_SHAPE', `ONNX Runtime takes no ${tensor.dtype} input here.`, {
      where: name,
    })
  const count =
    tensor.dtype === 'int4' || tensor.dtype === 'uint4'
      ? Math.ceil(elementCount(tensor.shape) / 2)
      : elementCount(tensor.shape)
  if (tensor.data.length !== count)
    throw new EdgewrightError(
      'DATA_SHAPE',
      'A tensor holds another number of elements than its shape says.',
      {
        where: name,
        saw: `${tensor.data.length} elements for [${tensor.shape.join(', ')}]`,
      },
    )
  // the constructor's overloads name each pair of type and array; the pairs were checked above
  const Make = ort.Tensor as unknown as new (
    type: DType,
    data: TensorData,
    dims: readonly number[],
  ) => OrtTensor
  return new Make(tensor.dtype, tensor.data, tensor.shape)
}

function tensorOf(name: string, result: OrtTensor | undefined): Tensor {
  if (!result)
    throw new EdgewrightError('INTERNAL', 'Internal error: ONNX Runtime returned no such output.', {
      where: name,
    })
  return { dtype: result.type as DType, shape: result.dims, data: result.data as TensorData }
}

function infoOf(metadata: InferenceSession.ValueMetadata): TensorInfo {
  if (!metadata.isTensor) return { name: metadata.name, dtype: 'string', shape: [] }
  const shape = metadata.shape.map((dimension) => (typeof dimension === 'number' ? dimension : 0))
  return { name: metadata.name, dtype: metadata.type as DType, shape }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/**
 * Element types and shapes of the named outputs of an ONNX file, from one run on seeded random inputs. Where a shape
 * depends on the data, it is the shape of this run.
 */
export async function inferOpaqueTypes(
  modelBytes: Uint8Array,
  outputNames: readonly string[],
): Promise<Map<string, TensorType>> {
  // without fusions: a file that only a rewritten graph can run must be refused here
  const evaluator = await createOnnxEvaluator(modelBytes, { optimize: 'basic' })
  try {
    const feeds = new Map(evaluator.inputs.map((info) => [info.name, randomTensor(info)]))
    const results = await evaluator.run(feeds, outputNames)
    return new Map(
      [...results].map(([name, { dtype, shape }]) => [
        name,
        { dtype, shape: [...shape], quantization: null },
      ]),
    )
  } finally {
    await evaluator.close()
  }
}
