import { EdgewrightError } from '../../error.ts'
import type { Model, TensorType } from '../../graph/types.ts'
import { decodeModel, type OnnxGraph, type OnnxModel } from './proto.ts'
import { type InferOpaque, modelMaking } from './read-host-run.ts'
import { bindInputs, type BoundInputs } from '../bind-inputs.ts'
import { completeType, declaredInput } from './read-inputs.ts'
import { inlineFunctions } from './read-functions.ts'
import { importGraph, type ImportTask } from './read-import.ts'
import { prepareNodes } from './read-prepare.ts'
import { loadSource, type OnnxSource } from './read-source.ts'
import { requireFiniteWeights } from './read-weights.ts'

export type { InferOpaque } from './read-host-run.ts'
export type { OnnxSource } from './read-source.ts'

export interface ReadOnnxOptions {
  /** Static shapes of inputs by name, from `--shape input=1,3,224,224`. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  /** What an open leading dimension becomes; 1 where not given. A dimension that the file fixes stays. */
  readonly batch?: number
  /** Runs a model on this computer and gives the types of the named outputs: for operators that we do not know. */
  readonly inferOpaque?: InferOpaque
  /** Largest file that is read; 2 GB − 1 where not given. */
  readonly maxBytes?: number
}

/** The operator sets of the default domain that the reader knows. */
export const readableOpsets = { least: 7, most: 21 } as const

/** Each round asks the host for what the last could not know; chains of unknown operators take one each. */
const mostRounds = 16

/**
 * Reads an ONNX model for static shapes. What our op set cannot say is carried verbatim as `Opaque`.
 * Metadata `warnings` (a line each) names what was carried verbatim with a shape that depends on the data.
 * @throws MODEL_NOT_FOUND, MODEL_BROKEN, MODEL_TOO_LARGE, MODEL_OPSET_UNSUPPORTED, MODEL_SHAPE_MISSING,
 * MODEL_SHAPE_INVALID, MODEL_EXTERNAL_DATA, MODEL_NAN_WEIGHTS, OPERATOR_UNSUPPORTED
 */
export async function readOnnx(source: OnnxSource, options: ReadOnnxOptions = {}): Promise<Model> {
  const { bytes, folder, where } = await loadSource(source, options.maxBytes)
  const model = decodeModel(bytes, where)
  const graph = model.graph!
  const opsets = opsetsOf(model, where)
  const initialized = new Set(graph.initializer.map(({ name }) => name))
  const inputs = graph.input.filter(({ name }) => !initialized.has(name))
  const bound = bindInputs(inputs.map(declaredInput), options.shapes ?? {}, options.batch ?? 1)
  const nodes = prepareNodes(graph, inlineFunctions(model, graph, opsets))
  const task: ImportTask = { graph, nodes, bound, folder, declared: declaredTypes(graph, bound, options) }
  const { read, warnings } = await importWithHost(task, model, options)
  requireFiniteWeights(read)
  return {
    format: 'onnx',
    graphs: new Map([[read.name, read]]),
    inputSignatures: bound.signatures,
    metadata: metadataOf(model, warnings),
    externalData: graph.initializer.some(({ dataLocation }) => dataLocation === 1),
    opsets: Object.fromEntries(opsets),
  }
}

async function importWithHost(task: ImportTask, model: OnnxModel, options: ReadOnnxOptions) {
  const known = new Map<string, TensorType>()
  for (let round = 0; round < mostRounds; round++) {
    const { read, warnings, unknown } = importGraph(task, known)
    if (read) return { read, warnings }
    const names = [...unknown.keys()]
    if (!options.inferOpaque) throw unknownType(names[0]!, unknown.get(names[0]!)!)
    const types = await tryOut(options.inferOpaque, modelMaking(model, task, names), names)
    for (const name of names) {
      const type = types.get(name)
      if (!type) throw unknownType(name, unknown.get(name)!)
      known.set(name, type)
    }
  }
  throw new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    'The model chains too many operators whose results are only known by running them.',
    { where: task.graph.name },
  )
}

/** What a run on made-up inputs cannot tell leaves the operators refused by name. */
async function tryOut(
  inferOpaque: InferOpaque,
  bytes: Uint8Array,
  names: string[],
): Promise<Map<string, TensorType>> {
  try {
    return await inferOpaque(bytes, names)
  } catch (error) {
    if (error instanceof EdgewrightError && error.kind !== 'input') throw error
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      'The operators that are carried verbatim could not be tried out on this computer.',
      {
        where: names.slice(0, 8).join(', '),
        saw:
          (error instanceof EdgewrightError ? error.saw : undefined) ??
          (error instanceof Error ? error.message : String(error)),
        hint: 'Run shape inference on the model when exporting it, or export it without these operators.',
        cause: error,
      },
    )
  }
}

function unknownType(name: string, operator: string): EdgewrightError {
  return new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    `The type of ${JSON.stringify(name)} is not known: it comes from an operator that is carried verbatim.`,
    {
      where: operator,
      hint: 'Run shape inference on the model when exporting it, or export it without this operator.',
    },
  )
}

/** What the file says of its own values, where it cannot be stale: a bound dimension may have changed it. */
function declaredTypes(
  graph: OnnxGraph,
  bound: BoundInputs,
  options: ReadOnnxOptions,
): Map<string, TensorType> {
  const types = new Map<string, TensorType>()
  if (bound.open && options.inferOpaque) return types
  for (const { name, type } of [...graph.valueInfo, ...graph.output]) {
    const complete = completeType(type?.tensorType)
    if (complete) types.set(name, complete)
  }
  return types
}

function opsetsOf(model: OnnxModel, where: string): Map<string, number> {
  const opsets = new Map<string, number>()
  for (const { domain, version } of model.opsetImport)
    opsets.set(domain === 'ai.onnx' ? '' : domain, Number(version))
  const version = opsets.get('')
  const { least, most } = readableOpsets
  if (version === undefined || !Number.isSafeInteger(version) || version < least || version > most)
    throw new EdgewrightError(
      'MODEL_OPSET_UNSUPPORTED',
      version === undefined
        ? `The model does not say which ONNX operator set it uses; Edgewright reads ${least} to ${most}.`
        : `The model uses ONNX operator set ${version}; Edgewright reads ${least} to ${most}.`,
      {
        where,
        saw: `operator set ${version ?? 'not stated'}`,
        hint:
          version !== undefined && version > most
            ? `Export with opset_version=${most}, or convert: python -c "import onnx, onnx.version_converter as v; onnx.save(v.convert_version(onnx.load('model.onnx'), ${most}), 'model${most}.onnx')"`
            : 'Export the model again with opset_version=17.',
      },
    )
  return opsets
}

function metadataOf(model: OnnxModel, warnings: readonly string[]): Record<string, string> {
  const entries: [string, string][] = [
    ['producer', [model.producerName, model.producerVersion].filter(Boolean).join(' ')],
    ['domain', model.domain],
    ['description', model.docString],
    ['irVersion', String(model.irVersion)],
    ['warnings', warnings.join('\n')],
    ...model.metadataProps.map(({ key, value }): [string, string] => [`property.${key}`, value]),
  ]
  return Object.fromEntries(
    entries.filter(([, value]) => value !== '').map(([key, value]) => [key, value.slice(0, 4096)]),
  )
}
