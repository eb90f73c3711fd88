import { calibrationCacheOf, recipeOf, shapesOf } from '../arguments.ts'
import { type Command, text } from '../command.ts'
import { connectionOf } from '../connection.ts'
import {
  dataOptions,
  deviceOptions,
  edgetpuOptions,
  modelOptions,
  presetOption,
  recipeOptions,
} from '../options.ts'

export const compile: Command = {
  name: 'compile',
  usage: '<model>',
  describe: 'Make the artifact that a board runs best',
  positionals: { model: { type: 'string', describe: 'The trained network' } },
  options: {
    profile: {
      type: 'string',
      describe: 'A board (edgewright profiles) or the path of a profile',
      default: 'this-computer',
    },
    target: { type: 'string', describe: "A runtime (edgewright targets); default: the profile's best" },
    out: {
      type: 'string',
      alias: 'o',
      describe: 'Folder of the artifact (default artifacts/<model>-<profile>, and -<target> where given)',
    },
    ...dataOptions,
    ...presetOption,
    ...recipeOptions,
    ...edgetpuOptions,
    identity: deviceOptions.identity,
    'host-key': deviceOptions['host-key'],
    'known-hosts': deviceOptions['known-hosts'],
    ...modelOptions,
  },
  examples: [['compile net.onnx --profile raspberry-pi-5 --data samples/', 'int8 for a Raspberry Pi 5']],
  async run(args, context) {
    const [{ compileModel }, { describeCompiled }] = await Promise.all([
      import('../../compile/compile.ts'),
      import('../../compile/describe.ts'),
    ])
    const recipe = await recipeOf(args)
    const { openCompilerHost } = await import('../../run/compiler-host.ts')
    const compilerHost = await openCompilerHost(
      text(args, 'edgetpu-compiler'),
      connectionOf(args, context),
      context.progress,
    )
    const compiled = await compileModel(
      {
        model: text(args, 'model')!,
        shapes: shapesOf(args),
        signature: text(args, 'signature'),
        data: text(args, 'data'),
        calibrationData: text(args, 'calibration-data'),
        calibrationCache: calibrationCacheOf(args),
        metric: text(args, 'metric'),
        recipe,
        profile: text(args, 'profile')!,
        target: text(args, 'target'),
        out: text(args, 'out'),
        compilerHost,
      },
      context.progress,
    ).finally(() => compilerHost?.close())
    return {
      json: { schemaVersion: 1, ...compiled.summary, warnings: context.progress.warnings },
      text: describeCompiled(compiled),
    }
  },
}
