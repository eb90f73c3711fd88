import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { EdgewrightError } from '../../error.ts'
import type { ExternalFolder } from './read-tensor.ts'

/** A model file, or its bytes with the folder of its external data where it has any. */
export type OnnxSource = { readonly path: string } | { readonly bytes: Uint8Array; readonly folder?: string }

/** A protobuf message cannot be larger. */
const mostBytes = 2 ** 31 - 1

/** @throws MODEL_NOT_FOUND, MODEL_TOO_LARGE */
export async function loadSource(
  source: OnnxSource,
  maxBytes = mostBytes,
): Promise<{ bytes: Uint8Array; folder: ExternalFolder; where: string }> {
  if ('bytes' in source) {
    requireSize(source.bytes.byteLength, maxBytes, 'the bytes given')
    return { bytes: source.bytes, folder: { path: source.folder ?? null }, where: 'the bytes given' }
  }
  const { path } = source
  try {
    const found = await stat(path)
    if (!found.isFile()) throw Object.assign(new Error('not a file'), { code: 'not a regular file' })
    requireSize(found.size, maxBytes, path)
    return { bytes: await readFile(path), folder: { path: dirname(path) }, where: path }
  } catch (error) {
    if (error instanceof EdgewrightError) throw error
    throw new EdgewrightError('MODEL_NOT_FOUND', 'The model file cannot be read.', {
      where: path,
      saw: (error as NodeJS.ErrnoException).code,
      cause: error,
    })
  }
}

function requireSize(size: number, maxBytes: number, where: string): void {
  if (size <= maxBytes) return
  throw new EdgewrightError(
    'MODEL_TOO_LARGE',
    `The model file is larger than ${maxBytes === mostBytes ? '2 GB' : `${maxBytes} bytes`}.`,
    {
      where,
      saw: `${size} bytes`,
      hint: 'Save its weights as external data: onnx.save(model, path, save_as_external_data=True).',
    },
  )
}
