import { EdgewrightError } from '../../error.ts'
import { type Arguments, type Command, flag, number, text } from '../command.ts'
import { connectionOf } from '../connection.ts'
import { deviceOptions } from '../options.ts'

const device = {
  device: {
    type: 'string',
    demandOption: true,
    describe: 'pi@host, ssh://user@host:port, local: or a name of edgewright devices',
  },
  ...deviceOptions,
} as const

export const releases: Command = {
  name: 'releases',
  describe: 'What is deployed on a board',
  bare: 'list',
  subcommands: [
    {
      name: 'list',
      usage: '[name]',
      describe: 'Releases with their state; * is what applications open',
      positionals: { name: { type: 'string', describe: 'Of this name only' } },
      options: device,
      async run(args, context) {
        const { releasesOn, describeReleases } = await import('../../run/releases.ts')
        const on = text(args, 'device')!
        const entries = await releasesOn(
          { device: on, name: text(args, 'name'), connection: connectionOf(args, context) },
          context.progress,
        )
        return {
          json: { schemaVersion: 1, device: on, releases: entries },
          text: describeReleases(entries, on),
        }
      },
    },
    {
      name: 'rollback',
      usage: '<name>',
      describe: 'Make the release before the current one current again',
      positionals: { name: { type: 'string', describe: 'The name of the release' } },
      options: { to: { type: 'number', describe: 'To this number in place of the one before' }, ...device },
      async run(args, context) {
        const { rollbackOn } = await import('../../run/releases.ts')
        const name = text(args, 'name')!
        const result = await rollbackOn(
          {
            device: text(args, 'device')!,
            name,
            to: wholeOption(args, 'to', 1),
            connection: connectionOf(args, context),
          },
          context.progress,
        )
        return {
          json: { schemaVersion: 1, device: text(args, 'device'), name, ...result },
          text:
            result.from === null
              ? `${name} #${result.number} is current.`
              : `${name} #${result.number} is current again, in place of #${result.from}.`,
        }
      },
    },
    {
      name: 'prune',
      usage: '[name]',
      describe: 'Remove failed, half-made and old releases; never the current one nor the one before it',
      positionals: { name: { type: 'string', describe: 'Of this name only' } },
      options: {
        keep: { type: 'number', default: 0, describe: 'Keep so many more, the newest' },
        blobs: {
          type: 'boolean',
          describe:
            'Also files that no release has (runner, libraries, measured models: sent again when needed)',
        },
        ...device,
      },
      async run(args, context) {
        const { pruneOn, describePruned } = await import('../../run/releases.ts')
        const pruned = await pruneOn(
          {
            device: text(args, 'device')!,
            name: text(args, 'name'),
            keep: wholeOption(args, 'keep', 0) ?? 0,
            blobs: flag(args, 'blobs'),
            connection: connectionOf(args, context),
          },
          context.progress,
        )
        return {
          json: { schemaVersion: 1, device: text(args, 'device'), ...pruned },
          text: describePruned(pruned),
        }
      },
    },
  ],
}

function wholeOption(args: Arguments, name: string, least: number): number | undefined {
  const value = number(args, name)
  if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return value
  throw new EdgewrightError('USAGE', `--${name} takes a whole number of at least ${least}.`, {
    where: `--${name}`,
    saw: String(args[name]).slice(0, 40),
  })
}
