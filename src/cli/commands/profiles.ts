import { type Command, text } from '../command.ts'

export const profiles: Command = {
  name: 'profiles',
  describe: 'The boards that Edgewright knows',
  bare: 'list',
  subcommands: [
    {
      name: 'list',
      describe: 'All boards and overlays',
      async run() {
        const { listOverlays, listProfiles } = await import('../../profiles/load.ts')
        const [profiles, overlays] = [listProfiles(), listOverlays()]
        const width = Math.max(...[...profiles, ...overlays].map(({ id }) => id.length))
        const row = ({ id, name }: { id: string; name: string }) => `${id.padEnd(width)}  ${name}`
        return {
          json: { schemaVersion: 1, profiles, overlays },
          text: [
            ...profiles.map(row),
            '',
            'plug-in accelerators, e.g. raspberry-pi-5+coral-usb:',
            ...overlays.map(row),
          ].join('\n'),
        }
      },
    },
    {
      name: 'show',
      usage: '<profile>',
      describe: 'The facts of one board, with their sources',
      positionals: { profile: { type: 'string', describe: 'An id, id+overlay, or the path of a profile' } },
      async run(args) {
        const { resolveProfile } = await import('../../profiles/resolve.ts')
        const { stringify } = await import('yaml')
        const profile = resolveProfile(text(args, 'profile')!)
        return { json: { schemaVersion: 1, profile }, text: stringify(profile) }
      },
    },
  ],
}
