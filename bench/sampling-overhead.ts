/**
 * What sampling power costs the latency that is measured at the same time: steps with and without meters in turns
 * (A B B A) in one process, on an emulated machine whose clock advances with its instructions. There both share one CPU:
 * the worst case of a board.
 *
 *   node --import tsx bench/sampling-overhead.ts [BLOCKS [RATE_HZ …]]
 */
import { startBoard } from '../test/lab/board.ts'
import { equip } from '../test/lab/on-board.ts'
import { labMissing } from '../test/lab/requirements.ts'
import { samplingOverhead } from '../test/lab/sampling-overhead.ts'

const missing = labMissing('system')
if (missing) throw new Error(missing)
const [blocks = 6, ...rates] = process.argv.slice(2).map(Number)

const board = await startBoard({ kind: 'system', instructionClock: true, sensors: true })
try {
  const tools = await equip(board)
  await board.power.play({ kind: 'constant', watts: 3 })
  console.log(
    '| sampled files | rate | samples | a sample (µs) | p50 without (µs) | with (µs) | p50 | mean | A/A mean |',
  )
  console.log('|---|---|---|---|---|---|---|---|---|')
  for (const rateHz of rates.length > 0 ? rates : [10, 100, 200]) {
    const { samples, sampleNs, off, on, p50Ratio, meanRatio, controlRatio } = await samplingOverhead(
      board,
      tools,
      {
        blocks,
        rateHz,
        inferences: 200,
      },
    )
    const percent = (ratio: number) => `${((ratio - 1) * 100).toFixed(2)} %`
    console.log(
      `| 2 | ${rateHz} Hz | ${samples} | ${(sampleNs / 1000).toFixed(1)} | ${(off / 1000).toFixed(1)} | ${(on / 1000).toFixed(1)} | ${percent(p50Ratio)} | ${percent(meanRatio)} | ${percent(controlRatio)} |`,
    )
  }
} finally {
  await board.stop()
}
process.exit(0)
