import { presetOf, affinityOf, conditionsOf, energyOf, rateHzOf, shapesOf, threadsOf } from '../arguments.ts'
import { type Command, flag, text } from '../command.ts'
import { connectionOf } from '../connection.ts'
import { meterOptions } from '../meter.ts'
import { conditionOptions, deviceOptions, measureOptions, modelOptions } from '../options.ts'

export const bench: Command = {
  name: 'bench',
  usage: '<subject>',
  describe: 'Measure an artifact or any model file on a board',
  positionals: {
    subject: { type: 'string', describe: 'An artifact folder, or a model file (.onnx, .tflite) as it is' },
  },
  options: {
    device: {
      type: 'string',
      default: 'local:',
      describe: 'pi@host, ssh://user@host:port, local: or a name of edgewright devices',
    },
    ...measureOptions,
    ...conditionOptions,
    ...meterOptions,
    operators: { type: 'boolean', describe: 'Also the time by operator (in a session of its own)' },
    attach: {
      type: 'string',
      describe: 'Collect a run that was started before and whose connection was lost',
    },
    'raw-samples': { type: 'boolean', describe: 'Put every latency into the JSON' },
    ...deviceOptions,
    ...modelOptions,
  },
  examples: [['bench net.onnx --device pi@board --threads 1,2,4', 'A model file, no compile']],
  async run(args, context) {
    const { benchSubject, describeBench } = await import('../../run/bench.ts')
    const result = await benchSubject(
      {
        subject: text(args, 'subject')!,
        shapes: shapesOf(args),
        device: text(args, 'device')!,
        threads: threadsOf(args) ?? [1],
        affinity: affinityOf(args),
        rateHz: rateHzOf(args),
        preset: presetOf(args, 'measure') ?? 'quick',
        operators: flag(args, 'operators'),
        energy: energyOf(args),
        conditions: conditionsOf(args),
        attach: text(args, 'attach'),
        connection: connectionOf(args, context),
      },
      context.progress,
    )
    const { rawLatencyNs, ...document } = result
    return {
      json: {
        schemaVersion: 1,
        ...document,
        ...(flag(args, 'raw-samples') ? { rawLatencyNs } : {}),
        warnings: context.progress.warnings,
      },
      text: describeBench(result),
    }
  },
}
