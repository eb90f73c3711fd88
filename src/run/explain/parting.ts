import { firstDivergence, type Difference, type Divergence } from '../../compile/explain/divergence.ts'
import type { Compiled } from '../../compile/compile.ts'
import { emitExposed } from '../../compile/observe.ts'
import { hostSession } from '../../compile/runnable.ts'
import { ensureBlobBytes } from '../../deploy/blobs.ts'
import { openEvaluator } from '../../execute/open.ts'
import type { Progress } from '../../progress.ts'
import { byteLength, bytesOf, type DType, type Tensor, viewAs } from '../../tensor.ts'
import { execute } from '../execute.ts'
import type { OpenedBoard } from '../open-device.ts'
import { parityOf, stepOf } from '../parity.ts'
import type { Provisioned } from '../provision.ts'

/** A sample in the form that the artifact takes. */
export interface PartingSample {
  readonly id: string
  readonly feeds: ReadonlyMap<string, Tensor>
}

/**
 * The first operator at which a board and this computer part, for one sample. Each comparison runs the network on the
 * board with one inner value more as an output, so that as little as possible is computed otherwise than it was.
 */
export async function whereTheyPart(
  { made, board: compiledFor, manifest }: Pick<Compiled, 'made' | 'board' | 'manifest'>,
  board: OpenedBoard,
  tools: Provisioned,
  sample: PartingSample,
  progress: Progress,
  /** Stands in for what is emitted, in tests. */
  tamper: (model: Uint8Array) => Uint8Array = (model) => model,
): Promise<Divergence | null> {
  let compared = 0
  return firstDivergence(made.typed.graph, async (value): Promise<Difference | null> => {
    progress.stage('bisect', `${++compared}: ${value}`)
    const emitted = emitExposed(made, compiledFor, [value])
    const model = emitted.files.get(emitted.model)!
    const position = emitted.outputs.findIndex(({ name }) => name === value)
    const { dtype, shape } = emitted.outputs[position]!
    const evaluator = await openEvaluator(model, hostSession(compiledFor.options))
    const host = await evaluator
      .run(sample.feeds, [value])
      .then((results) => results.get(value)!)
      .finally(() => evaluator.close())
    const onBoard = await inferOnBoard(board, tools, tamper(model), emitted, sample, position, progress)
    const size = byteLength(dtype, shape)
    const tensor: Tensor = { dtype, shape, data: viewAs(dtype, onBoard.subarray(0, size)) }
    const pair = { sample: sample.id, name: value, board: tensor, host, step: stepOf(host, null) }
    const { ok, maxSteps, firstDivergence: seen } = parityOf([pair], 1, manifest.integerOnly)
    return ok ? null : { steps: maxSteps, seen: seen! }
  })
}

async function inferOnBoard(
  board: OpenedBoard,
  tools: Provisioned,
  model: Uint8Array,
  emitted: {
    readonly inputs: readonly { readonly name: string }[]
    readonly outputs: readonly { readonly dtype: DType }[]
  },
  { feeds }: PartingSample,
  wanted: number,
  progress: Progress,
): Promise<Uint8Array> {
  const path = (await ensureBlobBytes(board.device, model, { progress })).path
  const files = new Map(
    emitted.inputs.map(({ name }, index) => [`input-${index}.bin`, bytesOf(feeds.get(name)!.data)]),
  )
  const outputs = emitted.outputs.map((_, index) => `output-${index}.bin`)
  const { files: fetched } = await execute(
    board,
    tools,
    {
      files,
      fetch: [outputs[wanted]!],
      plan: (folder) => ({
        schema: 1,
        artifacts: [
          {
            id: 'exposed',
            backend: tools.backend,
            library: tools.library,
            ...(tools.delegate ? { delegate: tools.delegate } : {}),
            model: path,
            threads: 1,
            affinity: [],
            profile: false,
            inputs: [],
            seed: 0,
          },
        ],
        steps: [
          {
            do: 'infer',
            artifact: 'exposed',
            inputs: [...files.keys()].map((name) => `${folder}/${name}`),
            outputs: outputs.map((name) => `${folder}/${name}`),
            count: 1,
          },
        ],
        sensors: [],
        sensorPeriodMs: 1000,
      }),
    },
    progress,
  )
  return fetched.get(outputs[wanted]!) ?? new Uint8Array()
}
