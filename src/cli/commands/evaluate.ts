import { recipeOf, shapesOf } from '../arguments.ts'
import { type Command, number, text } from '../command.ts'
import { connectionOf } from '../connection.ts'
import { dataOptions, deviceOptions, modelOptions } from '../options.ts'

export const evaluate: Command = {
  name: 'evaluate',
  usage: '<subject>',
  describe: 'Accuracy of a model or an artifact, on this computer or on a board',
  positionals: { subject: { type: 'string', describe: 'A model file or an artifact folder' } },
  options: {
    data: dataOptions.data,
    metric: dataOptions.metric,
    'label-offset': dataOptions['label-offset'],
    device: { type: 'string', describe: 'Evaluate there; default: on this computer' },
    limit: { type: 'number', describe: 'At most so many samples' },
    recipe: { type: 'string', describe: 'A recipe (YAML) for its preprocessing and label offset' },
    ...deviceOptions,
    ...modelOptions,
  },
  examples: [
    [
      'evaluate artifacts/net-raspberry-pi-5 --data samples/ --device pi@board',
      'Accuracy as the board computes it',
    ],
  ],
  async run(args, context) {
    const { evaluateSubject, describeEvaluation } = await import('../../run/evaluate.ts')
    const evaluation = await evaluateSubject(
      {
        subject: text(args, 'subject')!,
        shapes: shapesOf(args),
        data: text(args, 'data'),
        metric: text(args, 'metric'),
        recipe: await recipeOf(args),
        device: text(args, 'device'),
        limit: number(args, 'limit'),
        connection: connectionOf(args, context),
      },
      context.progress,
    )
    return {
      json: { schemaVersion: 1, ...evaluation, warnings: context.progress.warnings },
      text: describeEvaluation(evaluation),
    }
  },
}
