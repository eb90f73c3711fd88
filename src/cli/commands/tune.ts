import { EdgewrightError } from '../../error.ts'
import { type EngineName, engineNames } from '../../train/engines/names.ts'
import type { BatchNormChoice } from '../../tune/batch-norm.ts'
import type { MethodName, TrainingChoices, TuneBudget } from '../../tune/request.ts'
import { recipeOf, shapesOf } from '../arguments.ts'
import { type Arguments, type Command, flag, number, text, texts } from '../command.ts'
import { connectionOf } from '../connection.ts'
import { dataOptions, deviceOptions, modelOptions, presetOption, recipeOptions } from '../options.ts'

export const tune: Command = {
  name: 'tune',
  usage: '<model>',
  describe: 'Train a network so that it costs less, or loses less in int8',
  positionals: { model: { type: 'string', describe: 'The trained float network' } },
  options: {
    method: {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'train, prune, low-rank, distill, qat; several in order: prune,qat',
    },
    budget: {
      type: 'string',
      array: true,
      describe:
        'What may be left: macs=0.5, weights=50% (prune: of the network; low-rank: of the layers it touches)',
    },
    data: { ...dataOptions.data, demandOption: true, describe: 'Samples to learn from (docs/data.md)' },
    'evaluation-data': {
      type: 'string',
      describe: 'Samples to judge by; default a fifth of --data, which is then not learnt from',
    },
    metric: dataOptions.metric,
    'label-offset': dataOptions['label-offset'],
    profile: {
      type: 'string',
      describe: 'A board (edgewright profiles) or the path of a profile',
      default: 'this-computer',
    },
    target: { type: 'string', describe: "A runtime (edgewright targets); default: the profile's best" },
    teacher: {
      type: 'string',
      describe: 'A larger network to learn from; default: the network itself, in float',
    },
    'learn-from': {
      type: 'string',
      choices: ['teacher', 'labels', 'both'],
      describe: 'Default: the teacher (no labels needed); of train: the labels',
    },
    match: {
      type: 'string',
      array: true,
      describe: 'A layer whose values are matched with the teacher’s, by name',
    },
    temperature: { type: 'number', describe: 'Softens both sides of a distillation' },
    epochs: { type: 'number', describe: 'Of each training (each method has its own default)' },
    'batch-size': { type: 'number', describe: 'Default 32' },
    'learning-rate': { type: 'number', describe: 'At its highest (each method has its own default)' },
    optimizer: { type: 'string', choices: ['adam', 'sgd'], describe: 'Default adam' },
    'weight-decay': { type: 'number', describe: 'Of kernels and matrices; default 0' },
    schedule: { type: 'string', describe: 'Of the learning rate; default cosine,warmup=0.05' },
    augment: { type: 'string', describe: 'Changes of each sample, e.g. shift:4,flip; default none' },
    'batch-norm': {
      type: 'string',
      choices: ['train', 'frozen', 'insert'],
      describe:
        'Statistics of batch norm; insert: some while it trains, where a network has none (default of prune)',
    },
    threads: { type: 'number', describe: 'Of the training on this computer (default 2)' },
    engine: {
      type: 'string',
      choices: engineNames,
      describe: 'What computes the steps: ONNX Runtime (default), or the TensorFlow.js of your project',
    },
    importance: {
      type: 'string',
      choices: ['taylor', 'weights', 'random'],
      describe: 'prune: what a channel is worth (default taylor)',
    },
    prune: {
      type: 'string',
      choices: ['channels', 'magnitude', '2:4'],
      describe: 'prune: what is taken away (default channels, the only kind that every board profits from)',
    },
    sparsity: { type: 'number', describe: 'prune magnitude: the share of zeros, e.g. 0.8' },
    rounds: { type: 'number', describe: 'prune: rounds of pruning and fine-tuning' },
    multiple: {
      type: 'number',
      describe: 'prune: channels of a layer stay a multiple of this (default: of 8 where the budget allows)',
    },
    'weight-bits': { type: 'number', describe: 'qat: simulate narrower weights (no artifact comes of it)' },
    'learn-scales': {
      type: 'boolean',
      default: true,
      describe: 'qat: learn the ranges of activations (--no-learn-scales: as calibrated)',
    },
    device: {
      type: 'string',
      default: 'local:',
      describe: 'Where latency is measured, side by side; none: nowhere',
    },
    out: { type: 'string', alias: 'o', describe: 'Folder of the result (default tuned/<model>-<methods>)' },
    resume: { type: 'boolean', describe: 'Go on where an interrupted run into the same folder stopped' },
    ...presetOption,
    ...recipeOptions,
    ...deviceOptions,
    ...modelOptions,
  },
  examples: [
    ['tune net.onnx --data samples/ --target litert --method qat', 'Win back what int8 lost, without labels'],
    ['tune net.onnx --data samples/ --method prune,qat --budget macs=0.5', 'Half the work, then int8'],
  ],
  async run(args, context) {
    const [{ tuneModel }, { describeTuned }] = await Promise.all([
      import('../../tune/tune.ts'),
      import('../../tune/describe.ts'),
    ])
    const device = text(args, 'device')!
    const tuned = await tuneModel(
      {
        model: text(args, 'model')!,
        shapes: shapesOf(args),
        signature: text(args, 'signature'),
        methods: texts(args, 'method').flatMap((written) => written.split(',')) as MethodName[],
        data: text(args, 'data')!,
        evaluationData: text(args, 'evaluation-data'),
        metric: text(args, 'metric'),
        teacher: text(args, 'teacher'),
        profile: text(args, 'profile')!,
        target: text(args, 'target'),
        recipe: await recipeOf(args),
        budget: budgetOf(args),
        training: trainingOf(args),
        prune: {
          importance: text(args, 'importance') as 'taylor' | undefined,
          kind: text(args, 'prune') as 'channels' | undefined,
          sparsity: number(args, 'sparsity'),
          rounds: count(args, 'rounds'),
          multiple: count(args, 'multiple'),
        },
        qat: { weightBits: count(args, 'weight-bits'), learnScales: args['learn-scales'] !== false },
        device: device === 'none' ? null : device,
        connection: connectionOf(args, context),
        out: text(args, 'out'),
        resume: flag(args, 'resume'),
      },
      context.progress,
    )
    return {
      json: { ...tuned.report, warnings: context.progress.warnings },
      text: describeTuned(tuned, { color: context.colour, width: context.width }),
    }
  },
}

