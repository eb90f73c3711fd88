/**
 * A whole quantization, from reading the model to the written file, by Edgewright and by onnxruntime.quantization: the
 * same float model, the same calibration samples, decoded beforehand. Each is a process of its own, in turns. Prints
 * medians of wall time (without loading the programs, and of the whole process), CPU time and peak resident memory, and
 * their ratios. Ours evaluates what it made as well, which theirs does not: on one sample, the least that it takes. Else
 * the preset `fast` does what theirs does; `balanced` searches for accuracy on 64 samples more, and has no peer here.
 *
 *   node --import tsx bench/calibration.ts [--networks resnet8,vww,mobilenetv1] [--samples 256] [--rounds 3]
 *   node --import tsx bench/calibration.ts --flat [--networks vww]      ours with 64 and with 4096 samples
 *
 * Needs the fixtures, and Python 3.11 with bench/calibration/requirements.txt, which the first run installs in .lab/.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { modelFileOf } from '../src/compile/execute-graph.ts'
import { openSource } from '../src/compile/source.ts'
import { splitDataset } from '../src/data/split.ts'
import { silentProgress } from '../src/progress.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../test/fixtures.ts'

const { values } = parseArgs({
  options: {
    networks: { type: 'string', default: 'resnet8,vww,mobilenetv1' },
    samples: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '3' },
    flat: { type: 'boolean', default: false },
  },
})

interface Network {
  readonly float: string
  readonly folders: readonly string[]
  readonly size: number
  readonly scale: (pixel: number) => number
}

const pictures = ['imagenet/calib256', 'imagenet/tune256']
const networks: Record<string, Network> = {
  resnet8: {
    float: 'mlperf-tiny/ic_resnet8_float.tflite',
    folders: ['data/cifar10_calib', 'data/cifar10_test'],
    size: 32,
    scale: (x) => x,
  },
  vww: { float: 'mlperf-tiny/vww_float.tflite', folders: pictures, size: 96, scale: (x) => x / 255 },
  mobilenetv1: {
    float: 'imagenet/mobilenet_v1_0.25_224_float.tflite',
    folders: pictures,
    size: 224,
    scale: (x) => x / 127.5 - 1,
  },
}

interface Run {
  /** From reading the model to the written file. */
  readonly seconds: number
  /** Of all its threads, in the same time: what other work on this computer disturbs least. */
  readonly cpuSeconds: number
  /** With starting the process and loading the program. */
  readonly processSeconds: number
  readonly peakRssBytes: number
}

const lab = join(repositoryRoot, '.lab', 'calibration')
const selectionSamples = 64
const evaluationSamples = 1

if (fixturesMissing) throw new Error(fixturesMissing)
build()
if (values.flat) for (const name of values.networks.split(',')) await showFlat(name)
else for (const name of values.networks.split(',')) await showRatios(name)

async function showRatios(name: string): Promise<void> {
  const samples = Number(values.samples)
  const made = await prepare(name, samples)
  const ways: Record<string, () => Run> = {
    'ORT min-max': () => peer(made, 'minmax'),
    'ours, fast': () => ours(made, { preset: 'fast' }, samples),
    'ORT percentile': () => peer(made, 'percentile'),
    'ours, percentile': () => ours(made, { preset: 'fast', calibration: { method: 'percentile' } }, samples),
    'ours, balanced': () => ours(made, { preset: 'balanced' }, samples),
  }
  const runs = new Map(Object.keys(ways).map((way) => [way, [] as Run[]]))
  for (let round = 0; round < Number(values.rounds); round++) {
    const order = round % 2 === 0 ? Object.keys(ways) : Object.keys(ways).reverse()
    for (const way of order) runs.get(way)!.push(ways[way]!())
  }
  const medians = new Map([...runs].map(([way, all]) => [way, medianOf(all)]))
  console.log(`${name}, ${samples} samples, ${values.rounds} rounds`)
  for (const [way, median] of medians) console.log(`  ${way.padEnd(17)} ${describe(median)}`)
  ratio('ours, fast', 'ORT min-max')
  ratio('ours, percentile', 'ORT percentile')
  ratio('ours, balanced', 'ORT percentile')

  function ratio(mine: string, theirs: string): void {
    const [a, b] = [medians.get(mine)!, medians.get(theirs)!]
    const share = (key: keyof Run) => (a[key] / b[key]).toFixed(3)
    console.log(
      `  ${mine} / ${theirs}: time ${share('seconds')}, CPU ${share('cpuSeconds')}, of the process ${share('processSeconds')}, memory ${share('peakRssBytes')}`,
    )
  }
}

async function showFlat(name: string): Promise<void> {
  const runs = []
  for (const samples of [64, 4096]) {
    const run = ours(await prepare(name, samples), { preset: 'balanced' }, samples)
    console.log(`${name}, ${samples} samples: ${describe(run)}`)
    runs.push(run)
  }
  console.log(`  memory ratio ${(runs[1]!.peakRssBytes / runs[0]!.peakRssBytes).toFixed(3)}`)
}

function describe({ seconds, cpuSeconds, processSeconds, peakRssBytes }: Run): string {
  return `${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} CPU s (process ${processSeconds.toFixed(2)} s), ${(peakRssBytes / 1e6).toFixed(0)} MB`
}

function medianOf(runs: readonly Run[]): Run {
  const median = (key: keyof Run) => runs.map((run) => run[key]).sort((a, b) => a - b)[runs.length >> 1]!
  return {
    seconds: median('seconds'),
    cpuSeconds: median('cpuSeconds'),
    processSeconds: median('processSeconds'),
    peakRssBytes: median('peakRssBytes'),
  }
}

