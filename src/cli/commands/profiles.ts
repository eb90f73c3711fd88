import { type Command, text } from '../command.ts'

export const profiles: Command = {
  name: 'profiles',
  describe: 'The boards that Edgewright knows',
  subcommands: [
    {
      name: 'list',
      describe: 'All boards and overlays',
      async run() {
        const { listProfiles } = await import('../../profiles/load.ts')
        const known = await listProfiles()
        const width = Math.max(...known.map((profile) => profile.id.length))
        return {
          json: { schemaVersion: 1, profiles: known },
          text: known.map((profile) => `${profile.id.padEnd(width)}  ${profile.name}`).join('\n'),
        }
      },
    },
    {
      name: 'show',
      usage: '<profile>',
      describe: 'The facts of one board, with their sources',
      positionals: { profile: { type: 'string', describe: 'An id, id+overlay, or the path of a profile' } },
      async run(args) {
        const { loadProfile } = await import('../../profiles/load.ts')
        const { stringify } = await import('yaml')
        const profile = await loadProfile(text(args, 'profile')!)
        return { json: { schemaVersion: 1, profile }, text: stringify(profile) }
      },
    },
  ],
}
