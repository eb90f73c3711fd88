import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Manifest } from '../artifact/manifest.ts'
import { hostSession } from '../compile/runnable.ts'
import type { Release } from '../deploy/types.ts'
import { EdgewrightError } from '../error.ts'
import { engineOf, openEvaluator } from '../execute/open.ts'
import { createRandomTensor } from '../measure/random-input.ts'
import { artifactId, memoryPlan } from '../measure/standard-plan.ts'
import type { Progress } from '../progress.ts'
import { byteLength, bytesOf, type DType, type Tensor, viewAs } from '../tensor.ts'
import { execute } from './execute.ts'
import type { OpenedBoard } from './open-device.ts'
import { parityOf, type ParityPair, stepOf } from './parity.ts'
import { hostModel } from './parity-run.ts'
import { provision } from './provision.ts'

/** Enough to meet every layer; an inference may take a second on a small board. */
const goldenSamples = 4

export interface Verification {
  readonly samples: number
  /** Largest difference between board and host, in quantization steps. */
  readonly maxSteps: number
}

/**
 * Runs a release on its board on seeded inputs and holds its outputs against those of the same artifact on this
 * computer.
 *
 * @param allowedSteps Difference that is let pass, in quantization steps of the outputs.
 * @throws EdgewrightError RELEASE_NOT_VERIFIED where they differ by more; whatever keeps it from running there.
 */
export async function verifyRelease(
  board: OpenedBoard,
  artifactFolder: string,
  manifest: Manifest,
  release: Release,
  allowedSteps: number,
  progress: Progress,
): Promise<Verification> {
  const model = await readFile(join(artifactFolder, hostModel(manifest)))
  const tools = await provision(
    board.device,
    engineOf(model),
    progress,
    manifest.target === 'edgetpu' ? 'edgetpu' : null,
  )
  progress.stage('verify', `${release.name} #${release.number} on ${board.device.name}`)
  const golden = goldenInputs(manifest)
  const files = new Map(
    golden[0]!.map((_, position) => [
      `input-${position}.bin`,
      Buffer.concat(golden.map((sample) => bytesOf(sample[position]!.tensor.data))),
    ]),
  )
  const outputs = manifest.outputs.map(({ name, dtype, shape }, position) => ({
    name,
    dtype: dtype as DType,
    shape,
    file: `output-${position}.bin`,
  }))
  const subject = {
    id: 'model',
    backend: tools.backend,
    library: tools.library,
    model: release.modelPath,
    ...(tools.delegate ? { delegate: tools.delegate } : {}),
  }
  const executed = await execute(
    board,
    tools,
    {
      files,
      fetch: outputs.map(({ file }) => file),
      plan: (folder) => ({
        ...memoryPlan({}, subject, 1),
        steps: [
          {
            do: 'infer',
            artifact: artifactId('model', 1),
            inputs: [...files.keys()].map((name) => `${folder}/${name}`),
            outputs: outputs.map(({ file }) => `${folder}/${file}`),
            count: golden.length,
          },
        ],
      }),
    },
    progress,
  )
  const architecture = board.device.facts.architecture === 'aarch64' ? 'aarch64' : 'x86_64'
  const evaluator = await openEvaluator(
    model,
    hostSession({ cpu: { architecture }, scheme: manifest.scheme }),
  )
  try {
    const pairs: (ParityPair & { sample: string })[] = []
    for (const [index, sample] of golden.entries()) {
      const host = await evaluator.run(new Map(sample.map(({ name, tensor }) => [name, tensor])))
      for (const { name, dtype, shape, file } of outputs) {
        const size = byteLength(dtype, shape)
        const bytes = executed.files.get(file)?.subarray(index * size, (index + 1) * size) ?? new Uint8Array()
        const onBoard: Tensor = { dtype, shape, data: viewAs(dtype, bytes) }
        const onHost = host.get(name)!
        pairs.push({ sample: String(index), name, board: onBoard, host: onHost, step: stepOf(onHost, null) })
      }
    }
    const { maxSteps, firstDivergence } = parityOf(pairs, golden.length, true)
    if (maxSteps > allowedSteps * (1 + 1e-6)) throw notVerified(board, release, maxSteps, firstDivergence)
    return { samples: golden.length, maxSteps }
  } finally {
    await evaluator.close()
  }
}

function goldenInputs(manifest: Manifest): { name: string; tensor: Tensor }[][] {
  return Array.from({ length: goldenSamples }, (_, sample) =>
    manifest.inputs.map(({ name, dtype: written, shape }, position) => {
      const dtype = written as DType
      return {
        name,
        tensor: { dtype, shape, data: createRandomTensor(dtype, shape, sample * 1000 + position + 1) },
      }
    }),
  )
}

function notVerified(
  { device }: OpenedBoard,
  { name, number }: Release,
  maxSteps: number,
  firstDivergence: string | undefined,
): EdgewrightError {
  return new EdgewrightError(
    'RELEASE_NOT_VERIFIED',
    `Release ${name} #${number} does not give this computer’s outputs on ${device.name}; the release before stays.`,
    {
      where: device.name,
      saw: `${maxSteps.toFixed(1)} quantization steps apart${firstDivergence ? `: ${firstDivergence}` : ''}`,
      hint: 'edgewright explain MODEL --device BOARD names the operator where they part; --verify-steps N allows more, --no-verify asks for no proof.',
    },
  )
}
