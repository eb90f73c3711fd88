import { brokenModel, isRecord, LayerConfig } from './config.ts'

/** A tensor of a functional model: which call of which layer made it, and which of its outputs it is. */
export interface TensorReference {
  readonly layer: string
  readonly call: number
  readonly output: number
}

/** One time that a layer is called. */
export interface LayerCallSite {
  readonly inputs: readonly TensorReference[]
}

export interface LayerEntry {
  readonly name: string
  readonly className: string
  readonly config: LayerConfig
  /** Set where the layer is a model itself. */
  readonly network: Network | null
  readonly calls: readonly LayerCallSite[]
}

/** A Sequential or functional model; a Sequential's layers are called one after the other. */
export interface Network {
  readonly name: string
  readonly className: string
  readonly sequential: boolean
  readonly layers: readonly LayerEntry[]
  readonly inputs: readonly TensorReference[]
  readonly outputs: readonly TensorReference[]
  /** Where no layer says it: the shape that a Sequential was built for. */
  readonly buildShape: unknown
}

const mostLayers = 20_000
const deepest = 32

const modelClasses = new Set(['Functional', 'Model', 'Sequential'])

/**
 * A model's own description: `model_config` of an .h5, `config.json` of a .keras, `modelTopology` of tfjs.
 * @throws MODEL_BROKEN
 */
export function parseNetwork(description: unknown, where: string, depth = 0): Network {
  if (depth > deepest) throw brokenModel('Models are nested too deep.', where)
  if (!isRecord(description) || typeof description.class_name !== 'string')
    throw brokenModel('The description of the model has no class.', where, description)
  const className = description.class_name
  const config = isRecord(description.config)
    ? description.config
    : // Sequential models before Keras 2.2.3
      { layers: description.config }
  const entries = config.layers
  if (!Array.isArray(entries) || entries.length === 0 || entries.length > mostLayers)
    throw brokenModel('The description of the model has no list of layers.', where)
  const layers = entries.map((entry) => parseLayer(entry, where, depth))
  const sequential = className === 'Sequential'
  const name = typeof config.name === 'string' ? config.name : className.toLowerCase()
  return {
    name,
    className,
    sequential,
    layers,
    inputs: sequential ? [] : referenceList(config.input_layers, where),
    outputs: sequential ? [] : referenceList(config.output_layers, where),
    buildShape: config.build_input_shape ?? null,
  }
}

export function isModel(className: string): boolean {
  return modelClasses.has(className)
}

/** `{class_name, config}`, as a model's layers and what wrappers hold are written. */
export function parseLayer(entry: unknown, where: string, depth: number): LayerEntry {
  if (!isRecord(entry) || typeof entry.class_name !== 'string')
    throw brokenModel('A layer of the model has no class.', where, entry)
  const settings = entry.config
  const own = isRecord(settings) && typeof settings.name === 'string' ? settings.name : undefined
  const name = own ?? (typeof entry.name === 'string' ? entry.name : entry.class_name)
  const network = isModel(entry.class_name) ? parseNetwork(entry, `${where}, ${name}`, depth + 1) : null
  return {
    name,
    className: entry.class_name,
    config: new LayerConfig(network ? {} : settings, `${entry.class_name} ${name}`),
    network,
    calls: Array.isArray(entry.inbound_nodes)
      ? entry.inbound_nodes.map((node: unknown) => parseCall(node, `${entry.class_name} ${name}`))
      : [],
  }
}

function parseCall(node: unknown, where: string): LayerCallSite {
  const inputs: TensorReference[] = []
  // Keras 3 writes the arguments of the call, Keras 2 and tfjs the tensors
  if (isRecord(node)) {
    for (const argument of Array.isArray(node.args) ? node.args : [])
      collectTensors(argument, inputs, where, 0)
    collectKeywords(node.kwargs, inputs, where)
    return { inputs }
  }
  if (!Array.isArray(node)) throw brokenModel('A call of a layer cannot be read.', where, node)
  const list: unknown[] = typeof node[0] === 'string' ? [node] : node
  for (const entry of list) {
    inputs.push(reference(entry, where))
    if (Array.isArray(entry)) collectKeywords(entry[3], inputs, where)
  }
  return { inputs }
}

function collectTensors(argument: unknown, into: TensorReference[], where: string, depth: number): void {
  if (depth > deepest) throw brokenModel('A call of a layer is nested too deep.', where)
  if (Array.isArray(argument)) for (const entry of argument) collectTensors(entry, into, where, depth + 1)
  else if (isRecord(argument) && argument.class_name === '__keras_tensor__' && isRecord(argument.config))
    into.push(reference(argument.config.keras_history, where))
  else if (argument !== null && argument !== undefined)
    throw brokenModel('A layer is called with something that is not a tensor.', where, argument)
}

/** What is not a tensor (training, mask) does not matter, unless it is one. */
function collectKeywords(keywords: unknown, into: TensorReference[], where: string): void {
  if (!isRecord(keywords)) return
  for (const [key, value] of Object.entries(keywords)) {
    if (value === null || typeof value === 'boolean') continue
    if (key === 'initial_state') {
      if (Array.isArray(value) && value.every((entry) => Array.isArray(entry)))
        for (const entry of value) into.push(reference(entry, where))
      else collectTensors(value, into, where, 0)
    } else throw brokenModel(`A layer is called with ${key}, which Edgewright does not follow.`, where, value)
  }
}

function referenceList(list: unknown, where: string): TensorReference[] {
  // Keras 3 writes a single one without a list around it, and named ones as an object
  const entries = isRecord(list)
    ? Object.values(list)
    : Array.isArray(list)
      ? typeof list[0] === 'string'
        ? [list]
        : list
      : []
  if (entries.length === 0)
    throw brokenModel('The model does not say what its inputs and outputs are.', where)
  return entries.flatMap((entry) =>
    Array.isArray(entry) && Array.isArray(entry[0])
      ? entry.map((inner: unknown) => reference(inner, where))
      : [reference(entry, where)],
  )
}

function reference(entry: unknown, where: string): TensorReference {
  if (Array.isArray(entry)) {
    const [layer, call = 0, output = 0] = entry as unknown[]
    if (typeof layer === 'string' && Number.isSafeInteger(call) && Number.isSafeInteger(output))
      return { layer, call: call as number, output: output as number }
  }
  throw brokenModel('A reference to a layer cannot be read.', where, entry)
}
