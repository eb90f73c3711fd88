import type { IntegerType } from '../data/quantize-tensor.ts'
import type { OnnxEvaluatorOptions } from '../execute/onnxruntime.ts'
import { openEvaluator } from '../execute/open.ts'
import type { Emitted, EmittedTensor, TargetOptions } from '../../targets/target.ts'
import type { Board } from './board.ts'
import type { Runnable } from './quality.ts'

/** An emitted network, ready to run on this computer as the board would compute it. */
export async function runnableOf(emitted: Emitted, board: Pick<Board, 'options'>): Promise<Runnable> {
  const evaluator = await openEvaluator(
    emitted.emulated ?? emitted.files.get(emitted.evaluated ?? emitted.model)!,
    hostSession(board.options),
  )
  return {
    evaluator,
    inputs: emitted.inputs.map((tensor) => ({ name: tensor.name, stored: storedType(tensor) })),
    outputs: emitted.outputs.map((tensor) => ({ name: tensor.name, stored: storedType(tensor) })),
  }
}

/** How this computer must run a model so that it computes what the board does: signed activations as integers too. */
export function hostSession(options: {
  readonly cpu: Pick<TargetOptions['cpu'], 'architecture'> & Partial<TargetOptions['cpu']>
  readonly scheme: TargetOptions['scheme']
  readonly plainQdq?: boolean
}): OnnxEvaluatorOptions {
  if (options.plainQdq) return { config: { 'session.disable_quant_qdq': '1' } }
  const signed = options.cpu.architecture === 'aarch64' && options.scheme !== 'float'
  return signed ? { config: { 'session.qdqisint8allowed': '1' } } : {}
}

/** What the integers of an input or output mean; null where it holds reals. */
export function storedType({
  dtype,
  quantization,
}: Pick<EmittedTensor, 'dtype' | 'quantization'>): IntegerType | null {
  if (!quantization) return null
  return {
    dtype: dtype as IntegerType['dtype'],
    scale: quantization.scales[0]!,
    zeroPoint: quantization.zeroPoints[0]!,
  }
}
