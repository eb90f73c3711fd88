import { exitCodes } from '../../error.ts'
import {
  calibrationCacheOf,
  presetOf,
  recipeOf,
  rateHzOf,
  shapesOf,
  threadsOf,
  affinityOf,
  conditionsOf,
  energyOf,
} from '../arguments.ts'
import { type Command, text, texts } from '../command.ts'
import { connectionOf } from '../connection.ts'
import { meterOptions } from '../meter.ts'
import {
  conditionOptions,
  dataOptions,
  deviceOptions,
  edgetpuOptions,
  measureOptions,
  modelOptions,
  recipeOptions,
} from '../options.ts'

export const run: Command = {
  name: 'run',
  usage: '[model]',
  describe: 'From the float file to a table and a report: compile, deploy, measure float beside int8',
  positionals: {
    model: { type: 'string', describe: 'The trained network; default: of edgewright.yaml' },
  },
  options: {
    config: { type: 'string', describe: 'Configuration (default ./edgewright.yaml where no model is named)' },
    device: {
      type: 'string',
      array: true,
      describe: 'A board: pi@host, ssh://…, local: or a name of edgewright devices (repeat for more)',
    },
    profile: {
      type: 'string',
      describe: 'A board or the path of a profile; default: what the device turns out to be',
    },
    target: { type: 'string', describe: "A runtime (edgewright targets); default: the profile's best" },
    report: { type: 'string', describe: 'Write the HTML report there' },
    'fail-if': {
      type: 'string',
      array: true,
      describe: "A limit, e.g. 'latency.p99 > 33ms' or 'accuracy.drop > 1%'",
    },
    ...dataOptions,
    ...recipeOptions,
    scheme: { type: 'string', describe: 'full-int8, float, … or several, e.g. float,full-int8: a row each' },
    ...measureOptions,
    ...conditionOptions,
    ...meterOptions,
    preset: {
      type: 'string',
      describe:
        'Of the compile fast, balanced or best; of the measurement quick, standard, sustained or tiny; or both: best,standard',
    },
    ...deviceOptions,
    ...edgetpuOptions,
    ...modelOptions,
  },
  examples: [
    ['run net.onnx --data samples/ --device pi@raspberrypi.local --report out.html', 'The main job'],
    ['run', 'The same from edgewright.yaml'],
  ],
  async run(args, context) {
    const [{ planRun }, { runMainJob }, { renderTable }] = await Promise.all([
      import('../../run/request.ts'),
      import('../../run/run.ts'),
      import('../../report/table.ts'),
    ])
    const kinds = ['compile', 'measure'] as const
    const request = await planRun({
      model: text(args, 'model'),
      config: text(args, 'config'),
      shapes: shapesOf(args),
      signature: text(args, 'signature'),
      data: text(args, 'data'),
      calibrationData: text(args, 'calibration-data'),
      calibrationCache: calibrationCacheOf(args),
      metric: text(args, 'metric'),
      recipe: (base) => recipeOf({ ...args, scheme: undefined }, base, presetOf(args, 'compile', kinds)),
      schemes: text(args, 'scheme'),
      devices: texts(args, 'device'),
      profile: text(args, 'profile'),
      target: text(args, 'target'),
      threads: threadsOf(args),
      affinity: affinityOf(args),
      rateHz: rateHzOf(args),
      preset: presetOf(args, 'measure', kinds),
      energy: energyOf(args),
      conditions: conditionsOf(args),
      report: text(args, 'report'),
      budgets: texts(args, 'fail-if'),
      edgetpuCompiler: text(args, 'edgetpu-compiler'),
      connection: connectionOf(args, context),
    })
    const outcome = await runMainJob(request, context.progress)
    const table = renderTable(outcome.document, { color: context.colour, width: context.width })
    return {
      json: outcome.document,
      text: [table, ...outcome.closing].join('\n'),
      exitCode: outcome.failure ? exitCodes[outcome.failure] : exitCodes.ok,
    }
  },
}
