import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { boardOfDevice } from '../../src/compile/board.ts'
import { compileFor, prepareCompile } from '../../src/compile/compile.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { bytesOf } from '../../src/tensor.ts'
import { tensorOf } from '../../src/graph/constant.ts'
import { silentProgress } from '../../src/progress.ts'
import { describeExplanation } from '../../src/run/explain/describe.ts'
import { explainModel } from '../../src/run/explain/explain.ts'
import { whereTheyPart } from '../../src/run/explain/parting.ts'
import { noQuestions, openBoard } from '../../src/run/open-device.ts'
import { parityInputs } from '../../src/run/parity-run.ts'
import { provision } from '../../src/run/provision.ts'
import { repositoryRoot } from '../fixtures.ts'
import { type Board, startBoard } from './board.ts'
import { labMissing } from './requirements.ts'

const example = join(repositoryRoot, 'examples', 'mnist')

describe('explain on an emulated board', { skip: labMissing(), timeout: 600_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-explain-'))
  let lab: Board
  before(async () => {
    lab = await startBoard({ model: 'raspberry-pi-5' })
  })
  after(async () => {
    await lab?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const connection = () => ({
    ...noQuestions,
    identity: lab.identityFile,
    hostKey: lab.hostKeyFingerprint,
    knownHosts: lab.knownHostsFile,
  })
  const request = (target: string) => ({
    model: join(example, 'mnist.onnx'),
    shapes: {},
    data: join(example, 'data.yaml'),
    calibrationData: undefined,
    metric: undefined,
    recipe: parseRecipe({ preset: 'fast', io: 'int8' }, 'test'),
    device: lab.spec,
    profile: undefined,
    target,
    threads: 1,
    preset: 'quick' as const,
    out: join(folder, target),
    connection: connection(),
  })

  for (const target of ['onnxruntime', 'litert'])
    test(`${target}: every operator has its time in float and in int8, and board and host agree`, async () => {
      const explanation = await explainModel(request(target), silentProgress())
      assert.equal(explanation.timed, target === 'onnxruntime' ? 'in place' : 'alone')
      const weighted = explanation.units.filter(({ operator }) => /^(Conv|Gemm)/.test(operator))
      assert.equal(weighted.length, 4)
      for (const { name, floatNs, int8Ns, sqnrDb, precision } of weighted) {
        assert.equal(precision, 'int8')
        assert.ok(floatNs! > 0, name)
        assert.ok(int8Ns! > 0, name)
        assert.ok(sqnrDb! > 15, `${name}: ${sqnrDb} dB`)
      }
      assert.equal(explanation.parity!.ok, true, explanation.parity!.firstDivergence)
      assert.equal(explanation.parting, null)
      // a time of the emulator is never shown as if it were the board's
      assert.doesNotMatch(describeExplanation(explanation), /\d [nµm]s\b/)
    })

  test('a board that computes one layer otherwise is found out, at that layer', async () => {
    const wanted = request('litert')
    const prepared = await prepareCompile(wanted, silentProgress())
    const board = await openBoard(lab.spec, undefined, connection(), silentProgress())
    try {
      const compiledFor = boardOfDevice(board.profile, board.device.facts, wanted, silentProgress())
      const compiled = await compileFor(prepared, compiledFor, join(folder, 'parting'), silentProgress())
      const tools = await provision(board.device, compiledFor.target.engine, silentProgress())
      const inputs = await parityInputs(prepared, compiled, 1, new AbortController().signal)
      const { graph } = compiled.made.typed
      const layer = graph.nodes.find(({ op }) => op.kind === 'Gemm')!
      const weights = Buffer.from(bytesOf(tensorOf(graph.values.get(layer.inputs[1]!)!.constant!).data))
      // the board gets other weights in the first dense layer
      const tamper = (model: Uint8Array) => {
        const changed = Buffer.from(model)
        const at = changed.indexOf(weights.subarray(0, 64))
        assert.ok(at > 0, 'the weights stand in the file as they are')
        for (let i = 0; i < weights.length; i++) changed[at + i] = -changed.readInt8(at + i) & 0xff
        return changed
      }
      const found = await whereTheyPart(compiled, board, tools, inputs.samples[0]!, silentProgress(), tamper)
      assert.ok(layer.outputs.includes(found!.value), `${found!.value} in place of ${layer.outputs}`)
      assert.ok(found!.difference.steps >= 1)
      assert.equal(await whereTheyPart(compiled, board, tools, inputs.samples[0]!, silentProgress()), null)
    } finally {
      await board.close()
      await prepared.close()
    }
  })
})
