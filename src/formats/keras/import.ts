import { EdgewrightError } from '../../error.ts'
import type { Graph, ShapeSignature } from '../../graph/types.ts'
import type { DType } from '../../tensor.ts'
import { bindInputs, type DeclaredInput } from '../bind-inputs.ts'
import { LayerGraph } from './builder.ts'
import { brokenModel, isRecord } from './config.ts'
import { layerTable } from './layers/index.ts'
import type { InnerLayer, LayerCall } from './layers/layer.ts'
import type { LayerRanges } from './layers/quantized.ts'
import { type LayerEntry, type Network, parseLayer, type TensorReference } from './topology.ts'
import { type LayerAddress, LayerWeights, type WeightStore } from './weights.ts'

export interface LayersModelOptions {
  /** Static shapes of inputs by name, from `--shape input=1,32,32,3`. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  /** What an open leading dimension becomes; 1 where not given. */
  readonly batch?: number
}

export interface ImportedLayers {
  readonly graph: Graph
  readonly signatures: readonly ShapeSignature[]
}

/** A model described by layers, with its weights, as one graph. */
export function importLayers(
  network: Network,
  weights: WeightStore,
  kerasMajor: number,
  where: string,
  options: LayersModelOptions,
): ImportedLayers {
  const declared = declaredInputs(network, where)
  const bound = bindInputs(declared, options.shapes ?? {}, options.batch ?? 1)
  const graph = new LayerGraph()
  const inputs = declared.map(({ name }) => graph.addInput(name, bound.types.get(name)!))
  const importer = new Importer(graph, weights, kerasMajor, network)
  const outputs = importer.run(network, inputs, [], '')
  return { graph: graph.finish(network.name, outputs), signatures: bound.signatures }
}

/** What the model takes: its input layers in its own order. */
function declaredInputs(network: Network, where: string): DeclaredInput[] {
  if (network.sequential) {
    const [first] = network.layers as [LayerEntry, ...LayerEntry[]]
    return [declare(first, network.buildShape, where)]
  }
  return network.inputs.map(({ layer }) => {
    const found = network.layers.find(({ name }) => name === layer)
    if (!found) throw brokenModel(`The model's input ${layer} is no layer of it.`, where)
    return declare(found, null, where)
  })
}

function declare(layer: LayerEntry, buildShape: unknown, where: string): DeclaredInput {
  // a Sequential's first layer may be a model itself
  if (layer.network?.sequential) return declare(layer.network.layers[0]!, layer.network.buildShape, where)
  if (layer.network) return declareFirst(layer.network, where)
  const { config } = layer
  const stated = config.raw('batch_input_shape') ?? config.raw('batch_shape') ?? buildShape
  const inner = config.raw('layer')
  // a wrapper's shape may stand with what it wraps
  if (!Array.isArray(stated) && isRecord(inner))
    return declare(parseLayer(inner, where, 0), buildShape, where)
  const dimensions = Array.isArray(stated)
    ? stated.map((size) =>
        typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : null,
      )
    : null
  const dtype = config.raw('dtype')
  const isInput = layer.className === 'InputLayer'
  return {
    name: isInput ? layer.name : `${layer.name}_input`,
    dtype: layer.className === 'Embedding' ? 'int32' : inputType(dtype, config.where),
    dimensions,
  }
}

function declareFirst(network: Network, where: string): DeclaredInput {
  const first = network.layers.find(({ name }) => name === network.inputs[0]!.layer)
  if (!first) throw brokenModel('The first model has no input.', where)
  return declare(first, null, where)
}

function inputType(dtype: unknown, where: string): DType {
  const name = isRecord(dtype) && isRecord(dtype.config) ? dtype.config.name : dtype
  switch (name) {
    case undefined:
    case null:
    case 'float32':
    case 'float16':
    case 'float64':
    case 'mixed_float16':
      return 'float32'
    case 'int32':
    case 'int64':
      return name
    case 'uint8':
    case 'int8':
      return 'float32'
    default:
      throw new EdgewrightError(
        'OPERATOR_UNSUPPORTED',
        'The model takes an input of a type that is not supported.',
        {
          where,
          saw: String(name),
          hint: 'Cut the model behind its preprocessing of text.',
        },
      )
  }
}

