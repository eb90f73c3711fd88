import { existsSync, readFileSync } from 'node:fs'
import Module, { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** One tensor of a model as LiteRT's WebAssembly build names it; `type` is its own object. */
interface WasmTensor {
  readonly name: string
  readonly element: number
  readonly bytes: number
  readonly type: unknown
}

export interface WasmModel {
  readonly inputs: readonly WasmTensor[]
  readonly outputs: readonly WasmTensor[]
  /** Inputs in this order; outputs in that of `outputs`. */
  run(inputs: readonly Uint8Array[]): Promise<Uint8Array[]>
}

// biome-ignore lint/suspicious/noExplicitAny: the module describes itself to nobody
type Emscripten = any

let loading: Promise<Emscripten> | undefined

/** The third party that the native library is held to: LiteRT's own build for browsers, in this process. */
export async function openInWasm(file: string): Promise<WasmModel> {
  loading ??= load()
  const wasm = await loading
  const content = readFileSync(file)
  const environment = wasm.LiteRtEnvironment.create(null)
  const at = wasm._malloc(content.length)
  wasm.HEAPU8.set(content, at)
  const model = wasm.loadModel(environment, at, content.length)
  const compiled = await wasm.compileModel(environment, model, { accelerator: 'wasm' })
  const signature = model.getSignature(0)
  const describe = (names: Emscripten, typeAt: (index: number) => Emscripten): WasmTensor[] =>
    Array.from({ length: names.size() }, (_, i) => {
      const type = typeAt(i)
      return { name: names.get(i), element: type.elementType().value, bytes: type.bytes(), type }
    })
  const inputs = describe(signature.inputNames(), (i) => model.getInputTensorType(0, i))
  const outputs = describe(signature.outputNames(), (i) => model.getOutputTensorType(0, i))
  const {
    LiteRtTensorBuffer: Buffers,
    LiteRtTensorBufferType: Types,
    LiteRtTensorBufferLockMode: Modes,
  } = wasm

  return {
    inputs,
    outputs,
    async run(values) {
      const fed = inputs.map(({ type, bytes }, i) => {
        const buffer = Buffers.createManaged(environment, Types.HOST_MEMORY, type, bytes)
        wasm.HEAPU8.set(values[i]!, buffer.lock(Modes.WRITE))
        buffer.unlock()
        return buffer
      })
      const answers = await compiled.run(0, fed)
      const results = outputs.map(({ bytes }, i) => {
        const buffer = answers[i] ?? answers.get(i)
        const start = buffer.lock(Modes.READ)
        const copy = wasm.HEAPU8.slice(start, start + bytes)
        buffer.unlock()
        buffer.delete()
        return copy
      })
      for (const buffer of fed) buffer.delete()
      return results
    },
  }
}

async function load(): Promise<Emscripten> {
  const folder = join(packageFolder(), 'wasm')
  const file = join(folder, 'litert_wasm_compat_internal.js')
  // the package says `type: module` but this script is CommonJS
  const script = new Module(file) as Emscripten
  script.filename = file
  script.paths = []
  script._compile(readFileSync(file, 'utf8'), file)
  return script.exports({ locateFile: (name: string) => join(folder, name), print() {}, printErr() {} })
}

function packageFolder(): string {
  let folder = dirname(createRequire(import.meta.url).resolve('@litertjs/core'))
  while (!existsSync(join(folder, 'wasm'))) folder = dirname(folder)
  return folder
}
