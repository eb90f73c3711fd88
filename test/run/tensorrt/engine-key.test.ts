import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engineKey } from '../../../src/run/tensorrt/engine-key.ts'
import { collectedOf } from '../../../src/run/tensorrt/collected.ts'
import { inferenceStarts } from '../../../src/measure/inference-starts.ts'

const board = {
  trtexec: {
    path: '/usr/src/tensorrt/bin/trtexec',
    version: { major: 10, minor: 3, patch: 0 },
    options: null,
  },
  gpu: 'tegra234 sm_8.7',
  powerMode: { id: 1, name: '25W' },
  l4t: '36.4.3',
}
const command = ['/usr/src/tensorrt/bin/trtexec', '--onnx=MODEL', '--int8']

test('an engine is named by the model, TensorRT, the GPU, the power mode and the options, and by nothing else', () => {
  const key = engineKey('a'.repeat(64), board, command)
  assert.match(key, /^[0-9a-f]{32}$/)
  const others = [
    engineKey('b'.repeat(64), board, command),
    engineKey('a'.repeat(64), { ...board, gpu: 'tegra194 sm_7.2' }, command),
    engineKey('a'.repeat(64), { ...board, powerMode: { id: 1, name: '15W' } }, command),
    engineKey('a'.repeat(64), { ...board, powerMode: null }, command),
    engineKey('a'.repeat(64), { ...board, l4t: '36.4.4' }, command),
    engineKey(
      'a'.repeat(64),
      { ...board, trtexec: { ...board.trtexec, version: { major: 10, minor: 3, patch: 1 } } },
      command,
    ),
    engineKey('a'.repeat(64), board, [...command, '--fp16']),
  ]
  assert.equal(new Set([key, ...others]).size, others.length + 1)
  const elsewhere = ['/opt/trtexec', ...command.slice(1)]
  assert.equal(engineKey('a'.repeat(64), { ...board, powerMode: { id: 3, name: '25W' } }, elsewhere), key)
})

test('samples of turns become steps on the clock of the board, each inference where trtexec saw it', () => {
  const time = (startNs: number, latencyNs: number) => ({
    startNs,
    latencyNs,
    computeNs: latencyNs,
    toDeviceNs: 0,
    fromDeviceNs: 0,
    enqueueNs: 0,
  })
  const turn = (engine: number, startNs: number, endNs: number, ...times: ReturnType<typeof time>[]) => ({
    engine,
    startNs,
    endNs,
    times,
  })
  const collected = collectedOf(
    {
      turns: [
        turn(0, 1e9, 3e9, time(500e6, 2e6), time(600e6, 3e6)),
        turn(1, 4e9, 5e9, time(500e6, 1e6)),
        turn(0, 6e9, 8e9, time(500e6, 4e6)),
      ],
      layers: [],
      sensors: [],
      aftermath: { pins: [], load: [] },
    },
    ['float', 'int8'],
  )
  assert.deepEqual([...collected.artifacts.get('float-t1')!.latencyNs], [2e6, 3e6, 4e6])
  assert.deepEqual(
    collected.steps.map(({ latencyNs }) => [...latencyNs.keys()]),
    [['float-t1'], ['int8-t1'], ['float-t1']],
  )
  // the last inference ended with the process: 3 s - 603 ms is the zero of its clock
  assert.deepEqual([...inferenceStarts(collected.steps[0]!, 'float-t1')], [3e9 - 103e6, 3e9 - 3e6])
})
