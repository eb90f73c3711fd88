/**
 * Time of `edgewright --help` beside `node -e 0`, the two taking turns. Prints medians and their ratio.
 *
 *   npm run build && node --import tsx bench/help-time.ts [--pairs 15]
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { median } from '../src/measure/statistics.ts'
import { repositoryRoot } from '../test/fixtures.ts'

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '15' } } })
const program = join(repositoryRoot, 'bin', 'edgewright.js')

function secondsOf(args: readonly string[]): number {
  const startMs = performance.now()
  execFileSync(process.execPath, args, { stdio: 'ignore' })
  return (performance.now() - startMs) / 1000
}

const help: number[] = []
const bare: number[] = []
for (let pair = 0; pair < Number(values.pairs); pair++) {
  bare.push(secondsOf(['-e', '0']))
  help.push(secondsOf([program, '--help']))
}
const [helpSeconds, bareSeconds] = [median(help), median(bare)]
console.log(`edgewright --help   ${(helpSeconds * 1000).toFixed(0)} ms`)
console.log(`node -e 0           ${(bareSeconds * 1000).toFixed(0)} ms`)
console.log(`ratio               ${(helpSeconds / bareSeconds).toFixed(2)} (at most 4)`)
