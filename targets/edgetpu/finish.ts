import { readTflite } from '../../src/formats/tflite/read.ts'
import type { Decision, Emitted } from '../target.ts'
import type { CompilerHost } from '../target.ts'
import { type CompilerOptions, compileForEdgeTpu, isEdgeTpuModel } from './compiler.ts'
import type { CompilerReport } from './compiler-log.ts'
import { type Prediction, predict } from './predict.ts'

/** An artifact's files after the compiler, where there was one. */
export interface Finished {
  readonly emitted: Emitted
  readonly decisions: readonly Decision[]
  /** What the compiler said; null where it did not take part. */
  readonly report: CompilerReport | null
}

const compiledName = 'model_edgetpu.tflite'

/** The target that a file is labelled with: `edgetpu` only where Google's compiler made it. */
export function labelOf(emitted: Emitted): 'edgetpu' | 'litert' {
  return isEdgeTpuModel(emitted.files.get(emitted.model)!) ? 'edgetpu' : 'litert'
}

/**
 * Compiles what `emit` gave with the Edge TPU compiler of a host, and holds the result against the prediction. The
 * int8 file stays beside it: it runs on the CPU. Without a host the files are as they were, and a decision says so.
 */
export async function finish(
  emitted: Emitted,
  host: CompilerHost | null,
  options: CompilerOptions = {},
): Promise<Finished> {
  const source = emitted.files.get(emitted.model)!
  if (!host) return { emitted, decisions: [notCompiled(emitted.model)], report: null }
  const { model, report } = await compileForEdgeTpu(source, host, options)
  const graph = [...(await readTflite({ bytes: source })).graphs.values()][0]!
  const files = new Map([...emitted.files, [compiledName, model] as const])
  return {
    emitted: { ...emitted, files, model: compiledName },
    decisions: [compiledBy(report, host), ...comparison(predict(graph, { assumeInt8: false }), report)],
    report,
  }
}

function notCompiled(where: string): Decision {
  return {
    where,
    reason:
      'Not compiled for the Edge TPU: it is an int8 .tflite that LiteRT runs on the CPU. Run edgetpu_compiler on it, or name a builder with --edgetpu-compiler ssh://user@host.',
  }
}

function compiledBy({ version, sizes }: CompilerReport, host: CompilerHost): Decision {
  const streamed = sizes.streamedBytes ?? 0
  const memory =
    streamed > 0
      ? ` ${(streamed / 1024).toFixed(0)} KiB of parameters do not fit on the chip and are sent at every inference.`
      : ''
  return {
    where: compiledName,
    reason: `Compiled by Edge TPU Compiler ${version ?? '(version not said)'} on ${host.label}.${memory}`,
  }
}

/** Where the compiler did otherwise than we said, it is the compiler that counts. */
function comparison(prediction: Prediction, report: CompilerReport): Decision[] {
  if (report.onEdgeTpu === null || report.onEdgeTpu === prediction.mappedCount) return []
  return [
    {
      where: compiledName,
      reason: `The compiler mapped ${report.onEdgeTpu} operators where ${prediction.mappedCount} were predicted.`,
    },
  ]
}
