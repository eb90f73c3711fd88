import { basename, dirname, resolve } from 'node:path'
import { readFile, stat } from 'node:fs/promises'
import { sha256, sha256OfFile } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { openModel } from '../formats/index.ts'
import { inferOpaqueTypes } from '../execute/onnxruntime.ts'
import { writeTflite } from '../formats/tflite/write.ts'
import { floatPasses, runPasses } from '../passes/index.ts'
import type { Graph, Model } from '../graph/types.ts'
import type { Progress } from '../progress.ts'
import { executeGraph, modelFileOf } from './execute-graph.ts'

/** A model file as the user names it. */
export interface ModelRequest {
  readonly model: string
  /** Shapes of inputs that the file leaves open. */
  readonly shapes: Readonly<Record<string, readonly number[]>>
  /** Which of a file's several signatures; needed only where there are several. */
  readonly signature?: string | undefined
}

/** Something a rewrite did or declined to do. */
export interface Note {
  readonly pass: string
  readonly where: string
  readonly reason: string
}

/** A network as read and cleaned: what every target starts from. */
export interface Source {
  readonly path: string
  readonly name: string
  readonly sha256: string
  readonly bytes: number
  readonly model: Model
  /** As read. */
  readonly original: Graph
  /** After the float rewrites: the same function, fewer operators. */
  readonly graph: Graph
  readonly notes: readonly Note[]
  /** A file of `original` with static shapes: the user's own bytes where they are that already. */
  readonly floatModel: Uint8Array
}

/** Reads a model file and applies the float rewrites. */
export async function openSource(request: ModelRequest, progress: Progress): Promise<Source> {
  const path = resolve(request.model)
  const bytes = await fileBytes(path)
  progress.stage('read', basename(path))
  const model = await openModel(path, {
    shapes: request.shapes,
    inferOpaque: inferOpaqueTypes,
    ...(request.signature === undefined ? {} : { signature: request.signature }),
  })
  const original = onlyGraph(model, path)
  const notes: Note[] = []
  progress.stage('rewrite', `${original.nodes.length} operators`)
  const graph = await runPasses(original, floatPasses(executeGraph), (note) => notes.push(note))
  return {
    path,
    name: releasable(nameOf(path)),
    ...(await identityOf(path, bytes, model, original)),
    model,
    original,
    graph,
    notes,
    floatModel: await floatModelOf(path, request, model, original),
  }
}

/** A network that is in memory, cleaned as one that was read. @param name for artifacts and reports */
export async function sourceOfModel(model: Model, name: string): Promise<Source> {
  return sourceOfGraph(onlyGraph(model, name), model, name)
}

/** A graph that was made from a model's, as a source of its own: `floatModel` is the graph as a file. */
export async function sourceOfGraph(original: Graph, model: Model, name: string): Promise<Source> {
  const notes: Note[] = []
  const graph = await runPasses(original, floatPasses(executeGraph), (note) => notes.push(note))
  const floatModel = modelFileOf(original)
  return {
    path: name,
    name: releasable(name),
    bytes: floatModel.byteLength,
    sha256: sha256(floatModel),
    model,
    original,
    graph,
    notes,
    floatModel,
  }
}

function onlyGraph(model: Model, where: string): Graph {
  const [graph] = model.graphs.values()
  if (graph && model.graphs.size === 1) return graph
  throw new EdgewrightError('MODEL_FORMAT_UNSUPPORTED', 'The model has several signatures.', {
    where,
    saw: [...model.graphs.keys()].join(', '),
    hint: 'Export the one that is to be deployed.',
  })
}

/** tfjs calls every network model.json: its folder tells them apart. */
function nameOf(path: string): string {
  return basename(path) === 'model.json' ? basename(dirname(path)) : basename(path).replace(/\.[^.]+$/, '')
}

/** Size and digest of the whole network: weights that stand in files of their own count too. */
async function identityOf(
  path: string,
  fileBytes: number,
  model: Model,
  graph: Graph,
): Promise<{ bytes: number; sha256: string }> {
  const fileDigest = await sha256OfFile(path)
  if (!model.externalData && model.format !== 'tfjs') return { bytes: fileBytes, sha256: fileDigest }
  const constants = [
    ...new Map(
      [...graph.values.values()].flatMap(({ constant }) =>
        constant ? [[constant.digest, constant.byteLength] as const] : [],
      ),
    ),
  ]
  return {
    bytes: constants.reduce((sum, [, byteLength]) => sum + byteLength, fileBytes),
    sha256: sha256([fileDigest, ...constants.map(([digest]) => digest).sort()].join('\n')),
  }
}

/** The name as a release on a board may have it: plain words, no leading dot or dash. */
function releasable(name: string): string {
  return (
    name
      .replace(/[^A-Za-z0-9._-]+/g, '-')
      .replace(/^[.-]+|-+$/g, '')
      .slice(0, 64) || 'model'
  )
}

/** The user's file as it is, unless a runtime would need more than it: a shape bound, or weights in other files. */
async function floatModelOf(
  path: string,
  { shapes }: ModelRequest,
  model: Model,
  original: Graph,
): Promise<Uint8Array> {
  const fixed = model.inputSignatures.every(({ dimensions }) =>
    dimensions.every((dimension) => typeof dimension === 'number'),
  )
  // a TensorFlow Lite file states a size beside each open dimension, which LiteRT takes
  const bound = model.format === 'tflite' ? Object.keys(shapes).length === 0 : fixed
  const runnable = model.format === 'onnx' || model.format === 'tflite'
  if (!runnable || !bound || model.externalData) return modelFileOf(original)
  // LiteRT names inputs as the signature does: the same network again, under the names of its tensors
  return callsTensorsOtherwise(model) ? writeTflite(original) : readFile(path)
}

function callsTensorsOtherwise({ extras }: Model): boolean {
  const aliases = [extras?.signature?.inputs ?? {}, extras?.signature?.outputs ?? {}]
  return aliases.some((names) => Object.entries(names).some(([tensor, alias]) => tensor !== alias))
}

async function fileBytes(path: string): Promise<number> {
  try {
    const found = await stat(path)
    return found.size
  } catch (cause) {
    throw new EdgewrightError('MODEL_NOT_FOUND', 'There is no such model file.', {
      where: path,
      hint: 'Check the path.',
      cause,
    })
  }
}
