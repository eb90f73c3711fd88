/**
 * Whether a PPK2's stream is decoded without loss: 100,000 samples a second on a real pseudo-terminal, over its five
 * ranges, for a minute. Prints samples sent and kept, the error of the charge and of each millisecond, how late the
 * host ran, CPU time and memory.
 *
 *   node --import tsx bench/meters.ts [seconds]
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { openPpk2 } from '../src/measure/meters/ppk2.ts'
import { silentProgress } from '../src/progress.ts'
import { simulate } from '../test/measure/meters/port.ts'
import { currentAt, stepSamples } from '../test/measure/meters/waveform.ts'

const seconds = Number(process.argv[2] ?? 60)
const volts = 5

const port = await simulate('ppk2-simulator.ts')
const meter = await openPpk2(
  port.path,
  { supplyVolts: null, volts, boardMaxAmps: 0.6, edgePin: 0 },
  silentProgress(),
)
const restingMiB = process.memoryUsage().rss / 2 ** 20
const before = process.cpuUsage()
await meter.start()
let backlog = 0
for (let second = 0; second < seconds; second++) {
  await sleep(1000)
  backlog = Math.max(backlog, port.report().remarks['backlog'] ?? 0)
}
const series = await meter.stop()
const cpu = process.cpuUsage(before)
const peakMiB = process.memoryUsage().rss / 2 ** 20
await meter.close()
const { violations, remarks } = port.report()
await port.close()

const kept = series.count.reduce((sum, each) => sum + each, 0)
let truth = 0
for (let i = 0; i < kept; i++) truth += currentAt(i) * volts * 1000
const measured = series.powerMilliW.reduce((sum, milliW, i) => sum + milliW * series.count[i]!, 0)
let worst = 0
let compared = 0
for (const [bin, milliW] of series.powerMilliW.entries()) {
  const from = bin * 100
  // where the kit changes range its spike filter stands for some samples
  if (series.count[bin] !== 100 || from % stepSamples < 300) continue
  let expected = 0
  for (let i = from; i < from + 100; i++) expected += currentAt(i) * volts * 10
  worst = Math.max(worst, Math.abs(milliW / expected - 1))
  compared++
}
const lost = remarks['sent']! - kept
console.log(
  `${seconds} s: ${remarks['sent']} samples sent, ${kept} kept, ${lost} lost, ${series.gaps.length} gaps`,
)
console.log(`whole: ${((measured / truth - 1) * 100).toFixed(4)} % off the injected current`)
console.log(`each millisecond: at most ${(worst * 100).toFixed(3)} % off, of ${compared}`)
console.log(`edges of the marker: ${series.edges.length}`)
console.log(
  `samples a second by this clock: ${series.sampleHz.toFixed(1)}, times within ${(series.clockBoundNs / 1e6).toFixed(2)} ms`,
)
console.log(`the kit had at most ${backlog} bytes waiting; ${violations.length} undocumented bytes`)
console.log(
  `CPU ${((cpu.user + cpu.system) / seconds / 1e4).toFixed(1)} % of a core, memory ${(peakMiB - restingMiB).toFixed(0)} MiB more than at rest`,
)
if (lost !== 0 || violations.length > 0 || Math.abs(measured / truth - 1) > 0.005 || worst > 0.005)
  process.exitCode = 1
