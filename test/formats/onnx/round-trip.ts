import assert from 'node:assert/strict'
import { constantOfNumbers } from '../../../src/graph/encode.ts'
import type { Graph, Model } from '../../../src/graph/types.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { elementCount, viewAs } from '../../../src/tensor.ts'
import {
  encodeModel,
  dtypeOfDataType,
  type OnnxModel,
  type Partially,
} from '../../../src/formats/onnx/proto.ts'
import { readOnnx, type ReadOnnxOptions } from '../../../src/formats/onnx/read.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { inferOpaque, runModel, type TestTensor } from './ort.ts'

export interface RoundTrip {
  readonly model: Model
  readonly graph: Graph
  /** Kinds of the operators as read; an opaque one by its operator's own name. */
  readonly kinds: readonly string[]
  readonly before: Map<string, TestTensor>
  readonly after: Map<string, TestTensor>
}

/** Runs a model as it is and as read and written again, on the same made-up inputs. */
export async function roundTrip(
  spec: Partially<OnnxModel>,
  options: ReadOnnxOptions = {},
): Promise<RoundTrip> {
  const bytes = encodeModel(spec)
  const model = await readOnnx({ bytes }, { inferOpaque, ...options })
  const [graph] = model.graphs.values()
  verifyGraph(graph!)
  const feeds = new Map(
    graph!.inputs.map((name, i) => {
      const { dtype, shape } = graph!.values.get(name)!.type
      return [name, madeUp(dtypeOfInput(spec, name) ?? dtype, shape, i)]
    }),
  )
  const before = await runModel(bytes, feeds)
  const after = await runModel(writeOnnx(graph!, { opsets: model.opsets }), feeds)
  const kinds = graph!.nodes.map(({ op }) => (op.kind === 'Opaque' ? `Opaque ${op.opType}` : op.kind))
  return { model, graph: graph!, kinds, before, after }
}

function dtypeOfInput(spec: Partially<OnnxModel>, name: string) {
  const elemType = spec.graph?.input?.find((input) => input.name === name)?.type?.tensorType?.elemType
  return elemType === undefined ? null : dtypeOfDataType(elemType)
}

/** Both signs, no two neighbours alike. */
function madeUp(dtype: TestTensor['dtype'], shape: readonly number[], salt: number): TestTensor {
  const numbers = Array.from(
    { length: elementCount(shape) },
    (_, i) => ((i * 7919 + salt * 31 + 13) % 97) / 24 - 2,
  )
  const real = dtype.startsWith('float')
  const bits = constantOfNumbers(
    dtype,
    shape,
    real ? numbers : numbers.map((x) => (dtype.startsWith('u') ? Math.floor(x + 3) : Math.floor(x * 3))),
  )
  return { dtype, shape, data: viewAs(dtype, bits.bytes()) }
}

/** Same names, types and numbers: exactly for integers, to 1e-5 for floats. */
export function assertSame({ before, after }: Pick<RoundTrip, 'before' | 'after'>): void {
  assert.deepEqual([...after.keys()], [...before.keys()])
  for (const [name, want] of before) {
    const got = after.get(name)!
    assert.equal(`${got.dtype}[${got.shape}]`, `${want.dtype}[${want.shape}]`, name)
    for (let i = 0; i < want.data.length; i++) {
      const [a, b] = [got.data[i], want.data[i]]
      const near =
        typeof a === 'number' &&
        typeof b === 'number' &&
        want.dtype.startsWith('float') &&
        (Math.abs(a - b) <= 1e-6 + 1e-5 * Math.abs(b) || (Number.isNaN(a) && Number.isNaN(b)))
      assert.ok(a === b || near, `${name}[${i}] is ${a}, was ${b}`)
    }
  }
  assert.ok(
    [...before.values()].some(({ data }) => data.length > 0),
    'nothing was compared',
  )
}
