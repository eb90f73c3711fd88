import { join } from 'node:path'
import { calibrationCacheOf, presetOf, recipeOf, shapesOf, threadCountOf } from '../arguments.ts'
import { type Command, text } from '../command.ts'
import { connectionOf } from '../connection.ts'
import { dataOptions, deviceOptions, modelOptions, recipeOptions } from '../options.ts'

export const explain: Command = {
  name: 'explain',
  usage: '<model>',
  describe: 'Why int8 is slower or worse on a board, operator by operator, and where board and host part',
  positionals: { model: { type: 'string', describe: 'The trained network' } },
  options: {
    device: { type: 'string', default: 'local:', describe: 'A board: pi@host, ssh://…, local: or a name' },
    profile: {
      type: 'string',
      describe: 'A board or the path of a profile; default: what the device turns out to be',
    },
    target: { type: 'string', describe: "A runtime (edgewright targets); default: the profile's best" },
    out: {
      type: 'string',
      alias: 'o',
      describe: 'Folder of the artifact (default .edgewright/artifacts/explain)',
    },
    ...dataOptions,
    ...recipeOptions,
    threads: { type: 'string', describe: 'Intra-op threads (default 1)' },
    preset: {
      type: 'string',
      describe:
        'Of the compile fast, balanced or best; of the measurement quick, standard, sustained or tiny; or both: best,standard',
    },
    ...deviceOptions,
    ...modelOptions,
  },
  examples: [
    ['explain net.onnx --data samples/ --device pi@board', 'Operator by operator, float beside int8'],
  ],
  async run(args, context) {
    const [{ explainModel }, { describeExplanation }] = await Promise.all([
      import('../../run/explain/explain.ts'),
      import('../../run/explain/describe.ts'),
    ])
    const kinds = ['compile', 'measure'] as const
    const explanation = await explainModel(
      {
        model: text(args, 'model')!,
        shapes: shapesOf(args),
        signature: text(args, 'signature'),
        data: text(args, 'data'),
        calibrationData: text(args, 'calibration-data'),
        calibrationCache: calibrationCacheOf(args),
        metric: text(args, 'metric'),
        recipe: await recipeOf(args, undefined, presetOf(args, 'compile', kinds)),
        device: text(args, 'device')!,
        profile: text(args, 'profile'),
        target: text(args, 'target'),
        threads: threadCountOf(args),
        preset: presetOf(args, 'measure', kinds) ?? 'quick',
        out: text(args, 'out') ?? join('.edgewright', 'artifacts', 'explain'),
        connection: connectionOf(args, context),
      },
      context.progress,
    )
    return {
      json: { schemaVersion: 1, ...explanation, warnings: context.progress.warnings },
      text: describeExplanation(explanation),
    }
  },
}
