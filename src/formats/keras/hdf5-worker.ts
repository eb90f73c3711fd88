import { parentPort, workerData } from 'node:worker_threads'
import type { Hdf5Content, Hdf5Dataset, Hdf5Request } from './hdf5.ts'

/** What one file may hold; a Keras file of the largest networks has a few thousand. */
const mostObjects = 50_000
const deepest = 64
const longestText = 64 << 20

const request = workerData as Hdf5Request

/** libhdf5, compiled to WebAssembly, sees one file in memory and nothing of this computer. */
async function readContent({ bytes, mostBytes, folders }: Hdf5Request): Promise<Hdf5Content> {
  limitMemory(mostBytes + bytes.byteLength + (192 << 20))
  const { default: h5wasm } = await import('h5wasm')
  const { FS } = await h5wasm.ready
  parentPort!.postMessage({ started: true })
  FS.writeFile('/model.h5', bytes)
  const file = new h5wasm.File('/model.h5', 'r')
  const walk = new Walk(mostBytes)
  walk.attributes('', file as never)
  for (const folder of folders ?? file.keys())
    if (file.keys().includes(folder)) walk.visit(folder, file.get(folder) as never, 1)
  return { attributes: walk.found, datasets: walk.datasets }
}

/** A worker's own limits do not count WebAssembly's memory. */
function limitMemory(mostBytes: number): void {
  const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: { prototype: GrowingMemory } } })
    .WebAssembly
  const grow = Memory.prototype.grow
  Memory.prototype.grow = function (this: GrowingMemory, pages: number) {
    if (this.buffer.byteLength + pages * 65536 > mostBytes) throw new RangeError('too much memory')
    return grow.call(this, pages)
  }
}

interface GrowingMemory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

/** The parts of h5wasm's objects that are used here. */
interface Entity {
  readonly type?: string
  readonly attrs: Record<string, { readonly metadata: Metadata; readonly value: unknown }>
  keys(): string[]
  get(name: string): Entity | null
  readonly metadata: Metadata
  readonly value: unknown
}

interface Metadata {
  readonly type: number
  readonly size: number
  readonly signed: boolean
  readonly shape: readonly number[] | null
  readonly total_size: number
}

class Walk {
  readonly found: Record<string, Record<string, string | string[]>> = {}
  readonly datasets: Hdf5Dataset[] = []
  readonly #mostBytes: number
  #bytes = 0
  #objects = 0

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  visit(path: string, entity: Entity | null, depth: number): void {
    if (++this.#objects > mostObjects) throw new Error(`it holds more than ${mostObjects} objects`)
    if (depth > deepest) throw new Error(`its groups are more than ${deepest} deep`)
    if (entity === null) throw new Error(`${path} cannot be read`)
    if (entity.type === 'Dataset') {
      this.#dataset(path, entity)
      return
    }
    // links lead elsewhere: Keras writes none
    if (entity.type !== 'Group') return
    this.attributes(path, entity)
    for (const key of entity.keys()) this.visit(`${path}/${key}`, entity.get(key), depth + 1)
  }

  attributes(path: string, entity: Entity): void {
    const texts: Record<string, string | string[]> = {}
    for (const [name, attribute] of Object.entries(entity.attrs)) {
      const { metadata } = attribute
      // 3 and 9: text of fixed and of variable length
      if (metadata.type !== 3 && metadata.type !== 9) continue
      if (elements(metadata) * metadata.size > longestText)
        throw new Error(`the attribute ${name} of ${path} is too long`)
      const { value } = attribute
      if (typeof value === 'string') texts[name] = value
      else if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) texts[name] = value
    }
    this.found[path] = texts
  }

  #dataset(path: string, entity: Entity): void {
    const { metadata } = entity
    const dtype = dtypeOf(metadata)
    // text and the like: no weight
    if (dtype === null || metadata.shape === null) return
    this.#bytes += elements(metadata) * metadata.size
    if (!(this.#bytes <= this.#mostBytes))
      throw new Error(`its tensors take more than ${this.#mostBytes} bytes`)
    const value = entity.value
    const data = ArrayBuffer.isView(value) ? value : null
    if (data === null && metadata.shape.length > 0) throw new Error(`${path} cannot be read`)
    const bytes = data
      ? new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength))
      : scalarBytes(dtype, value)
    this.datasets.push({ path, dtype, shape: metadata.shape.map(Number), bytes })
  }
}

function elements({ shape }: Metadata): number {
  return (shape ?? []).reduce((product, dimension) => product * Number(dimension), 1)
}

function dtypeOf({ type, size, signed }: Metadata): Hdf5Dataset['dtype'] | null {
  if (type === 1) return size === 4 ? 'float32' : size === 8 ? 'float64' : size === 2 ? 'float16' : null
  if (type === 0 && [1, 2, 4, 8].includes(size))
    return `${signed ? 'int' : 'uint'}${size * 8}` as Hdf5Dataset['dtype']
  return null
}

function scalarBytes(dtype: Hdf5Dataset['dtype'], value: unknown): Uint8Array {
  if (dtype === 'float32') return new Uint8Array(Float32Array.of(Number(value)).buffer)
  if (dtype === 'float64') return new Uint8Array(Float64Array.of(Number(value)).buffer)
  if (dtype === 'int64' || dtype === 'uint64')
    return new Uint8Array(BigInt64Array.of(BigInt(value as bigint | number)).buffer)
  return new Uint8Array(Int32Array.of(Number(value)).buffer)
}

// last, because classes exist only from where they stand
try {
  const content = await readContent(request)
  const transfers = content.datasets.map(({ bytes }) => bytes.buffer as ArrayBuffer)
  parentPort!.postMessage({ content }, transfers)
} catch (error) {
  parentPort!.postMessage({ failure: error instanceof Error ? error.message : String(error) })
}
