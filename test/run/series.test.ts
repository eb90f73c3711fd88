import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collect } from '../../src/measure/collect.ts'
import { inferenceStarts } from '../../src/measure/inference-starts.ts'
import type { RunnerEvent } from '../../src/measure/plan.ts'
import { seriesOf } from '../../src/run/series.ts'
import { rawSeriesSchema } from '../../src/store/document.ts'

type Body = RunnerEvent extends infer Event ? (Event extends RunnerEvent ? Omit<Event, 'seq'> : never) : never

const bootNs = 5e12

function collected(...bodies: Body[]) {
  return collect(bodies.map((body, seq) => ({ ...body, seq, t: body.t + bootNs }) as RunnerEvent))
}

/** A second of float, then one of int8, in batches as the runner writes them. */
const measured = collected(
  { type: 'step', t: 1000, index: 0, do: 'measure', artifact: 'float-t1' },
  { type: 'latency', t: 1500, step: 0, artifact: 'float-t1', at: bootNs + 1000, ns: [100, 200] },
  { type: 'latency', t: 1900, step: 0, artifact: 'float-t1', at: bootNs + 1300, ns: [100, 100] },
  { type: 'sensor', t: 1400, name: 'temperature:cpu-thermal', value: 45_000 },
  { type: 'sensor', t: 1400, name: 'unheard-of', value: 1 },
  { type: 'done', t: 1900, step: 0, count: 4, elapsedNs: 1000 },
  { type: 'step', t: 2000, index: 1, do: 'measure', artifact: 'int8-t4' },
  { type: 'latency', t: 2100, step: 1, artifact: 'int8-t4', at: bootNs + 2000, ns: [10] },
)

test('an inference begins when its batch says, or after those before it; where there were pauses, in even steps', () => {
  const starts = inferenceStarts(measured.steps[0]!, 'float-t1')
  // 1000, 1100 and 1300 are known; the last batch has 200 ns of inferences in the 700 ns to the end of its step
  assert.deepEqual(
    [...starts].map((at) => at - bootNs),
    [1000, 1100, 1300, 1650],
  )
})

test('latency, sensors and power of one thread count stand on one clock that begins with the run', () => {
  const series = seriesOf({
    device: 'pi@board',
    parts: [measured],
    subjects: ['float', 'int8'],
    threads: 1,
    power: [
      {
        rail: 'ina3221 VDD_IN',
        total: true,
        tNs: [bootNs + 3000, bootNs + 3100, bootNs + 3200],
        milliW: [1000, Number.NaN, 3000],
      },
    ],
  })
  assert.deepEqual(rawSeriesSchema.parse(series), series)
  assert.deepEqual(series.steps, [{ do: 'measure', artifacts: ['float'], startNs: 0, endNs: 1000 }])
  assert.deepEqual(series.latency, [{ artifact: 'float', tNs: [0, 100, 300, 650], ns: [100, 200, 100, 100] }])
  assert.deepEqual(series.sensors, [
    { name: 'temperature:cpu-thermal', unit: 'milliC', tNs: [400], values: [45_000] },
  ])
  assert.deepEqual(series.power, [
    { rail: 'ina3221 VDD_IN', total: true, tNs: [2000, 2200], milliW: [1000, 3000] },
  ])
})

test('a long run is thinned out, which its file says, and keeps its stalls and its level', () => {
  const count = 250_000
  const ns = Array.from({ length: count }, (_, i) => (i === 123_457 ? 90_000 : 1000 + (i % 7)))
  const long = collected(
    { type: 'step', t: 0, index: 0, do: 'measure', artifact: 'int8-t1' },
    { type: 'latency', t: 0, step: 0, artifact: 'int8-t1', at: bootNs, ns },
  )
  const series = seriesOf({ device: 'd', parts: [long], subjects: ['int8'], threads: 1, power: [] })
  const [row] = series.latency
  assert.deepEqual([row!.every, row!.count], [6, count])
  assert.ok(row!.ns.length <= 100_000 && row!.ns.length > 40_000, `${row!.ns.length}`)
  const at = row!.ns.indexOf(90_000)
  assert.equal(
    row!.tNs[at],
    ns.slice(0, 123_457).reduce((sum, each) => sum + each, 0),
  )
  assert.ok(row!.tNs.every((t, i) => i === 0 || t > row!.tNs[i - 1]!))
})
