import { readFile, stat } from 'node:fs/promises'
import { EdgewrightError } from '../../error.ts'
import type { Graph, Model, ModelExtras, TensorType } from '../../graph/types.ts'
import { bindInputs, type BoundInputs, type DeclaredInput } from '../bind-inputs.ts'
import { requireFiniteWeights } from '../onnx/read-weights.ts'
import { builtinCodeOf, flowing, nameOfCode, opaqueOp } from './opaque.ts'
import { controlFlow, customCode } from './operators.ts'
import { readTable } from './ops-read/index.ts'
import { GraphInReading } from './read-graph.ts'
import { NotExpressible, OperatorInReading } from './read-operator.ts'
import { chooseSubgraph, uniqueNames } from './read-signature.ts'
import { declaredType, dtypeOf } from './read-tensor.ts'
import {
  decodeModel,
  orBroken,
  type TfliteModel,
  type TfliteOperator,
  type TfliteSubGraph,
} from './schema.ts'

export type TfliteSource = { readonly path: string } | { readonly bytes: Uint8Array; readonly name?: string }

export interface ReadTfliteOptions {
  /** Static shapes of inputs by name (the tensor's or the signature's), from `--shape input=1,224,224,3`. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  /** What an open leading dimension becomes; 1 where not given. A dimension that the file fixes stays. */
  readonly batch?: number
  /** Which signature to read, where the file has several. */
  readonly signature?: string
  /** Largest file that is read; 2 GB − 1 where not given. */
  readonly maxBytes?: number
}

/**
 * Reads a TensorFlow Lite model for static shapes. Spatial operators are channels last, their weights in our order;
 * what our op set cannot say is carried verbatim as `Opaque` with the types that the file declares.
 * @throws MODEL_NOT_FOUND, MODEL_BROKEN, MODEL_TOO_LARGE, MODEL_SIGNATURE, MODEL_SHAPE_MISSING, MODEL_SHAPE_INVALID,
 * MODEL_NAN_WEIGHTS, OPERATOR_UNSUPPORTED
 */
export async function readTflite(source: TfliteSource, options: ReadTfliteOptions = {}): Promise<Model> {
  const { bytes, where } = await load(source, options.maxBytes ?? 2 ** 31 - 1)
  const model = decodeModel(bytes, where)
  const { subgraph, signature } = chooseSubgraph(model, options.signature, where)
  const names = uniqueNames(subgraph)
  const alias = new Map(
    (signature?.inputs ?? []).map(({ name, tensorIndex }) => [name ?? '', names[tensorIndex]!]),
  )
  const shapes = Object.fromEntries(
    Object.entries(options.shapes ?? {}).map(([name, shape]) => [
      names.includes(name) ? name : (alias.get(name) ?? name),
      shape,
    ]),
  )
  const bound = bindInputs(declaredInputs(subgraph, names, where), shapes, options.batch ?? 1)
  const graph = orBroken(where, () =>
    readGraph(model, subgraph, names, withBatch(bound, options.batch ?? 1), bytes),
  )
  requireFiniteWeights(graph)
  return {
    format: 'tflite',
    graphs: new Map([[graph.name, graph]]),
    inputSignatures: bound.signatures,
    metadata: metadataOf(model),
    externalData: false,
    opsets: {},
    extras: extrasOf(model, signature, names),
  }
}

async function load(source: TfliteSource, maxBytes: number): Promise<{ bytes: Uint8Array; where: string }> {
  if ('bytes' in source) return { bytes: source.bytes, where: source.name ?? 'the model' }
  const where = source.path
  try {
    const { size } = await stat(where)
    if (size > maxBytes)
      throw new EdgewrightError('MODEL_TOO_LARGE', 'The model file is too large to be read.', {
        where,
        saw: `${size} bytes`,
        hint: `At most ${maxBytes} bytes are read.`,
      })
    return { bytes: await readFile(where), where }
  } catch (cause) {
    if (cause instanceof EdgewrightError) throw cause
    throw new EdgewrightError('MODEL_NOT_FOUND', 'The model file cannot be read.', {
      where,
      saw: (cause as NodeJS.ErrnoException).code,
      hint: 'Check the path.',
      cause,
    })
  }
}

function declaredInputs(subgraph: TfliteSubGraph, names: readonly string[], where: string): DeclaredInput[] {
  return (subgraph.inputs ?? []).map((index) => {
    const tensor = subgraph.tensors?.[index]
    if (!tensor)
      throw new EdgewrightError('MODEL_BROKEN', 'The file lists an input that it does not have.', {
        where,
        saw: `tensor ${index}`,
      })
    const signature = tensor.shapeSignature?.length ? tensor.shapeSignature : (tensor.shape ?? [])
    if (signature.length > 64)
      throw new EdgewrightError('MODEL_BROKEN', 'An input of the model has an impossible rank.', {
        where: names[index]!,
        saw: String(signature.length),
      })
    const dimensions = signature.map((size) => (size < 0 ? null : size))
    return { name: names[index]!, dtype: dtypeOf(tensor, names[index]!), dimensions }
  })
}

/** Open leading dimensions are the batch where all inputs that have one agree. */
function withBatch(bound: BoundInputs, asked: number): BoundInputs {
  const leading = bound.signatures.flatMap(({ name, dimensions }) =>
    dimensions.length > 0 && typeof dimensions[0] !== 'number' ? [bound.types.get(name)!.shape[0]!] : [],
  )
  return { ...bound, batch: new Set(leading).size === 1 ? leading[0]! : asked }
}