function trainingOf(args: Arguments): TrainingChoices {
  return {
    epochs: count(args, 'epochs'),
    batchSize: count(args, 'batch-size'),
    learningRate: positive(args, 'learning-rate'),
    optimizer: text(args, 'optimizer') as 'adam' | undefined,
    weightDecay: number(args, 'weight-decay'),
    schedule: text(args, 'schedule'),
    augment: text(args, 'augment'),
    learnFrom: text(args, 'learn-from') as 'teacher' | undefined,
    temperature: positive(args, 'temperature'),
    layers: texts(args, 'match'),
    batchNorm: text(args, 'batch-norm') as BatchNormChoice | undefined,
    threads: count(args, 'threads'),
    engine: text(args, 'engine') as EngineName | undefined,
  }
}

/** `--budget macs=0.5,weights=50%`. */
function budgetOf(args: Arguments): TuneBudget {
  const budget: { macs?: number; weights?: number } = {}
  for (const written of texts(args, 'budget').flatMap((part) => part.split(','))) {
    const match = /^\s*(macs|weights)\s*=\s*(\d*\.?\d+)\s*(%)?\s*$/.exec(written)
    const share = match ? Number(match[2]) / (match[3] ? 100 : 1) : Number.NaN
    if (!match || !(share > 0 && share < 1))
      throw new EdgewrightError('USAGE', `Not a budget: ${JSON.stringify(written)}.`, {
        where: '--budget',
        hint: 'Write --budget macs=0.5 or --budget weights=50%: what may be left, as a share.',
      })
    budget[match[1] as 'macs' | 'weights'] = share
  }
  return budget
}

function count(args: Arguments, name: string): number | undefined {
  const value = number(args, name)
  if (value === undefined || (Number.isInteger(value) && value >= 1)) return value
  throw new EdgewrightError('USAGE', `--${name} is a whole number from 1.`, {
    where: `--${name}`,
    saw: String(args[name]),
  })
}

function positive(args: Arguments, name: string): number | undefined {
  const value = number(args, name)
  if (value === undefined || value > 0) return value
  throw new EdgewrightError('USAGE', `--${name} is a number above 0.`, {
    where: `--${name}`,
    saw: String(args[name]),
  })
}
