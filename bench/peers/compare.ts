import { join } from 'node:path'
import type { Network } from './networks.ts'
import { largestDifference, type Outputs, qualityOf, readOutputs, significance } from './outputs.ts'
import { here, pythonOf, type Runtime, runtimes } from './places.ts'
import type { Prepared } from './prepare.ts'
import { run, runForJson } from './process.ts'
import {
  nameOfPreset,
  type Peer,
  peers,
  presets,
  type Quantized,
  quantizeWithOurs,
  quantizeWithPeer,
} from './quantizers.ts'

/** One quantizer's file beside the float network. */
export interface Row {
  readonly name: string
  readonly ours: boolean
  readonly bytes: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakRssBytes: number
  readonly sqnrDb: number
  readonly agree: number | null
  readonly right: number
  readonly scoreError: number | null
  /** McNemar's exact test of the accuracy, two-sided; 1 without labels. */
  readonly pAgainstFloat: number
  readonly pAgainstOurs: number
  readonly latencyNs: number
  /** Median over rounds of our best preset's latency by this one's. */
  readonly oursToThis: number
}

export interface Comparison {
  readonly network: string
  readonly title: string
  readonly date: string
  readonly floatBytes: number
  readonly calibrationSamples: number
  readonly evaluationSamples: number
  readonly labelled: number
  readonly runtimes: Readonly<Record<Runtime, RuntimeComparison>>
}

export interface RuntimeComparison {
  readonly floatRight: number
  readonly floatLatencyNs: number
  readonly oursToFloat: number
  readonly rows: readonly Row[]
  readonly failures: readonly { readonly name: string; readonly failure: string }[]
}

export interface Choice {
  readonly peers: (peer: Peer) => boolean
  readonly fresh: boolean
  readonly say: (line: string) => void
}

/** Every conversion of a float network must compute what the original does. */
const conversionTolerance = 1e-4

type Made = Extract<Quantized, { file: string }>

export async function compareNetwork(
  network: Network,
  prepared: Prepared,
  choice: Choice,
): Promise<Comparison> {
  const float = await floatOutputs(network, prepared)
  const samples =
    network.judgedBy === 'reconstruction' ? await readOutputs(prepared.inputs.onnx.evaluation) : null
  return {
    network: network.name,
    title: network.title,
    date: new Date().toISOString(),
    floatBytes: prepared.originalBytes,
    calibrationSamples: prepared.calibrationSamples,
    evaluationSamples: prepared.labels.length,
    labelled: prepared.labels.filter((label) => label !== null).length,
    runtimes: {
      onnx: await compareOn('onnx', prepared, float, samples, choice),
      litert: await compareOn('litert', prepared, float, samples, choice),
    },
  }
}

/** @throws where the forms of the network differ: nothing could then be compared */
async function floatOutputs(network: Network, prepared: Prepared): Promise<Outputs> {
  const files = new Map<string, Runtime>([
    [prepared.original, prepared.original.endsWith('.onnx') ? 'onnx' : 'litert'],
    ...runtimes.map((runtime) => [prepared.inputs[runtime].float, runtime] as const),
    ...(prepared.keras ? [[prepared.keras, 'litert'] as const] : []),
  ])
  let reference: Outputs | null = null
  for (const [file, runtime] of files) {
    const [outputs] = await outputsOf(runtime, prepared, [file])
    reference ??= outputs!
    const difference = largestDifference(reference, outputs!)
    if (!(difference <= conversionTolerance))
      throw new Error(`${network.name}: ${file} differs from ${prepared.original} by ${difference}`)
  }
  return reference!
}

async function compareOn(
  runtime: Runtime,
  prepared: Prepared,
  float: Outputs,
  samples: Outputs | null,
  { peers: chosen, fresh, say }: Choice,
): Promise<RuntimeComparison> {
  const quantized: Quantized[] = []
  for (const peer of peers.filter((peer) => peer.runtime === runtime && chosen(peer))) {
    const made = await quantizeWithPeer(peer, prepared, fresh)
    if (made) quantized.push(made)
    if (made) say(describe(made))
  }
  for (const preset of presets) {
    quantized.push(quantizeWithOurs(runtime, preset, prepared))
    say(describe(quantized.at(-1)!))
  }
  const made = quantized.filter((one): one is Made => 'file' in one)
  const ours = made.findLast(({ name }) => isOurs(name))
  if (!ours)
    throw new Error(`nothing of ours: ${JSON.stringify(quantized.filter(({ name }) => isOurs(name)))}`)
  const files = [prepared.inputs[runtime].float, ...made.map(({ file }) => file)]
  const outputs = await outputsOf(runtime, prepared, files)
  const [floatQuality, ...qualities] = outputs.map((each) => qualityOf(each, float, prepared.labels, samples))
  const ourQuality = qualities[made.indexOf(ours)]!
  const times = latencies(runtime, prepared, files)
  const ourTimes = times.map((round) => round[1 + made.indexOf(ours)]!)
  const timesOf = (index: number) => ({
    latencyNs: 1e9 * median(times.map((round) => round[index]!)),
    ratio: median(times.map((round, i) => ourTimes[i]! / round[index]!)),
  })
  return {
    floatRight: count(floatQuality!.right),
    floatLatencyNs: timesOf(0).latencyNs,
    oursToFloat: timesOf(0).ratio,
    rows: made.map((one, i): Row => {
      const quality = qualities[i]!
      const { latencyNs, ratio } = timesOf(i + 1)
      return {
        name: one.name,
        ours: isOurs(one.name),
        bytes: one.bytes,
        seconds: one.seconds,
        cpuSeconds: one.cpuSeconds,
        peakRssBytes: one.peakRssBytes,
        sqnrDb: quality.sqnrDb,
        agree: quality.agree,
        right: count(quality.right),
        scoreError: quality.scoreError,
        pAgainstFloat: significance(quality, floatQuality!),
        pAgainstOurs: significance(quality, ourQuality),
        latencyNs,
        oursToThis: ratio,
      }
    }),
    failures: quantized.filter((one) => 'failure' in one),
  }
}

async function outputsOf(runtime: Runtime, prepared: Prepared, files: readonly string[]): Promise<Outputs[]> {
  const paths = files.map((_, i) => join(prepared.folder, `outputs-${i}.npy`))
  const pairs = files.map((file, i) => `${file}=${paths[i]}`)
  run(
    pythonOf(runtime),
    here(`judge_${runtime}.py`),
    'outputs',
    prepared.inputs[runtime].evaluation,
    ...pairs,
  )
  return Promise.all(paths.map(readOutputs))
}

/** Seconds by round and file, all in one process and in turns. */
function latencies(runtime: Runtime, prepared: Prepared, files: readonly string[]): number[][] {
  return runForJson(
    pythonOf(runtime),
    here(`judge_${runtime}.py`),
    'latency',
    prepared.inputs[runtime].evaluation,
    ...files,
  )
}

function describe(made: Quantized): string {
  if ('failure' in made) return `  ${made.name}: ${made.failure}`
  return `  ${made.name}: ${made.seconds.toFixed(1)} s, ${(made.peakRssBytes / 1e6).toFixed(0)} MB`
}

const isOurs = (name: string) => presets.some((preset) => nameOfPreset(preset) === name)
const count = (hits: readonly boolean[]) => hits.filter(Boolean).length
const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!
