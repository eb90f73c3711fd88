import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { EdgewrightError } from '../../error.ts'
import type { DType } from '../../tensor.ts'

/** A tensor of an HDF5 file, little-endian and row-major; `path` has no leading slash. */
export interface Hdf5Dataset {
  readonly path: string
  readonly dtype: Extract<DType, `${'float' | 'int' | 'uint'}${number}`>
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** Everything of an HDF5 file that Keras writes: text attributes by group path (the root is ''), and tensors. */
export interface Hdf5Content {
  readonly attributes: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>
  readonly datasets: readonly Hdf5Dataset[]
}

export interface Hdf5Request {
  readonly bytes: Uint8Array
  /** Bytes that all tensors may take together. */
  readonly mostBytes: number
  /** Groups of the root to read; all where null. */
  readonly folders: readonly string[] | null
}

/** What the reading thread says, in this order. */
export type Hdf5Answer =
  | { readonly started: true }
  | { readonly content: Hdf5Content }
  | { readonly failure: string }

/** A loaded computer takes its time to start a thread and compile the library. */
const startDeadlineMs = 60_000

export interface Hdf5Options {
  readonly folders?: readonly string[]
  readonly signal?: AbortSignal
  /** Deadline in milliseconds, once the library is loaded; 1.5 s and as much again for each 15 MB where not given. */
  readonly deadlineMs?: number
}

/**
 * Reads an HDF5 file in a thread of its own, so that what a damaged file makes the library do (abort, spin, ask for
 * gigabytes) ends there.
 * @throws MODEL_BROKEN with what the library said, or that it did not come to an end; INTERRUPTED
 */
export async function readHdf5(
  bytes: Uint8Array,
  where: string,
  options: Hdf5Options = {},
): Promise<Hdf5Content> {
  const { folders = null, signal, deadlineMs = 1500 + bytes.byteLength / 10_000 } = options
  if (signal?.aborted) throw new EdgewrightError('INTERRUPTED', 'Interrupted.', { where })
  const stated = statedLength(bytes)
  if (stated === null || stated > bytes.byteLength)
    throw new EdgewrightError('MODEL_BROKEN', 'The HDF5 file is incomplete.', {
      where,
      saw:
        stated === null ? `${bytes.byteLength} bytes, no header` : `${bytes.byteLength} bytes of ${stated}`,
      hint: 'The transfer or the disk cut it off: copy it again.',
    })
  // weights are hardly ever compressed; what is much larger than its file is made up
  const mostBytes = 8 * bytes.byteLength + (16 << 20)
  const request: Hdf5Request = { bytes, mostBytes, folders }
  const worker = new Worker(workerScript(), {
    workerData: request,
    resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32 },
    stdout: true,
    stderr: true,
  })
  let timer: NodeJS.Timeout | undefined
  let abort: (() => void) | undefined
  try {
    return await new Promise<Hdf5Content>((resolve, reject) => {
      const broken = (saw: string) =>
        reject(
          new EdgewrightError('MODEL_BROKEN', 'The HDF5 file cannot be read.', {
            where,
            saw,
            hint: 'It is damaged or no HDF5 file: compare its size and digest with the original, or save the model again.',
          }),
        )
      const expire = (ms: number) => {
        clearTimeout(timer)
        timer = setTimeout(() => broken(`not read after ${Math.round(ms)} ms`), ms)
      }
      expire(startDeadlineMs)
      worker.on('message', (message: Hdf5Answer) => {
        if ('started' in message) expire(deadlineMs)
        else if ('content' in message) resolve(message.content)
        else broken(firstLine(message.failure))
      })
      worker.once('error', (error) => broken(firstLine(error.message)))
      worker.once('exit', (code) => broken(`the reader stopped (${code})`))
      abort = () => reject(new EdgewrightError('INTERRUPTED', 'Interrupted.', { where }))
      signal?.addEventListener('abort', abort, { once: true })
    })
  } finally {
    clearTimeout(timer)
    if (abort) signal?.removeEventListener('abort', abort)
    worker.removeAllListeners('exit')
    await worker.terminate()
  }
}

/** Where the file ends by its own superblock (HDF5 file format, II.A); null where there is none. */
function statedLength(bytes: Uint8Array): number | null {
  if (bytes.byteLength < 48) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = bytes[8]!
  const [width, at] = version < 2 ? [bytes[13]!, version === 0 ? 24 : 28] : [bytes[9]!, 12]
  // addresses of 4 bytes are never written by Keras: left to the library
  if (width !== 8) return 0
  return Number(view.getBigUint64(at + 16, true))
}

/** Built, the worker is a .js file; from the sources, a thread does not inherit the loader of .ts files. */
function workerScript(): URL {
  const extension = extname(new URL(import.meta.url).pathname)
  const script = new URL(`./hdf5-worker${extension}`, import.meta.url)
  if (extension !== '.ts') return script
  const loader = import.meta.resolve('tsx/esm/api')
  const [from, url] = [JSON.stringify(loader), JSON.stringify(script.href)]
  return new URL(`data:text/javascript,import { tsImport } from ${from}; await tsImport(${url}, ${url})`)
}

/** libhdf5 prints its whole stack of errors. */
function firstLine(message: string): string {
  const [line] = message.trim().split('\n', 1) as [string]
  // what h5wasm says where libhdf5 refuses to open the file
  if (line === 'error - name not defined!') return 'libhdf5 cannot open it'
  return line.slice(0, 300) || 'no reason given'
}
