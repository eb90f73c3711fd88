import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { EdgewrightError } from '../error.ts'

/** Every kind of model file that we can tell by its content. */
export type ModelFormat =
  | 'onnx'
  | 'tflite'
  | 'keras-h5'
  | 'keras'
  | 'tfjs'
  | 'saved-model'
  | 'frozen-graph'
  | 'pytorch'
  | 'safetensors'

/** What a name cannot tell, the beginning of the content can. */
const headBytes = 1 << 16

/**
 * The format of a model file or folder by its content; null for anything else.
 * @throws MODEL_NOT_FOUND
 */
export function recognizeFormat(source: string | Uint8Array): ModelFormat | null {
  if (typeof source !== 'string') return recognizeBytes(source)
  const { isDirectory, head } = look(source)
  if (!isDirectory) return recognizeBytes(head)
  if (existsSync(join(source, 'saved_model.pb'))) return 'saved-model'
  if (existsSync(join(source, 'model.json'))) return recognizeFormat(join(source, 'model.json'))
  return null
}

function look(path: string): { isDirectory: boolean; head: Uint8Array } {
  try {
    if (statSync(path).isDirectory()) return { isDirectory: true, head: new Uint8Array() }
    if (!statSync(path).isFile())
      throw Object.assign(new Error('special file'), { code: 'not a regular file' })
    const file = openSync(path, 'r')
    try {
      const head = new Uint8Array(headBytes)
      return { isDirectory: false, head: head.subarray(0, readSync(file, head, 0, headBytes, 0)) }
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw new EdgewrightError('MODEL_NOT_FOUND', 'The model file cannot be read.', {
      where: path,
      saw: (cause as NodeJS.ErrnoException).code,
      hint: 'Check the path.',
      cause,
    })
  }
}

function recognizeBytes(bytes: Uint8Array): ModelFormat | null {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, headBytes))
  if (head.subarray(4, 8).toString('latin1') === 'TFL3') return 'tflite'
  if (head.subarray(0, 8).equals(Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'))) return 'keras-h5'
  if (head.subarray(0, 4).toString('latin1') === 'PK\x03\x04') return recognizeZip(head)
  if (isPickle(head)) return 'pytorch'
  if (/^\s*\{/.test(head.subarray(0, 64).toString('latin1'))) return recognizeJson(head.toString('utf8'))
  if (isSafetensors(head)) return 'safetensors'
  return recognizeProtobuf(head)
}

/** A .keras file holds config.json and metadata.json, a PyTorch file data.pkl in a folder of its own. */
function recognizeZip(head: Buffer): ModelFormat | null {
  const text = head.toString('latin1')
  if (/data\.pkl|constants\.pkl|\/byteorder/.test(text)) return 'pytorch'
  if (/config\.json|model\.weights\.h5/.test(text)) return 'keras'
  return null
}

/** Protocol 2 and later: PROTO, version; what torch.save wrote before it used zip begins so. */
function isPickle(head: Buffer): boolean {
  return head.length > 2 && head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5
}

function recognizeJson(text: string): ModelFormat | null {
  return /"(modelTopology|weightsManifest)"\s*:/.test(text) ||
    /"format"\s*:\s*"(layers|graph)-model"/.test(text)
    ? 'tfjs'
    : null
}

/** Length of a JSON header in 8 bytes, then the header. */
function isSafetensors(head: Buffer): boolean {
  return head.length > 9 && head.readUInt32LE(4) === 0 && head[8] === 0x7b
}

/**
 * The top-level fields of a protobuf message. ONNX: a version (field 1, varint) or an operator set or a graph (7, 8)
 * before anything else, all fields below 26. A frozen TensorFlow graph is a list of nodes (field 1, length-delimited).
 */
function recognizeProtobuf(head: Buffer): ModelFormat | null {
  const seen = new Map<number, number>()
  for (let at = 0; at < head.length; ) {
    const tag = varint(head, at)
    if (!tag) break
    const [field, wire] = [tag.value >>> 3, tag.value & 7]
    if (onnxWires.get(field) !== wire)
      return seen.size === 0 && field === 1 && wire === 2 && isNodeDef(head) ? 'frozen-graph' : whole(seen)
    seen.set(field, wire)
    const body = varint(head, tag.end)
    // the rest is beyond what was read
    if (!body) break
    at = wire === 0 ? body.end : body.end + body.value
  }
  return whole(seen)
}

/** Fields of ModelProto with their wire types. */
const onnxWires = new Map<number, number>([
  [1, 0],
  [2, 2],
  [3, 2],
  [4, 2],
  [5, 0],
  [6, 2],
  [7, 2],
  [8, 2],
  [14, 2],
  [20, 2],
  [25, 2],
  [26, 2],
])

/** A graph, or a version with who made it. */
function whole(seen: ReadonlyMap<number, number>): ModelFormat | null {
  return seen.has(7) || (seen.has(1) && (seen.has(8) || seen.has(2))) ? 'onnx' : null
}

/** A NodeDef: its name, then its operator, both text. */
function isNodeDef(head: Buffer): boolean {
  const text = head.subarray(0, 64).toString('latin1')
  return /^\n[\s\S]{1,3}\n[\s\S]([A-Za-z0-9_./-]+)\x12/.test(text)
}

function varint(bytes: Buffer, at: number): { value: number; end: number } | null {
  let value = 0
  for (let i = 0; i < 5; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) return null
    value += (byte & 127) * 2 ** (7 * i)
    if (byte < 128) return { value, end: at + i + 1 }
  }
  return null
}