class Importer {
  readonly #graph: LayerGraph
  readonly #weights: WeightStore
  readonly #kerasMajor: number
  readonly #masked: string | null
  #index = 0

  constructor(graph: LayerGraph, weights: WeightStore, kerasMajor: number, network: Network) {
    this.#graph = graph
    this.#weights = weights
    this.#kerasMajor = kerasMajor
    this.#masked = maskingLayer(network)
  }

  /** Calls a model on values. `path` and `folder` say where its layers keep their weights. */
  run(network: Network, inputs: readonly string[], path: readonly string[], folder: string): string[] {
    const folders = folderNames(network)
    const addressOf = (layer: LayerEntry): LayerAddress => ({
      names: [...path, layer.name],
      folder: `${folder}layers/${folders.get(layer)!}`,
    })
    if (network.sequential) {
      let values = [...inputs]
      for (const layer of network.layers)
        if (layer.className !== 'InputLayer') values = this.#call(layer, addressOf(layer), values)
      return values
    }
    return this.#functional(network, inputs, addressOf)
  }

  #functional(
    network: Network,
    inputs: readonly string[],
    addressOf: (layer: LayerEntry) => LayerAddress,
  ): string[] {
    const made = new Map<string, string[]>()
    const key = (layer: string, call: number) => `${call}\0${layer}`
    network.inputs.forEach(({ layer, call }, i) => {
      if (inputs[i] === undefined) throw brokenModel('A model is called with too few values.', network.name)
      made.set(key(layer, call), [inputs[i]])
    })
    const byName = new Map(network.layers.map((layer) => [layer.name, layer]))
    const offsets = callOffsets(network)
    const resolve = ({ layer, call, output }: TensorReference): string | null => {
      const outputs = made.get(key(layer, call - (offsets.get(layer) ?? 0)))
      if (!outputs) return null
      const value = outputs[output]
      if (value === undefined) throw brokenModel(`${layer} has no output ${output}.`, network.name)
      return value
    }
    let waiting = network.layers.flatMap((layer) => layer.calls.map((site, call) => ({ layer, site, call })))
    while (waiting.length > 0) {
      const later: typeof waiting = []
      for (const entry of waiting) {
        const values = entry.site.inputs.map(resolve)
        if (values.includes(null)) later.push(entry)
        else if (!made.has(key(entry.layer.name, entry.call)))
          made.set(
            key(entry.layer.name, entry.call),
            this.#call(entry.layer, addressOf(entry.layer), values as string[]),
          )
      }
      if (later.length === waiting.length) {
        const [{ layer }] = later as [(typeof later)[number]]
        const lost = later.flatMap(({ site }) => site.inputs).find(({ layer }) => !byName.has(layer))
        throw brokenModel(
          'A layer waits for a value that is never made.',
          `${layer.className} ${layer.name}`,
          lost?.layer,
        )
      }
      waiting = later
    }
    return network.outputs.map((output) => {
      const value = resolve(output)
      if (value === null) throw brokenModel(`The model's output ${output.layer} is never made.`, network.name)
      return value
    })
  }

  #call(layer: LayerEntry, address: LayerAddress, inputs: readonly string[]): string[] {
    if (layer.network) return this.run(layer.network, inputs, address.names, `${address.folder}/`)
    this.#graph.enter(address.names.join('/'), layer.className, this.#index++)
    return this.#graph.leave(this.#spell(layer, address, inputs, null))
  }

  #spell(
    layer: LayerEntry,
    address: LayerAddress,
    inputs: readonly string[],
    ranges: LayerRanges | null,
  ): string[] {
    // what a wrapper holds may be a model
    if (layer.network) return this.run(layer.network, inputs, address.names, `${address.folder}/`)
    if (layer.className === 'InputLayer') return [...inputs]
    const read = Object.hasOwn(layerTable, layer.className) ? layerTable[layer.className] : undefined
    if (!read) throw unsupportedLayer(layer)
    if (inputs.length === 0) throw brokenModel('A layer is called without a value.', layer.config.where)
    this.#refuseMask(layer)
    const call: LayerCall = {
      graph: this.#graph,
      name: address.names.join('/'),
      className: layer.className,
      config: layer.config,
      inputs,
      weights: new LayerWeights(this.#weights.variables(address), layer.config.where),
      kerasMajor: this.#kerasMajor,
      ranges,
      inner: (entry, folder, innerRanges) => this.#inner(entry, folder, address, innerRanges ?? null),
    }
    return read(call)
  }

  #inner(entry: unknown, folder: string, outer: LayerAddress, ranges: LayerRanges | null): InnerLayer {
    const layer = parseLayer(entry, outer.names.join('/'), 1)
    const address = { names: [...outer.names, layer.name], folder: `${outer.folder}/${folder}` }
    return {
      className: layer.className,
      config: layer.config,
      spell: (inputs) => this.#spell(layer, address, inputs, ranges),
    }
  }

  /** A mask changes what recurrent layers and means over time compute. */
  #refuseMask({ className, name }: LayerEntry): void {
    const minds = ['LSTM', 'GRU', 'SimpleRNN', 'Bidirectional', 'GlobalAveragePooling1D']
    if (this.#masked === null || !minds.includes(className)) return
    throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'Masks are not supported: steps cannot be left out.', {
      where: `${className} ${name}`,
      saw: `${this.#masked} makes a mask`,
      hint: 'Train with mask_zero=False on sequences of one length.',
    })
  }
}

