/**
 * Instructions of int8 files beside one another on arm64: an emulated machine whose clock advances with its instructions
 * runs each pair in turns. The counts are the same in every run; they are not cycles and no board's times.
 *
 *   node --import tsx bench/instructions.ts OURS PEER [OURS PEER …]
 *
 * Each is a model file or an artifact folder; both of a pair for one runtime.
 */
import { readFileSync } from 'node:fs'
import { ensureBlobBytes } from '../src/deploy/blobs.ts'
import { engineOf } from '../src/execute/open.ts'
import { standardPlan } from '../src/measure/standard-plan.ts'
import { silentProgress } from '../src/progress.ts'
import { execute } from '../src/run/execute.ts'
import { latencyOf } from '../src/run/latency.ts'
import { noQuestions, openBoard } from '../src/run/open-device.ts'
import { provision } from '../src/run/provision.ts'
import { openSubject } from '../src/run/subject.ts'
import { startBoard } from '../test/lab/board.ts'
import { labMissing } from '../test/lab/requirements.ts'

const nsAnInstruction = 2
const files = process.argv.slice(2)
if (files.length === 0 || files.length % 2 !== 0) throw new Error('give pairs of files: OURS PEER …')
const missing = labMissing('system')
if (missing) throw new Error(missing)

const lab = await startBoard({ kind: 'system', instructionClock: true })
const connection = {
  ...noQuestions,
  identity: lab.identityFile,
  hostKey: lab.hostKeyFingerprint,
  knownHosts: lab.knownHostsFile,
}
const board = await openBoard(lab.spec, undefined, connection, silentProgress())
try {
  console.log('| ours | other | instructions ours (M) | other (M) | ours / other |')
  console.log('|---|---|---|---|---|')
  for (let at = 0; at < files.length; at += 2) {
    const pair = files.slice(at, at + 2)
    const [ours, other] = await count(pair as [string, string])
    const millions = (ns: number) => (ns / nsAnInstruction / 1e6).toFixed(3)
    console.log(
      `| ${pair[0]} | ${pair[1]} | ${millions(ours)} | ${millions(other)} | ${(ours / other).toFixed(3)} |`,
    )
  }
} finally {
  await board.close()
  await lab.stop()
}
process.exit(0)

async function count(pair: readonly [string, string]): Promise<[number, number]> {
  const models = await Promise.all(
    pair.map(async (path) => {
      const subject = await openSubject(path)
      return readFileSync(subject.kind === 'artifact' ? subject.modelPath : subject.path)
    }),
  )
  const [engine] = models.map((bytes) => engineOf(bytes))
  const tools = await provision(board.device, engine!, silentProgress())
  const placed: string[] = []
  for (const bytes of models) placed.push((await ensureBlobBytes(board.device, bytes)).path)
  const { collected } = await execute(
    board,
    tools,
    {
      files: new Map(),
      fetch: [],
      plan: () =>
        standardPlan({
          subjects: ['ours', 'other'].map((id, index) => ({
            id,
            backend: tools.backend,
            library: tools.library,
            model: placed[index]!,
          })),
          threads: [1],
          preset: 'quick',
        }),
    },
    silentProgress(),
  )
  return ['ours', 'other'].map((id) => latencyOf(collected, id, 1, 0)!.p50Ns) as [number, number]
}
