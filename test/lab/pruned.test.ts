import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { compileModel } from '../../src/compile/compile.ts'
import { modelFileOf } from '../../src/compile/execute-graph.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { openSource } from '../../src/compile/source.ts'
import type { Graph } from '../../src/graph/types.ts'
import { silentProgress } from '../../src/progress.ts'
import { noQuestions } from '../../src/run/open-device.ts'
import { channelMap } from '../../src/train/prune/channel-map.ts'
import { chooseChannels } from '../../src/train/prune/choose-channels.ts'
import { weightImportance } from '../../src/train/prune/importance.ts'
import { removeChannels } from '../../src/train/prune/remove-channels.ts'
import { measureLatencies } from '../../src/tune/latency.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { startBoard } from './board.ts'
import { labMissing } from './requirements.ts'

// What a channel is worth does not matter for what it costs: without training. On a Pi 4: with the dot products of a Pi 5 a
// third of ResNet8's int8 instructions are no multiply-adds, and as many channels less leave 0.72 of them.
test('half the multiply-adds are at most 0.6 of the instructions on the board', {
  skip: fixturesMissing || labMissing('system'),
  timeout: 900_000,
}, async (t) => {
  const scratch = mkdtempSync(join(tmpdir(), 'edgewright-pruned-'))
  t.after(() => rmSync(scratch, { recursive: true, force: true }))
  const { original } = await openSource(
    { model: fixture('mlperf-tiny/ic_resnet8_float.tflite'), shapes: {} },
    silentProgress(),
  )
  const map = channelMap(original)
  const { removed, before, after } = chooseChannels(
    map,
    weightImportance(map),
    { macs: 0.5 },
    { multiple: 8 },
  )
  assert.ok(after.macs <= 0.5 * before.macs)
  const compiled = async (graph: Graph, name: string, scheme: 'float' | 'full-int8') => {
    const model = join(scratch, `${name}.onnx`)
    writeFileSync(model, modelFileOf(graph))
    const { folder, manifest } = await compileModel(
      {
        model,
        shapes: {},
        data: undefined,
        calibrationData: undefined,
        metric: undefined,
        recipe: parseRecipe({ preset: 'fast', scheme }, 'test'),
        profile: 'raspberry-pi-4b',
        target: 'litert',
        out: join(scratch, name),
      },
      silentProgress(),
    )
    return { id: name, bytes: readFileSync(join(folder, manifest.model)) }
  }
  const pruned = removeChannels(map, removed)
  const models = [
    await compiled(original, 'whole', 'float'),
    await compiled(pruned, 'pruned', 'float'),
    await compiled(original, 'whole-int8', 'full-int8'),
    await compiled(pruned, 'pruned-int8', 'full-int8'),
  ]
  const board = await startBoard({ kind: 'system', model: 'raspberry-pi-4b', instructionClock: true })
  t.after(() => board.stop())
  const { rows } = await measureLatencies(
    {
      models,
      engine: 'litert',
      device: board.spec,
      preset: 'quick',
      memory: false,
      connection: {
        ...noQuestions,
        identity: board.identityFile,
        hostKey: board.hostKeyFingerprint,
        knownHosts: board.knownHostsFile,
      },
    },
    silentProgress(),
  )
  const ratio = rows.get('whole')!.speedup / rows.get('pruned')!.speedup
  const ratioInt8 = rows.get('whole-int8')!.speedup / rows.get('pruned-int8')!.speedup
  t.diagnostic(
    `of the whole network's: multiply-adds ${(after.macs / before.macs).toFixed(3)}, instructions in float ${ratio.toFixed(3)}, in int8 ${ratioInt8.toFixed(3)}`,
  )
  assert.ok(ratio <= 0.6, `instructions in float ${ratio}`)
  assert.ok(ratioInt8 <= 0.6, `instructions in int8 ${ratioInt8}`)
})
