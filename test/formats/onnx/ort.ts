import * as ort from 'onnxruntime-node'
import { constantOfNumbers } from '../../../src/graph/encode.ts'
import type { Quantization, TensorType } from '../../../src/graph/types.ts'
import { bytesOf, type DType, elementCount, type Tensor, viewAs } from '../../../src/tensor.ts'
import { constantOfTensor } from '../../../src/formats/onnx/read-tensor.ts'
import type { OnnxTensor } from '../../../src/formats/onnx/proto.ts'

/** A tensor as a test sees it: strings as such, all else as our own element types. */
export interface TestTensor {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: Tensor['data'] | readonly string[]
}

ort.env.logLevel = 'fatal'

/** Runs a model once on this computer; optimizations off, so that what is tested is the file. */
export async function runModel(
  bytes: Uint8Array,
  feeds: ReadonlyMap<string, TestTensor>,
): Promise<Map<string, TestTensor>> {
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  try {
    const wanted = session.inputNames.map((name): [string, ort.Tensor] => {
      const tensor = feeds.get(name)
      if (!tensor) throw new Error(`no data for the input ${name}`)
      return [name, toOrt(tensor)]
    })
    const results = await session.run(Object.fromEntries(wanted))
    return new Map(session.outputNames.map((name) => [name, fromOrt(results[name] as ort.Tensor)]))
  } finally {
    await session.release()
  }
}

/** What the library asks for: the types of the named outputs, by one run on made-up inputs. */
export async function inferOpaque(bytes: Uint8Array, names: string[]): Promise<Map<string, TensorType>> {
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  let feeds: Map<string, TestTensor>
  try {
    feeds = new Map(
      session.inputMetadata.map((input) => [
        input.name,
        madeUp(input as unknown as { type: string; shape: number[] }),
      ]),
    )
  } finally {
    await session.release()
  }
  const results = await runModel(bytes, feeds)
  return new Map(
    names.map((name) => [
      name,
      {
        dtype: results.get(name)!.dtype,
        shape: results.get(name)!.shape,
        quantization: null as Quantization | null,
      },
    ]),
  )
}

function madeUp({ type, shape }: { type: string; shape: number[] }): TestTensor {
  const dtype = type as DType
  const count = elementCount(shape)
  if (dtype === 'string') return { dtype, shape, data: new Array<string>(count).fill('1') }
  const real = dtype.startsWith('float') || dtype === 'bfloat16'
  const constant = constantOfNumbers(
    dtype,
    shape,
    Array.from({ length: count }, (_, i) => (real ? ((i * 7919) % 97) / 97 : 0)),
  )
  return { dtype, shape, data: viewAs(dtype, constant.bytes()) }
}

/** A tensor of the ONNX project's test data. */
export function testTensor(tensor: OnnxTensor): TestTensor {
  if (tensor.dataType === 8)
    return {
      dtype: 'string',
      shape: tensor.dims.map(Number),
      data: tensor.stringData.map((text) => Buffer.from(text).toString('utf8')),
    }
  const constant = constantOfTensor(tensor, tensor.name, { path: null })
  return { dtype: constant.dtype, shape: constant.shape, data: viewAs(constant.dtype, constant.bytes()) }
}

function toOrt({ dtype, shape, data }: TestTensor): ort.Tensor {
  return new ort.Tensor(dtype as 'float32', data as Float32Array, shape)
}

function fromOrt(tensor: ort.Tensor): TestTensor {
  const dtype = tensor.type as DType
  if (dtype === 'string') return { dtype, shape: tensor.dims, data: tensor.data as unknown as string[] }
  // a copy: the session's own memory goes with it
  const bytes = new Uint8Array(bytesOf(tensor.data as Float32Array))
  return { dtype, shape: tensor.dims, data: viewAs(dtype, bytes) }
}
