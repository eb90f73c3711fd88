/**
 * What training wins back or makes room for, each experiment through `tuneModel` as `edgewright tune` calls it, on the
 * shared fixtures. Judged on samples that nothing was learnt from.
 *
 *     node --import tsx bench/tuning.ts [mobilenet-qat] [resnet8-4bit] [resnet8-prune] [kws-low-rank] [ad-low-rank]
 *       [--epochs N] [--learning-rate R] [--importance taylor,random] [--seeds 0,1,2]
 *       [--model ic_resnet8.h5] [--out FOLDER]
 *
 * mobilenet-qat  MobileNetV1-0.25 with one scale for each layer's weights: 394 unlabelled pictures to tune on, 180 to judge
 * resnet8-4bit   ResNet8 with weights of 4 bits (simulated): 5,000 unlabelled pictures to tune on, 500 to judge
 * resnet8-prune  half the multiply-adds, channels chosen by gradients and by chance, distilled alike, several seeds of each
 * kws-low-rank   keyword spotting with half the weights of the layers that are factored; 400 samples to tune on, 100 to judge
 * ad-low-rank    the autoencoder of anomaly detection likewise
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseRecipe } from '../src/compile/recipe.ts'
import { silentProgress } from '../src/progress.ts'
import type { TuneRequest } from '../src/tune/request.ts'
import { tuneModel } from '../src/tune/tune.ts'
import { renderTuneTable } from '../src/tune/report/table.ts'
import type { TuneReport } from '../src/tune/report/document.ts'
import { fixture } from '../test/fixtures.ts'

const scratch = mkdtempSync(join(tmpdir(), 'edgewright-tuning-'))
const described = (name: string) => fileURLToPath(new URL(`peers/data/${name}.yaml`, import.meta.url))
const option = (name: string) => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? undefined : process.argv[at + 1]
}
const epochs = option('epochs') === undefined ? undefined : Number(option('epochs'))
const learningRate = option('learning-rate') === undefined ? undefined : Number(option('learning-rate'))
const threads = option('threads') === undefined ? undefined : Number(option('threads'))
const out = option('out') ?? join(scratch, 'tuned')

const experiments = {
  'mobilenet-qat': async () => {
    const report = await tuned('mobilenet-qat', {
      model: fixture('imagenet/mobilenet_v1_0.25_224_float.tflite'),
      methods: ['qat'],
      data: fixture('imagenet/tune256'),
      evaluationData: described('imagenet-labelled'),
      target: 'litert',
      recipe: parseRecipe(
        {
          perChannel: false,
          preset: 'fast',
          labelOffset: 1,
          preprocessing: {
            resize: 224,
            fit: 'stretch',
            antialias: false,
            scale: 1 / 127.5,
            mean: 1,
            std: 1,
          },
        },
        'bench',
      ),
      training: { epochs, learningRate, threads },
    })
    wonBack(report, 'int8, PTQ', 'int8, QAT')
  },
  'resnet8-4bit': async () => {
    const report = await tuned('resnet8-4bit', {
      model: fixture('mlperf-tiny/ic_resnet8_float.tflite'),
      methods: ['qat'],
      data: cifarTraining(),
      evaluationData: described('cifar10-test'),
      target: 'litert',
      qat: { weightBits: 4 },
      recipe: parseRecipe({ preset: 'fast' }, 'bench'),
      training: { epochs, learningRate, threads },
    })
    wonBack(report, '4-bit weights, PTQ (simulated)', '4-bit weights, QAT (simulated)')
  },
  'resnet8-prune': async () => {
    const seeds = (option('seeds') ?? '0,1,2').split(',').map(Number)
    const kinds = (option('importance')?.split(',') ?? ['taylor', 'random']) as ('taylor' | 'random')[]
    const found: string[] = []
    for (const importance of kinds)
      for (const seed of seeds) {
        const report = await tuned(`resnet8-prune-${importance}-${seed}`, {
          // as it is deployed, its batch norm folded; ic_resnet8.h5 has it still
          model: fixture(`mlperf-tiny/${option('model') ?? 'ic_resnet8_float.tflite'}`),
          methods: ['prune'],
          budget: { macs: 0.5 },
          prune: { importance, multiple: 4 },
          data: cifarTraining(),
          evaluationData: described('cifar10-test'),
          target: 'litert',
          recipe: parseRecipe({ preset: 'fast', seed }, 'bench'),
          training: { epochs, learningRate, threads, augment: 'shift:2,flip' },
        })
        const row = report.rows.find(({ stage, form }) => stage === 'prune' && form === 'float')!
        found.push(
          `${importance}, seed ${seed}: agreement ${(100 * row.agreement!).toFixed(1)} %, top-1 ${(100 * row.accuracy!.value).toFixed(1)} %, ${row.sqnrDb!.toFixed(2)} dB`,
        )
      }
    console.log(found.join('\n'))
  },
  'kws-low-rank': async () => {
    await tuned('kws-low-rank', {
      model: fixture('mlperf-tiny/kws_dscnn_float.onnx'),
      methods: ['low-rank'],
      budget: { weights: 0.5 },
      data: described('keywords'),
      target: 'litert',
      recipe: parseRecipe({ preset: 'fast' }, 'bench'),
      training: { epochs: epochs ?? 30, learningRate },
    })
  },
  'ad-low-rank': async () => {
    await tuned('ad-low-rank', {
      model: fixture('mlperf-tiny/ad_float.tflite'),
      methods: ['low-rank'],
      budget: { weights: 0.5 },
      data: fileURLToPath(new URL('peers/data/anomaly.mjs', import.meta.url)),
      target: 'litert',
      recipe: parseRecipe({ preset: 'fast' }, 'bench'),
      training: { epochs: epochs ?? 60, learningRate },
    })
  },
}

const wanted = process.argv.slice(2).filter((name) => Object.hasOwn(experiments, name))
try {
  for (const name of wanted.length > 0 ? wanted : Object.keys(experiments))
    await experiments[name as keyof typeof experiments]()
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

async function tuned(name: string, request: Omit<TuneRequest, 'device' | 'out'>): Promise<TuneReport> {
  const began = performance.now()
  let last = ''
  const progress = {
    ...silentProgress(),
    stage: (stage: string, detail = '') => console.log(`- ${stage} ${detail}`),
    tick(_done: number, _total: number, _unit: string, note?: string) {
      const epoch = note?.split(',')[0]
      if (note && epoch !== last) console.log(`  ${note}`)
      last = epoch ?? last
    },
  }
  const { report } = await tuneModel({ ...request, device: null, out: join(out, name) }, progress)
  console.log(`\n## ${name}, ${((performance.now() - began) / 1000).toFixed(0)} s\n`)
  console.log(renderTuneTable(report, { color: false, width: 140 }))
  return report
}

/** The share of the agreement with float that quantization without training lost and training won back. */
function wonBack({ rows }: TuneReport, before: string, after: string): void {
  const agreement = (form: string) => rows.find((row) => row.form === form)!.agreement!
  const [ptq, qat] = [agreement(before), agreement(after)]
  console.log(
    `\nagreement with float ${(100 * ptq).toFixed(1)} % → ${(100 * qat).toFixed(1)} %: ${((100 * (qat - ptq)) / (1 - ptq)).toFixed(0)} % of what was lost is won back (limit 50)`,
  )
  if (!((qat - ptq) / (1 - ptq) >= 0.5)) process.exitCode = 1
}

/** 5,000 training pictures, unpacked where nothing of the project is. */
function cifarTraining(): string {
  const folder = join(scratch, 'cifar10-train')
  mkdirSync(folder, { recursive: true })
  if (readdirSync(folder).length === 0)
    execFileSync('tar', ['-xzf', fixture('data/cifar10_train.tar.gz'), '-C', folder])
  const file = join(folder, 'data.yaml')
  writeFileSync(
    file,
    'description: CIFAR-10, 5,000 training images\nfiles: {images: train}\npreprocess: {resize: null, scale: 1}\n',
  )
  return file
}
