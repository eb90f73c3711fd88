import type { TensorType } from '../../graph/types.ts'
import { EdgewrightError } from '../../error.ts'
import { encodeModel, onnxDataTypes, type OnnxModel, type OnnxTensor } from './proto.ts'
import type { ImportTask } from './read-import.ts'
import { capturedNames } from './read-opaque.ts'
import { constantOfTensor } from './read-tensor.ts'

/** Runs the model of the bytes once on any input of the declared shapes; the types of the named outputs. */
export type InferOpaque = (modelBytes: Uint8Array, outputNames: string[]) => Promise<Map<string, TensorType>>

/** The part of a model that makes the named values, with static inputs and all data inside, as a file of its own. */
export function modelMaking(model: OnnxModel, task: ImportTask, names: readonly string[]): Uint8Array {
  const makers = new Map(task.nodes.flatMap(({ node }) => node.output.map((name) => [name, node] as const)))
  const needed = new Set<unknown>()
  const used = new Set<string>()
  const pending = [...names]
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (used.has(name)) continue
    used.add(name)
    const node = makers.get(name)
    if (!node || needed.has(node)) continue
    needed.add(node)
    pending.push(...node.input, ...capturedNames(node))
  }
  const initializer = task.graph.initializer
    .filter(({ name, dataType }) => used.has(name) && dataType !== 8)
    .map((tensor) => inside(tensor, task))
  if (initializer.reduce((sum, tensor) => sum + tensor.rawData.byteLength, 0) > 2 ** 31 - 2 ** 20)
    throw new EdgewrightError(
      'MODEL_TOO_LARGE',
      'The model has operators whose result must be tried out, and is over 2 GB.',
      { where: task.graph.name },
    )
  return encodeModel({
    irVersion: model.irVersion,
    opsetImport: opsetsOf(model, task),
    graph: {
      name: task.graph.name || 'main',
      node: task.nodes.filter(({ node }) => needed.has(node)).map(({ node }) => node),
      initializer,
      input: [...task.bound.types].map(([name, { dtype, shape }]) => ({
        name,
        type: {
          tensorType: {
            elemType: onnxDataTypes[dtype],
            shape: { dim: shape.map((dimValue) => ({ dimValue })) },
          },
        },
      })),
      // a runtime finds the types itself
      output: names.map((name) => ({ name })),
    },
  })
}

function opsetsOf(model: OnnxModel, task: ImportTask) {
  const versions = new Map(
    model.opsetImport.map(({ domain, version }) => [domain === 'ai.onnx' ? '' : domain, Number(version)]),
  )
  for (const { opsets } of task.nodes)
    for (const [domain, version] of opsets) if (!versions.has(domain)) versions.set(domain, version)
  return [...versions].map(([domain, version]) => ({ domain, version }))
}

function inside(tensor: OnnxTensor, task: ImportTask): OnnxTensor {
  if (tensor.dataLocation !== 1) return tensor
  const rawData = constantOfTensor(tensor, tensor.name, task.folder).bytes()
  return { ...({ dims: tensor.dims, dataType: tensor.dataType, name: tensor.name, rawData } as OnnxTensor) }
}
