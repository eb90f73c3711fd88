import { openEvaluator } from '../execute/open.ts'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hostSession } from '../compile/runnable.ts'
import type { Compiled, Prepared } from '../compile/compile.ts'
import { feedsOf } from '../compile/quality.ts'
import { samplesOf } from '../compile/samples.ts'
import { byteLength, bytesOf, type DType, type Tensor, viewAs } from '../tensor.ts'
import type { RunResult } from '../store/document.ts'
import { parityOf, type ParityPair, stepOf } from './parity.ts'
import { storedTypes } from './subject.ts'

/** Samples as the artifact takes them, laid one after another into one file for each input. */
export interface ParityInputs {
  readonly samples: readonly { readonly id: string; readonly feeds: ReadonlyMap<string, Tensor> }[]
  /** By file name, in the order of the artifact's inputs. */
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly outputs: readonly {
    readonly file: string
    readonly name: string
    readonly dtype: DType
    readonly shape: readonly number[]
  }[]
}

export async function parityInputs(
  { samples: data }: Prepared,
  { manifest }: Pick<Compiled, 'manifest'>,
  most: number,
  signal: AbortSignal,
): Promise<ParityInputs> {
  const inputs = storedTypes(manifest.inputs)
  const part = { ...data.evaluation, indices: data.evaluation.indices.slice(0, most) }
  const samples: { id: string; feeds: ReadonlyMap<string, Tensor> }[] = []
  for await (const sample of samplesOf(part, signal))
    samples.push({ id: sample.id, feeds: feedsOf({ inputs }, sample) })
  return {
    samples,
    files: new Map(
      inputs.map(({ name }, position) => [
        `input-${position}.bin`,
        Buffer.concat(samples.map(({ feeds }) => bytesOf(feeds.get(name)!.data))),
      ]),
    ),
    outputs: manifest.outputs.map(({ name, dtype, shape }, position) => ({
      file: `output-${position}.bin`,
      name,
      dtype: dtype as DType,
      shape,
    })),
  }
}

/** Holds the board's outputs against the host's of the same artifact. */
export async function measureParity(
  compiled: Compiled,
  inputs: ParityInputs,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<NonNullable<RunResult['parity']>> {
  const { manifest, folder, board } = compiled
  const evaluator = await openEvaluator(
    await readFile(join(folder, hostModel(manifest))),
    hostSession(board.options),
  )
  try {
    const pairs: (ParityPair & { sample: string })[] = []
    for (const [index, { id, feeds }] of inputs.samples.entries()) {
      const host = await evaluator.run(feeds)
      for (const output of inputs.outputs) {
        const size = byteLength(output.dtype, output.shape)
        const bytes = files.get(output.file)?.subarray(index * size, (index + 1) * size) ?? new Uint8Array()
        const board: Tensor = { dtype: output.dtype, shape: output.shape, data: viewAs(output.dtype, bytes) }
        pairs.push({
          sample: id,
          name: output.name,
          board,
          host: host.get(output.name)!,
          step: stepOf(host.get(output.name)!, null),
        })
      }
    }
    return parityOf(pairs, inputs.samples.length, manifest.integerOnly)
  } finally {
    await evaluator.close()
  }
}

/** What a vendor's compiler made runs on its accelerator only; the file that it was made from stands beside it. */
export function hostModel({ model, files }: Compiled['manifest']): string {
  const source = model.replace(/_edgetpu\.tflite$/, '.tflite')
  return files.some(({ path }) => path === source) ? source : model
}
