/**
 * How often `compare` is wrong, and what it finds.
 *
 *   node --import tsx bench/compare-trials.ts                 simulated, on noise that was recorded
 *   node --import tsx bench/compare-trials.ts --record        records that noise anew on this machine
 *   node --import tsx bench/compare-trials.ts --board [N]     N (20) real trials of each kind on an emulated machine
 */
import { cpus } from 'node:os'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { silentProgress } from '../src/progress.ts'
import { benchSubject } from '../src/run/bench.ts'
import { noQuestions } from '../src/run/open-device.ts'
import { repositoryRoot } from '../test/fixtures.ts'
import { rates, recordedNoise, resampled, troubled } from '../test/measure/compare/trials.ts'

const [mode, count] = process.argv.slice(2)
if (mode === '--record') await record()
else if (mode === '--board')
  await (await import('./compare/board-trials.ts')).boardTrials(Number(count ?? 20))
else simulate()
process.exit(0)

/** Twenty thousand inferences in a row of the example's network, with whatever else the machine was doing. */
async function record(): Promise<void> {
  const { rawLatencyNs, runtime } = await benchSubject(
    {
      subject: join(repositoryRoot, 'examples', 'mnist', 'mnist.onnx'),
      shapes: {},
      device: 'local:',
      threads: [1],
      affinity: [],
      rateHz: 0,
      preset: 'standard',
      operators: false,
      attach: undefined,
      connection: noQuestions,
    },
    silentProgress(),
  )
  const kept = rawLatencyNs[0]!.slice(0, 20_000)
  const path = join(repositoryRoot, 'bench', 'compare', 'recorded-noise.json')
  const of = `examples/mnist/mnist.onnx, ${runtime.name} ${runtime.version}, 1 thread, ${cpus().length} × ${cpus()[0]?.model}`
  writeFileSync(path, `${JSON.stringify({ schema: 1, of, ns: kept })}\n`)
  console.log(`${kept.length} latencies in ${path}`)
}

function simulate(): void {
  const recorded = resampled(recordedNoise())
  const noises = { recorded, 'recorded + drift, spikes, neighbours, AR(1)': troubled(recorded) }
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  const shape = { rounds: 3, turn: 10 }
  console.log(
    '| noise | blocks | test finds a difference | verdict slower or faster | unproven | interval holds 0 |',
  )
  console.log('|---|--:|--:|--:|--:|--:|')
  for (const [name, noise] of Object.entries(noises))
    for (const blocks of [8, 10, 12]) {
      const { significant, verdicts, covered } = rates(noise, { ...shape, blocks, effect: 0 }, 2_000, blocks)
      console.log(
        `| ${name} | ${blocks} | ${percent(significant)} | ${percent(verdicts.slower + verdicts.faster)} | ${percent(verdicts.unproven)} | ${percent(covered)} |`,
      )
    }
  console.log('\n| noise | blocks | B takes more | slower | undecided | equal | unproven | faster |')
  console.log('|---|--:|--:|--:|--:|--:|--:|--:|')
  for (const [name, noise] of Object.entries(noises))
    for (const blocks of [8, 12])
      for (const effect of [0.01, 0.02, 0.03, 0.05]) {
        const { verdicts } = rates(noise, { ...shape, blocks, effect }, 1_000, 77)
        console.log(
          `| ${name} | ${blocks} | +${effect * 100} % | ${(['slower', 'undecided', 'equal', 'unproven', 'faster'] as const).map((verdict) => percent(verdicts[verdict])).join(' | ')} |`,
        )
      }
}
