/**
 * Peak memory of a compile with many calibration samples beside the same with few, and its seconds per 100 samples.
 * Each compile is a process of its own; the two alternate. Prints medians and their ratio.
 *
 *   node --import tsx bench/compile-memory.ts [model.onnx] [--few 32] [--many 1024] [--rounds 3]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    few: { type: 'string', default: '32' },
    many: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '3' },
    child: { type: 'string' },
  },
})
const model = positionals[0] ?? 'examples/mnist/mnist.onnx'

if (values.child) await compileOnce(Number(values.child))
else compare()

function compare(): void {
  const few = Number(values.few)
  const many = Number(values.many)
  const runs = new Map<number, { peakRssBytes: number; calibrateSeconds: number }[]>([
    [few, []],
    [many, []],
  ])
  for (let round = 0; round < Number(values.rounds); round++)
    for (const samples of round % 2 === 0 ? [few, many] : [many, few])
      runs.get(samples)!.push(measure(samples))
  const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1]!
  const peak = (samples: number) => median(runs.get(samples)!.map((run) => run.peakRssBytes))
  const seconds = (samples: number) => median(runs.get(samples)!.map((run) => run.calibrateSeconds))
  for (const samples of [few, many])
    console.log(
      `${String(samples).padStart(6)} samples: peak ${(peak(samples) / 1e6).toFixed(1)} MB, compile ${seconds(samples).toFixed(2)} s`,
    )
  console.log(`peak memory ratio ${(peak(many) / peak(few)).toFixed(3)}`)
  console.log(
    `${(((seconds(many) - seconds(few)) / (many - few)) * 100).toFixed(3)} s for each 100 samples more`,
  )
}

function measure(samples: number): { peakRssBytes: number; calibrateSeconds: number } {
  const child = spawnSync(
    process.execPath,
    ['--import', 'tsx', process.argv[1]!, model, '--child', String(samples)],
    { encoding: 'utf8' },
  )
  if (child.status !== 0) throw new Error(child.stderr)
  return JSON.parse(child.stdout.trim().split('\n').at(-1)!)
}

/** One compile on seeded noise from a loader, which holds nothing. */
async function compileOnce(samples: number): Promise<void> {
  const { compileModel } = await import('../src/compile/compile.ts')
  const { parseRecipe } = await import('../src/compile/recipe.ts')
  const { silentProgress } = await import('../src/progress.ts')
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-bench-'))
  try {
    const loader = join(folder, 'loader.mjs')
    writeFileSync(loader, noiseLoader(samples + 128))
    const start = performance.now()
    await compileModel(
      {
        model,
        shapes: {},
        data: loader,
        calibrationData: undefined,
        metric: undefined,
        recipe: parseRecipe(
          { calibration: { method: 'mse', samples }, selectionSamples: 64, evaluationSamples: 64 },
          'bench',
        ),
        profile: 'raspberry-pi-5',
        target: undefined,
        out: join(folder, 'artifact'),
      },
      silentProgress(),
    )
    console.log(
      JSON.stringify({
        peakRssBytes: process.resourceUsage().maxRSS * 1024,
        calibrateSeconds: (performance.now() - start) / 1000,
      }),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function noiseLoader(count: number): string {
  return `export default function* (inputs) {
  let state = 1
  for (let i = 0; i < ${count}; i++) {
    const sample = {}
    for (const { name, shape } of inputs) {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1))
      for (let k = 0; k < data.length; k++) { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; data[k] = state / 2 ** 32 }
      sample[name] = data
    }
    yield { id: String(i), inputs: sample }
  }
}
`
}
