import type { TrtexecPreparation } from '../../src/artifact/manifest.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import type { Graph } from '../../src/graph/types.ts'
import type { Decision, Emitted, EmittedTensor, Prepared, TargetOptions } from '../target.ts'
import { dlaOf } from './dla.ts'
import { emulateHalf } from './emulate-half.ts'
import { halfPrecision } from './half.ts'
import { spellWeights } from './spell-weights.ts'

const model = 'model.onnx'
/** States the type of every tensor, as TensorRT 11 wants it. */
const typedModel = 'model-typed.onnx'

/** The first operator set in which Q/DQ take float16. */
const halfOpset = 19

/** ONNX with Q/DQ in float32; under `float16` beside it the file in float16, which is the one to be judged by. */
export function emit(typed: Graph, options: TargetOptions): Emitted {
  const emitted: Emitted = {
    files: new Map([[model, writeOnnx(spellWeights(typed))]]),
    model,
    inputs: typed.inputs.map((name) => emittedTensor(typed, name)),
    outputs: typed.outputs.map((name) => emittedTensor(typed, name)),
  }
  return options.scheme === 'float16' ? withTypedModel(emitted, typed, new Set(), true).emitted : emitted
}

/** Adds the file in float16 for what is not quantized; nothing where the engine is to compute in float32 anyway. */
export function complete(
  emitted: Emitted,
  { graph, beyondFloat16 = new Set() }: Prepared,
  { scheme }: TargetOptions,
): { emitted: Emitted; decisions: Decision[] } {
  if (scheme === 'float') return { emitted, decisions: [] }
  return withTypedModel(emitted, graph, beyondFloat16, scheme === 'float16')
}

/** @param judged the network is judged by that file: between its operators its reals are rounded to float16 */
function withTypedModel(
  emitted: Emitted,
  typed: Graph,
  beyond: ReadonlySet<string>,
  judged: boolean,
): { emitted: Emitted; decisions: Decision[] } {
  const half = halfPrecision(spellWeights(typed), beyond)
  if (typeof half === 'string') {
    const reason = `${half} TensorRT 11 computes in float32 what is not quantized: it takes types as the file has them.`
    return { emitted, decisions: [{ where: typed.name, reason }] }
  }
  const bytes = writeOnnx(half, { opsets: { '': halfOpset }, scaleType: 'float16' })
  const files = new Map([...emitted.files, [typedModel, bytes]])
  const seen = judged ? { evaluated: typedModel, emulated: writeOnnx(emulateHalf(half)) } : {}
  return { emitted: { ...emitted, files, ...seen }, decisions: [] }
}

const precisions = { 'full-int8': 'int8', float16: 'fp16', float: 'fp32' } as const
/** What the builder of a weakly typed network may choose from: int8 for Q/DQ, float16 for the rest. */
const allowed = { int8: ['int8', 'fp16'], fp16: ['fp16'], fp32: [] } as const

/** How the board makes the engine of the emitted files. */
export function preparation(
  emitted: Emitted,
  { beyondFloat16 }: Pick<Prepared, 'beyondFloat16'>,
  options: TargetOptions,
): TrtexecPreparation {
  const precision = precisions[options.scheme as keyof typeof precisions]
  // a builder that may choose float16 does not ask whether the numbers fit
  const allow = allowed[precision].filter((one) => one !== 'fp16' || !beyondFloat16?.size)
  return {
    kind: 'trtexec',
    precision,
    weaklyTyped: { model: emitted.model, allow },
    stronglyTyped: { model: emitted.files.has(typedModel) ? typedModel : emitted.model },
    dla: dlaOf(options),
    output: 'model.engine',
  }
}

function emittedTensor(graph: Graph, name: string): EmittedTensor {
  const { dtype, shape, quantization } = graph.values.get(name)!.type
  return { name, dtype, shape, quantization }
}