interface Prepared {
  readonly folder: string
  readonly model: string
  /** Those that calibrate and those that choose. */
  readonly calibration: string
  readonly evaluation: string
  /** Of the calibration file: what ours calibrates on, in its order. */
  readonly indices: string
}

function peer({ folder, model, calibration, indices }: Prepared, method: string): Run {
  const script = join(repositoryRoot, 'bench', 'calibration', 'quantize_static.py')
  return timed(python(), script, model, calibration, indices, method, join(folder, `${method}.onnx`))
}

function ours(
  { folder, model, calibration, evaluation }: Prepared,
  recipe: Record<string, unknown> & { calibration?: Record<string, unknown> },
  samples: number,
): Run {
  const request = {
    model,
    shapes: {},
    data: evaluation,
    calibrationData: calibration,
    recipe: {
      ...recipe,
      calibration: { ...recipe.calibration, samples },
      selectionSamples,
      evaluationSamples,
    },
    profile: 'generic-x64',
    target: 'onnxruntime',
    out: join(folder, 'artifact'),
  }
  rmSync(request.out, { recursive: true, force: true })
  // no cache: each run calibrates
  return timed(
    process.execPath,
    join(repositoryRoot, 'bench', 'calibration', 'compile.mjs'),
    lab,
    JSON.stringify(request),
  )
}

function timed(command: string, ...args: string[]): Run {
  const start = performance.now()
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
  if (status !== 0) throw new Error(stderr)
  const processSeconds = (performance.now() - start) / 1000
  return { ...JSON.parse(stdout.trim().split('\n').at(-1)!), processSeconds }
}

/** Model and samples as files, made once. */
async function prepare(name: string, samples: number): Promise<Prepared> {
  const network = networks[name]
  if (!network) throw new Error(`No network ${name}: ${Object.keys(networks).join(', ')}.`)
  const folder = join(lab, name)
  mkdirSync(folder, { recursive: true })
  const files = {
    folder,
    model: join(folder, 'float.onnx'),
    calibration: join(folder, `calibration-${samples}.npy`),
    evaluation: join(folder, 'evaluation.npy'),
    indices: join(folder, `indices-${samples}.json`),
  }
  const { original } = await openSource({ model: fixture(network.float), shapes: {} }, silentProgress())
  writeFileSync(files.model, modelFileOf(original))
  const count = samples + selectionSamples
  const sizes = { calibration: samples, selection: selectionSamples, evaluation: 0 }
  writeFileSync(files.indices, JSON.stringify(splitDataset(count, sizes, 0).calibration))
  if (existsSync(files.calibration) && existsSync(files.evaluation)) return files
  const decoded = await decode(network, Math.min(count, 320) + evaluationSamples)
  writeNpy(files.evaluation, decoded.splice(-evaluationSamples), evaluationSamples, network.size)
  writeNpy(files.calibration, decoded, count, network.size)
  return files
}

async function decode({ folders, size, scale }: Network, count: number): Promise<Float32Array[]> {
  const paths = folders.flatMap((folder) =>
    readdirSync(fixture(folder))
      .filter((file) => /\.(jpe?g|png)$/i.test(file))
      .sort()
      .map((file) => join(fixture(folder), file)),
  )
  if (paths.length < count) throw new Error(`${count} pictures are asked for, there are ${paths.length}.`)
  const decoded: Float32Array[] = []
  for (const path of paths.slice(0, count)) {
    const picture = sharp(path)
      .removeAlpha()
      .toColourspace('srgb')
      .resize(size, size, { fit: 'cover', kernel: 'linear' })
    decoded.push(Float32Array.from(await picture.raw().toBuffer(), scale))
  }
  return decoded
}

/** Little-endian float32, [count, size, size, 3]; what is given comes again and again until there are enough. */
function writeNpy(path: string, given: readonly Float32Array[], count: number, size: number): void {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${count}, ${size}, ${size}, 3), }`
  const header = `${text.padEnd(117)}\n`
  writeFileSync(
    path,
    Buffer.concat([
      Buffer.from([0x93]),
      Buffer.from('NUMPY'),
      Buffer.from([1, 0, 118, 0]),
      Buffer.from(header),
    ]),
  )
  for (let i = 0; i < count; i++) {
    const { buffer, byteOffset, byteLength } = given[i % given.length]!
    writeFileSync(path, new Uint8Array(buffer, byteOffset, byteLength), { flag: 'a' })
  }
}

/** JavaScript as users get it: a TypeScript loader would count as ours. */
function build(): void {
  mkdirSync(lab, { recursive: true })
  const dist = join(lab, 'dist')
  step(
    process.execPath,
    join(repositoryRoot, 'node_modules/typescript/bin/tsc'),
    '-p',
    'tsconfig.build.json',
    '--outDir',
    dist,
  )
  for (const beside of ['profiles', 'runner', 'package.json'])
    if (!existsSync(join(lab, beside))) symlinkSync(join(repositoryRoot, beside), join(lab, beside))
}

function python(): string {
  const environment = join(lab, 'venv')
  const interpreter = join(environment, 'bin', 'python')
  if (!existsSync(interpreter)) {
    step('python3', '-m', 'venv', environment)
    step(
      interpreter,
      '-m',
      'pip',
      'install',
      '-q',
      '-r',
      join(repositoryRoot, 'bench/calibration/requirements.txt'),
    )
  }
  return interpreter
}

function step(command: string, ...args: string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', cwd: repositoryRoot })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`)
}
