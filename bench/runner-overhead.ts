/**
 * What the runner costs beside the least code that can time the same runtime call (bench/bare-loop.c): ratio of
 * medians and difference of peak resident memory, the two taking turns, each pinned to the same CPU.
 *
 *   node --import tsx bench/runner-overhead.ts [--pairs N] [MODEL.onnx …]    models take one float32 input
 *
 * Without models: the fixtures' keyword-spotting and digit networks. Needs gcc.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { onnxRuntimeBuild } from '../src/artifact/runtimes.ts'
import { collect } from '../src/measure/collect.ts'
import { encodePlan } from '../src/measure/encode-plan.ts'
import { parseEvents } from '../src/measure/events.ts'
import { prebuiltRunner } from '../src/measure/prebuilt-runner.ts'
import { median } from '../src/measure/statistics.ts'
import { fixture, repositoryRoot } from '../test/fixtures.ts'

interface Turn {
  readonly medianNs: number
  readonly peakRssBytes: number
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { pairs: { type: 'string', default: '15' }, runs: { type: 'string', default: '3000' } },
})
const models =
  positionals.length > 0
    ? positionals.map((path) => resolve(path))
    : [fixture('mlperf-tiny/kws_dscnn_float.onnx'), fixture('mnist/mnist_cntk.onnx')]
const runs = Number(values.runs)
const warmup = 200
const cpu = '1'
const architecture = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
const library = onnxRuntimeBuild(architecture)!.path
const folder = mkdtempSync(join(tmpdir(), 'edgewright-overhead-'))

try {
  execFileSync('gcc', [
    '-O2',
    '-o',
    join(folder, 'bare-loop'),
    join(repositoryRoot, 'bench', 'bare-loop.c'),
    '-ldl',
  ])
  for (const model of models) {
    if (!existsSync(model)) throw new Error(`no such model: ${model}`)
    compare(model)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function compare(model: string): void {
  const pairs: { bare: Turn; runner: Turn }[] = []
  for (let i = 0; i < Number(values.pairs); i++) {
    // A B, then B A: whoever comes second does not always find the warmer machine.
    const first = i % 2 === 0 ? bareLoop(model) : runner(model)
    const second = i % 2 === 0 ? runner(model) : bareLoop(model)
    pairs.push(i % 2 === 0 ? { bare: first, runner: second } : { bare: second, runner: first })
  }
  const ratios = pairs.map(({ bare, runner }) => runner.medianNs / bare.medianNs).sort((a, b) => a - b)
  const us = (side: 'bare' | 'runner'): string =>
    (median(pairs.map((pair) => pair[side].medianNs)) / 1000).toFixed(2)
  const moreMb = median(pairs.map(({ bare, runner }) => runner.peakRssBytes - bare.peakRssBytes)) / 2 ** 20
  const name = basename(model)
  console.log(
    `${name}: bare ${us('bare')} µs, runner ${us('runner')} µs, ${pairs.length} pairs of ${runs} inferences`,
  )
  console.log(
    `${name}: ratio of medians ${median(ratios).toFixed(4)} (pairs ${ratios[0]!.toFixed(3)} to ${ratios.at(-1)!.toFixed(3)}), ${median(ratios) <= 1.02 ? 'within' : 'OVER'} 2 %`,
  )
  console.log(
    `${name}: peak resident memory ${moreMb >= 0 ? '+' : ''}${moreMb.toFixed(2)} MiB, ${moreMb <= 3 ? 'within' : 'OVER'} 3 MB`,
  )
}

function bareLoop(model: string): Turn {
  const args = ['-c', cpu, join(folder, 'bare-loop'), library, model, String(runs), String(warmup)]
  const lines = execFileSync('taskset', args, { encoding: 'utf8', maxBuffer: 64 << 20, env: {} })
    .trim()
    .split('\n')
  return {
    medianNs: median(lines.slice(0, runs).map(Number)),
    peakRssBytes: Number(lines.at(-1)!.split(' ')[1]) * 1024,
  }
}

function runner(model: string): Turn {
  const bounds = (count: number) => ({ minCount: count, maxCount: count, minSeconds: 0, maxSeconds: 600 })
  const plan = join(folder, 'plan.json')
  const events = join(folder, 'events.jsonl')
  rmSync(events, { force: true })
  writeFileSync(
    plan,
    encodePlan({
      schema: 1,
      artifacts: [
        {
          id: 'a',
          backend: 'onnxruntime',
          library,
          model,
          threads: 1,
          affinity: [Number(cpu)],
          profile: false,
          inputs: [],
          seed: 1,
        },
      ],
      steps: [
        { do: 'warmup', artifact: 'a', ...bounds(warmup - 1) },
        { do: 'measure', artifact: 'a', rateHz: 0, ...bounds(runs) },
      ],
      sensors: [],
      sensorPeriodMs: 1000,
    }),
  )
  execFileSync(prebuiltRunner(architecture).path, [plan, events], { env: {} })
  const collected = collect(parseEvents(readFileSync(events)))
  return { medianNs: median(collected.artifacts.get('a')!.latencyNs), peakRssBytes: collected.peakRssBytes! }
}