function readGraph(
  model: TfliteModel,
  subgraph: TfliteSubGraph,
  names: readonly string[],
  bound: BoundInputs,
  bytes: Uint8Array,
): Graph {
  const tensors = subgraph.tensors ?? []
  const graph = new GraphInReading(subgraph.name || 'main', tensors, names, model.buffers, bytes, bound.batch)
  for (const index of subgraph.inputs ?? []) {
    const name = names[index]!
    const { dtype, shape } = bound.types.get(name)!
    const { quantization } = declaredType(tensors[index]!, bound.batch, name)
    graph.addInput(index, { dtype, shape, quantization })
  }
  for (const [index, operator] of (subgraph.operators ?? []).entries())
    readOperator(model, operator, index, graph)
  if (!subgraph.outputs?.length) throw new EdgewrightError('MODEL_BROKEN', 'The model has no outputs.')
  return graph.finish(subgraph.outputs)
}

function readOperator(
  model: TfliteModel,
  operator: TfliteOperator,
  index: number,
  graph: GraphInReading,
): void {
  const code = model.operatorCodes?.[operator.opcodeIndex]
  if (!code)
    throw new EdgewrightError('MODEL_BROKEN', 'An operator of the file is of no kind that it lists.', {
      where: `operator number ${index}`,
      saw: `kind ${operator.opcodeIndex}`,
    })
  const opType = nameOfCode(code)
  const where = `${opType} number ${index}`
  if (controlFlow.has(opType))
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      `The operator ${opType} runs another part of the file, which is not supported.`,
      {
        where,
        hint: 'Convert the model with a fixed number of steps, so that loops and branches are written out.',
      },
    )
  const read = builtinCodeOf(code) === customCode ? undefined : readTable[opType]
  const states = (operator.inputs ?? []).some(
    (tensor) => tensor >= 0 && graph.tensor(tensor, where).isVariable,
  )
  if (read && !states && operator.options2Type === 0) {
    try {
      read(new OperatorInReading(operator, index, opType, graph))
      return
    } catch (error) {
      if (!(error instanceof NotExpressible)) throw error
    }
  }
  carry(model, operator, index, graph)
}

/** States and intermediates belong to the operator: they are carried with it. */
function carry(model: TfliteModel, operator: TfliteOperator, index: number, graph: GraphInReading): void {
  const code = model.operatorCodes![operator.opcodeIndex]!
  const opType = nameOfCode(code)
  const where = `${opType} number ${index}`
  const own: number[] = []
  const keep = (tensor: number) => {
    const known = own.indexOf(tensor)
    return known >= 0 ? known : own.push(tensor) - 1
  }
  const inputs = (operator.inputs ?? []).map((tensor) => {
    if (tensor < 0) return -1
    if (!graph.isOwn(tensor, where)) return flowing
    graph.claimState(tensor, where)
    return keep(tensor)
  })
  const intermediates = operator.intermediates?.map((tensor) => (tensor < 0 ? -1 : keep(tensor))) ?? null
  const outputs = operator.outputs ?? []
  const types = outputs.map((tensor): TensorType => graph.declared(tensor, where))
  graph.emit(
    opaqueOp({
      code,
      operator: {
        ...operator,
        inputs,
        outputs: null,
        intermediates,
        ...customOptions(operator, graph, where),
      },
      tensors: own.map((tensor) => ({ ...graph.tensor(tensor, where), buffer: 0, hasSparsity: false })),
    }),
    (operator.inputs ?? []).map((tensor, i) => (inputs[i] === flowing ? graph.resolve(tensor, where) : null)),
    outputs,
    { opType, name: outputs.length > 0 ? graph.nameOf(outputs[0]!) : '', index },
    where,
    types,
  )
}

/** Files over 2 GB keep long options behind the tables. */
function customOptions(operator: TfliteOperator, graph: GraphInReading, where: string) {
  if (operator.largeCustomOptionsOffset <= 1) return {}
  return {
    customOptions: graph.bytesAt(operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize, where),
    largeCustomOptionsOffset: 0,
    largeCustomOptionsSize: 0,
  }
}

function metadataOf(model: TfliteModel): Record<string, string> {
  const text = (name: string) => {
    const entry = model.metadata?.find((found) => found.name === name)
    const data = entry && model.buffers?.[entry.buffer]?.data
    return data ? Buffer.from(data.subarray(0, 64)).toString('latin1').replace(/\0.*$/s, '') : ''
  }
  const entries: [string, string][] = [
    ['description', model.description ?? ''],
    ['minimumRuntimeVersion', text('min_runtime_version')],
    ['records', (model.metadata ?? []).map(({ name }) => name ?? '').join(', ')],
  ]
  return Object.fromEntries(
    entries.filter(([, value]) => value !== '').map(([key, value]) => [key, value.slice(0, 4096)]),
  )
}

/** What only a file of the same format has a place for. */
function extrasOf(
  model: TfliteModel,
  signature: NonNullable<TfliteModel['signatureDefs']>[number] | null,
  names: readonly string[],
): ModelExtras {
  const records = new Map<string, Uint8Array>()
  for (const { name, buffer } of model.metadata ?? [])
    records.set(name ?? '', model.buffers?.[buffer]?.data ?? new Uint8Array())
  const aliases = (maps: NonNullable<typeof signature>['inputs']) =>
    Object.fromEntries((maps ?? []).map(({ name, tensorIndex }) => [names[tensorIndex] ?? '', name ?? '']))
  return {
    records,
    signature: signature && {
      name: signature.signatureKey ?? '',
      inputs: aliases(signature.inputs),
      outputs: aliases(signature.outputs),
    },
  }
}
