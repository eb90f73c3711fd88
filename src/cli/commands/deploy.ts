import { type Command, text } from '../command.ts'
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
        connection: connectionOf(args, context),
      },
      context.progress,
    )
    const state = release.alreadyThere ? 'was there already' : 'is in place'
    return {
      json: { schemaVersion: 1, ...release },
      text: `${release.name} #${release.number} ${state} on ${release.device} (${release.sentBytes} bytes sent)\nmodel: ${release.currentPath}/${release.model}`,
    }
  },
}
