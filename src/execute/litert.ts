import { readFile } from 'node:fs/promises'
import { createRequire, Module } from 'node:module'
import { dirname, join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import { bytesOf, byteLength, type DType, elementCount, type Tensor, viewAs } from '../tensor.ts'
import { signatureIndex, viewForRuntime } from '../formats/tflite/for-runtime.ts'
import type { Evaluator, TensorInfo } from './evaluator.ts'
import { countHandedOut } from './reclaim.ts'

export interface LitertEvaluatorOptions {
  /** Which signature to run; the first where not given. */
  readonly signature?: string
}

/** Custom operators that LiteRT's own resolver knows. Others it runs without a word, and hands out what was in memory. */
const knownCustomOperators: ReadonlySet<string> = new Set([
  'TFLite_Detection_PostProcess',
  'Mfcc',
  'AudioSpectrogram',
  'NumericVerify',
])

/**
 * Loads a .tflite file's bytes into LiteRT on this computer: its WebAssembly build, with XNNPACK, one thread. Integers
 * go in and come out as stored. Open dimensions are closed at the size that the file gives them. Tensors have the names of the file's signature, or their own where it has none.
 *
 * Results of integer kernels are those of the native library; of float kernels they differ in the last bits.
 * @throws TARGET_CANNOT_RUN with LiteRT's own words when it refuses the file; RUNTIME_MISSING
 */
export async function createLitertEvaluator(
  modelBytes: Uint8Array,
  options: LitertEvaluatorOptions = {},
): Promise<Evaluator> {
  const view = viewForRuntime(modelBytes, 'the model')
  const signature = signatureIndex(view, options.signature)
  const unknown = view.customOperators.filter((name) => !knownCustomOperators.has(name))
  if (unknown.length > 0)
    throw new EdgewrightError('TARGET_CANNOT_RUN', `LiteRT has no operator ${unknown.join(', ')}.`, {
      saw: 'custom operators',
      hint: 'Such a file runs only where the library that brings the operator is: on its accelerator.',
    })
  const log: string[] = []
  const wasm = await instantiate(log)
  const session = await guarded(log, 'LiteRT refuses the network.', () =>
    Session.create(wasm, view.bytes, signature),
  )
  let open: Session | null = session
  return {
    inputs: session.inputs.map(infoOf),
    outputs: session.outputs.map(infoOf),
    async run(feeds, fetch = session.outputs.map(({ name }) => name)) {
      const current = open
      if (!current) throw new EdgewrightError('INTERNAL', 'Internal error: the evaluator is closed.')
      log.length = 0
      const given = current.inputs.map((input) => feedOf(input, feeds.get(input.name)))
      const results = await guarded(log, 'LiteRT failed while running the network.', () => current.run(given))
      const tensors = new Map<string, Tensor>()
      for (const name of fetch) {
        const result = results.get(name)
        if (!result)
          throw new EdgewrightError('INTERNAL', 'Internal error: LiteRT returned no such output.', {
            where: name,
          })
        tensors.set(name, result)
        countHandedOut(result.data.byteLength)
      }
      return tensors
    },
    async close() {
      // the whole machine goes with its memory, which WebAssembly cannot give back otherwise
      open?.close()
      open = null
    },
  }
}

// -- the WebAssembly module --------------------------------------------------------------------------------------

/** What we use of the module's interface. */
interface LitertWasm {
  HEAPU8: Uint8Array
  _malloc(bytes: number): number
  LiteRtEnvironment: { create(options: null): Handle }
  LiteRtTensorBuffer: {
    createManaged(environment: Handle, kind: unknown, type: TensorTypeHandle, bytes: number): BufferHandle
  }
  LiteRtTensorBufferType: { HOST_MEMORY: unknown }
  LiteRtTensorBufferLockMode: { READ: unknown; WRITE: unknown }
  loadModel(environment: Handle, pointer: number, bytes: number): ModelHandle
  compileModel(
    environment: Handle,
    model: ModelHandle,
    options: { accelerator: 'wasm' },
  ): Promise<CompiledHandle>
  setupLogging?(): void
}

interface Handle {
  delete?(): void
}
interface List<T> {
  size(): number
  get(index: number): T
}
interface TensorTypeHandle extends Handle {
  elementType(): { value: number }
  layout(): { dimensions(): List<number> }
}
interface BufferHandle extends Handle {
  lock(mode: unknown): number
  unlock(): void
}
interface ModelHandle extends Handle {
  getSignature(index: number): { inputNames(): List<string>; outputNames(): List<string> }
  getInputTensorType(signature: number, index: number): TensorTypeHandle
  getOutputTensorType(signature: number, index: number): TensorTypeHandle
}
interface CompiledHandle extends Handle {
  run(signature: number, inputs: BufferHandle[]): List<BufferHandle> | BufferHandle[]
}

type Factory = (options: {
  instantiateWasm(imports: object, done: (instance: object, module: object) => void): object
  locateFile(path: string): string
  print(text: string): void
  printErr(text: string): void
}) => Promise<LitertWasm>

/** Node has it; its type declarations do not. */
const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly
interface WebAssemblyApi {
  compile(bytes: Uint8Array): Promise<object>
  instantiate(module: object, imports: object): Promise<object>
}

interface Loaded {
  readonly factory: Factory
  readonly compiled: object
  readonly folder: string
}

// 9 MB to compile: once, only on first use
let loaded: Promise<Loaded> | undefined

/** A machine of its own for each model: one that fails cannot harm another. */
async function instantiate(log: string[]): Promise<LitertWasm> {
  loaded ??= load().catch((cause: unknown) => {
    loaded = undefined
    throw new EdgewrightError('RUNTIME_MISSING', 'LiteRT cannot be loaded on this computer.', {
      saw: cause instanceof Error ? cause.message : String(cause),
      hint: 'Reinstall with `npm ci`: the package @litertjs/core carries it.',
      cause,
    })
  })
  const { factory, compiled, folder } = await loaded
  const wasm = await factory({
    instantiateWasm(imports, done) {
      webAssembly.instantiate(compiled, imports).then((instance) => done(instance, compiled))
      return {}
    },
    locateFile: (path) => join(folder, path),
    print: () => {},
    printErr: (text) => void log.push(text),
  })
  wasm.setupLogging?.()
  return wasm
}

/** The package says that its scripts are ES modules; this one is not, so that it has to be evaluated by hand. */
async function load(): Promise<Loaded> {
  const require = createRequire(import.meta.url)
  const folder = join(dirname(dirname(require.resolve('@litertjs/core'))), 'wasm')
  // the plain build: those with relaxed SIMD, threads or JSPI need flags or fail in Node 20
  const script = join(folder, 'litert_wasm_compat_internal.js')
  const [source, binary] = await Promise.all([
    readFile(script, 'utf8'),
    readFile(script.replace(/\.js$/, '.wasm')),
  ])
  const module = new Module(script) as Module & { _compile(source: string, path: string): void }
  module.filename = script
  module.paths = []
  module._compile(source, script)
  return { factory: module.exports as Factory, compiled: await webAssembly.compile(binary), folder }
}

// -- one model ---------------------------------------------------------------------------------------------------

/** LiteRT's numbers of element types. */
const elementTypes: Readonly<Record<number, DType>> = {
  1: 'float32',
  2: 'int32',
  3: 'uint8',
  4: 'int64',
  6: 'bool',
  7: 'int16',
  9: 'int8',
  10: 'float16',
  11: 'float64',
  13: 'uint64',
  16: 'uint32',
  17: 'uint16',
}

interface Slot extends TensorInfo {
  readonly handle: TensorTypeHandle
  readonly bytes: number
}

class Session {
  readonly inputs: readonly Slot[]
  readonly outputs: readonly Slot[]
  readonly #wasm: LitertWasm
  readonly #environment: Handle
  readonly #model: ModelHandle
  readonly #compiled: CompiledHandle
  readonly #signature: number

  private constructor(
    wasm: LitertWasm,
    environment: Handle,
    model: ModelHandle,
    compiled: CompiledHandle,
    index: number,
  ) {
    this.#signature = index
    this.#wasm = wasm
    this.#environment = environment
    this.#model = model
    this.#compiled = compiled
    const signature = model.getSignature(index)
    this.inputs = slots(signature.inputNames(), (i) => model.getInputTensorType(index, i))
    this.outputs = slots(signature.outputNames(), (i) => model.getOutputTensorType(index, i))
  }

  static async create(wasm: LitertWasm, bytes: Uint8Array, signature: number): Promise<Session> {
    const environment = wasm.LiteRtEnvironment.create(null)
    // the runtime reads its constants from here as long as it lives
    const pointer = wasm._malloc(bytes.byteLength)
    wasm.HEAPU8.set(bytes, pointer)
    const model = wasm.loadModel(environment, pointer, bytes.byteLength)
    const compiled = await wasm.compileModel(environment, model, { accelerator: 'wasm' })
    return new Session(wasm, environment, model, compiled, signature)
  }

  run(given: readonly Uint8Array[]): Map<string, Tensor> {
    const buffers: BufferHandle[] = []
    try {
      for (const [i, bytes] of given.entries()) buffers.push(this.#filled(this.inputs[i]!, bytes))
      const made = this.#compiled.run(this.#signature, buffers)
      const results = Array.isArray(made) ? made : Array.from({ length: made.size() }, (_, i) => made.get(i))
      const tensors = this.outputs.map((slot, i) => [slot.name, this.#read(slot, results[i]!)] as const)
      return new Map(tensors)
    } finally {
      for (const buffer of buffers) buffer.delete?.()
    }
  }

  close(): void {
    for (const handle of [this.#compiled, this.#model, this.#environment]) handle.delete?.()
  }

  #filled({ handle, bytes: size }: Slot, bytes: Uint8Array): BufferHandle {
    const { LiteRtTensorBuffer, LiteRtTensorBufferType, LiteRtTensorBufferLockMode } = this.#wasm
    const buffer = LiteRtTensorBuffer.createManaged(
      this.#environment,
      LiteRtTensorBufferType.HOST_MEMORY,
      handle,
      size,
    )
    // the heap may have moved: never keep a view over a call
    const pointer = buffer.lock(LiteRtTensorBufferLockMode.WRITE)
    this.#wasm.HEAPU8.set(bytes, pointer)
    buffer.unlock()
    return buffer
  }

  #read({ dtype, shape, bytes }: Slot, buffer: BufferHandle): Tensor {
    const pointer = buffer.lock(this.#wasm.LiteRtTensorBufferLockMode.READ)
    const copy = this.#wasm.HEAPU8.slice(pointer, pointer + bytes)
    buffer.unlock()
    buffer.delete?.()
    return { dtype, shape, data: viewAs(dtype, copy) }
  }
}

function slots(names: List<string>, typeOf: (index: number) => TensorTypeHandle): Slot[] {
  return Array.from({ length: names.size() }, (_, index) => {
    const handle = typeOf(index)
    const name = names.get(index)
    const number = handle.elementType().value
    const dtype = elementTypes[number]
    if (!dtype)
      throw new EdgewrightError(
        'TARGET_CANNOT_RUN',
        'A tensor of the network has a type that cannot be passed to LiteRT here.',
        {
          where: name,
          saw: `element type ${number}`,
        },
      )
    const dimensions = handle.layout().dimensions()
    const shape = Array.from({ length: dimensions.size() }, (_, axis) => dimensions.get(axis))
    return { name, dtype, shape, handle, bytes: byteLength(dtype, shape) }
  })
}

function infoOf({ name, dtype, shape }: Slot): TensorInfo {
  return { name, dtype, shape }
}

function feedOf({ name, dtype, shape }: Slot, tensor: Tensor | undefined): Uint8Array {
  if (!tensor)
    throw new EdgewrightError('DATA_SHAPE', 'An input of the network was not given.', { where: name })
  if (tensor.dtype !== dtype || tensor.data.length !== elementCount(shape))
    throw new EdgewrightError('DATA_SHAPE', 'A tensor is not what the network takes.', {
      where: name,
      saw: `${tensor.dtype}, ${tensor.data.length} elements, for ${dtype}[${shape.join(', ')}]`,
    })
  return bytesOf(tensor.data)
}

/** Emscripten throws numbers; the words are in what the runtime printed. */
async function guarded<T>(log: readonly string[], message: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    if (cause instanceof EdgewrightError) throw cause
    const said = log.filter((line) => /error|fail|invalid|not /i.test(line)).slice(-3)
    throw new EdgewrightError('TARGET_CANNOT_RUN', message, {
      saw: [...said, cause instanceof Error ? cause.message : ''].filter(Boolean).join(' ').slice(0, 500),
      cause,
    })
  }
}
