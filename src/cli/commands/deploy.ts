import { EdgewrightError } from '../../error.ts'
import { type Arguments, type Command, number, text } from '../command.ts'
import { connectionOf } from '../connection.ts'
import { deviceOptions } from '../options.ts'

export const deploy: Command = {
  name: 'deploy',
  usage: '<artifact>',
  describe: 'Put an artifact on a board, whole or not at all',
  positionals: { artifact: { type: 'string', describe: 'An artifact folder made by compile' } },
  options: {
    device: {
      type: 'string',
      demandOption: true,
      describe: 'pi@host, ssh://user@host:port, local: or a name of edgewright devices',
    },
    name: { type: 'string', describe: "The release's name on the board (default: the artifact's)" },
    verify: {
      type: 'boolean',
      default: true,
      describe: 'Before it becomes current: run it there and compare with this computer (--no-verify: not)',
    },
    'verify-steps': {
      type: 'number',
      default: 1,
      describe: 'Quantization steps that outputs there and here may lie apart',
    },
    ...deviceOptions,
  },
  examples: [
    [
      'deploy artifacts/net-raspberry-pi-5 --device pi@board --name net',
      'The model is then at ~/.local/share/edgewright/releases/net/current/',
    ],
  ],
  async run(args, context) {
    const { deployTo } = await import('../../run/deploy.ts')
    const release = await deployTo(
      {
        artifact: text(args, 'artifact')!,
        device: text(args, 'device')!,
        name: text(args, 'name'),
        verifySteps: args['verify'] === false ? null : stepsOf(args),
        connection: connectionOf(args, context),
      },
      context.progress,
    )
    const state = release.alreadyThere ? 'was there already' : 'is in place'
    return {
      json: { schemaVersion: 1, ...release },
      text: [
        `${release.name} #${release.number} ${state} on ${release.device} (${release.sentBytes} bytes sent)`,
        ...(release.verified
          ? [
              `verified: ${release.verified.samples} inputs, at most ${release.verified.maxSteps.toFixed(1)} quantization steps from this computer`,
            ]
          : []),
        `model: ${release.currentPath}/${release.model}`,
      ].join('\n'),
    }
  },
}

function stepsOf(args: Arguments): number {
  const steps = number(args, 'verify-steps') ?? 1
  if (steps >= 0) return steps
  throw new EdgewrightError('USAGE', '--verify-steps takes a number that is not negative.', {
    where: '--verify-steps',
    saw: String(args['verify-steps']).slice(0, 40),
  })
}
