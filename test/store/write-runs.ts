// Child process of runs.test.ts: keeps `count` runs and prints how many, and how many warnings there were.
import { saveRun } from '../../src/store/runs.ts'
import { sampleRun } from './sample-run.ts'

const [store, letter, count] = process.argv.slice(2)
let warnings = 0
for (let i = 0; i < Number(count); i++) {
  const runId = `20261122-20473${letter}-${String(i).padStart(6, '0')}`
  warnings += (await saveRun(store!, sampleRun(runId).document)).warnings.length
}
console.log(`${count} ${warnings}`)