/** Keras 2 counts the making of an inner model as its first call, so that what reads it begins at 1. */
function callOffsets(network: Network): Map<string, number> {
  const models = new Map(network.layers.filter((layer) => layer.network).map((layer) => [layer.name, layer]))
  const references = [
    ...network.outputs,
    ...network.layers.flatMap(({ calls }) => calls.flatMap(({ inputs }) => inputs)),
  ]
  const offsets = new Map<string, number>()
  for (const { layer, call } of references)
    if (call >= (models.get(layer)?.calls.length ?? Infinity)) offsets.set(layer, 1)
  return offsets
}

function maskingLayer(network: Network): string | null {
  for (const { className, name, config, network: inner } of network.layers) {
    if (className === 'Embedding' && config.raw('mask_zero') === true) return `Embedding ${name}`
    const nested = inner && maskingLayer(inner)
    if (nested) return nested
  }
  return null
}

/** Keras 3 files weights by class, counted: conv2d, conv2d_1, … */
function folderNames(network: Network): Map<LayerEntry, string> {
  const used = new Map<string, number>()
  return new Map(
    network.layers.map((layer) => {
      const plain = layer.className
        .replace(/\W+/g, '')
        .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
        .replace(/([a-z])([A-Z])/g, '$1_$2')
        .toLowerCase()
      const count = used.get(plain) ?? 0
      used.set(plain, count + 1)
      return [layer, count === 0 ? plain : `${plain}_${count}`]
    }),
  )
}

function unsupportedLayer({ className, name }: LayerEntry): EdgewrightError {
  const lambda = /Lambda$/.test(className)
  return new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    lambda
      ? 'The model holds code of its own (a Lambda layer), which Edgewright does not run.'
      : `Edgewright does not know the layer class ${className.slice(0, 80)}.`,
    {
      where: `${className.slice(0, 80)} ${name.slice(0, 200)}`,
      hint: lambda
        ? 'Replace it by layers of Keras, or export the model to ONNX: pip install tf2onnx.'
        : 'If it is a class of your own, replace it by layers of Keras, or export the model to ONNX: pip install tf2onnx.',
    },
  )
}
