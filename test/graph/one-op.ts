import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { writeOnnx, type WriteOptions } from '../../src/formats/onnx/write.ts'
import { float16ToNumber } from '../../src/graph/constant.ts'
import { constantOfNumbers } from '../../src/graph/encode.ts'
import { inferTypes } from '../../src/graph/infer.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Constant, Graph, TensorType, Value } from '../../src/graph/types.ts'
import { type DType, elementCount, type TensorData } from '../../src/tensor.ts'

export interface Given {
  readonly dtype?: DType
  readonly shape: readonly number[]
  readonly numbers?: readonly (number | bigint)[]
  /** In the file as an initializer rather than fed. */
  readonly constant?: boolean
}

export interface Seen {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly numbers: (number | bigint)[]
}

export function constantFor({ dtype = 'float32', shape, numbers }: Given): Constant {
  return constantOfNumbers(dtype, shape, numbers ?? pseudoRandom(elementCount(shape)))
}

/** A graph of one node over the given operands; `outputs` overrides what inference gives (for Cast). */
export function oneOp(op: Op, operands: readonly (Given | null)[], outputCount = 1, declared?: DType): Graph {
  const values = new Map<string, Value>()
  const inputs: string[] = []
  const operandNames = operands.map((given, i) => {
    if (!given) return null
    const name = `in${i}`
    const type: TensorType = { dtype: given.dtype ?? 'float32', shape: given.shape, quantization: null }
    values.set(name, { name, type, constant: given.constant ? constantFor(given) : null })
    if (!given.constant) inputs.push(name)
    return name
  })
  const types = inferTypes(
    op,
    operandNames.map((name) => (name === null ? null : values.get(name)!)),
    outputCount,
    'it',
  )
  const outputs = types.map((type, i) => {
    const name = `out${i}`
    values.set(name, { name, type: declared ? { ...type, dtype: declared } : type, constant: null })
    return name
  })
  const node = { name: 'it', op, inputs: operandNames, outputs, source: null }
  return { name: 'one op', inputs, outputs, values, nodes: [node] }
}

/** Runs a graph in ONNX Runtime, optimizations off, so that each operator computes what its specification says. */
export async function runGraph(
  graph: Graph,
  feeds: Record<string, Given>,
  options?: WriteOptions,
): Promise<Record<string, Seen>> {
  return runModel(writeOnnx(graph, options), feeds)
}

export async function runModel(
  bytes: Uint8Array,
  feeds: Record<string, Given>,
): Promise<Record<string, Seen>> {
  const session = await InferenceSession.create(bytes, {
    logSeverityLevel: 3,
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
  })
  const tensors = Object.entries(feeds).map(([name, given]) => {
    const constant = constantFor(given)
    return [
      name,
      new OrtTensor(constant.dtype as 'float32', typedArray(constant), [...constant.shape]),
    ] as const
  })
  const results = await session.run(Object.fromEntries(tensors))
  await session.release()
  return Object.fromEntries(
    Object.entries(results).map(([name, { type, dims, data }]) => [
      name,
      {
        dtype: type,
        shape: [...dims],
        numbers: Array.from(data as Float32Array, (x) => plainNumber(x, type, data)),
      },
    ]),
  )
}

/** Runs one operator with its operands fed or, where they ask for it, as initializers. */
export async function runOp(
  op: Op,
  operands: readonly (Given | null)[],
  outputCount = 1,
  options?: WriteOptions,
  declared?: DType,
) {
  const graph = oneOp(op, operands, outputCount, declared)
  const feeds = Object.fromEntries(
    operands.flatMap((given, i) => (given && !given.constant ? [[`in${i}`, given]] : [])),
  )
  const seen = await runGraph(graph, feeds, options)
  return {
    graph,
    seen: graph.outputs.map((name) => seen[name]!),
    types: graph.outputs.map((name) => graph.values.get(name)!.type),
  }
}

/** Booleans as 0 and 1; halves as numbers where the binding gives their bits. */
function plainNumber(element: unknown, type: string, data: unknown): number | bigint {
  if (typeof element === 'boolean') return Number(element)
  if (type === 'float16' && data instanceof Uint16Array) return float16ToNumber(element as number)
  return element as number | bigint
}

function typedArray(constant: Constant): Float32Array {
  const copy = constant.bytes().slice()
  const arrays: Partial<Record<DType, { new (buffer: ArrayBuffer): TensorData }>> = {
    float32: Float32Array,
    float64: Float64Array,
    int8: Int8Array,
    uint8: Uint8Array,
    int32: Int32Array,
    int64: BigInt64Array,
    bool: Uint8Array,
    int16: Int16Array,
    uint16: Uint16Array,
    float16: Uint16Array,
  }
  return new arrays[constant.dtype]!(copy.buffer) as Float32Array
}

/** Repeatable numbers in [-1, 1). */
export function pseudoRandom(count: number, seed = 1): number[] {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  })
}
