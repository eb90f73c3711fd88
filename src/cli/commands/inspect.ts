import { shapesOf } from '../arguments.ts'
import { type Command, flag, text } from '../command.ts'
import { modelOptions } from '../options.ts'

export const inspect: Command = {
  name: 'inspect',
  usage: '<model>',
  describe: 'Show a network, and what of it a target runs where and why',
  positionals: { model: { type: 'string', describe: 'The trained network' } },
  options: {
    target: { type: 'string', describe: 'A runtime (edgewright targets)' },
    profile: {
      type: 'string',
      describe: 'A board (edgewright profiles) or the path of a profile',
      default: 'this-computer',
    },
    graph: { type: 'boolean', describe: 'Print the graph as Edgewright reads it' },
    ...modelOptions,
  },
  examples: [
    ['inspect net.onnx --profile raspberry-pi-5', 'What would run in int8 there, what in float, and why'],
  ],
  async run(args, context) {
    const { inspectModel, describeInspection } = await import('../../compile/inspect.ts')
    const inspection = await inspectModel(
      {
        model: text(args, 'model')!,
        shapes: shapesOf(args),
        signature: text(args, 'signature'),
        profile: text(args, 'profile')!,
        target: text(args, 'target'),
      },
      context.progress,
    )
    const { graph, ...document } = inspection
    return {
      json: { schemaVersion: 1, ...document },
      text: describeInspection(inspection, flag(args, 'graph')),
    }
  },
}
