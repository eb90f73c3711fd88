import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { modelFileOf } from '../compile/execute-graph.ts'
import type { Stage, TuneContext } from './context.ts'
import type { TuneReport } from './report/document.ts'
import { renderTuneMarkdown } from './report/markdown.ts'
import { renderTunePage } from './report/page.ts'

export interface Written {
  readonly folder: string
  /** Path of the float network, ONNX. */
  readonly model: string
  /** Path of the network in integers, in the format of the target's runtime; null where no step made one. */
  readonly quantized: string | null
}

/** Writes the tuned network and the report into the tuning's folder. */
export async function writeTuned(stage: Stage, report: TuneReport, context: TuneContext): Promise<Written> {
  const { folder, original, board, progress } = context
  progress.stage('write', folder)
  await mkdir(folder, { recursive: true })
  const { name } = original.source
  const model = join(folder, `${name}.onnx`)
  await writeFile(model, modelFileOf(stage.graph))
  let quantized: string | null = null
  if (stage.quantized) {
    const file = stage.quantized.files.get(stage.quantized.model)!
    quantized = join(folder, `${name}-int8.${board.target.engine === 'litert' ? 'tflite' : 'onnx'}`)
    await writeFile(quantized, file)
  }
  await writeFile(join(folder, 'tune.json'), `${JSON.stringify(report, null, 2)}\n`)
  await writeFile(join(folder, 'report.html'), renderTunePage(report))
  await writeFile(join(folder, 'report.md'), renderTuneMarkdown(report))
  return { folder, model, quantized }
}
